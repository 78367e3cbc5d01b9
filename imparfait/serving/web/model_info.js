/** The served model: its details in the footer, and whether it has a baseline. */

import { element, percent } from "./format.js";
import { richText, t } from "./i18n.js";
import { rateText } from "./prediction.js";

const MNIST_MODELS = ["digits-clean"]; // trained on MNIST only, digits by American writers

/** Writes the response of /v1/model wherever the page refers to it. */
export function drawModelInfo(info) {
  document.body.classList.toggle("single-model", !info.baseline);
  const caveat = document.getElementById("caveat");
  caveat.hidden = !MNIST_MODELS.includes(info.model);
  caveat.replaceChildren(...richText(t("about.caveat")));
  document.getElementById("model-info").replaceChildren(...details(info));
  document.getElementById("privacy").textContent = t(info.collects ? "about.collects" : "about.privacy");
}

function details({ model, threshold, weights }) {
  const parts = [];
  if (threshold) {
    parts.push(t("about.threshold", { from: percent(threshold.confidence), rate: rateText(threshold.error_rate) }));
  }
  if (weights) parts.push(t("about.weights", { weights: weights.slice(0, 12) }));
  const name = element("b", "", model);
  name.translate = false;
  return [name, parts.length ? ` – ${parts.join(", ")}` : ""];
}
