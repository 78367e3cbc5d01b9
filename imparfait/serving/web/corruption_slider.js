/** The slider panel: one corruption, its severity, the corrupted image, and both models' predictions. */

import { drawBars, localized } from "./format.js";
import { corruptionSummary, displayName, richText, t } from "./i18n.js";
import { showPrediction } from "./prediction.js";
import { drawCurve, failureText, SIDES } from "./robustness.js";

/** The panel in `section`; `onMove` is called with the severity when the slider moves. */
export function createSlider(section, onMove) {
  const find = (selector) => section.querySelector(selector);
  const slider = find("#slider");
  const curves = find("#curves");

  slider.addEventListener("input", () => {
    showSeverity(Number(slider.value));
    onMove(Number(slider.value));
  });

  function showSeverity(severity) {
    const value = localized(severity.toFixed(2));
    find("#severity").textContent = value;
    slider.setAttribute("aria-valuetext", t(`slider.${strength(severity)}`, { value }));
    section.style.setProperty("--severity", severity);
  }

  return {
    /** Sets the corruption and its severity; `recorded` disables the slider. */
    setCorruption(corruption, severity, recorded = false) {
      const { name, summary, graded } = corruption;
      find("#corruption").textContent = displayName(name);
      find("#summary").replaceChildren(...(summary ? richText(`${corruptionSummary(corruption)}.`) : []));
      slider.disabled = recorded;
      section.classList.toggle("recorded", recorded);
      slider.step = graded ? 0.01 : 1;
      slider.value = graded ? severity : Math.ceil(severity);
      slider.setAttribute("aria-label", t("slider.labelOf", { corruption: displayName(name) }));
      showSeverity(Number(slider.value));
    },
    /** Scrolls as little as makes the predictions visible. */
    scrollIntoView() {
      const target = section.getClientRects().length ? section : find(".live"); // on a phone the section has no box
      target.scrollIntoView({ block: "nearest" });
    },
    /** Draws the corrupted image (a data URL) and the predictions; null clears them. */
    draw(image, predictions, classes, truth) {
      find("#corrupted").hidden = !image;
      if (image) find("#corrupted").src = image;
      for (const side of SIDES) {
        const result = find(`.result[data-side=${side}]`);
        showPrediction(result, predictions?.[side], truth);
        result.querySelector(".note").textContent = result.dataset.judged === "wrong" ? t("note.wrong") : "";
        drawBars(find(`.bars[data-side=${side}]`), classes, predictions?.[side], truth);
      }
    },
    /** Draws the curves of the corruption; without `result` they are empty. */
    drawCurves(result, truth) {
      for (const side of SIDES) {
        drawCurve(curves.querySelector(`.curve[data-side=${side}]`), result?.[side], truth);
        const text = result?.[side] && truth != null ? failureText(result, side, truth) : "";
        curves.querySelector(`.first-failure[data-side=${side}]`).textContent = text;
      }
    },
  };
}

const STRENGTHS = [[0, "none"], [0.25, "slight"], [0.5, "moderate"], [0.75, "strong"], [1, "severe"]];
const strength = (severity) => STRENGTHS.find(([most]) => severity <= most)[1];
