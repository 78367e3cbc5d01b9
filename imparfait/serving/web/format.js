/** Predictions as text and bars: labels, probabilities, and a bar for each class. */

const MAX_COLUMNS = 12; // with more classes, only the most probable are shown
const MIN_SHOWN = 0.005; // a lower probability is written as "< 1 %", and as nothing next to a bar

/** A probability as a percentage. */
export function percent(p) {
  if (p >= 0.9995) return localized("> 99.9\u202f%");
  if (p < MIN_SHOWN) return "< 1\u202f%";
  return localized(`${p >= 0.99 ? (100 * p).toFixed(1) : Math.round(100 * p)}\u202f%`);
}

/** A number as the page's language writes it. */
export const localized = (number) => (document.documentElement.lang === "fr" ? number.replace(".", ",") : number);

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

/** Draws a bar for each class into a list; null and a blank image empty the bars. */
export function drawBars(list, classes, given, truth) {
  const prediction = given?.blank ? null : given;
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
