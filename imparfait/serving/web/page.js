/** The page: what is on the sheet is read and classified at once, then corrupted, by the model and its baseline. */

import { createBoxes } from "./boxes.js";
import { acceptCamera } from "./camera.js";
import { createCorrection } from "./correction.js";
import { createDrawing } from "./drawing.js";
import { createExamination, spoken } from "./examination.js";
import { createExplanation } from "./explanation.js";
import { percent } from "./format.js";
import { drawGallery } from "./gallery.js";
import { chooseLanguage, counted, language, t, translate } from "./i18n.js";
import { acceptImages, blobOf, preview } from "./images.js";
import { drawModelInfo } from "./model_info.js";
import { announce, showError, showNotice, withBusySign } from "./notices.js";
import { certaintyWord, drawAnswer, drawModelInput, reasonText } from "./prediction.js";
import { readDigits } from "./reading.js";
import { ApiError, get, latest, post } from "./server.js";
import { keepSheet, keptSheet } from "./session.js";
import { createSharing, sharedStrokes } from "./share.js";
import { SAMPLE } from "./strokes.js";
import { connectTools, drawTools } from "./tools.js";

const READING_DELAY_MS = 300; // after the last stroke, before several strokes are read
const find = (id) => document.getElementById(id);

translate();
for (const button of find("languages").children) {
  button.setAttribute("aria-pressed", button.lang === language);
  button.addEventListener("click", () => button.lang !== language && chooseLanguage(button.lang));
}

const info = await withBusySign(get("v1/model")).catch((error) => {
  showError(error);
  throw error;
});
const { classes, threshold } = info;
const canRead = info.input.normalization === "digit";
const isOfDigits = canRead && classes.includes("2");

const state = {
  sheet: null, // what is on it: { content: () => Promise<Blob>, drawn?, truth?, recorded? }
  ofSheet: null, // its prediction: a page of /v1/predict
  reading: null, // of several digits on it
  chosen: 0, // index of the digit that is examined
  subject: null, // what is examined: the sheet, or the chosen digit
  prediction: null, // of the subject
};

translate(info);
drawModelInfo(info);
for (const side of ["model", "baseline"]) {
  find(`bars-${side}`).setAttribute("aria-label", t("answer.probabilitiesOf", { side: t(`side.${side}`) }));
}
const examination = createExamination(classes, Boolean(info.baseline), drawAll);
const boxes = createBoxes(find("boxes"), find("frame"), chooseDigit);
const drawing = createDrawing(find("canvas"), { change: onDrawing, tap: onTap }, isOfDigits ? SAMPLE : null);
const explanation = createExplanation(document.querySelector(".model-input"));
// Of a drawing what is on the sheet now, also while the answer to its last stroke is under way.
const toCorrect = () => (state.subject?.drawn ? state.sheet : state.subject);
const correction = info.collects ? createCorrection(find("correction"), classes, toCorrect) : null;

// What is on the sheet

function onDrawing() {
  drawTools(drawing);
  const placed = drawing.subject();
  if (drawing.isEmpty()) keepSheet([], null);
  else if (!drawing.isDrawing() && !drawing.isSample()) keepSheet(drawing.strokes(), placed?.file);
  classify(drawing.isEmpty() ? null : (placed ?? { content: drawing.png, drawn: true }));
}

function onTap(point, isTap) {
  const index = boxes.at(point);
  if (isTap && index >= 0) chooseDigit(index);
  return index >= 0;
}

function classify(sheet) {
  examination.cancel();
  cancelReading();
  placing?.abort();
  state.sheet = sheet;
  showNotice("");
  if (!sheet || !sheet.drawn) Object.assign(state, { ofSheet: null, reading: null, subject: null, prediction: null });
  if (!sheet) return examine(null, null);
  drawHint();
  if (!sheet.drawn) return classifyImage(sheet);
  requestPrediction(sheet);
  if (drawing.strokes().length < 2) state.reading = null;
  else if (canRead && !drawing.isDrawing()) scheduleReading(sheet);
}

