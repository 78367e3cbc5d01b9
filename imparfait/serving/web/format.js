/** Predictions as text and bars: labels, probabilities, and a bar for each class. */

const MAX_COLUMNS = 12; // with more classes, only the most probable are shown
const MIN_SHOWN = 0.005; // a lower probability is written as "< 1 %", and as nothing next to a bar

/** A probability as a percentage. */
export function percent(p) {
  if (p >= 0.9995) return "> 99.9\u202f%";
  if (p < MIN_SHOWN) return "< 1\u202f%";
  return `${p >= 0.99 ? (100 * p).toFixed(1) : Math.round(100 * p)}\u202f%`;
}

/** A corruption's name for display. */
export const displayName = (name) => name.replace(/^photo\./, "").replaceAll("_", " ");

/** A sentence with a capital first letter. */
export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A new element with a class and text. */
export function element(tag, className, text) {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
}

/** "correct" or "wrong", or "" if the true label is unknown. */
export const judge = (label, truth) => (truth == null ? "" : label === truth ? "correct" : "wrong");

/** Writes a prediction into a container with a .label and a .score; null clears it. */
export function showPrediction(container, prediction, truth) {
  const best = prediction?.predictions[0];
  const label = container.querySelector(".label");
  label.textContent = best?.label ?? "–";
  label.classList.toggle("long", (best?.label.length ?? 0) > 2);
  container.querySelector(".score").textContent = best ? percent(best.score) : "";
  const verdict = best ? judge(best.label, truth) : "";
  container.dataset.judged = verdict;
  container.dataset.confident = prediction ? prediction.confident : "";
  const note = container.querySelector(".note");
  if (!note) return;
  const notes = [verdict === "wrong" && "wrong", prediction && !prediction.confident && "unsure"];
  note.textContent = notes.filter(Boolean).join(", ");
}

/** Draws a bar for each class into a list; null empties the bars. */
export function drawBars(list, classes, prediction, truth) {
  const shown = list.classList.contains("columns") ? mostProbable(classes, prediction) : classes;
  if (list.dataset.classes !== String(shown)) {
    list.dataset.classes = String(shown);
    list.replaceChildren(...shown.map(createBar));
  }
  const best = prediction?.predictions[0].label;
  for (const [index, name] of shown.entries()) {
    const item = list.children[index];
    const probability = prediction?.probabilities[name] ?? 0;
    item.querySelector(".bar").style.setProperty("--probability", probability);
    item.querySelector(".value").textContent = probability >= MIN_SHOWN ? percent(probability) : "";
    item.dataset.judged = prediction && name === best ? judge(name, truth) : "";
    item.classList.toggle("best", Boolean(prediction) && name === best);
  }
}

function mostProbable(classes, prediction) {
  if (classes.length <= MAX_COLUMNS) return classes;
  const probability = (name) => prediction?.probabilities[name] ?? 0;
  const kept = new Set([...classes].sort((a, b) => probability(b) - probability(a)).slice(0, MAX_COLUMNS));
  return classes.filter((name) => kept.has(name));
}

function createBar(name) {
  const item = element("li");
  item.append(element("span", "name", name), element("span", "bar"), element("span", "value"));
  return item;
}

/** A prediction as a sentence, for screen readers. */
export function sentence(model, prediction, truth) {
  const { label, score } = prediction.predictions[0];
  const wrong = judge(label, truth) === "wrong" ? ", which is wrong" : "";
  return `${model} predicts ${label}, ${percent(score)}${wrong}${prediction.confident ? "" : ", but is unsure"}.`;
}
