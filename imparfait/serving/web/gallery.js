/** The gallery: corrupted digits on which the baseline is confident and wrong. */

import { element, localized, percent } from "./format.js";
import { displayName, t } from "./i18n.js";
import { rove } from "./roving.js";

/** Draws the gallery's images into a list, as one tab stop; `onChoose` is called with one. */
export function drawGallery(list, images, onChoose) {
  list.replaceChildren(
    ...images.map((entry) => {
      const { truth, corruption, severity, baseline } = entry;
      const [{ label: wrong, score }] = baseline.predictions;
      const button = Object.assign(element("button"), { type: "button" });
      const values = { truth, wrong, corruption: displayName(corruption), score: percent(score) };
      button.setAttribute("aria-label", t("gallery.item", { ...values, severity: localized(String(severity)) }));
      const thumbnail = Object.assign(element("img"), { src: entry.corrupted, alt: "", width: 28, height: 28 });
      const caption = element("span", "caption");
      caption.append(element("b", "correct", truth), ` ${t("gallery.caption")} `, element("b", "wrong", wrong));
      button.append(thumbnail, caption);
      button.addEventListener("click", () => onChoose(entry));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
  rove(list).reset();
}
