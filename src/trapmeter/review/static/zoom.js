// Zooms and moves the picture within its frame: wheel, keys, and dragging.

export const STEP = 1.25;
const MOST = 12, MOVED_PX = 4;

export class Zoom {
  // frame: cuts off what lies beyond it. view: what is zoomed. onChange: called after every change.
  // isFree: whether the left button has nothing else to do than to move the picture.
  constructor(frame, view, onChange, isFree) {
    Object.assign(this, { frame, view, onChange, isFree });
    this.scale = 1; this.x = 0; this.y = 0;
    this.isHeld = false; this.hasMoved = false;
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.drag(event));
    // The middle button would start the browser's own scrolling.
    frame.addEventListener("mousedown", (event) => { if (event.button === 1) event.preventDefault(); });
  }

  get isZoomed() { return this.scale > 1; }

  // The visible part of the picture as fractions: left, top, right, bottom.
  get visible() {
    const left = -this.x / (this.scale * this.frame.clientWidth || 1), top = -this.y / (this.scale * this.frame.clientHeight || 1);
    return [left, top, left + 1 / this.scale, top + 1 / this.scale];
  }

  // Whether a press of this button moves the picture.
  moves(event) {
    return this.isZoomed && (event.button === 1 || (event.button === 0 && (this.isHeld || this.isFree())));
  }

  wheel(event) {
    event.preventDefault();
    const edge = this.frame.getBoundingClientRect();
    this.by(STEP ** -Math.sign(event.deltaY), event.clientX - edge.left, event.clientY - edge.top);
  }

  // Zooms by a factor; the place x, y (pixels of the frame) stays where it is.
  by(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale < 1.001 ? 1 : scale;
    this.apply();
  }

  wider() { this.by(1 / STEP); }
  reset() { this.scale = 1; this.apply(); }

  apply() {
    const least = (side) => side * (1 - this.scale);
    this.x = Math.min(0, Math.max(least(this.frame.clientWidth), this.x));
    this.y = Math.min(0, Math.max(least(this.frame.clientHeight), this.y));
    this.view.style.setProperty("transform", `translate(${this.x}px, ${this.y}px) scale(${this.scale})`);
    this.frame.classList.toggle("zoomed", this.isZoomed);
    this.onChange();
  }

  hold() { this.isHeld = true; this.hasMoved = false; }

  // Ends what `hold` began; returns whether the picture was moved meanwhile.
  release() { this.isHeld = false; return this.hasMoved; }

  drag(event) {
    if (!this.moves(event)) return;
    event.preventDefault();
    this.frame.setPointerCapture(event.pointerId);
    const start = { x: event.clientX - this.x, y: event.clientY - this.y }, from = [event.clientX, event.clientY];
    const move = (e) => {
      if (Math.hypot(e.clientX - from[0], e.clientY - from[1]) > MOVED_PX) this.hasMoved = true;
      this.x = e.clientX - start.x;
      this.y = e.clientY - start.y;
      this.apply();
    };
    const done = () => this.frame.removeEventListener("pointermove", move);
    this.frame.addEventListener("pointermove", move);
    this.frame.addEventListener("pointerup", done, { once: true });
    this.frame.addEventListener("pointercancel", done, { once: true });
  }
}
