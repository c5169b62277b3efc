// The part of the picture that is on display: zoom, panning, and the way from places on the screen to fractions and back.
// What lies on the picture is drawn in pixels of the screen, so that lines and texts keep their size.

const STEP = 1.4, MOST_PER_PIXEL = 16, CLICK_PX = 5;

export class View {
  // onClick(x, y, event), onGrab(x, y): whether a drag moves a mark; onMove(x, y): where it is; onChange: draw again.
  constructor(stage, still, { onClick, onGrab, onMove, onDrop, onChange }) {
    Object.assign(this, { stage, still, onClick, onGrab, onMove, onDrop, onChange });
    this.width = 16; this.height = 9;
    this.reset();
    this.pointers = new Map();
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.cancel(event));
    new ResizeObserver(() => this.show()).observe(stage);
  }

  open(width, height) {
    this.width = width || 16; this.height = height || 9;
    this.reset();
    this.show();
  }

  reset() { this.x = 0.5; this.y = 0.5; this.zoom = 1; }

  whole() { this.reset(); this.show(); }

  // Pixels of the screen for a pixel of the picture.
  get scale() {
    return this.zoom * Math.min(this.stage.clientWidth / this.width, this.stage.clientHeight / this.height);
  }

  toScreen(x, y) {
    const scale = this.scale;
    return [this.stage.clientWidth / 2 + (x - this.x) * this.width * scale,
      this.stage.clientHeight / 2 + (y - this.y) * this.height * scale];
  }

  toPicture(left, top) {
    const scale = this.scale;
    return [this.x + (left - this.stage.clientWidth / 2) / (this.width * scale),
      this.y + (top - this.stage.clientHeight / 2) / (this.height * scale)];
  }

  place(event) {
    const edge = this.stage.getBoundingClientRect();
    return [event.clientX - edge.left - this.stage.clientLeft, event.clientY - edge.top - this.stage.clientTop];
  }

  show() {
    const [left, top] = this.toScreen(0, 0), scale = this.scale;
    Object.assign(this.still.style, { width: `${this.width * scale}px`, height: `${this.height * scale}px`,
      transform: `translate(${left}px, ${top}px)`, imageRendering: scale > 3 ? "pixelated" : "auto" });
    this.onChange();
  }

  // Zooms so that the place at left, top stays where it is; without one, the middle.
  zoomBy(factor, left = this.stage.clientWidth / 2, top = this.stage.clientHeight / 2) {
    const [x, y] = this.toPicture(left, top), before = this.scale;
    const most = Math.max(1, MOST_PER_PIXEL * this.zoom / before);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), most);
    const ratio = before / this.scale;
    this.x = x + (this.x - x) * ratio; this.y = y + (this.y - y) * ratio;
    this.limit();
    this.show();
  }

  zoomIn() { this.zoomBy(STEP); }
  zoomOut() { this.zoomBy(1 / STEP); }

  pan(left, top) {
    this.x += left / (this.width * this.scale); this.y += top / (this.height * this.scale);
    this.limit();
    this.show();
  }

  limit() {
    if (this.zoom === 1) { this.x = this.y = 0.5; return; }
    this.x = Math.min(Math.max(this.x, 0), 1); this.y = Math.min(Math.max(this.y, 0), 1);
  }

  // Moves the picture if a place is out of sight.
  reveal(x, y) {
    const [left, top] = this.toScreen(x, y), edge = 30;
    if (left > edge && top > edge && left < this.stage.clientWidth - edge && top < this.stage.clientHeight - edge) return;
    if (this.zoom === 1) return;
    this.x = x; this.y = y;
    this.limit();
    this.show();
  }

  wheel(event) {
    if (event.target.closest("form")) return;
    event.preventDefault();
    this.zoomBy(STEP ** (-Math.sign(event.deltaY) / 2), ...this.place(event));
  }

  down(event) {
    if (event.target.closest("form") || event.button > 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const at = this.place(event);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) { this.start = null; this.grabs = false; return; }
    this.start = at;
    this.isDrag = false;
    this.grabs = this.onGrab(...at);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const at = this.place(event);
    if (this.pointers.size > 1) { this.pinch(event.pointerId, before, at); return; }
    if (!this.start) return;
    this.isDrag ||= Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) > CLICK_PX;
    if (!this.isDrag) return;
    this.pointers.set(event.pointerId, at);
    if (this.grabs) this.onMove(...this.toPicture(...at));
    else this.pan(before[0] - at[0], before[1] - at[1]);
  }

  pinch(moved, before, at) {
    const [other] = [...this.pointers].filter(([id]) => id !== moved).map(([, place]) => place);
    const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
    this.pointers.set(moved, at);
    this.zoomBy(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    this.pan((before[0] - at[0]) / 2, (before[1] - at[1]) / 2);
  }

  up(event) {
    const isClick = this.pointers.delete(event.pointerId) && this.start && !this.isDrag;
    const dropped = this.grabs && this.isDrag;
    if (!this.pointers.size) { const at = this.start; this.start = null; this.grabs = false;
      if (isClick) this.onClick(...at);
      else if (dropped) this.onDrop();
    }
  }

  cancel(event) { this.pointers.delete(event.pointerId); this.start = null; this.grabs = false; }
}
