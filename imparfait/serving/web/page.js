/** The page: what lies on the sheet is read at once, then altered, by one model and by the one beside it. */

import { capitalised, sentence, spoken } from "./answers.js";
import { benchIn } from "./bench.js";
import { mapIn, mostTelling, stripsOf, telling } from "./breaking.js";
import { sheetOn } from "./drawing.js";
import { drawFacts } from "./facts.js";
import { galleryIn } from "./gallery.js";
import { blobOf, preview, takePictures } from "./pictures.js";
import { drawReading } from "./reading.js";
import { get, latest, post } from "./server.js";

const CALM = 350; // milliseconds without a change, after which all alterations are tried
const SILENCE = 900; // … after which what is read is spoken
const find = (id) => document.getElementById(id);

const now = {
  subject: null, // what is asked about: { content: () => Promise<Blob>, drawn?, truth?, recorded? }
  read: null, // what is said of it: a page of /v1/predict
  strips: null, // how far each alteration can go, by name
  alteration: null, // the one on the bench, as /v1/alterations lists it
  severity: 0,
  byHand: false, // whether a person chose it
  meant: "", // the truth that a person chose; "": what is read
};
let classes = [];
let names = { model: "digits", beside: "digits-clean" };
let alterations = null; // by name; null where the server cannot alter
let map = null;

const sheet = sheetOn(find("canvas"), onSheet);
const bench = benchIn(find("bench"), (severity) => {
  now.severity = severity;
  now.byHand = true;
  alter();
});

/** What the picture is: as a person says, as its gallery says, else as it is surely read; null where nobody knows. */
const truth = () => now.meant || now.subject?.truth || (now.read?.sure && now.read.predictions[0].label) || null;

// What lies on the sheet

function onSheet() {
  const empty = sheet.isEmpty();
  find("undo").disabled = !sheet.canUndo();
  find("clear").disabled = empty;
  if (empty) return look(null);
  look(sheet.subject() ?? { content: sheet.png, drawn: true });
}

function look(subject) {
  if (subject?.truth !== now.subject?.truth || !subject) now.meant = "";
  now.subject = subject;
  if (!subject) {
    Object.assign(now, { read: null, strips: null });
    trouble("");
    draw();
    return;
  }
  drawHint();
  predict(subject);
  soon();
}

const predict = latest(
  async (subject) => post("v1/predict?beside=1", await subject.content()),
  (answer, subject) => {
    // While a stroke is pulled, each answer is shown, though there is more on the sheet by then.
    if (subject !== now.subject && !(subject.drawn && now.subject?.drawn)) return;
    const [page] = answer.pages;
    now.read = { ...page, beside: answer.beside, pages: answer.pages.length };
    trouble("");
    draw();
    if (subject === now.subject) alter();
  },
  (error, subject) => {
    if (subject !== now.subject) return;
    trouble(error.message);
    Object.assign(now, { read: null, strips: null });
    draw();
  },
);

// What is made of it

const ask = latest(
  async ({ subject, name, severity }) =>
    post(`v1/alter?name=${name}&severity=${severity}`, await subject.content()),
  (said, { subject, name }) => {
    if (subject === now.subject && name === now.alteration.name && now.severity > 0) drawBench(said.altered, said);
  },
  (error, { subject }) => subject === now.subject && trouble(error.message),
);

function alter() {
  const { subject, read, alteration, severity } = now;
  if (!subject || !read) return drawBench(null, null);
  if (!alterations) return drawBench(subject.recorded?.altered, subject.recorded);
  if (!alteration || severity === 0) return drawBench(read.seen, { model: read, beside: read.beside });
  ask({ subject, name: alteration.name, severity });
}

const tryAll = latest(
  async (subject) => post("v1/break", await subject.content()),
  (answer, subject) => {
    if (subject !== now.subject) return;
    now.strips = stripsOf(answer);
    map.old(false);
    draw();
    if (!now.byHand) suggest();
  },
  (error, subject) => subject === now.subject && trouble(error.message),
);

let calm;
function soon() {
  clearTimeout(calm);
  if (!alterations) return;
  map.old(true);
  calm = setTimeout(() => now.subject && tryAll(now.subject), CALM);
}

/** Until a person chooses: the alteration that shows most. */
function suggest() {
  const name = truth() && mostTelling(now.strips, truth());
  if (name) choose(name);
}

