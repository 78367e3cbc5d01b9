/** What is served: names in the text, and the model's facts at the page's end. */

import { element, percent } from "./answers.js";

const OURS = ["digits", "digits-clean"]; // what is said of MNIST's writers is said of these

/** Writes what /v1/model tells wherever the page speaks of it. */
export function drawFacts(model) {
  document.body.classList.toggle("alone", !model.beside);
  for (const side of ["model", "beside"]) {
    for (const place of document.querySelectorAll(`.${side}-name`)) place.textContent = model[side] ?? "";
  }
  document.getElementById("caveat").hidden = !OURS.includes(model.model);
  document.getElementById("facts").replaceChildren(...factsOf(model));
}

function factsOf({ model, network, recipe, threshold, weights }) {
  const facts = [];
  if (network) facts.push(`the network ${network}, trained by the recipe ${recipe}`);
  if (threshold) {
    const { confidence, error_rate: rate } = threshold;
    facts.push(`sure from a probability of ${confidence.toFixed(2)} on, where at most ${percent(rate)} are wrong`);
  }
  if (weights) facts.push(`sha256 of its weights ${weights.slice(0, 12)}…`);
  return [element("b", "", model), facts.length ? `: ${facts.join("; ")}.` : "."];
}
