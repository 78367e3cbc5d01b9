/** The gallery: corrupted digits on which the baseline is confident and wrong. */

import { displayName, element, percent } from "./format.js";

/** Draws the gallery's images into a list; `onChoose` is called with one. */
export function drawGallery(list, images, onChoose) {
  list.replaceChildren(
    ...images.map((entry) => {
      const { truth, corruption, severity, baseline } = entry;
      const wrong = baseline.predictions[0];
      const button = Object.assign(element("button"), { type: "button" });
      button.setAttribute(
        "aria-label",
        `${truth}, ${displayName(corruption)} ${severity}: ${baseline.model} predicts ${wrong.label}, ${percent(wrong.score)}`,
      );
      const thumbnail = Object.assign(element("img"), { src: entry.corrupted, alt: "", width: 28, height: 28 });
      const caption = element("span", "caption");
      caption.append(element("b", "correct", truth), " not ", element("b", "wrong", wrong.label));
      button.append(thumbnail, caption);
      button.addEventListener("click", () => onChoose(entry));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
}
