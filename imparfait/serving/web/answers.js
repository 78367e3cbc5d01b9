/** What a model says of a picture: its label, how sure it is, and a bar for each class. */

const MOST = 12; // columns there is room for; of more classes the most probable are shown
const LEAST = 0.005; // less is written "< 1 %", and beside a bar not at all

/** A probability as people read it. */
export function percent(p) {
  if (p >= 0.9995) return "> 99.9\u202f%";
  if (p < LEAST) return "< 1\u202f%";
  return `${p >= 0.99 ? (100 * p).toFixed(1) : Math.round(100 * p)}\u202f%`;
}

/** An alteration's name as people read it. */
export const spoken = (name) => name.replaceAll("_", " ");

/** A sentence with its first letter large. */
export const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A new element with a class and text. */
export function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Whether an answer is "right", "wrong" or, where the truth is not known, "". */
export const judged = (label, truth) => (truth == null ? "" : label === truth ? "right" : "wrong");

/** Writes an answer's label and probability into a place that has a .label and a .score; null empties it. */
export function write(place, said, truth) {
  const best = said?.predictions[0];
  const label = place.querySelector(".label");
  label.textContent = best?.label ?? "–";
  label.classList.toggle("long", (best?.label.length ?? 0) > 2);
  place.querySelector(".score").textContent = best ? percent(best.score) : "";
  const verdict = best ? judged(best.label, truth) : "";
  place.dataset.judged = verdict;
  place.dataset.sure = said ? said.sure : "";
  const note = place.querySelector(".note");
  if (note) note.textContent = [verdict === "wrong" && "wrong", said && !said.sure && (verdict === "wrong" ? "unsure" : "not sure")].filter(Boolean).join(", ");
}

/** Draws a bar for each class into a list; null empties the bars. */
export function drawBars(list, classes, said, truth) {
  const shown = list.classList.contains("columns") ? fewer(classes, said) : classes;
  if (list.dataset.classes !== String(shown)) {
    list.dataset.classes = String(shown);
    list.replaceChildren(...shown.map(barOf));
  }
  const best = said?.predictions[0].label;
  for (const [place, name] of shown.entries()) {
    const item = list.children[place];
    const share = said?.probabilities[name] ?? 0;
    item.querySelector(".bar").style.setProperty("--share", share);
    item.querySelector(".value").textContent = share >= LEAST ? percent(share) : "";
    item.dataset.judged = said && name === best ? judged(name, truth) : "";
    item.classList.toggle("best", Boolean(said) && name === best);
  }
}

function fewer(classes, said) {
  if (classes.length <= MOST) return classes;
  const share = (name) => said?.probabilities[name] ?? 0;
  const kept = new Set([...classes].sort((a, b) => share(b) - share(a)).slice(0, MOST));
  return classes.filter((name) => kept.has(name));
}

function barOf(name) {
  const item = element("li");
  item.append(element("span", "name", name), element("span", "bar"), element("span", "value"));
  return item;
}

/** An answer as a sentence, for those who hear the page. */
export function sentence(model, said, truth) {
  const { label, score } = said.predictions[0];
  const wrong = judged(label, truth) === "wrong" ? ", which is wrong" : "";
  return `${model} reads ${label}, ${percent(score)}${wrong}${said.sure ? "" : ", but is not sure"}.`;
}
