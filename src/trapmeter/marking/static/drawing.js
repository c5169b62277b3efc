// Draws on the picture: lines of equal distance, the horizon, the marks, and the one that is being edited.

const SVG = "http://www.w3.org/2000/svg";
const LABEL_PX = 13, CROSS_PX = 9, GAP_PX = 3, DOT_PX = 5;

export function draw(overlay, view, { ground, objects, draft, selected, hasLines }) {
  overlay.setAttribute("viewBox", `0 0 ${view.stage.clientWidth} ${view.stage.clientHeight}`);
  const parts = [];
  if (ground && hasLines) parts.push(lines(view, ground));
  for (const object of objects) {
    if (object.line === draft?.line) continue;
    const check = ground?.checks[object.line];
    parts.push(mark(view, object, check, object.line === selected));
  }
  if (draft) parts.push(draftMark(view, draft));
  overlay.replaceChildren(...parts);
}

// "pole 2, 5 m: +0.1 m": what an object is and how far it is off, for its label and for the list.
export function describe(object, check) {
  const metres = object.distance === null ? "" : `${object.distance} m`;
  const name = object.kind === "ground" ? object.name : object.name || object.kind;
  // A mark that contradicts the others says its own distance in the text.
  const own = check?.agreement === "off" ? name : [name, metres].filter(Boolean).join(", ");
  return [own, check?.text].filter(Boolean).join(": ");
}

// All lines, cut off where the picture ends.
function lines(view, ground) {
  const [x, y] = view.toScreen(0, 0), width = view.width * view.scale, height = view.height * view.scale;
  const made = node("svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` });
  // From near to far: the labels of far lines, which are close together, give way.
  const labelled = [];
  const all = Object.entries(ground.lines).map(([metres, line]) => [Number(metres), line]).sort((a, b) => a[0] - b[0]);
  if (ground.horizon.length > 1) made.append(distanceLine(view, ground.horizon, "horizon", "horizon", labelled));
  for (const [metres, line] of all) made.append(distanceLine(view, line, `${metres} m`, "distance", labelled));
  return made;
}

function distanceLine(view, line, text, kind, labelled) {
  const made = node("g", { class: kind });
  const places = line.map(([x, y]) => view.toScreen(x, y));
  const points = places.map((place) => place.map((value) => value.toFixed(1)).join(",")).join(" ");
  made.append(node("polyline", { points, class: "edge" }), node("polyline", { points }));
  const { clientWidth: width, clientHeight: height } = view.stage;
  const [right] = view.toScreen(1, 0), [, top] = view.toScreen(0, 0);
  const limit = Math.min(width, right) - 8;
  const seen = places.filter(([x, y]) => x >= 0 && x <= limit && y >= 0 && y <= height);
  if (seen.length) {
    const [x, bottom] = seen.reduce((a, b) => (b[0] > a[0] ? b : a)), y = Math.max(bottom - 4, top + LABEL_PX);
    if (labelled.every(([a, b]) => Math.abs(y - b) > LABEL_PX + 2 || Math.abs(x - a) > 5 * LABEL_PX)) {
      labelled.push([x, y]);
      made.append(label(x, y, text, "end"));
    }
  }
  return made;
}

function mark(view, object, check, isSelected) {
  const made = node("g", { class: `mark ${check?.agreement ?? "unknown"}${isSelected ? " selected" : ""}` });
  made.dataset.line = object.line;
  const places = object.marks.map(({ x, y }) => view.toScreen(x, y));
  for (let i = 1; i < places.length; i++) made.append(...between(places[i - 1], places[i]));
  for (const [cx, cy] of places) made.append(node("circle", { cx, cy, r: DOT_PX + 1, class: "edge" }), node("circle", { cx, cy, r: DOT_PX }));
  const [x, y] = lowest(places);
  made.append(label(x + DOT_PX + 5, y + LABEL_PX / 3, describe(object, check), "start", view.stage.clientWidth));
  return made;
}

// A cross with a gap in the middle, so that it doesn't hide what it points at.
function draftMark(view, draft) {
  const made = node("g", { class: "draft" });
  const places = draft.marks.map(({ x, y }) => view.toScreen(x, y));
  for (let i = 1; i < places.length; i++) made.append(...between(places[i - 1], places[i]));
  places.forEach(([x, y], i) => {
    const cross = [[-1, 0], [1, 0], [0, -1], [0, 1]]
      .map(([a, b]) => `M${x + a * GAP_PX} ${y + b * GAP_PX}L${x + a * CROSS_PX} ${y + b * CROSS_PX}`).join("");
    const isActive = i === draft.active ? "active" : "";
    made.append(node("path", { d: cross, class: "edge" }), node("path", { d: cross, class: isActive }));
    if (isActive) made.append(node("circle", { cx: x, cy: y, r: CROSS_PX + 3 }));
  });
  return made;
}

function between([x1, y1], [x2, y2]) {
  return [node("line", { x1, y1, x2, y2, class: "edge" }), node("line", { x1, y1, x2, y2 })];
}

function lowest(places) { return places.reduce((a, b) => (b[1] > a[1] ? b : a)); }

function label(x, y, text, anchor, width = Infinity) {
  const length = 0.58 * text.length * LABEL_PX;
  const isBeyond = anchor === "start" && x + length > width;
  const made = node("text", { x: isBeyond ? x - 2 * DOT_PX - 10 : x, y, "font-size": LABEL_PX, "text-anchor": isBeyond ? "end" : anchor });
  made.textContent = text;
  return made;
}

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
