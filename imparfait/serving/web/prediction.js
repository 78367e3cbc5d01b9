/** The answer for the image, its certainty, and what the model saw. */

import { certainty, doubt } from "./certainty.js";
import { drawBars, judge, percent } from "./format.js";
import { counted, richText, t } from "./i18n.js";

const find = (selector) => document.querySelector(selector);

/** A prediction's certainty in the page's language. */
export const certaintyWord = (prediction) => t(`certainty.${certainty(prediction)}`);

/** Writes a prediction into a container with a .label, a .score and a .certainty; null clears it, a blank image has none. */
export function showPrediction(container, prediction, truth) {
  const best = prediction?.blank ? undefined : prediction?.predictions[0];
  const label = container.querySelector(".label");
  label.textContent = best?.label ?? "–";
  label.classList.toggle("long", (best?.label.length ?? 0) > 2);
  container.querySelector(".score").textContent = best ? percent(best.score) : "";
  container.dataset.judged = best ? judge(best.label, truth) : "";
  container.dataset.certainty = prediction ? certainty(prediction) : "";
  container.querySelector(".certainty").textContent = prediction ? certaintyWord(prediction) : "";
}

/** Draws the answer for `state`: { prediction, reading, chosen }, the model's threshold, and its classes. */
export function drawAnswer({ prediction, reading, chosen }, { classes, threshold }, truth) {
  showPrediction(find("#prediction"), prediction, truth);
  drawBars(find("#bars"), classes, prediction, truth);
  find("#reason").textContent = prediction ? reasonText(prediction, threshold) : "";
  find("#baseline").replaceChildren(...(prediction?.baseline && !prediction.baseline.blank ? baselineText(prediction.baseline) : []));
  drawReading(reading, chosen);
}

/** Draws what the model saw, and in words which part of the image that is. */
export function drawModelInput(prediction, kind) {
  const image = find("#model-input");
  image.hidden = !prediction;
  if (prediction) image.src = prediction.model_input;
  const pages = prediction?.pages > 1 ? ` ${t("saw.pages", { count: prediction.pages })}` : "";
  find("#saw").textContent = prediction ? t(`saw.${kind}`) + pages : "";
}

function drawReading(reading, chosen) {
  find("#reading").hidden = find("#chosen").hidden = !reading;
  if (!reading) return;
  const count = reading.digits.length;
  find("#found").textContent = counted("reading.found", count);
  const lines = reading.lines.map((line) => {
    const written = document.createElement("span");
    written.className = "line";
    for (const field of line.fields) {
      const text = document.createElement("span");
      text.dataset.certainty = certainty(field);
      text.textContent = field.text;
      written.append(text, " ");
    }
    return written;
  });
  find("#text").replaceChildren(...lines);
  find("#text-certainty").textContent = t(`certainty.${reading.certainty}`);
  find("#chosen").textContent = t("reading.chosen", { number: chosen + 1, count });
}

/** Why the model is not sure, as a sentence; empty where it is. */
export function reasonText(prediction, threshold) {
  const reason = doubt(prediction);
  if (!reason) return "";
  const from = threshold ? percent(threshold.confidence) : "";
  const rate = threshold ? rateText(threshold.error_rate) : "";
  return t(`reason.${reason}`, { from, rate });
}

/** An error rate as a percentage, with a decimal where it is below 1 %. */
export function rateText(rate) {
  const number = (100 * rate).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });
  return `${number}\u202f%`;
}

function baselineText(baseline) {
  const [{ label, score }] = baseline.predictions;
  const values = { side: t("side.baseline"), label, score: percent(score), certainty: certaintyWord(baseline) };
  return richText(t("answer.baseline", values));
}
