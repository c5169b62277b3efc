// Lines of equal distance on the ground, from the fitted camera of the site.
import { node } from "./svg.js";

const LABEL_PX = 13, GAP_PX = 2;
const COOKIE = "trapmeter-lines";

// A cookie, because the port of the page changes at each start, and with it what localStorage keeps.
export function areWanted() { return !document.cookie.split("; ").includes(`${COOKIE}=off`); }
export function want(isOn) {
  document.cookie = `${COOKIE}=${isOn ? "on" : "off"}; SameSite=Strict; Path=/; Max-Age=31536000`;
}

// Whether pictures of this size show the view of the camera; photos and videos are often cropped differently.
export function fits({ linesAspect, sameAspect }, width, height) {
  return Math.abs(Math.log(width / height / linesAspect)) < sameAspect;
}

// The lines as SVG, each with its metres at the left of the visible part. Without room for its metres a line is left out.
// perPixel: units of the SVG in a pixel of the screen. visible: left, top, right, bottom as fractions.
export function drawLines(lines, { width, height, perPixel }, visible) {
  const drawn = [], labels = [], size = LABEL_PX * perPixel;
  for (const line of lines) {
    const points = line.points.map(([x, y]) => [x * width, y * height]);
    const words = `${line.metres} m`, wide = (0.6 * words.length + 0.4) * size;
    const spot = labelSpot(points, wide, size, visible.map((value, i) => value * (i % 2 ? height : width)), labels, perPixel);
    if (!spot) continue;
    labels.push(spot);
    const path = `M${points.map((point) => point.join(" ")).join("L")}`;
    const group = node("g", { class: line.isRough ? "rough" : "" });
    group.dataset.metres = line.metres;
    group.append(node("path", { d: path, class: "edge", "stroke-width": 3 * perPixel }));
    const dashes = line.isRough ? { "stroke-dasharray": `${5 * perPixel} ${4 * perPixel}` } : {};
    group.append(node("path", { d: path, class: "line", "stroke-width": 1.2 * perPixel, ...dashes }));
    group.append(node("text", {
      x: spot[0], y: spot[1] + 0.85 * size, "font-size": size, "stroke-width": 3 * perPixel,
    }, words));
    drawn.push(group);
  }
  return drawn;
}

// The place of a label on its line: the leftmost in sight that touches no other label; null if there is none.
function labelSpot(points, wide, size, [left, top, right, bottom], labels, perPixel) {
  const margin = 6 * perPixel, gap = GAP_PX * perPixel;
  for (const [x, y] of dense(points, (right - left) / 40)) {
    const spot = [x, y - size / 2, x + wide, y + size / 2];
    const isInside = spot[0] >= left + margin && spot[2] <= right - margin && spot[1] >= top && spot[3] <= bottom;
    if (isInside && !labels.some((other) => overlap(spot, other, gap))) return spot;
  }
  return null;
}

// The points of a line with others between them, at most `step` apart: a zoomed picture may show only a piece.
function* dense(points, step) {
  for (let i = 0; i + 1 < points.length; i++) {
    const [x1, y1] = points[i], [x2, y2] = points[i + 1];
    const n = Math.max(1, Math.ceil(Math.hypot(x2 - x1, y2 - y1) / step));
    for (let k = 0; k < n; k++) yield [x1 + (x2 - x1) * k / n, y1 + (y2 - y1) * k / n];
  }
}

function overlap(a, b, gap) {
  return a[0] < b[2] + gap && b[0] < a[2] + gap && a[1] < b[3] + gap && b[1] < a[3] + gap;
}
