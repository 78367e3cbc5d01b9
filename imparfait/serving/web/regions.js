/** Regions on an image: drawn, moved and resized by mouse, finger, pen or keys, as fractions of its sides. */

import { element } from "./format.js";

const MIN_SIDE = 0.004; // a smaller region is a click
const KEY_STEP = 0.002;
const DECIMALS = 1e4; // of fractions in fields.json
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
const rounded = (value) => Math.round(value * DECIMALS) / DECIMALS;

/** The region between two corners, on the page. */
function between([x0, y0], [x1, y1]) {
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)].map((x) => rounded(clamp(x, 0, 1)));
  const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)].map((y) => rounded(clamp(y, 0, 1)));
  return { left, top, width: rounded(right - left), height: rounded(bottom - top) };
}

/** A region moved by a distance; it stays on the page. */
function moved({ left, top, width, height }, dx, dy) {
  const x = rounded(clamp(left + dx, 0, 1 - width));
  const y = rounded(clamp(top + dy, 0, 1 - height));
  return { left: x, top: y, width, height };
}

/**
 * Regions in `sheet`. `on.select(index or null)`, `on.draw(region)`, and `on.change(index, region, finished)` are called
 * for what the user does; `draw` shows the result.
 */
export function createRegions(sheet, on) {
  let fields = [];
  let drag = null; // { pointer, from, kind, index, region, fixed }

  function pointOf(event) {
    const box = sheet.querySelector("img").getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  sheet.addEventListener("pointerdown", (event) => {
    if (drag || event.button !== 0 || !event.isPrimary) return;
    const from = pointOf(event);
    const box = event.target.closest(".box");
    const corner = event.target.dataset.corner;
    const index = box ? Number(box.dataset.index) : null;
    drag = { pointer: event.pointerId, from, index, kind: corner ? "resize" : box ? "move" : "draw" };
    if (box) drag.region = fields[index];
    if (corner) {
      const { left, top, width, height } = fields[index];
      drag.fixed = [corner.includes("w") ? left + width : left, corner.includes("n") ? top + height : top];
    }
    sheet.setPointerCapture(event.pointerId);
    event.preventDefault();
    document.activeElement?.blur(); // so that what was written in the panel counts
    on.select(index);
    box?.focus({ preventScroll: true });
  });

  sheet.addEventListener("pointermove", (event) => {
    if (event.pointerId === drag?.pointer) follow(pointOf(event), false);
  });
  sheet.addEventListener("pointerup", (event) => {
    if (event.pointerId !== drag?.pointer) return;
    follow(pointOf(event), true);
    drag = null;
  });
  sheet.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== drag?.pointer) return;
    if (drag.region) on.change(drag.index, drag.region, true);
    sheet.querySelector(".box.new")?.remove();
    drag = null;
  });

  function follow(to, finished) {
    const { kind, from, index, region, fixed } = drag;
    if (kind === "move") return on.change(index, moved(region, to[0] - from[0], to[1] - from[1]), finished);
    const drawn = between(kind === "draw" ? from : fixed, to);
    const large = drawn.width >= MIN_SIDE && drawn.height >= MIN_SIDE;
    if (kind === "resize") return on.change(index, large ? drawn : fields[index], finished);
    const box = sheet.querySelector(".box.new") ?? sheet.appendChild(element("div", "box new"));
    place(box, drawn);
    if (!finished) return;
    box.remove();
    if (large) on.draw(drawn);
  }

  sheet.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    const index = Number(event.target.dataset.index);
    if (!arrow || !(index >= 0)) return;
    event.preventDefault();
    const region = fields[index];
    const [dx, dy] = arrow.map((step) => step * KEY_STEP);
    const { left, top, width, height } = region;
    const larger = between([left, top], [left + Math.max(MIN_SIDE, width + dx), top + Math.max(MIN_SIDE, height + dy)]);
    on.change(index, event.shiftKey ? larger : moved(region, dx, dy), true);
  });
  sheet.addEventListener("focusin", (event) => {
    if (event.target.classList.contains("box") && !drag) on.select(Number(event.target.dataset.index));
  });

  return {
    /** Shows the fields; `confident` has true, false or undefined for each. */
    draw(shown, selected, confident) {
      fields = shown;
      const boxes = [...sheet.querySelectorAll(".box:not(.new)")];
      boxes.slice(fields.length).forEach((box) => box.remove());
      fields.forEach((field, index) => {
        const box = boxes[index] ?? sheet.appendChild(createBox(index));
        place(box, field);
        box.classList.toggle("selected", index === selected);
        box.dataset.confident = confident[index] ?? "";
        box.setAttribute("aria-label", field.name);
        box.querySelector(".tag").textContent = field.name;
      });
    },
    /** Focuses a region, so that keys move it. */
    focus: (index) => sheet.querySelector(`.box[data-index="${index}"]`)?.focus({ preventScroll: true }),
  };
}

function createBox(index) {
  const box = element("div", "box");
  box.dataset.index = index;
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.append(element("span", "tag"));
  for (const corner of ["nw", "ne", "sw", "se"]) {
    const handle = element("span", "handle");
    handle.dataset.corner = corner;
    box.append(handle);
  }
  return box;
}

function place(box, region) {
  for (const side of ["left", "top", "width", "height"]) box.style.setProperty(`--${side}`, region[side]);
}