const predicted = (response) => {
  const [page] = response.pages;
  return { ...page, baseline: response.baseline, pages: response.pages.length };
};

const requestPrediction = latest(
  async (sheet, signal) => withBusySign(post("v1/predict?baseline=1", await sheet.content(), signal)),
  (response, sheet) => {
    // During a stroke every response is shown, although the drawing has changed since.
    if (sheet !== state.sheet && !(sheet.drawn && state.sheet?.drawn)) return;
    state.ofSheet = predicted(response);
    if (!state.reading) examine(sheet, state.ofSheet);
  },
  (error, sheet) => sheet === state.sheet && fail(error),
);

let reading = null; // the AbortController of the reading in progress
let readingTimer;
function cancelReading() {
  clearTimeout(readingTimer);
  reading?.abort();
  reading = null;
}

function scheduleReading(sheet) {
  readingTimer = setTimeout(async () => {
    const { signal } = (reading = new AbortController());
    try {
      const found = await readDigits(await sheet.content(), signal);
      if (sheet === state.sheet) showReading(found);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the prediction of the whole sheet stays
    }
  }, READING_DELAY_MS);
}

/** The prediction for an image, and the digits on it if it is to be read; throws ApiError. */
async function answerOf(content, readable, signal) {
  const [response, found] = await withBusySign(
    Promise.all([
      post("v1/predict?baseline=1", content, signal),
      readable ? readDigits(content, signal).catch(() => null) : null,
    ]),
  );
  return { prediction: predicted(response), found };
}

let placing = null; // the AbortController of a file that waits for its answer
/** Places an image file once it has its answer: where it gets none, the drawing and its own answer stay. */
async function placeImage(blob) {
  placing?.abort();
  const { signal } = (placing = new AbortController());
  showNotice("");
  try {
    const [image, answer] = await Promise.all([preview(blob), answerOf(blob, canRead, signal)]);
    if (!signal.aborted) drawing.place(image, { content: async () => blob, file: blob, answer });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code !== "aborted") showError(error);
  }
}

/** An image is answered once it is known whether one object or several digits are on it. */
async function classifyImage(sheet) {
  const { signal } = (reading = new AbortController());
  examine(null, null);
  try {
    sheet.answer ??= await answerOf(await sheet.content(), canRead && !sheet.recorded, signal);
    if (sheet !== state.sheet) return;
    state.ofSheet = sheet.answer.prediction;
    showReading(sheet.answer.found);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code !== "aborted" && sheet === state.sheet) fail(error);
  }
}

function fail(error) {
  showError(error);
  Object.assign(state, { ofSheet: null, reading: null });
  examine(null, null);
}

/** Shows a reading with its first digit chosen; null: the sheet is one object. */
function showReading(found) {
  state.reading = found;
  if (found) chooseDigit(0);
  else if (state.ofSheet) examine(state.sheet, state.ofSheet);
}

async function chooseDigit(index) {
  const { reading: shown, sheet } = state;
  state.chosen = index;
  drawAll();
  const content = blobOf(shown.digits[index].model_input);
  const subject = { content: async () => content, digit: true };
  try {
    const response = await withBusySign(post("v1/predict?baseline=1", content));
    if (sheet === state.sheet && shown === state.reading && index === state.chosen) examine(subject, predicted(response));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showError(error);
  }
}

function examine(subject, prediction) {
  Object.assign(state, { subject, prediction });
  examination.show(subject, prediction);
}

// Draw the page

