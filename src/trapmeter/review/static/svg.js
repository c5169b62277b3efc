// Makes an element of an SVG.
const SVG = "http://www.w3.org/2000/svg";

export function node(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
