/** Digits on which the network that learned from clean pictures is sure and wrong: found by a program. */

import { element, percent, spoken } from "./answers.js";

/** Draws the pictures into a list; `chosen` is called with one. */
export function galleryIn(list, pictures, chosen) {
  list.replaceChildren(
    ...pictures.map((picture) => {
      const { truth, alteration, severity, beside } = picture;
      const wrong = beside.predictions[0];
      const button = Object.assign(element("button", "framed"), { type: "button" });
      button.setAttribute(
        "aria-label",
        `A ${truth}, ${spoken(alteration)} ${severity}: ${beside.model} reads ${wrong.label}, ${percent(wrong.score)}`,
      );
      const image = Object.assign(element("img"), { src: picture.altered, alt: "", width: 28, height: 28 });
      const caption = element("span", "caption");
      caption.append(element("b", "right", truth), " not ", element("b", "wrong", wrong.label));
      button.append(image, caption);
      button.addEventListener("click", () => chosen(picture));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
}
