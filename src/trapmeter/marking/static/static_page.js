"use strict";
// Each object that is clicked becomes a row of the page, and a row of the table for each of its marks.
const { columns, farthest, highest } = JSON.parse(document.body.dataset.facts);
const rows = document.getElementById("rows");
const text = document.getElementById("csv");
const save = document.getElementById("save");
const heights = { pole: ["0", "1.5"], person: ["0", "1.75"] };
let open = null;

function click(picture, x, y) {
  const kind = document.querySelector("[name=kind]:checked").value;
  if (open && open.picture === picture && open.kind === kind) {
    open.marks.push({ x, y });
    // The lower place in the picture is the lower mark.
    open.marks.sort((a, b) => b.y - a.y);
    open.dots.push(dot(picture, x, y));
    open = null;
  } else {
    if (open) remove(open);
    open = addRow(picture, kind, x, y);
    if (kind === "ground") open = null;
  }
  show();
}

function addRow(picture, kind, x, y) {
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  Object.assign(row, { picture, kind, marks: [{ x, y }], dots: [dot(picture, x, y)] });
  row.querySelector(".heights").hidden = kind === "ground";
  for (const [i, name] of ["low", "high"].entries()) {
    const field = row.querySelector(`.${name}`);
    field.value = heights[kind]?.[i] ?? "0";
    field.addEventListener("input", () => { heights[kind][i] = field.value; });
  }
  for (const field of row.querySelectorAll("input")) field.addEventListener("input", show);
  row.querySelector("button").addEventListener("click", () => { remove(row); show(); });
  rows.append(row);
  row.querySelector(".distance").focus({ preventScroll: true });
  return row;
}

function remove(row) {
  for (const one of row.dots) one.remove();
  row.remove();
  if (open === row) open = null;
}

function dot(picture, x, y) {
  const made = document.createElement("span");
  made.className = "dot";
  made.style.left = 100 * x + "%";
  made.style.top = 100 * y + "%";
  picture.append(made);
  return made;
}

function metres(field) { return Number(field.value.trim().replace(",", ".")); }

// What is wrong with a row; "" if it can be saved.
function problem(row) {
  const find = (name) => row.querySelector(`.${name}`);
  const distance = find("distance"), low = metres(find("low")), high = metres(find("high"));
  const isEmpty = distance.value.trim() === "", isKnown = metres(distance) > 0 && metres(distance) <= farthest;
  const isPair = row.kind !== "ground";
  const isWrong = isPair ? !isEmpty && !isKnown : !isKnown;
  distance.classList.toggle("wrong", isWrong);
  const isRight = (height) => height >= 0 && height <= highest;
  const areWrong = isPair && !(isRight(low) && isRight(high) && low < high);
  for (const name of ["low", "high"]) find(name).classList.toggle("wrong", areWrong);
  if (isPair && row.marks.length < 2) return "click its second mark";
  if (isWrong) return `type a distance of more than 0 and at most ${farthest} m`;
  return areWrong ? `type heights of 0 to ${highest} m, the lower mark first` : "";
}

function show() {
  const lines = [columns.join(",")];
  const problems = [...rows.children].map((row, i) => {
    const found = problem(row), number = i + 1;
    for (const one of row.dots) one.textContent = number;
    row.querySelector(".number").textContent = number;
    row.querySelector(".what").textContent = row.kind + (found ? `: ${found}` : "");
    if (!found) lines.push(...cells(row, number));
    return found;
  });
  text.textContent = lines.join("\n") + "\n";
  const n = problems.filter(Boolean).length;
  save.disabled = lines.length < 3 || n > 0;
  document.getElementById("missing").textContent = n ? `${n} of the marks can't be saved yet` : lines.length < 3 ? "mark at least two places" : "";
}

// The lines of the table for an object: its picture's cells come first, ready for CSV.
function cells(row, number) {
  const { width, height } = row.picture.dataset, field = row.querySelector(".distance");
  const distance = field.value.trim() === "" ? "" : metres(field);
  const name = row.kind === "ground" ? "" : `${row.kind} ${number}`;
  return row.marks.map(({ x, y }, i) => [
    ...JSON.parse(row.picture.dataset.cells), name, row.kind, (x * width).toFixed(1), (y * height).toFixed(1), width, height,
    row.kind === "ground" ? "0" : metres(row.querySelector(i ? ".high" : ".low")), distance,
  ].join(","));
}

for (const picture of document.querySelectorAll(".picture")) {
  picture.addEventListener("click", (event) => {
    const edge = picture.getBoundingClientRect();
    const x = (event.clientX - edge.left) / edge.width, y = (event.clientY - edge.top) / edge.height;
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) click(picture, x, y);
  });
}
save.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text.textContent], { type: "text/csv" }));
  link.download = "points.csv";
  link.click();
});
show();