/** Puts an alteration on the bench, as far as says most. */
function choose(name, severity) {
  now.alteration = alterations.get(name);
  const strip = now.strips?.get(name);
  now.severity = severity ?? (strip && truth() ? telling(strip, truth()) : 0.5);
  if (!now.alteration.degrees) now.severity = Math.ceil(now.severity);
  bench.choose(now.alteration, now.severity);
  bench.drawLanes(strip, truth());
  map.mark(name);
  alter();
}

// What is shown

function draw() {
  const right = truth();
  drawReading(now.read, classes, right, names);
  drawHint();
  drawTruth();
  map?.draw(now.strips, right);
  bench.drawLanes(now.strips?.get(now.alteration?.name), right);
  if (!now.read) drawBench(null, null);
  speak();
}

function drawHint() {
  const invited = names.beside ? "Draw a digit here" : "Draw here";
  find("hint").hidden = !sheet.isEmpty() && !(sheet.isUnseen() && now.read);
  find("hint").textContent = sheet.isEmpty() ? invited : "Browsers do not show this kind of picture; it was read all the same";
}

function drawTruth() {
  const select = find("truth");
  if (select.options.length !== classes.length + 1) {
    select.replaceChildren(...["", ...classes].map((name) => new Option(name, name)));
  }
  select.options[0].textContent = truth() && !now.meant ? truth() : "…";
  select.value = now.meant;
}

let shown = null; // what the bench says, for those who hear the page
function drawBench(picture, said) {
  shown = said;
  bench.draw(picture, said, classes, truth());
  speak();
}

let silence;
function speak() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    const { read, alteration, severity } = now;
    const right = truth();
    const changed = shown && alteration && severity > 0;
    const heard = changed ? shown : read && { model: read, beside: read.beside };
    const before = changed ? `${spoken(alteration.name)} ${severity.toFixed(2)}: ` : "";
    const both = heard ? [[names.model, heard.model], [names.beside, heard.beside]].filter(([, said]) => said) : [];
    find("spoken").textContent = before + both.map(([name, said]) => sentence(name, said, right)).join(" ");
  }, SILENCE);
}

function trouble(message) {
  find("trouble").textContent = capitalised(message);
  find("trouble").hidden = !message;
}

// What a person does

find("undo").addEventListener("click", () => sheet.undo());
find("clear").addEventListener("click", () => sheet.clear());
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "SELECT") return;
  const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  if (undo) sheet.undo();
  else if (event.key === "Delete" || event.key === "Escape") sheet.clear();
  else return;
  event.preventDefault();
});
find("truth").addEventListener("change", () => {
  now.meant = find("truth").value;
  draw();
  if (now.strips && !now.byHand) suggest();
  alter();
});
takePictures({ button: find("choose"), input: find("file"), overlay: find("drop") }, async (file) => {
  sheet.lay(await preview(file), { content: async () => file });
});

async function take(picture) {
  const { alteration, severity, truth: written } = picture;
  const content = blobOf(picture.picture);
  now.byHand = true; // what it shows is what it is there for
  sheet.lay(await preview(content), { content: async () => content, truth: written, recorded: picture });
  await listed;
  if (alterations) choose(alteration, severity);
  else bench.choose({ name: alteration, degrees: true }, severity, true);
  alter();
  bench.bringInSight();
}

// What the server has

async function list({ available, needs }) {
  if (!available) {
    find("altering").classList.add("off");
    find("switch-on").hidden = false;
    find("switch-on").textContent = `${capitalised(needs)} – and start the server again.`;
    return;
  }
  const answer = await get("v1/alterations");
  alterations = new Map(answer.alterations.map((each) => [each.name, each]));
  map = mapIn(find("map"), [...alterations.values()], Boolean(names.beside), (name) => {
    now.byHand = true;
    choose(name);
  });
  draw();
  if (now.subject) soon();
}

async function hang() {
  if (!names.beside) return; // it shows where the two part
  const { pictures = [] } = await get("v1/gallery");
  find("gallery").hidden = !pictures.length;
  galleryIn(find("pictures"), pictures, take);
}

let listed = Promise.resolve(); // settled once it is known which alterations there are: torch takes seconds to load
try {
  const model = await get("v1/model");
  classes = model.classes;
  names = { model: model.model, beside: model.beside };
  drawFacts(model);
  onSheet();
  listed = list(model.alterations);
  await Promise.all([listed, hang()]);
} catch (error) {
  trouble(error.message);
}
