/** "Why?": a toggle that draws over the model's input which parts the prediction depends on. */

import { element, percent } from "./format.js";
import { t } from "./i18n.js";
import { showError } from "./notices.js";
import { latest, post } from "./server.js";

const DELAY_MS = 250; // without a change, before an explanation is requested
const FAINTEST = 0.02; // of probability, as in the server's image

/**
 * Adds the toggle to a section that has a .pixels with the model's input.
 *
 * The result's `show(subject)` gets what is classified, { content: () => Promise<Blob> }, or null; it is called again
 * whenever that has changed.
 */
export function createExplanation(section) {
  const button = element("button", "why", t("why.toggle"));
  const image = element("img", "explanation");
  const legend = element("div", "explanation-legend");
  const text = element("p", "small");
  const ends = ["why.raises", "why.lowers"].map((key) => ({ key, shown: element("span", "", "") }));
  const scale = element("p", "explanation-scale");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.disabled = true;
  legend.hidden = true;
  legend.setAttribute("role", "status");
  scale.append(...ends.map(({ shown }) => shown));
  legend.append(scale, text);
  section.append(button, legend);
  let subject = null;
  let timer;

  const request = latest(
    async (current, signal) => post("v1/explain", await current.content(), signal),
    (response, current) => current === subject && isOn() && draw(response),
    (error, current) => {
      if (current !== subject || !isOn()) return;
      turn(false);
      showError(error);
    },
  );

  const isOn = () => button.getAttribute("aria-pressed") === "true";

  function turn(on) {
    button.setAttribute("aria-pressed", String(on));
    clear();
    if (on && subject) wait(0);
  }

  function wait(delay) {
    legend.hidden = false;
    scale.hidden = true;
    text.textContent = t("why.waiting");
    clearTimeout(timer);
    timer = setTimeout(() => subject && isOn() && request(subject), delay);
  }

  function clear() {
    clearTimeout(timer);
    request.cancel();
    image.remove();
    legend.hidden = true;
  }

  function draw({ label, score, lowest, drops, full_colour: full, image: source }) {
    const values = { label, score: percent(score), lowest: percent(lowest), points: Math.round(100 * full) };
    const matters = drops.flat().some((drop) => Math.abs(drop) >= FAINTEST);
    image.src = source;
    image.alt = t("why.alt", values);
    section.querySelector(".pixels").append(image);
    text.textContent = t(matters ? "why.legend" : "why.nothing", values);
    scale.hidden = !matters;
    for (const { key, shown } of ends) shown.textContent = t(key, values);
    legend.hidden = false;
  }

  button.addEventListener("click", () => turn(!isOn()));
  return {
    show(current) {
      if (current === subject) return;
      subject = current;
      button.disabled = !subject;
      clear();
      if (subject && isOn()) wait(DELAY_MS);
    },
  };
}
