// Keys, buttons and clicks, and the changes that they send. Only one change is sent at a time: keys pressed in the meantime
// wait.
import { describe, draw } from "./drawing.js";
import { Editor } from "./editor.js";
import { get, post } from "./server.js";
import { View } from "./view.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PAN_PX = 60, REACH_PX = 14;
const HINTS = {
  ground: "Click where a person or pole touches the ground, and type its distance.",
  pole: "Click the two marks of a pole, and check their heights. The distance may stay empty.",
  person: "Click the feet and the head of a person, and check the height. The distance may stay empty.",
};
const at = (id) => document.getElementById(id);
const overlay = at("overlay"), still = at("still");
let stage = JSON.parse(document.querySelector("main").dataset.stage);
let mode = "ground", ground = null, selected = null, hasLines = true, busy = false;
const waiting = [];

const view = new View(at("stage"), still, {
  onClick: (left, top) => run(() => click(left, top)),
  onGrab: (left, top) => grab(left, top),
  onMove: (x, y) => editor.moveTo(x, y),
  onDrop: () => {},
  onChange: () => redraw(),
});
const editor = new Editor(view, () => redraw());

function redraw() {
  draw(overlay, view, { ground, objects: stage.objects, draft: editor.draft, selected, hasLines });
  editor.follow();
}

// The photograph ----------------------------------------------------------------------------------------------------

function open(values) {
  stage = values;
  ground = null;
  selected = null;
  editor.close();
  at("title").replaceChildren(stage.name, small(stage.site ? ` site ${stage.site}` : ""));
  still.alt = stage.name;
  at("nopicture").hidden = !stage.problem;
  at("nopicture").textContent = stage.problem ? `This photograph can't be marked: ${stage.problem}` : "";
  still.hidden = Boolean(stage.problem);
  if (!stage.problem) still.src = `/photographs/${stage.photograph}/picture`;
  view.stage.style.setProperty("--aspect", (stage.width || 16) / (stage.height || 9));
  view.open(stage.width, stage.height);
  history.replaceState(null, "", `/?photograph=${stage.photograph}`);
  for (const button of document.querySelectorAll("[data-photograph]")) {
    const isShown = Number(button.dataset.photograph) === stage.photograph;
    if (isShown) { button.setAttribute("aria-current", "true"); button.scrollIntoView({ block: "nearest" }); }
    else button.removeAttribute("aria-current");
  }
  refresh();
}

function small(text) {
  const made = document.createElement("small");
  made.textContent = text;
  return made;
}

// What changes with the marks: undo, the list of marks, and then the ground.
function refresh() {
  at("undo").disabled = !stage.undo;
  at("undo").firstElementChild.textContent = stage.undo ? `undo: ${stage.undo}` : "undo";
  at("hint").textContent = stage.problem ? "" : HINTS[mode];
  list();
  redraw();
  fit();
}

function list() {
  const focused = document.activeElement?.closest("#marks button")?.dataset.line;
  at("marks").replaceChildren(...stage.objects.map((object) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const check = ground?.checks[object.line];
    button.type = "button";
    button.dataset.line = object.line;
    button.className = check?.agreement ?? "unknown";
    button.textContent = describe(object, check);
    item.append(button);
    return item;
  }));
  if (focused) at("marks").querySelector(`[data-line="${focused}"]`)?.focus();
}

// Lines come first; at a site with many marks, how they agree takes longer.
async function fit(waits = false) {
  if (stage.problem) { at("ground").textContent = ""; return; }
  const { photograph, version } = stage;
  const { values, failure } = await get(`/photographs/${photograph}/ground${waits ? "?checks=true" : ""}`);
  // A later change asks again.
  if (stage.photograph !== photograph || stage.version !== version) return;
  if (failure) { at("ground").textContent = failure; return; }
  if (values.version !== version) return;
  ground = values;
  at("ground").textContent = ground.message;
  at("ground").classList.toggle("fitted", ground.isFitted);
  list();
  redraw();
  if (!ground.hasAll && !waits) fit(true);
}

