/** The served model: its name in the text, and its details in the footer. */

import { element, percent } from "./format.js";

const MNIST_MODELS = ["digits-clean"]; // trained on MNIST only, digits by American writers

/** Writes the response of /v1/model wherever the page refers to it. */
export function drawModelInfo(info) {
  document.body.classList.toggle("single-model", !info.baseline);
  for (const side of ["model", "baseline"]) {
    for (const name of document.querySelectorAll(`.${side}-name`)) name.textContent = info[side] ?? "";
  }
  document.getElementById("caveat").hidden = !MNIST_MODELS.includes(info.model);
  document.getElementById("model-info").replaceChildren(...details(info));
}

function details({ model, network, recipe, threshold, weights }) {
  const parts = [];
  if (network) parts.push(`network ${network}, recipe ${recipe}`);
  if (weights) parts.push(`weights sha256 ${weights.slice(0, 12)}…`);
  if (threshold) {
    const { confidence, error_rate: rate } = threshold;
    parts.push(`confident from a probability of ${confidence.toFixed(2)} (at most ${percent(rate)} errors)`);
  }
  return [element("b", "", model), parts.length ? `: ${parts.join("; ")}.` : "."];
}
