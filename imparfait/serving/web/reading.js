/** The picture as it is: what it is read as, how surely, and what the model saw. */

import { capitalised, drawBars, element, percent, write } from "./answers.js";

const find = (selector) => document.querySelector(selector);

/** Draws a page of /v1/predict; null empties it. */
export function drawReading(read, classes, truth, names) {
  write(find("#answer"), read, truth);
  drawBars(find("#bars"), classes, read, truth);
  find(".sureness").textContent = !read ? "" : read.sure ? "sure" : `not sure: ${read.reason}`;
  find("#seen").hidden = !read;
  if (read) find("#seen").src = read.seen;
  find("#said").textContent = read ? whatWasDone(read) : "";
  find("#beside").replaceChildren(...(read?.beside ? besideSaid(read.beside, names.beside) : []));
}

function whatWasDone({ said, pages }) {
  const text = `${capitalised(said)}.`;
  return pages > 1 ? `Page 1 of ${pages}. ${text}` : text;
}

function besideSaid({ predictions: [best], sure }, name) {
  return [element("em", "", name), ` reads ${best.label}, ${percent(best.score)}${sure ? "" : ", not sure"}`];
}