still.addEventListener("error", async () => {
  const { failure } = await get(new URL(still.src).pathname);
  at("nopicture").textContent = `No picture: ${failure ?? "the browser can't show it"}`;
  at("nopicture").hidden = false;
  still.hidden = true;
});
// The next picture is ready when it is asked for.
still.addEventListener("load", () => {
  if (stage.photograph + 1 < stage.n) new Image().src = `/photographs/${stage.photograph + 1}/picture`;
});

async function go(number) {
  if (number < 0 || number >= stage.n) { announce(number < 0 ? "this is the first photograph" : "this is the last photograph"); return; }
  if (!(await settle())) return;
  const { values, failure } = await get(`/photographs/${number}`);
  if (failure) announce(failure);
  else open(values);
}

// Changes -----------------------------------------------------------------------------------------------------------

// Sends a change; returns whether it was saved. If not, what was typed stays.
async function send(path, request) {
  const { status, values, failure } = await post(path, { photograph: stage.photograph, base: stage.version, ...request });
  if (failure) { announce(failure); return false; }
  const isSame = values.version === stage.version;
  if (values.photograph !== stage.photograph) open(values);
  else { stage = values; if (!isSame) ground = null; }
  if (values.message) {
    waiting.length = 0;
    if (!isSame) { selected = null; editor.find(stage.objects); }
    if (status === 422 && editor.draft) editor.refuse(values.message, values.field);
    else announce(values.message);
    if (!isSame) refreshAll();
    return false;
  }
  if (path !== "/objects") selected = null;
  editor.close();
  refreshAll();
  return true;
}

function refreshAll() {
  refresh();
  const shown = document.activeElement?.dataset?.photograph;
  htmx.ajax("GET", `/photographs?shown=${stage.photograph}`, { target: "#photographs", swap: "innerHTML" }).then(() => {
    if (shown !== undefined) document.querySelector(`[data-photograph="${shown}"]`)?.focus();
  });
}

async function save() {
  if (!editor.draft) return true;
  if (!(await send("/objects", editor.request))) return false;
  view.stage.focus({ preventScroll: true });
  return true;
}

async function remove() {
  const line = editor.draft ? editor.draft.line : selected;
  if (line === null) { cancel(); return; }
  if (await send("/removals", { line })) { selected = null; view.stage.focus({ preventScroll: true }); }
}

// Saves what is being typed before something else begins; false if it can't be saved yet.
async function settle() {
  if (!editor.draft) return true;
  if (editor.isPlacing || editor.isEmpty) { editor.close(); return true; }
  return save();
}

function cancel() {
  const wasOpen = editor.draft !== null;
  editor.close();
  announce("");
  if (wasOpen) view.stage.focus({ preventScroll: true });
  else { selected = null; redraw(); }
}

function announce(text) { at("message").textContent = text; }

// Marks -------------------------------------------------------------------------------------------------------------

// The object whose mark is nearest to a place on the screen, if it is within reach.
function objectAt(left, top) {
  const near = stage.objects.map((object) => [object, Math.min(...object.marks.map(({ x, y }) => {
    const [a, b] = view.toScreen(x, y);
    return Math.hypot(a - left, b - top);
  }))]).filter(([, apart]) => apart <= REACH_PX);
  return near.sort((a, b) => a[1] - b[1])[0]?.[0];
}

// Whether a drag from here moves a mark of the object that is being edited.
function grab(left, top) {
  const near = editor.draft?.marks.findIndex(({ x, y }) => {
    const [a, b] = view.toScreen(x, y);
    return Math.hypot(a - left, b - top) <= REACH_PX;
  }) ?? -1;
  if (near >= 0) editor.draft.active = near;
  return near >= 0;
}

async function click(left, top) {
  const [x, y] = view.toPicture(left, top);
  announce("");
  if (stage.problem) return;
  if (grab(left, top)) { redraw(); return; }
  if (x < 0 || y < 0 || x > 1 || y > 1) { announce("click inside the picture"); return; }
  if (editor.isPlacing) { editor.add(x, y); return; }
  if (editor.draft && editor.draft.line === null && editor.isEmpty) { editor.moveTo(x, y); editor.draft.isTouched = false; return; }
  const found = objectAt(left, top);
  if (!(await settle())) return;
  if (found) edit(found.line);
  else editor.begin(mode, x, y, stage.heights[mode] ?? [0]);
}

