/** The review: unsure fields one at a time, each decision saved at once. */

import { element, percent } from "./format.js";
import { acceptKeys, alone, announce, find, isBusy, load, nextOpen as nextIn, preload } from "./queue.js";
import { postJson } from "./server.js";

const { csv, fields } = await load("fields", { csv: "", fields: [] });
const steps = []; // { index, kind: "decided" | "skipped" }, to undo
const skipped = new Set();
let current = null; // index of the shown field; null at the end
let question = null; // the text that is not allowed, until it is confirmed or changed

const isOpen = (index) => fields[index].decided === null && !skipped.has(index);
const decidedCount = () => fields.filter((field) => field.decided !== null).length;

const nextOpen = (start) => nextIn(fields, isOpen, start);

function show(index) {
  current = index;
  closeQuestion();
  drawProgress();
  find("field").hidden = find("empty").hidden = find("skip").hidden = find("keys").hidden = index === null;
  find("end").hidden = index !== null;
  find("tools").hidden = false;
  if (index === null) return showEnd();
  const field = fields[index];
  drawCrop(index);
  find("name").textContent = field.name;
  find("source").textContent = field.page ? `${field.file}, page ${field.page}` : field.file;
  find("reason").textContent = `Unsure: ${field.reason}.`;
  find("alternatives").replaceChildren(...field.alternatives.map(alternativeButton));
  find("alternatives").hidden = !field.alternatives.length;
  find("text").value = field.decided ?? field.text;
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  announce(`${field.name}, ${find("source").textContent}. ${find("reason").textContent}`);
  preload("crops", index, fields.length);
}

function drawCrop(index) {
  const { name, region } = fields[index];
  const image = find("crop");
  image.alt = `The field ${name} on the form`;
  image.onload = () => find("frame").style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  image.src = `crops/${index}`;
  find("region").hidden = !region;
  for (const [at, side] of ["left", "top", "right", "bottom"].entries()) {
    if (region) find("region").style.setProperty(`--${side}`, region[at]);
  }
}

function alternativeButton({ text, score }, position) {
  const button = element("button");
  button.type = "button";
  const key = element("kbd", "", String(position + 1));
  key.setAttribute("aria-hidden", "true");
  button.append(
    key,
    element("span", "string", text),
    element("span", "value", percent(score)),
  );
  button.style.setProperty("--probability", score);
  button.classList.toggle("chosen", fields[current].decided === text);
  button.addEventListener("click", () => decide(text));
  const item = element("li");
  item.append(button);
  return item;
}

function drawProgress() {
  const decided = decidedCount();
  find("progress").max = Math.max(1, fields.length);
  find("progress").value = decided;
  find("count").textContent = `${decided} of ${fields.length} decided${skipped.size ? `, ${skipped.size} skipped` : ""}`;
  find("undo").disabled = !steps.length && !decided;
}

function showEnd() {
  const left = skipped.size;
  find("end-title").textContent = left ? `${left} skipped` : "All fields are decided";
  find("end-text").textContent = left
    ? `All other fields are decided. The skipped ones stay in the column "unsure" of ${csv}.`
    : `${csv} is up to date. You can close this page, and stop the command with Ctrl-C.`;
  find("again").hidden = !left;
  find("end-title").focus();
  announce(find("end-title").textContent);
}

const decide = (text, confirmed = false) =>
  alone(async () => {
    const index = current;
    if (index === null) return;
    const result = await postJson("decisions", { field: index, text, confirmed });
    if (!result.saved) return openQuestion(result);
    fields[index].decided = result.text;
    steps.push({ index, kind: "decided" });
    show(nextOpen(index + 1));
  });

function skip() {
  if (isBusy() || current === null) return;
  skipped.add(current);
  steps.push({ index: current, kind: "skipped" });
  show(nextOpen(current + 1));
}

const undo = () =>
  alone(async () => {
    const step = steps.at(-1);
    if (step?.kind === "skipped") {
      skipped.delete(step.index);
      steps.pop();
      return show(step.index);
    }
    const { field } = await postJson("undo", {});
    steps.pop();
    if (field === null) return;
    fields[field].decided = null;
    show(field);
  });

function showSkipped() {
  skipped.clear();
  steps.length = 0; // decisions can still be undone: the server knows them
  show(nextOpen(0));
}

// What the constraints forbid

function openQuestion({ text, objection }) {
  question = text;
  find("question-text").textContent = `${text ? `“${text}”` : "An empty text"} is not allowed: ${objection}.`;
  find("question").hidden = false;
  find("change").focus();
  find("question").scrollIntoView({ block: "nearest" });
}

function closeQuestion() {
  question = null;
  find("question").hidden = true;
}

function change() {
  const text = question;
  closeQuestion();
  find("text").value = text;
  find("text").select();
}

const confirmDecision = () => decide(question, true);

// Controls

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  decide(find("text").value);
});
for (const [id, action] of Object.entries({
  empty: () => decide(""), skip, undo, change, confirm: confirmDecision, again: showSkipped,
})) {
  find(id).addEventListener("click", action);
}
find("text").addEventListener("input", closeQuestion);

/** What a key does; undefined where it does nothing. */
function actionOf(key) {
  if (question !== null) return { y: confirmDecision, Escape: change, u: undo }[key];
  if (current === null) return { u: undo, Enter: find("again").hidden ? undefined : showSkipped }[key];
  const alternative = fields[current].alternatives[Number(key) - 1];
  if (alternative) return () => decide(alternative.text);
  return { e: () => decide(""), s: skip, u: undo, t: () => find("text").select(), Enter: () => decide(find("text").value) }[key];
}

acceptKeys(find("text"), () => find("text").blur(), actionOf);

if (fields.length) {
  document.title = `imparfait: review of ${csv}`;
  find("csv").textContent = csv;
  show(nextOpen(0));
}
