/** The page to label images: one at a time, each label saved at once. */

import { element, percent } from "./format.js";
import { acceptKeys, alone, announce, find, load, nextOpen as nextIn, preload } from "./queue.js";
import { postJson } from "./server.js";

const MOST_BUTTONS = 9; // one for each of the keys 1 to 9
const MOST_FOUND = 30; // classes shown of those that were searched for
const SMALL_SIDE = 128; // pixels, up to which an image is shown with its pixels as squares

const { table, classes, images } = await load("images", { table: "", classes: [], images: [] });
const namesAreKeys = classes.every((name) => /^[0-9]$/.test(name));
const showsAll = namesAreKeys || classes.length <= MOST_BUTTONS;
let current = null; // index of the shown image; null at the end
let offered = []; // indices of the classes with a button

const isOpen = (index) => images[index].label === null && !images[index].skipped;
const labelledCount = () => images.filter((image) => image.label !== null).length;
const skippedCount = () => images.filter((image) => image.skipped).length;
const predicted = (index) => images[index].predictions[0][0];

const nextOpen = (start) => nextIn(images, isOpen, start);

function show(index) {
  current = index;
  drawProgress();
  find("item").hidden = find("accept").hidden = find("skip").hidden = find("keys").hidden = index === null;
  find("end").hidden = index !== null;
  find("tools").hidden = false;
  if (index === null) return showEnd();
  const { file, predictions } = images[index];
  drawImage(index);
  const [best, probability] = predictions[0];
  const name = element("b", "", classes[best]);
  find("prediction").replaceChildren("Predicted: ", name, `, ${percent(probability)}`);
  find("source").textContent = file;
  find("search").hidden = showsAll;
  find("filter").value = "";
  drawClasses();
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  announce(`Image ${index + 1} of ${images.length}: predicted ${classes[best]}, ${percent(probability)}.`);
  preload("images", index, images.length);
}

function drawImage(index) {
  const image = find("image");
  image.alt = `Image ${index + 1}, to label`;
  image.classList.remove("pixelated");
  image.onload = () => {
    const isSmall = Math.max(image.naturalWidth, image.naturalHeight) <= SMALL_SIDE;
    image.classList.toggle("pixelated", isSmall);
  };
  image.src = `images/${index}`;
}

/** Buttons for all classes where they are few, else for the most probable, or those that are searched for. */
function drawClasses() {
  const typed = find("filter").value.trim().toLowerCase();
  if (typed) offered = search(typed);
  else if (showsAll) offered = [...classes.keys()];
  else offered = images[current].predictions.slice(0, MOST_BUTTONS).map(([index]) => index);
  find("classes").replaceChildren(...offered.map(classButton));
  find("none").hidden = offered.length > 0;
}

/** The classes whose name begins with what was typed, then those that have it elsewhere. */
function search(typed) {
  const found = [...classes.keys()].filter((index) => classes[index].toLowerCase().includes(typed));
  const begins = (index) => classes[index].toLowerCase().startsWith(typed);
  return [...found.filter(begins), ...found.filter((index) => !begins(index))].slice(0, MOST_FOUND);
}

const keyOf = (position) => (namesAreKeys ? classes[offered[position]] : position < MOST_BUTTONS ? String(position + 1) : "");

function classButton(index, position) {
  const { predictions, label } = images[current];
  const probability = predictions.find(([known]) => known === index)?.[1] ?? 0;
  const button = element("button");
  button.type = "button";
  const key = element("kbd", "", keyOf(position));
  key.setAttribute("aria-hidden", "true");
  button.append(key, element("span", "string", classes[index]), element("span", "value", percent(probability)));
  button.style.setProperty("--probability", probability);
  button.classList.toggle("predicted", index === predicted(current));
  button.classList.toggle("chosen", index === label);
  button.addEventListener("click", () => choose(index));
  const item = element("li");
  item.append(button);
  return item;
}

function drawProgress() {
  const labelled = labelledCount();
  const skipped = skippedCount();
  find("progress").max = Math.max(1, images.length);
  find("progress").value = labelled;
  find("count").textContent = `${labelled} of ${images.length} labelled${skipped ? `, ${skipped} skipped` : ""}`;
  find("undo").disabled = !labelled && !skipped;
}

function showEnd() {
  const skipped = skippedCount();
  find("end-title").textContent = skipped ? `${skipped} skipped, all others labelled` : "All images are labelled";
  find("end-text").textContent = `${table} is up to date. Stop the command with Ctrl-C: it prints how to train on it.`;
  find("again").hidden = !skipped;
  find("end-title").focus();
  announce(find("end-title").textContent);
}

const choose = (label) =>
  alone(async () => {
    const index = current;
    if (index === null) return;
    await postJson("labels", { image: index, label });
    Object.assign(images[index], { label, skipped: false });
    show(nextOpen(index + 1));
  });

const accept = () => choose(predicted(current));

const skip = () =>
  alone(async () => {
    const index = current;
    if (index === null) return;
    await postJson("skip", { image: index });
    images[index].skipped = true;
    show(nextOpen(index + 1));
  });

const undo = () =>
  alone(async () => {
    const { image } = await postJson("undo", {});
    if (image === null) return;
    Object.assign(images[image], { label: null, skipped: false });
    show(image);
  });

/** The skipped images once more; a label replaces the skip. */
function showSkipped() {
  for (const image of images) image.skipped = false;
  show(nextOpen(0));
}

// Controls

find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (find("filter").value.trim() && offered.length) choose(offered[0]);
});
find("filter").addEventListener("input", drawClasses);
for (const [id, action] of Object.entries({ accept, skip, undo, again: showSkipped })) {
  find(id).addEventListener("click", action);
}

/** What a key does; undefined where it does nothing. */
function actionOf(key) {
  if (current === null) return { u: undo, Enter: find("again").hidden ? undefined : showSkipped }[key];
  const position = offered.findIndex((_, at) => keyOf(at) === key);
  if (position >= 0) return () => choose(offered[position]);
  const search = showsAll ? undefined : () => find("filter").focus();
  return { " ": accept, Enter: accept, s: skip, u: undo, t: search }[key];
}

acceptKeys(find("filter"), leaveSearch, actionOf);

function leaveSearch() {
  find("filter").value = "";
  find("filter").blur();
  drawClasses();
}

/** The keys in a sentence. */
function drawKeys() {
  const key = (name) => element("kbd", "", name);
  const last = namesAreKeys ? classes.at(-1) : String(Math.min(classes.length, MOST_BUTTONS));
  const parts = [key(namesAreKeys ? classes[0] : "1"), "–", key(last), " choose a class, ", key("space"), " accepts the predicted one"];
  if (!showsAll) parts.push(", ", key("t"), " finds a class by its name");
  find("keys").replaceChildren("Keys: ", ...parts, ".");
}

if (images.length) {
  document.title = `imparfait: label ${images.length} image${images.length > 1 ? "s" : ""}`;
  find("table").textContent = table;
  find("classes").classList.toggle("short", namesAreKeys);
  drawKeys();
  show(nextOpen(0));
}
