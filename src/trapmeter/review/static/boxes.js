// A box in the picture, with its label.
import { node } from "./svg.js";

export function drawBox(box, { width, height, perPixel }, kind) {
  const [x1, y1, x2, y2] = box.xyxy, size = 15 * perPixel;
  const place = { x: x1 * width, y: y1 * height, width: (x2 - x1) * width, height: (y2 - y1) * height };
  const made = node("g", { class: `${kind}${box.gone ? " gone" : ""}` });
  if (box.row !== undefined) made.dataset.row = box.row;
  made.append(node("rect", { ...place, class: "edge", "stroke-width": 4 * perPixel }));
  const dashes = box.gone ? { "stroke-dasharray": `${6 * perPixel} ${4 * perPixel}` } : {};
  made.append(node("rect", { ...place, ...dashes, class: "line", "stroke-width": 2 * perPixel }));
  const words = [box.label, box.interval].filter(Boolean).join("  ");
  if (words) {
    const plateWidth = (0.56 * words.length + 0.8) * size, above = place.y - 1.5 * size;
    const y = above >= 0 ? above : Math.min(place.y + place.height, height - 1.5 * size);
    const x = Math.min(place.x, Math.max(0, width - plateWidth));
    made.append(node("rect", { x, y, width: plateWidth, height: 1.4 * size, class: "plate" }));
    made.append(node("text", { x: x + 0.4 * size, y: y + size, "font-size": size }, words));
  }
  return made;
}
