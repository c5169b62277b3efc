// The form beside a click: the metres and heights of the object that is being marked or edited, before it is saved.

const N_MARKS = { ground: 1, pole: 2, person: 2 };
const PARTS = { pole: ["lower mark", "upper mark"], person: ["feet", "head"] };
const MARGIN_PX = 14, ABOVE = 0.15, LEAST = -1, MOST = 2;
const at = (id) => document.getElementById(id);

export class Editor {
  // onChange: draw again.
  constructor(view, onChange) {
    Object.assign(this, { view, onChange, draft: null });
    this.form = at("editor");
    this.form.addEventListener("focusin", (event) => {
      const number = event.target.dataset.number;
      if (this.draft && number !== undefined) { this.draft.active = Number(number); this.onChange(); }
    });
    this.form.addEventListener("input", () => { if (this.draft) this.draft.isTouched = true; });
  }

  get isPlacing() { return this.draft !== null && this.draft.marks.length < this.draft.needs; }

  begin(kind, x, y, heights) {
    this.draft = { kind, line: null, name: "", marks: [{ x, y }], active: 0, isTouched: false, heights, needs: N_MARKS[kind] };
    this.open("");
  }

  edit(object) {
    const marks = object.marks.map(({ x, y }) => ({ x, y }));
    const heights = object.marks.map(({ height }) => height);
    const { kind, line, name } = object;
    this.draft = { kind, line, name, marks, active: 0, isTouched: false, heights, needs: 1, original: content(object) };
    this.open(object.distance === null ? "" : String(object.distance));
  }

  // After a change by somebody else, the object may stand on another line; if it is gone, it becomes a new one.
  find(objects) {
    if (!this.draft || this.draft.line === null) return;
    this.draft.line = objects.find((object) => content(object) === this.draft.original)?.line ?? null;
  }

  // The second click of a pole or person; the lower place in the picture becomes the lower mark.
  add(x, y) {
    this.draft.marks.push({ x, y });
    this.draft.marks.sort((a, b) => b.y - a.y);
    this.draft.active = this.draft.marks.findIndex((mark) => mark.x === x && mark.y === y);
    this.open("");
  }

  addAbove() {
    const { x, y } = this.draft.marks[0];
    const [, top] = this.view.toPicture(0, 0), [, bottom] = this.view.toPicture(0, this.view.stage.clientHeight);
    this.add(x, Math.max(y - ABOVE * (bottom - top), LEAST));
    this.draft.active = this.draft.marks.length - 1;
    this.onChange();
  }

  open(distance) {
    const { kind, line, name, marks, heights } = this.draft, isPlacing = this.isPlacing;
    const hasHeights = !isPlacing && (marks.length > 1 || heights.some((height) => height > 0));
    at("editor-title").textContent = kind === "ground" ? "point on the ground" : name || `new ${kind}`;
    at("editor-hint").textContent = isPlacing ? `${PARTS[kind][0]}: now click ${kind === "pole" ? "the other mark" : "the head"}, or press Enter to put it above` : "";
    const isPair = kind in PARTS && marks.length === 2;
    // A table may have the upper mark first.
    const parts = !isPair ? marks.map((_, i) => `mark ${i + 1}`) : Number(heights[0]) <= Number(heights[1]) ? PARTS[kind] : [...PARTS[kind]].reverse();
    at("heights").replaceChildren(...(hasHeights ? marks.map((_, i) => field(parts[i], i, heights[i] ?? "")) : []));
    at("distance-row").hidden = isPlacing;
    at("distance-row").firstChild.textContent = kind === "ground" ? "distance " : "distance (if known) ";
    at("distance").value = distance;
    at("delete").hidden = line === null;
    at("save").hidden = isPlacing;
    this.form.hidden = false;
    this.refuse("");
    this.onChange();
    if (isPlacing) this.view.stage.focus({ preventScroll: true });
    else { at("distance").focus({ preventScroll: true }); at("distance").select(); }
  }

  // Keeps the form beside the mark that is being edited.
  follow() {
    if (!this.draft) return;
    const { x, y } = this.draft.marks[this.draft.active], stage = this.view.stage;
    const [left, top] = this.view.toScreen(x, y);
    const width = this.form.offsetWidth, height = this.form.offsetHeight;
    const isBeyond = left + MARGIN_PX + width > stage.clientWidth;
    const besides = isBeyond ? left - MARGIN_PX - width : left + MARGIN_PX;
    this.form.style.left = `${clamp(besides, 0, stage.clientWidth - width)}px`;
    // Without room on either side it goes above or below, so that the mark stays in sight.
    const isCovered = besides < 0;
    const beside = isCovered ? (top > stage.clientHeight / 2 ? top - MARGIN_PX - height : top + MARGIN_PX) : top - height / 2;
    this.form.style.top = `${clamp(beside, 0, stage.clientHeight - height)}px`;
  }

  nudge(right, down, pixels) {
    const mark = this.draft.marks[this.draft.active];
    this.moveTo(mark.x + right * pixels / this.view.width, mark.y + down * pixels / this.view.height);
  }

  moveTo(x, y) {
    Object.assign(this.draft.marks[this.draft.active], { x: clamp(x, LEAST, MOST), y: clamp(y, LEAST, MOST) });
    this.draft.isTouched = true;
    this.onChange();
  }

  // Adds a key to the field that has the focus, as if it had been typed.
  type(key) {
    const field = this.form.contains(document.activeElement) && document.activeElement.matches("input") ? document.activeElement : at("distance");
    field.value = key === "Backspace" ? field.value.slice(0, -1) : field.value + key;
    this.draft.isTouched = true;
    field.focus({ preventScroll: true });
  }

  // What the server expects.
  get request() {
    const { kind, line, name, marks } = this.draft;
    const heights = [...at("heights").querySelectorAll("input")].map((input) => input.value);
    return { kind, line, name, distance: at("distance").value,
      marks: marks.map(({ x, y }, i) => ({ x, y, height: heights[i] ?? "" })) };
  }

  get isEmpty() { return !this.draft.isTouched || (this.draft.line === null && at("distance").value.trim() === "" && this.draft.marks.length < 2); }

  // Says beside the mark why it can't be saved, and goes to the field that is wrong.
  refuse(text, name = "") {
    at("error").textContent = text;
    for (const input of this.form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    const wrong = name === "distance" ? at("distance") : at(name);
    if (wrong?.matches("input")) { wrong.setAttribute("aria-invalid", "true"); wrong.focus({ preventScroll: true }); wrong.select(); }
    this.follow();
  }

  close() {
    this.draft = null;
    this.form.hidden = true;
    this.onChange();
  }
}

// An object without the line on which it stands.
function content(object) { return JSON.stringify({ ...object, line: null }); }

function field(name, number, height) {
  const made = document.createElement("label"), box = document.createElement("span"), input = document.createElement("input");
  Object.assign(input, { id: `height-${number}`, size: 5, inputMode: "decimal", value: String(height) });
  input.dataset.number = number;
  input.setAttribute("aria-describedby", "error");
  box.append(input, " m");
  made.append(`${name} at `, box);
  return made;
}

function clamp(value, low, high) { return Math.max(low, Math.min(value, high)); }
