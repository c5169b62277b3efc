// Keys and buttons, and the decisions that they send. Only one decision is sent at a time: keys pressed in the meantime
// wait, and apply to the next row.
import { Stage } from "./stage.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ASKS_TO_CONFIRM = 428;
// They change what is seen, and also work while a box is being placed.
const VIEW_KEYS = ["+", "=", "-", "l", "[", "]"];
const at = (id) => document.getElementById(id);
let stage = null, busy = false;
// The metres that the server has questioned: Enter sends them again as confirmed.
let questioned = null;
const waiting = [];

function show() {
  stage?.close();
  questioned = null;
  stage = new Stage(at("stage"), drafting);
  for (const item of at("rows").querySelectorAll("[aria-current]")) item.removeAttribute("aria-current");
  const item = at(`row-${stage.row}`);
  const button = item?.querySelector("button");
  button?.setAttribute("aria-current", "true");
  // Where the list has no scroll bar of its own, as on a phone, the page would scroll the picture out of sight.
  const list = at("rows").closest("nav");
  if (list.scrollHeight > list.clientHeight) button?.scrollIntoView({ block: "nearest" });
  const next = neighbour(1);
  if (next) new Image().src = next.dataset.picture;
  remember();
}

// The address contains the filter and the row: reloading the page returns to them.
function remember() {
  const query = new URLSearchParams(new FormData(at("filter")));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  query.set("row", stage.row);
  history.replaceState(null, "", `/?${query}`);
}

function neighbour(step) {
  let item = at(`row-${stage.row}`);
  if (!item) return at("rows").querySelector("li[data-row]");
  do item = step > 0 ? item.nextElementSibling : item.previousElementSibling;
  while (item && item.dataset.row === undefined && !item.classList.contains("more"));
  return item?.dataset.row === undefined ? null : item;
}

async function go(step) {
  const item = neighbour(step);
  if (!item) { announce(step > 0 ? "this is the last row of the list" : "this is the first row of the list"); return; }
  await htmx.ajax("GET", `/rows/${item.dataset.row}`, { target: "#detail" });
}

async function decide(kind, fields = {}, { moves = false } = {}) {
  const next = moves ? neighbour(1) : null;
  const request = { kind, row: stage.row, base: stage.revision, ...fields };
  if (next) request.show = Number(next.dataset.row);
  let response;
  try {
    response = await fetch("/decisions", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request),
    });
  } catch {
    announce("NOT SAVED: the server has stopped; restart `trapmeter review` and open the address that it prints");
    return;
  }
  const body = await response.text();
  if (response.status === ASKS_TO_CONFIRM) { question(fields.distance_m, body); return; }
  if (!response.headers.get("Content-Type").startsWith("text/html")) { announce(`NOT SAVED: ${body}`); return; }
  htmx.swap("#detail", body, { swapStyle: "innerHTML", settleDelay: 0 });
}

// Keys typed ahead were meant for the next row: they neither confirm nor change the distance.
function question(metres, text) {
  questioned = metres;
  waiting.length = 0;
  announce(text);
}

function announce(text) { at("message").textContent = text; }

function typedMetres() {
  const text = at("typed").value.trim().replace(",", ".");
  const metres = Number(text);
  if (text !== "" && metres > 0 && Number.isFinite(metres)) return metres;
  announce(text === "" ? "type the distance in metres first" : `${text} is not a distance in metres`);
  return null;
}

function drafting(draft) {
  at("cancel").hidden = draft === null;
  at("drafting").textContent = draft === null ? "" : draft.isNew
    ? "new animal: place the box with the arrow keys (Shift: its corner) or drag it; type the distance, Enter"
    : "move the box with the arrow keys (Shift: its corner) or drag it; Enter saves it";
}

async function save() {
  if (stage.isRevealed && !stage.draft && at("typed").value === "") { await go(1); return; }
  const xyxy = stage.draft?.xyxy.map((value) => Number(value.toFixed(5)));
  if (stage.draft && !stage.draft.isNew) { await decide("box", { xyxy }); return; }
  const metres = typedMetres();
  if (metres === null) return;
  const fields = { distance_m: metres, confirmed: metres === questioned };
  // A hidden answer appears once the distance is saved: the row stays, so that you see both.
  if (stage.draft) await decide("add", { xyxy, ...fields });
  else await decide("distance", fields, { moves: !stage.isHidden });
}

function type(key) {
  const field = at("typed");
  field.value = key === "Backspace" ? field.value.slice(0, -1) : field.value + key;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function typed() {
  const field = at("typed"), metres = Number(field.value.trim().replace(",", "."));
  field.classList.toggle("filled", field.value !== "");
  stage.reference.choose(metres > 0 && Number.isFinite(metres) ? metres : null);
}

function otherReference(by) {
  if (!stage.reference.step(by)) announce(`no ${by < 0 ? "nearer" : "farther"} reference photograph`);
}

async function hideAnswers(isOn) {
  await fetch("/blind", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ on: isOn }),
  });
  location.reload();
}

