/** Boxes on the sheet: one for each digit that was read, of which one is chosen; or the frame of a single object. */

import { certainty } from "./certainty.js";
import { element } from "./format.js";
import { t } from "./i18n.js";
import { rove } from "./roving.js";
import { SIDE } from "./strokes.js";

const NEAR = 4; // units around a box that count as it

/** Boxes in `group`, over the sheet; `onChoose` is called with a digit's index, by keys or an assistive click. */
export function createBoxes(group, frame, onChoose) {
  let shown = []; // { left, top, width, height } on the sheet
  const roving = rove(group, (button) => onChoose(Number(button.dataset.index)));
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) onChoose(Number(button.dataset.index));
  });

  return {
    /** Shows the digits of a reading, the chosen one marked; without any, none. */
    draw(digits, chosen, place) {
      shown = place ? digits.map(({ box }) => onSheet(box, place)) : [];
      const buttons = [...group.children];
      buttons.slice(shown.length).forEach((button) => button.remove());
      shown.forEach((region, index) => {
        const button = buttons[index] ?? group.appendChild(createButton(index));
        const { label } = digits[index];
        const word = certainty(digits[index]);
        put(button, region);
        button.querySelector(".tag").textContent = label;
        button.dataset.certainty = word;
        button.setAttribute("aria-label", t("reading.digit", { label, certainty: t(`certainty.${word}`) }));
        button.setAttribute("aria-pressed", index === chosen);
      });
      group.hidden = !shown.length;
      if (shown.length) roving.reset(group.children[chosen]);
    },
    /** Frames what was cropped from the sheet; null shows no frame. */
    drawFrame(box, place) {
      frame.hidden = !box || !place;
      if (!frame.hidden) put(frame, onSheet(box, place));
    },
    /** The index of the box at a point of the sheet; -1 without one. */
    at([x, y]) {
      const holds = ({ left, top, width, height }) =>
        x >= left - NEAR && x <= left + width + NEAR && y >= top - NEAR && y <= top + height + NEAR;
      return shown.findIndex(holds);
    },
  };
}

function onSheet([left, top, right, bottom], place) {
  return {
    left: place.left + left * place.scale,
    top: place.top + top * place.scale,
    width: (right - left) * place.scale,
    height: (bottom - top) * place.scale,
  };
}

function createButton(index) {
  const button = Object.assign(element("button"), { type: "button" });
  button.dataset.index = index;
  button.append(element("span", "tag"));
  return button;
}

function put(box, region) {
  for (const side of ["left", "top", "width", "height"]) box.style.setProperty(`--${side}`, region[side] / SIDE);
}
