/** The prediction for the clean image, its confidence, and the model's input. */

import { capitalize, drawBars, element, percent, showPrediction } from "./format.js";

const find = (selector) => document.querySelector(selector);

/** Draws a page of /v1/predict; null clears it. */
export function drawPrediction(page, classes, truth, names) {
  showPrediction(find("#prediction"), page, truth);
  drawBars(find("#bars"), classes, page, truth);
  find(".confidence").textContent = page ? confidenceText(page) : "";
  find("#model-input").hidden = !page;
  if (page) find("#model-input").src = page.model_input;
  find("#preprocessing").textContent = page ? preprocessingText(page) : "";
  find("#baseline").replaceChildren(...(page?.baseline ? baselineText(page.baseline, names.baseline) : []));
}

function confidenceText({ confident, reason }) {
  if (confident) return "confident";
  return reason.startsWith("not calibrated") ? reason : `unsure: ${reason}`;
}

function preprocessingText({ preprocessing, pages }) {
  const text = `${capitalize(preprocessing)}.`;
  return pages > 1 ? `Page 1 of ${pages}. ${text}` : text;
}

function baselineText({ predictions: [best], confident }, name) {
  return [element("em", "", name), ` predicts ${best.label}, ${percent(best.score)}${confident ? "" : ", unsure"}`];
}