const commands = {
  j: () => go(1),
  k: () => go(-1),
  a: () => decide("accept", {}, { moves: true }),
  d: () => decide("delete", {}, { moves: true }),
  x: () => decide("not_animal", {}, { moves: true }),
  i: () => at("species") ? at("species").select() : announce("no animal was measured in this second; press n to add one"),
  species: () => {
    // Else the field would keep the focus when the detail is replaced, and take the next keys.
    at("species").blur();
    return decide("species", { species: at("species").value.trim() });
  },
  r: () => decide(stage.reacts ? "calm" : "reacts"),
  s: () => decide("static_not_animal"),
  S: () => decide("static_accept"),
  m: () => stage.isAnimal ? stage.begin(false) : announce("no animal was measured in this second; press n to add one"),
  n: () => stage.begin(true),
  u: () => at("undo").disabled ? announce("there is nothing to undo") : decide("undo", { target: Number(at("undo").dataset.target) }),
  l: () => { if (!stage.toggleLines()) announce("no lines of equal distance are known for this picture"); },
  "[": () => otherReference(-1),
  "]": () => otherReference(1),
  "+": () => stage.closer(),
  "=": () => stage.closer(),
  "-": () => stage.zoom.wider(),
  "?": () => at("help").showModal(),
  " ": () => stage.toggle(),
  Enter: save,
  Escape: () => { questioned = null; at("typed").value = ""; typed(); if (stage.draft) stage.end(); },
};

// What a key does at present; null if nothing.
function command(key, shift) {
  const arrow = ARROWS[key];
  if (stage.draft && arrow) return () => stage.nudge(...arrow, shift);
  if (arrow) return arrow[0] ? () => stage.step(arrow[0]) : null;
  // A distance that begins with 0 is still typed: .8 is 0.8.
  if (key === "0" && stage.zoom.isZoomed && !at("typed").value) return () => stage.zoom.reset();
  if (/^[0-9.,]$/.test(key) || key === "Backspace") return () => type(key);
  if (stage.draft && !["Enter", "Escape", ...VIEW_KEYS].includes(key)) return null;
  return Object.hasOwn(commands, key) ? commands[key] : null;
}

async function press(key, shift = false) {
  if (busy) { waiting.push([key, shift]); return; }
  const run = command(key, shift);
  if (!run) return;
  busy = true;
  if (key !== "Enter" || at("typed").value) announce("");
  try { await run(); } finally { busy = false; }
  if (waiting.length) await press(...waiting.shift());
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open) return;
  const target = event.target;
  if (target.closest("#filter")) return;
  // The browser itself handles typing in the field, and Enter and Space on a button, except on the row on display.
  if (target.id === "species") {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (target.id === "typed" && !["Enter", "Escape"].includes(event.key)) return;
  const button = target.closest("button:not([aria-current])");
  if (button && ["Enter", " "].includes(event.key) && !at("typed").value && !stage.draft) return;
  if (event.key === " " && stage.zoom.isZoomed) {
    // Space moves a zoomed picture as long as it is held, and plays once it is released.
    event.preventDefault();
    if (!event.repeat) stage.zoom.hold();
    return;
  }
  if (!busy && !command(event.key, event.shiftKey)) return;
  // A key held down must not confirm a doubtful distance.
  if (event.key === "Enter" && event.repeat) { event.preventDefault(); return; }
  if (event.key.length > 1 && !["Enter", "Escape", "Backspace", ...Object.keys(ARROWS)].includes(event.key)) return;
  event.preventDefault();
  press(event.key, event.shiftKey);
});
document.addEventListener("keyup", (event) => {
  if (event.key === " " && stage.zoom.isHeld && !stage.zoom.release()) press(" ");
});
document.addEventListener("input", (event) => { if (event.target.id === "typed") typed(); });
document.addEventListener("change", (event) => { if (event.target.id === "blind") hideAnswers(event.target.checked); });
document.addEventListener("click", (event) => {
  const key = event.target.closest("[data-key]")?.dataset.key;
  if (key) press(key);
});
document.addEventListener("submit", (event) => {
  if (event.target.id === "naming") { event.preventDefault(); press("species"); }
  if (event.target.id === "metres") { event.preventDefault(); press("Enter"); }
});
document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "rows" || event.target.id === "rows") remember();
});
// Each swap replaces the detail, whatever caused it.
new MutationObserver(show).observe(at("detail"), { childList: true });
show();