function drawAll() {
  const { sheet, prediction, subject, chosen } = state;
  const place = drawing.placement();
  drawAnswer(state, { classes, threshold }, examination.truth());
  drawModelInput(prediction, kindOf(subject, prediction));
  explanation.show(prediction && !prediction.blank && subject);
  boxes.draw(state.reading?.digits ?? [], chosen, place);
  const single = prediction && !sheet?.drawn && !state.reading && !isWhole(prediction);
  boxes.drawFrame(single ? prediction.box : null, place);
  correction?.draw(toCorrect(), prediction);
  drawHint();
  announce(announcement);
}

function kindOf(subject, prediction) {
  if (prediction?.preprocessing.startsWith("no foreground found")) return "blank";
  if (subject?.digit) return "digit";
  if (subject?.drawn) return "strokes";
  return prediction && isWhole(prediction) ? "whole" : "image";
}

function isWhole({ box: [left, top] }) {
  return left === 0 && top === 0;
}

function drawHint() {
  const hint = find("hint");
  const isUndisplayable = drawing.isUndisplayable() && state.prediction;
  hint.hidden = !drawing.isEmpty() && !drawing.isSample() && !isUndisplayable;
  hint.classList.toggle("low", drawing.isSample());
  const empty = isOfDigits ? "sheet.empty" : "sheet.emptyAny";
  hint.textContent = t(drawing.isEmpty() ? empty : drawing.isSample() ? "sheet.sample" : "sheet.undisplayable");
}

function announcement() {
  const corrupted = examination.spoken();
  if (corrupted) return corrupted;
  const { prediction, reading: shown } = state;
  const found = shown && t("spoken.reading", { found: counted("reading.found", shown.digits.length), text: shown.text });
  const sides = { model: prediction, baseline: prediction?.baseline };
  const spokenSides = Object.entries(sides).filter(([, each]) => each);
  return [found, ...spokenSides.map(([side, each]) => spoken(side, each, examination.truth()))].filter(Boolean).join(" ");
}

/** The answer as a line under the shared PNG. */
function answerText() {
  const { reading: shown, prediction } = state;
  if (shown) return `${shown.text.replaceAll("\n", " ")} – ${t(`certainty.${shown.certainty}`)}`;
  if (!prediction) return "";
  if (prediction.blank) return reasonText(prediction, threshold);
  const [{ label, score }] = prediction.predictions;
  return `${label} – ${percent(score)}, ${certaintyWord(prediction)}`;
}

// Controls, and what is there at the start

connectTools(drawing);
acceptImages({ button: find("choose"), input: find("file"), overlay: find("drop") }, placeImage);
acceptCamera({ button: find("use-camera"), dialog: find("camera"), input: find("photo") }, placeImage, showNotice);
createSharing({ button: find("share"), dialog: find("share-dialog"), drawing, answer: answerText });

async function showGalleryImage(entry) {
  const content = blobOf(entry.image);
  drawing.place(await preview(content), { content: async () => content, truth: entry.truth, recorded: entry });
  await examination.showRecorded(entry);
}

async function loadGallery() {
  if (!info.baseline) return; // it shows where the two models disagree
  const { images = [] } = await get("v1/gallery");
  find("gallery").hidden = !images.length;
  drawGallery(find("images"), images, showGalleryImage);
}

function showFirstSheet() {
  let isBroken = false;
  const shared = sharedStrokes(() => (isBroken = true));
  const kept = shared ? null : keptSheet();
  if (kept?.image) placeImage(kept.image).then(() => state.sheet ?? drawing.redraw());
  else if (shared || kept?.strokes?.length) drawing.placeStrokes(shared ?? kept.strokes);
  else drawing.redraw();
  if (isBroken) showNotice(t("share.badLink"));
}

addEventListener("hashchange", () => {
  const shared = sharedStrokes(() => showNotice(t("share.badLink")));
  if (shared) drawing.placeStrokes(shared);
});
showFirstSheet();
examination.loaded = examination.load(info.corruptions);
await Promise.all([examination.loaded, loadGallery()]).catch((error) => {
  if (!(error instanceof ApiError)) throw error;
  showError(error);
});
