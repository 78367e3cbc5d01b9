/** The page: a drawing is classified at once, then corrupted, by the model and its baseline. */

import { acceptCamera } from "./camera.js";
import { createSlider } from "./corruption_slider.js";
import { createDrawing } from "./drawing.js";
import { capitalize, displayName, sentence } from "./format.js";
import { drawGallery } from "./gallery.js";
import { acceptImages, blobOf, preview } from "./images.js";
import { drawModelInfo } from "./model_info.js";
import { drawPrediction } from "./prediction.js";
import {
  createCorruptionList, mostInformativeCorruption, mostInformativeSeverity, resultsByName,
} from "./robustness.js";
import { get, latest, post } from "./server.js";

const SWEEP_DELAY_MS = 350; // without a change, before every corruption is tried
const ANNOUNCE_DELAY_MS = 900; // … before the prediction is announced to screen readers
const find = (id) => document.getElementById(id);

const state = {
  subject: null, // what is classified: { content: () => Promise<Blob>, drawn?, truth?, recorded? }
  prediction: null, // a page of /v1/predict
  results: null, // robustness by corruption
  corruption: null, // the chosen one, as listed by /v1/corruptions
  severity: 0,
  chosenByUser: false, // the corruption
  chosenTruth: "", // the true label that the user chose; "": the predicted one
};
let classes = [];
let names = { model: "digits", baseline: "digits-clean" };
let corruptions = null; // by name; null if the server cannot corrupt images
let corruptionList = null;

const drawing = createDrawing(find("canvas"), onDrawing);
const slider = createSlider(find("slider-panel"), (severity) => {
  state.severity = severity;
  state.chosenByUser = true;
  updateCorrupted();
});

/** The true label: chosen by the user, recorded in the gallery, or predicted confidently; null if unknown. */
function truth() {
  const { chosenTruth, subject, prediction } = state;
  return chosenTruth || subject?.truth || (prediction?.confident && prediction.predictions[0].label) || null;
}

// Classify the drawing

function onDrawing() {
  const empty = drawing.isEmpty();
  find("undo").disabled = !drawing.canUndo();
  find("clear").disabled = empty;
  if (empty) return classify(null);
  classify(drawing.subject() ?? { content: drawing.png, drawn: true });
}

function classify(subject) {
  if (subject?.truth !== state.subject?.truth || !subject) state.chosenTruth = "";
  state.subject = subject;
  if (!subject) {
    Object.assign(state, { prediction: null, results: null });
    showError("");
    draw();
    return;
  }
  drawHint();
  requestPrediction(subject);
  scheduleSweep();
}

const requestPrediction = latest(
  async (subject) => post("v1/predict?baseline=1", await subject.content()),
  (response, subject) => {
    // During a stroke every response is shown, although the drawing has changed since.
    if (subject !== state.subject && !(subject.drawn && state.subject?.drawn)) return;
    const [page] = response.pages;
    state.prediction = { ...page, baseline: response.baseline, pages: response.pages.length };
    showError("");
    draw();
    if (subject === state.subject) updateCorrupted();
  },
  (error, subject) => {
    if (subject !== state.subject) return;
    showError(error.message);
    Object.assign(state, { prediction: null, results: null });
    draw();
  },
);

// Corrupt it

const requestCorrupted = latest(
  async ({ subject, name, severity }) =>
    post(`v1/corrupt?name=${name}&severity=${severity}`, await subject.content()),
  (response, { subject, name }) => {
    const current = subject === state.subject && name === state.corruption.name && state.severity > 0;
    if (current) drawSlider(response.corrupted, response);
  },
  (error, { subject }) => subject === state.subject && showError(error.message),
);

function updateCorrupted() {
  const { subject, prediction, corruption, severity } = state;
  if (!subject || !prediction) return drawSlider(null, null);
  if (!corruptions) return drawSlider(subject.recorded?.corrupted, subject.recorded);
  if (!corruption || severity === 0) {
    return drawSlider(prediction.model_input, { model: prediction, baseline: prediction.baseline });
  }
  requestCorrupted({ subject, name: corruption.name, severity });
}

const requestRobustness = latest(
  async (subject) => post("v1/robustness", await subject.content()),
  (response, subject) => {
    if (subject !== state.subject) return;
    state.results = resultsByName(response);
    corruptionList.setStale(false);
    draw();
    if (!state.chosenByUser) suggestCorruption();
  },
  (error, subject) => subject === state.subject && showError(error.message),
);

let sweepTimer;
function scheduleSweep() {
  clearTimeout(sweepTimer);
  if (!corruptions) return;
  corruptionList.setStale(true);
  sweepTimer = setTimeout(() => state.subject && requestRobustness(state.subject), SWEEP_DELAY_MS);
}

/** Chooses a corruption until the user does. */
function suggestCorruption() {
  const name = truth() && mostInformativeCorruption(state.results, truth());
  if (name) chooseCorruption(name);
}