function edit(line) {
  // After a change, the same object may stand on another line.
  const object = stage.objects.find((one) => one.line === line);
  if (!object) return;
  selected = line;
  view.reveal(object.marks[0].x, object.marks[0].y);
  editor.edit(object);
}

async function setMode(next) {
  if (!(await settle())) return;
  mode = next;
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  at("hint").textContent = stage.problem ? "" : HINTS[mode];
}

async function create() {
  if (stage.problem || !(await settle())) return;
  const [x, y] = view.toPicture(view.stage.clientWidth / 2, view.stage.clientHeight / 2);
  editor.begin(mode, x, y, stage.heights[mode] ?? [0]);
}

function toggleLines() {
  hasLines = !hasLines;
  at("lines").setAttribute("aria-pressed", String(hasLines));
  redraw();
}

// Keys --------------------------------------------------------------------------------------------------------------

const commands = {
  g: () => setMode("ground"), p: () => setMode("pole"), h: () => setMode("person"),
  n: create,
  j: () => go(stage.photograph + 1), k: () => go(stage.photograph - 1),
  u: async () => { if (!stage.undo) announce("there is nothing to undo"); else await send("/undo", {}); },
  "+": () => view.zoomIn(), "=": () => view.zoomIn(), "-": () => view.zoomOut(), 0: () => view.whole(),
  l: toggleLines,
  "?": () => at("help").showModal(),
  Escape: cancel,
  Delete: remove,
};

// What a key does at present; null if nothing.
function command(key, shift) {
  const arrow = ARROWS[key], pixels = shift ? 10 : 1;
  if (editor.draft) {
    if (arrow) return () => editor.nudge(...arrow, pixels);
    if (key === "Enter") return editor.isPlacing ? () => editor.addAbove() : save;
    if (key === "Escape" || key === "Delete") return commands[key];
    return !editor.isPlacing && /^([0-9.,]|Backspace)$/.test(key) ? () => editor.type(key) : null;
  }
  if (selected !== null && document.activeElement?.closest("#marks")) {
    if (arrow) return () => { edit(selected); editor.nudge(...arrow, pixels); };
    if (key === "Enter" || key === " ") return () => edit(selected);
    if (/^[0-9]$/.test(key)) return () => { edit(selected); at("distance").value = ""; editor.type(key); };
  }
  if (arrow) return () => view.pan(arrow[0] * PAN_PX, arrow[1] * PAN_PX);
  return Object.hasOwn(commands, key) ? commands[key] : null;
}

async function run(action) {
  if (busy) { waiting.push(action); return; }
  busy = true;
  try { await action(); } finally { busy = false; }
  if (waiting.length) await run(waiting.shift());
}

const press = (key, shift = false) => run(() => command(key, shift)?.());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open) return;
  const { key, target } = event;
  const isField = target.matches("#editor input");
  // A new mark isn't there to delete yet: the key then deletes what was typed.
  const isText = !Object.hasOwn(ARROWS, key) && key !== "Enter" && key !== "Escape" && (key !== "Delete" || editor.draft?.line === null);
  if (isField && !busy && isText) return;
  if (target.closest("button:not(#marks button)") && ["Enter", " "].includes(key)) return;
  if (key.length > 1 && !["Enter", "Escape", "Delete", "Backspace", ...Object.keys(ARROWS)].includes(key)) return;
  if (!busy && !command(key, event.shiftKey)) return;
  event.preventDefault();
  if (event.repeat && ["Enter", "Delete"].includes(key)) return;
  press(key, event.shiftKey);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.key) press(button.dataset.key);
  else if (button?.dataset.photograph) run(() => go(Number(button.dataset.photograph)));
  else if (button?.dataset.line) run(async () => { if (await settle()) edit(Number(button.dataset.line)); });
});
at("marks").addEventListener("focusin", (event) => {
  selected = Number(event.target.dataset.line);
  redraw();
});
at("editor").addEventListener("submit", (event) => { event.preventDefault(); press("Enter"); });
addEventListener("beforeunload", (event) => {
  if (editor.draft && !editor.isPlacing && !editor.isEmpty) event.preventDefault();
});
open(stage);
