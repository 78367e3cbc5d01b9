/** The fields of a form, drawn on an example, tried on it at once, and saved. */

import { element } from "./format.js";
import { createRegions } from "./regions.js";
import { get, latest, postJson } from "./server.js";

const READ_DELAY_MS = 300; // after the last change
const TEXTS = ["length", "pattern", "at_least", "check", "same_as"];
const CHECKS = ["", "luhn", "isbn", "mod11"]; // iban:COUNTRY is added where a field has it
const NUMBERS = /^[\d\s.,;-]+$/; // a list, not the name of a file
const NEW_REGION = { left: 0.35, top: 0.45, width: 0.3, height: 0.06 };

const find = (id) => document.getElementById(id);
const panel = find("panel");
const input = (name) => panel.elements.namedItem(name);
let fields = [];
let selected = null;
let results = new Map(); // by name
let saved = "[]"; // the fields in the file, as JSON
const past = []; // earlier fields as JSON, to undo

const regions = createRegions(find("sheet"), {
  select,
  draw: (region) => {
    add(region);
    input("name").select();
  },
  change: (index, region, finished) => {
    const before = fields;
    fields = fields.map((field, at) => (at === index ? { ...field, ...region } : field));
    if (!drawing) remembered = JSON.stringify(before);
    drawing = !finished;
    if (finished && JSON.stringify(fields) !== remembered) past.push(remembered);
    if (finished) changed();
    else draw();
  },
});
let drawing = false; // while a region follows the pointer
let remembered = ""; // the fields before that

function newName() {
  const names = new Set(fields.map(({ name }) => name.toLowerCase()));
  for (let number = fields.length + 1; ; number++) {
    if (!names.has(`field ${number}`)) return `field ${number}`;
  }
}

/** Changes the fields, which can be undone. */
function update(next) {
  past.push(JSON.stringify(fields));
  fields = next;
  changed();
}

function add(region) {
  selected = fields.length;
  update([...fields, { name: newName(), ...region }]);
  drawPanel();
}

function remove() {
  if (selected === null) return;
  const { name } = fields[selected];
  const rest = fields.filter((_, index) => index !== selected);
  selected = null;
  update(rest.map(({ same_as, ...field }) => (same_as && same_as !== name ? { ...field, same_as } : field)));
  drawPanel();
}

function undo() {
  if (!past.length) return;
  fields = JSON.parse(past.pop());
  if (selected !== null && selected >= fields.length) selected = null;
  changed();
  drawPanel();
}

function select(index) {
  if (index === selected) return;
  selected = index;
  draw();
  drawPanel();
}

// What is read

const read = latest(
  (content) => postJson("read", content),
  (response, content) => {
    results = new Map(response.fields.map((field) => [field.name, field]));
    showError("");
    draw();
    setState(content);
  },
  (error) => {
    results = new Map();
    showError(error.message);
    draw();
    setState(null);
  },
);

let timer;
function changed() {
  draw();
  find("state").textContent = fields.length ? "Reading…" : "";
  clearTimeout(timer);
  if (fields.length) timer = setTimeout(() => read({ fields }), READ_DELAY_MS);
  else showError("");
}

function setState(content) {
  if (content && content.fields !== fields) return; // changed since
  const unsaved = JSON.stringify(fields) === saved ? "Saved" : "Not saved";
  find("state").textContent = fields.length ? unsaved : "";
}

async function save() {
  if (!fields.length) return;
  const content = { fields };
  try {
    await postJson("save", content);
    saved = JSON.stringify(content.fields);
    showError("");
    draw();
    setState(null);
  } catch (error) {
    showError(error.message);
  }
}

// Draw the page

function draw() {
  regions.draw(fields, selected, fields.map(({ name }) => results.get(name)?.confident));
  find("list").replaceChildren(...fields.map(listItem));
  find("hint").hidden = fields.length > 2;
  find("undo").disabled = !past.length;
  find("save").disabled = !fields.length || JSON.stringify(fields) === saved;
}

function listItem({ name }, index) {
  const result = results.get(name);
  const button = element("button");
  button.type = "button";
  button.setAttribute("aria-pressed", index === selected);
  button.append(element("span", "name", name), element("span", "read", result ? result.text || "empty" : ""));
  if (result?.reason) button.append(element("span", "why", `Unsure: ${result.reason}`));
  button.addEventListener("click", () => {
    select(index);
    regions.focus(index);
  });
  const item = element("li");
  item.append(button);
  return item;
}

function drawPanel() {
  panel.hidden = selected === null;
  if (selected === null) return;
  const field = fields[selected];
  const others = fields.map(({ name }) => name).filter((name) => name !== field.name);
  setOptions(input("same_as"), ["", ...others]);
  setOptions(input("check"), [...new Set([...CHECKS, field.check ?? ""])]);
  input("name").value = field.name;
  for (const key of TEXTS) input(key).value = field[key] ?? "";
  input("one_of").value = Array.isArray(field.one_of) ? field.one_of.join(", ") : (field.one_of ?? "");
  input("required").checked = Boolean(field.required);
}

function setOptions(list, names) {
  list.replaceChildren(...names.map((name) => new Option(name || "–", name)));
}

/** The selected field as the panel has it, without what is left open. */
function fieldOfPanel() {
  const { name, left, top, width, height } = fields[selected];
  const field = { name: input("name").value.trim() || name, left, top, width, height };
  for (const key of TEXTS) {
    const value = input(key).value.trim();
    if (value) field[key] = value;
  }
  const list = input("one_of").value.trim();
  if (list) field.one_of = NUMBERS.test(list) ? list.split(/[,;\s]+/).filter(Boolean) : list;
  if (input("required").checked) field.required = true;
  return field;
}

panel.addEventListener("change", () => {
  if (selected === null) return;
  const before = fields[selected].name;
  const field = fieldOfPanel();
  const next = fields.map((other, index) =>
    index === selected ? field : other.same_as === before ? { ...other, same_as: field.name } : other,
  );
  if (JSON.stringify(next) !== JSON.stringify(fields)) update(next);
});
panel.addEventListener("submit", (event) => event.preventDefault());

for (const [id, action] of Object.entries({ add: () => add(NEW_REGION), remove, undo, save })) {
  find(id).addEventListener("click", action);
}
document.addEventListener("keydown", (event) => {
  const writing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "s") {
    if (writing) event.target.blur(); // so that what is written there counts
    save();
  } else if (command && event.key.toLowerCase() === "z" && !writing) undo();
  else if (!writing && ["Delete", "Backspace"].includes(event.key)) remove();
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (JSON.stringify(fields) !== saved) event.preventDefault();
});

function showError(message) {
  find("error").textContent = message;
  find("error").hidden = !message;
}

try {
  const content = await get("fields");
  find("out").textContent = content.out;
  find("page").width = content.width;
  find("page").height = content.height;
  find("sheet").style.setProperty("--ratio", content.width / content.height);
  find("page").src = "page";
  fields = content.fields;
  saved = JSON.stringify(fields);
  changed();
} catch (error) {
  showError(error.message);
}
