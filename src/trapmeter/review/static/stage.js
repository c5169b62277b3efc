// The picture of a second with its boxes, the video behind it, and a box that the user draws.
// The picture is the one that was measured: the server decodes it. The browser's own video only plays.
import { drawBox } from "./boxes.js";
import { areWanted, drawLines, fits, want } from "./ground.js";
import { Reference } from "./reference.js";
import { STEP as STEP_IN, Zoom } from "./zoom.js";

const STEP = 0.01, MIN_SIDE = 0.01, BOX_DURATION_S = 1.5, SLIDE_S = 0.5;

export class Stage {
  // section: the element with data-stage. onDraft: called when the user starts, changes or ends a box.
  constructor(section, onDraft) {
    Object.assign(this, JSON.parse(section.dataset.stage));
    const find = (selector) => section.querySelector(selector);
    this.frame = find("#frame"); this.still = find("#still"); this.player = find("video");
    this.overlay = find("#overlay"); this.ground = find("#ground"); this.nopicture = find("#nopicture"); this.clock = find("#clock");
    this.playButton = find("#play");
    this.linesButton = find("#lines"); this.linesNote = find("#linesnote"); this.whole = find("#whole");
    this.zoom = new Zoom(this.frame, find("#view"), () => this.draw(), () => this.draft === null);
    this.whole.addEventListener("click", () => this.zoom.reset());
    this.reference = new Reference(find("#reference"), find("#scene"), this.references, this.near);
    this.own = this.time;
    this.draft = null;
    this.onDraft = onDraft;
    this.still.addEventListener("load", () => this.shown());
    this.still.addEventListener("error", () => this.explain());
    this.overlay.addEventListener("pointerdown", (event) => this.drag(event));
    this.resized = new ResizeObserver(() => this.zoom.apply());
    this.resized.observe(this.frame);
    if (this.video) this.openVideo();
    this.seek(this.time);
  }

  close() {
    this.stop();
    this.resized.disconnect();
    this.player.removeAttribute("src");
    this.player.load();
  }

  seek(time) {
    this.time = Math.max(0, time);
    this.still.src = `${this.picture}?time=${this.time}`;
    // Slightly later, since rounding could show the previous picture.
    if (this.video) this.player.currentTime = this.time + 0.001;
    this.showTime();
    this.draw();
  }

  step(seconds) {
    this.stop();
    this.seek(this.time + seconds);
  }

  shown() {
    this.nopicture.hidden = true;
    this.frame.style.setProperty("--aspect", this.still.naturalWidth / this.still.naturalHeight);
    this.draw();
    if (this.slides) this.slide();
  }

  async explain() {
    if (this.slides) {
      // The video has ended: keep the last picture.
      this.time -= SLIDE_S;
      this.stop();
      return;
    }
    const address = this.still.src;
    let reason;
    try {
      const response = await fetch(address);
      reason = response.ok ? "the browser can't show it" : await response.text();
    } catch {
      reason = "the server has stopped; restart `trapmeter review` and open the address that it prints";
    }
    if (this.still.src !== address) return;
    this.nopicture.textContent = `No picture: ${reason}`;
    this.nopicture.hidden = false;
    this.overlay.replaceChildren();
  }

  showTime() {
    const at = (s) => this.plays ? s.toFixed(1) : String(Math.round(1000 * s) / 1000);
    this.clock.textContent = `second ${at(this.time)}` + (this.time === this.own ? "" : ` (the row is at ${at(this.own)})`);
  }

  // Video -----------------------------------------------------------------------------------------------------------

  openVideo() {
    this.player.src = this.video;
    this.player.addEventListener("loadedmetadata", () => {
      // This browser can decode the sound at best.
      if (!this.player.videoWidth) this.dropVideo();
    });
    this.player.addEventListener("error", () => this.dropVideo());
    this.player.addEventListener("ended", () => {
      this.time = Math.max(0, this.player.duration - SLIDE_S);
      this.stop();
    });
  }

  dropVideo() {
    this.video = "";
    if (!this.frame.classList.contains("playing")) return;
    // The user already started it: show single pictures instead.
    this.player.pause();
    this.player.hidden = true;
    this.frame.classList.remove("playing");
    this.slides = true;
    this.slide();
  }

  get plays() { return this.slides || this.frame.classList.contains("playing"); }

  async toggle() {
    if (this.plays) { this.stop(); return; }
    this.playButton.firstChild.textContent = "stop ";
    if (!this.video) { this.slides = true; this.slide(); return; }
    this.player.hidden = false;
    this.frame.classList.add("playing");
    const follow = () => {
      if (!this.frame.classList.contains("playing")) return;
      this.time = this.player.currentTime;
      this.showTime();
      this.draw();
      requestAnimationFrame(follow);
    };
    // This also fails if the user stops the video before it starts.
    try { await this.player.play(); follow(); } catch { if (this.frame.classList.contains("playing")) this.dropVideo(); }
  }