function chooseCorruption(name, severity) {
  const result = state.results?.get(name);
  state.corruption = corruptions.get(name);
  state.severity = severity ?? (result && truth() ? mostInformativeSeverity(result, truth()) : 0.5);
  if (!state.corruption.graded) state.severity = Math.ceil(state.severity);
  slider.setCorruption(state.corruption, state.severity);
  slider.drawCurves(result, truth());
  corruptionList.select(name);
  updateCorrupted();
}

// Draw the page

function draw() {
  const label = truth();
  drawPrediction(state.prediction, classes, label, names);
  drawHint();
  drawTruth();
  corruptionList?.draw(state.results, label);
  slider.drawCurves(state.results?.get(state.corruption?.name), label);
  if (!state.prediction) drawSlider(null, null);
  announce();
}

function drawHint() {
  const invitation = names.baseline ? "Draw a digit here" : "Draw here";
  find("hint").hidden = !drawing.isEmpty() && !(drawing.isUndisplayable() && state.prediction);
  find("hint").textContent = drawing.isEmpty()
    ? invitation
    : "Your browser cannot show this kind of image; it was classified all the same";
}

function drawTruth() {
  const select = find("truth");
  if (select.options.length !== classes.length + 1) {
    select.replaceChildren(...["", ...classes].map((name) => new Option(name, name)));
  }
  select.options[0].textContent = truth() && !state.chosenTruth ? truth() : "…";
  select.value = state.chosenTruth;
}

let shown = null; // the predictions in the slider panel
function drawSlider(image, predictions) {
  shown = predictions;
  slider.draw(image, predictions, classes, truth());
  announce();
}

let announceTimer;
function announce() {
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    const { prediction, corruption, severity } = state;
    const corrupted = shown && corruption && severity > 0;
    const predictions = corrupted ? shown : prediction && { model: prediction, baseline: prediction.baseline };
    const prefix = corrupted ? `${displayName(corruption.name)} ${severity.toFixed(2)}: ` : "";
    const sentences = ["model", "baseline"]
      .filter((side) => predictions?.[side])
      .map((side) => sentence(names[side], predictions[side], truth()));
    find("announcement").textContent = prefix + sentences.join(" ");
  }, ANNOUNCE_DELAY_MS);
}

function showError(message) {
  find("error").textContent = capitalize(message);
  find("error").hidden = !message;
}

// Controls

find("undo").addEventListener("click", () => drawing.undo());
find("clear").addEventListener("click", () => drawing.clear());
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "SELECT" || find("camera").open) return;
  const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  if (undo) drawing.undo();
  else if (event.key === "Delete" || event.key === "Escape") drawing.clear();
  else return;
  event.preventDefault();
});
find("truth").addEventListener("change", () => {
  state.chosenTruth = find("truth").value;
  draw();
  if (state.results && !state.chosenByUser) suggestCorruption();
  updateCorrupted();
});
const placeImage = async (blob) => drawing.place(await preview(blob), { content: async () => blob });
acceptImages({ button: find("choose"), input: find("file"), overlay: find("drop") }, placeImage);
acceptCamera({ button: find("use-camera"), dialog: find("camera") }, placeImage, showError);

async function showGalleryImage(entry) {
  const { corruption, severity, truth: label } = entry;
  const content = blobOf(entry.image);
  state.chosenByUser = true; // keep the corruption for which the image is in the gallery
  drawing.place(await preview(content), { content: async () => content, truth: label, recorded: entry });
  await corruptionsLoaded;
  if (corruptions) chooseCorruption(corruption, severity);
  else slider.setCorruption({ name: corruption, graded: true }, severity, true);
  updateCorrupted();
  slider.scrollIntoView();
}

// Load what the server offers

async function loadCorruptions({ available, needs }) {
  if (!available) {
    find("robustness").classList.add("unavailable");
    find("install-hint").hidden = false;
    find("install-hint").textContent = `${capitalize(needs)} – and start the server again.`;
    return;
  }
  const response = await get("v1/corruptions");
  document.documentElement.style.setProperty("--marks", response.severities.length);
  corruptions = new Map(response.corruptions.map((corruption) => [corruption.name, corruption]));
  corruptionList = createCorruptionList(find("corruptions"), [...corruptions.values()], Boolean(names.baseline), (name) => {
    state.chosenByUser = true;
    chooseCorruption(name);
  });
  draw();
  if (state.subject) scheduleSweep();
}

async function loadGallery() {
  if (!names.baseline) return; // it shows where the two models disagree
  const { images = [] } = await get("v1/gallery");
  find("gallery").hidden = !images.length;
  drawGallery(find("images"), images, showGalleryImage);
}

let corruptionsLoaded = Promise.resolve(); // the server needs seconds to import PyTorch
try {
  const info = await get("v1/model");
  classes = info.classes;
  names = { model: info.model, baseline: info.baseline };
  drawModelInfo(info);
  onDrawing();
  corruptionsLoaded = loadCorruptions(info.corruptions);
  await Promise.all([corruptionsLoaded, loadGallery()]);
} catch (error) {
  showError(error.message);
}
