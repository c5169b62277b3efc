"use strict";
// Each click on a picture adds a row: x and y as fractions from its top left corner, and the distance that the user types.
const rows = document.getElementById("rows");
const text = document.getElementById("csv");
const save = document.getElementById("save");
// trapmeter.tables.metres refuses points beyond it.
const FARTHEST_M = 200;
const site = document.body.dataset.site;

function addPoint(picture, x, y) {
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.left = 100 * x + "%";
  dot.style.top = 100 * y + "%";
  picture.append(dot);
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  row.dataset.x = x.toFixed(5);
  row.dataset.y = y.toFixed(5);
  row.dot = dot;
  row.querySelector(".place").textContent = (100 * x).toFixed(1) + " %, " + (100 * y).toFixed(1) + " %";
  row.querySelector("input").addEventListener("input", show);
  row.querySelector("button").addEventListener("click", () => { dot.remove(); row.remove(); show(); });
  rows.append(row);
  show();
  row.querySelector("input").focus();
}

function show() {
  const lines = ["site_id,x,y,distance_m"];
  [...rows.children].forEach((row, i) => {
    const metres = Number(row.querySelector("input").value.replace(",", "."));
    row.dot.textContent = row.querySelector(".number").textContent = i + 1;
    const known = metres > 0 && metres <= FARTHEST_M;
    row.classList.toggle("open", !known);
    if (known) lines.push([site, row.dataset.x, row.dataset.y, metres].join(","));
  });
  text.textContent = lines.join("\n") + "\n";
  save.disabled = lines.length < 3 || lines.length - 1 < rows.children.length;
}

for (const picture of document.querySelectorAll(".picture")) {
  picture.addEventListener("click", (event) => {
    const edge = picture.getBoundingClientRect();
    const x = (event.clientX - edge.left) / edge.width, y = (event.clientY - edge.top) / edge.height;
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) addPoint(picture, x, y);
  });
}
save.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text.textContent], { type: "text/csv" }));
  link.download = "points.csv";
  link.click();
});
show();