  // Shows a video that the browser can't play as single pictures.
  slide() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (this.slides) this.seek(this.time + SLIDE_S); }, 1000 * SLIDE_S);
  }

  stop() {
    if (!this.plays) return;
    clearTimeout(this.timer);
    this.slides = false;
    this.player.pause();
    this.player.hidden = true;
    this.frame.classList.remove("playing");
    this.playButton.firstChild.textContent = "play ";
    this.seek(Math.floor(this.time));
  }

  // Boxes -----------------------------------------------------------------------------------------------------------

  boxesNow() {
    const past = this.boxes.filter((box) => box.time <= this.time + 0.0005);
    const last = Math.max(...past.map((box) => box.time));
    const isCurrent = this.plays ? this.time - last < BOX_DURATION_S : Math.abs(this.time - last) < 0.0005;
    return isCurrent ? past.filter((box) => box.time === last) : [];
  }

  draw() {
    const width = this.still.naturalWidth || 16, height = this.still.naturalHeight || 9;
    const perPixel = width / (this.overlay.clientWidth || width) / this.zoom.scale;
    for (const svg of [this.ground, this.overlay]) {
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("preserveAspectRatio", "none");
    }
    this.overlay.classList.toggle("drafting", this.draft !== null);
    const isMoved = this.draft !== null && !this.draft.isNew;
    const boxes = this.boxesNow().filter((box) => !(isMoved && box.row === this.row));
    // The chosen box comes last, on top of the others.
    boxes.sort((a, b) => (a.row === this.row) - (b.row === this.row));
    const groups = boxes.map((box) => drawBox(box, { width, height, perPixel }, box.row === this.row ? "chosen" : ""));
    if (this.draft) groups.push(drawBox(this.draft, { width, height, perPixel }, "draft"));
    this.overlay.replaceChildren(...groups);
    this.drawGround({ width, height, perPixel });
    this.whole.disabled = !this.zoom.isZoomed;
  }

  // Zooms in at the box of the row, or else at the middle.
  closer() {
    const xyxy = this.draft?.xyxy ?? this.boxes.find((box) => box.row === this.row)?.xyxy;
    const { frame, view } = this.zoom, [outer, inner] = [frame, view].map((element) => element.getBoundingClientRect());
    if (!xyxy) { this.zoom.by(STEP_IN); return; }
    const x = inner.left - outer.left + (xyxy[0] + xyxy[2]) / 2 * inner.width;
    const y = inner.top - outer.top + (xyxy[1] + xyxy[3]) / 2 * inner.height;
    const isInSight = x >= 0 && x <= outer.width && y >= 0 && y <= outer.height;
    if (isInSight) this.zoom.by(STEP_IN, x, y); else this.zoom.by(STEP_IN);
  }

  // Lines ---------------------------------------------------------------------------------------------------------

  drawGround(scale) {
    const hasPicture = this.still.naturalWidth > 0;
    const hasView = this.lines.length > 0 && hasPicture && fits(this, scale.width, scale.height);
    const isOn = hasView && areWanted();
    this.ground.replaceChildren(...(isOn ? drawLines(this.lines, scale, this.zoom.visible) : []));
    this.linesButton.hidden = !hasView;
    this.linesButton.setAttribute("aria-pressed", String(isOn));
    const isCropped = this.lines.length > 0 && hasPicture && !hasView;
    const note = this.linesNote.textContent = isCropped
      ? "no lines of equal distance: this picture has another format than the site's reference photographs"
      : this.linesReason ? `no lines of equal distance: ${this.linesReason}` : "";
    this.linesNote.hidden = note === "";
  }

  toggleLines() {
    if (this.linesButton.hidden) return false;
    want(!areWanted());
    this.draw();
    return true;
  }

  begin(isNew) {
    this.stop();
    if (this.time !== this.own) this.seek(this.own);
    const own = this.boxes.find((box) => box.row === this.row);
    const xyxy = isNew || !own ? [0.4, 0.4, 0.6, 0.7] : [...own.xyxy];
    this.draft = { isNew, xyxy, label: isNew ? "new" : "", interval: "", gone: false };
    this.changed();
  }

  end() { this.draft = null; this.changed(); }

  changed() { this.draw(); this.onDraft(this.draft); }

  // Moves the box, or only its lower right corner, by a step of the arrow keys.
  nudge(x, y, isCorner) {
    const [x1, y1, x2, y2] = this.draft.xyxy;
    if (isCorner) {
      this.draft.xyxy = [x1, y1, clamp(x2 + x * STEP, x1 + MIN_SIDE, 1), clamp(y2 + y * STEP, y1 + MIN_SIDE, 1)];
    } else {
      const dx = clamp(x * STEP, -x1, 1 - x2), dy = clamp(y * STEP, -y1, 1 - y2);
      this.draft.xyxy = [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
    }
    this.changed();
  }

  // Dragging inside the draft moves it; dragging outside draws a new box from corner to corner.
  drag(event) {
    if (!this.draft || event.button !== 0 || this.zoom.moves(event)) return;
    event.preventDefault();
    this.overlay.setPointerCapture(event.pointerId);
    const at = (e) => {
      const edge = this.overlay.getBoundingClientRect();
      return [clamp((e.clientX - edge.left) / edge.width, 0, 1), clamp((e.clientY - edge.top) / edge.height, 0, 1)];
    };
    const [x, y] = at(event), before = [...this.draft.xyxy];
    const inside = x >= before[0] && x <= before[2] && y >= before[1] && y <= before[3];
    const move = (e) => {
      const [nowX, nowY] = at(e);
      if (inside) {
        const dx = clamp(nowX - x, -before[0], 1 - before[2]), dy = clamp(nowY - y, -before[1], 1 - before[3]);
        this.draft.xyxy = [before[0] + dx, before[1] + dy, before[2] + dx, before[3] + dy];
      } else if (Math.abs(nowX - x) >= MIN_SIDE && Math.abs(nowY - y) >= MIN_SIDE) {
        this.draft.xyxy = [Math.min(x, nowX), Math.min(y, nowY), Math.max(x, nowX), Math.max(y, nowY)];
      }
      this.changed();
    };
    this.overlay.addEventListener("pointermove", move);
    const done = () => this.overlay.removeEventListener("pointermove", move);
    // The position at release counts, even without a move event on the way.
    this.overlay.addEventListener("pointerup", (e) => { move(e); done(); }, { once: true });
    this.overlay.addEventListener("pointercancel", done, { once: true });
  }
}

function clamp(value, low, high) { return Math.min(Math.max(value, low), high); }
