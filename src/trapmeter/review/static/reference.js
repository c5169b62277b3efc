// The reference photograph that shows about the distance of the animal.

export class Reference {
  // figure: shows the photograph. references: address and metres of each, from near to far. near: metres of the first to
  // show, null if nothing is known of the distance.
  constructor(figure, scene, references, near) {
    Object.assign(this, { figure, scene, references: [...references], near });
    this.picture = figure.querySelector("img");
    this.picture.addEventListener("load", () => this.toggle(true));
    this.picture.addEventListener("error", () => this.drop());
    this.shown = -1;
    this.choose(null);
  }

  // Shows the photograph nearest to what was typed, or else to the first distance.
  choose(typed) {
    if (typed === null && this.shown >= 0 && this.isByHand) return;
    const metres = typed ?? this.near ?? this.references[0]?.metres;
    if (!this.references.length) { this.toggle(false); return; }
    // Near and far count alike as ratios.
    const misfits = this.references.map((one) => Math.abs(Math.log(one.metres / metres)));
    this.isByHand = false;
    this.show(misfits.indexOf(Math.min(...misfits)));
  }

  step(by) {
    const next = this.shown + by;
    if (next < 0 || next >= this.references.length) return false;
    this.isByHand = true;
    this.show(next);
    return true;
  }

  show(number) {
    if (number === this.shown) return;
    this.shown = number;
    const one = this.references[number];
    this.picture.src = one.address;
    this.picture.alt = `reference photograph: an object at ${one.metres} m`;
    this.figure.querySelector("strong").textContent = `${one.metres} m`;
    this.figure.dataset.metres = one.metres;
    const [nearer, farther] = this.figure.querySelectorAll("button");
    nearer.disabled = number === 0;
    farther.disabled = number === this.references.length - 1;
  }

  // Without a word: a photograph that is lost or broken is only missing.
  drop() {
    this.references.splice(this.shown, 1);
    this.shown = -1;
    this.isByHand = false;
    this.choose(null);
  }

  toggle(isShown) {
    this.figure.hidden = !isShown;
    this.scene.classList.toggle("paired", isShown);
  }
}
