/** The examination: an image under every corruption, by the model and its baseline. */

import { createSlider } from "./corruption_slider.js";
import { localized, percent } from "./format.js";
import { displayName, t } from "./i18n.js";
import { showError } from "./notices.js";
import { certaintyWord } from "./prediction.js";
import {
  createCorruptionList, mostInformativeCorruption, mostInformativeSeverity, resultsByName,
} from "./robustness.js";
import { get, latest, post } from "./server.js";

const SWEEP_DELAY_MS = 350; // without a change, before every corruption is tried
const find = (id) => document.getElementById(id);

/** The examination of what `show` is given; `onChange` is called when the true label or a prediction changes. */
export function createExamination(classes, hasBaseline, onChange) {
  const state = { subject: null, prediction: null, results: null, corruption: null, severity: 0, chosenByUser: false };
  let chosenTruth = ""; // by the user; "": the recorded or the predicted label
  let corruptions = null; // by name; null if the server cannot corrupt images
  let list = null;
  let shown = null; // the predictions in the slider panel
  const slider = createSlider(find("slider-panel"), (severity) => {
    state.severity = severity;
    state.chosenByUser = true;
    updateCorrupted();
  });

  /** The true label: chosen by the user, recorded in the gallery, or predicted confidently; null if unknown. */
  function truth() {
    const { subject, prediction } = state;
    return chosenTruth || subject?.truth || (prediction?.confident && prediction.predictions[0].label) || null;
  }

  const requestCorrupted = latest(
    async ({ subject, name, severity }, signal) =>
      post(`v1/corrupt?name=${name}&severity=${severity}`, await subject.content(), signal),
    (response, { subject, name }) => {
      const current = subject === state.subject && name === state.corruption.name && state.severity > 0;
      if (current) drawSlider(response.corrupted, response);
    },
    (error, { subject }) => subject === state.subject && showError(error),
  );

  function updateCorrupted() {
    const { subject, prediction, corruption, severity } = state;
    if (!subject || !prediction) return drawSlider(null, null);
    if (!corruptions && subject.recorded) return drawSlider(subject.recorded.corrupted, subject.recorded);
    if (!corruptions || !corruption || severity === 0) {
      return drawSlider(prediction.model_input, { model: prediction, baseline: prediction.baseline });
    }
    requestCorrupted({ subject, name: corruption.name, severity });
  }

  const requestRobustness = latest(
    async (subject, signal) => post("v1/robustness", await subject.content(), signal),
    (response, subject) => {
      if (subject !== state.subject) return;
      state.results = resultsByName(response);
      list.setStale(false);
      draw();
      if (!state.chosenByUser) suggestCorruption();
    },
    (error, subject) => subject === state.subject && showError(error),
  );

  let sweepTimer;
  function scheduleSweep() {
    clearTimeout(sweepTimer);
    requestRobustness.cancel();
    if (!corruptions || !state.subject) return;
    list.setStale(true);
    sweepTimer = setTimeout(() => state.subject && requestRobustness(state.subject), SWEEP_DELAY_MS);
  }

  /** Ends requests for an earlier image: nobody waits for their results. */
  function cancel() {
    clearTimeout(sweepTimer);
    requestRobustness.cancel();
    requestCorrupted.cancel();
  }

  /** Chooses a corruption until the user does. */
  function suggestCorruption() {
    const name = truth() && mostInformativeCorruption(state.results, truth());
    if (name) choose(name);
  }

  function choose(name, severity) {
    const result = state.results?.get(name);
    state.corruption = corruptions.get(name);
    state.severity = severity ?? (result && truth() ? mostInformativeSeverity(result, truth()) : 0.5);
    if (!state.corruption.graded) state.severity = Math.ceil(state.severity);
    slider.setCorruption(state.corruption, state.severity);
    slider.drawCurves(result, truth());
    list.select(name);
    updateCorrupted();
  }

  function draw() {
    const label = truth();
    drawTruth();
    list?.draw(state.results, label);
    slider.drawCurves(state.results?.get(state.corruption?.name), label);
    if (!state.prediction) drawSlider(null, null);
    onChange();
  }

  function drawTruth() {
    const select = find("truth");
    if (select.options.length !== classes.length + 1) {
      select.replaceChildren(...["", ...classes].map((name) => new Option(name, name)));
    }
    select.options[0].textContent = truth() && !chosenTruth ? truth() : "…";
    select.value = chosenTruth;
  }

  function drawSlider(image, predictions) {
    shown = predictions;
    slider.draw(image, predictions, classes, truth());
    onChange();
  }

  find("truth").addEventListener("change", () => {
    chosenTruth = find("truth").value;
    draw();
    if (state.results && !state.chosenByUser) suggestCorruption();
    updateCorrupted();
  });

  return {
    truth,
    cancel,
    /** Examines an image: { content, truth?, recorded? } and its prediction; null clears it. */
    show(subject, prediction) {
      const isNew = subject !== state.subject;
      if (isNew && (!subject || subject.truth !== state.subject?.truth || subject.digit)) chosenTruth = "";
      Object.assign(state, { subject, prediction });
      if (isNew && !subject?.drawn) state.results = null;
      if (!subject) cancel();
      draw();
      if (!prediction) return;
      updateCorrupted();
      if (isNew) scheduleSweep();
    },
    /** Chooses the corruption under which a gallery image was recorded. */
    async showRecorded({ corruption, severity }) {
      state.chosenByUser = true;
      await this.loaded;
      if (corruptions) choose(corruption, severity);
      else slider.setCorruption({ name: corruption, graded: true }, severity, true);
      updateCorrupted();
      slider.scrollIntoView();
    },
    /** The slider panel for screen readers; empty where nothing is corrupted. */
    spoken() {
      const { corruption, severity } = state;
      if (!shown || !corruption || !severity) return "";
      const name = displayName(corruption.name);
      const sides = ["model", "baseline"].filter((side) => shown[side]).map((side) => spoken(side, shown[side], truth()));
      return [t("spoken.corrupted", { corruption: name, severity: localized(severity.toFixed(2)) }), ...sides].join(" ");
    },
    loaded: Promise.resolve(), // the server needs seconds to import PyTorch
    /** Loads the corruptions, or says what the server lacks for them. */
    async load({ available, needs }) {
      if (!available) {
        find("robustness").classList.add("unavailable");
        find("install-hint").hidden = false;
        find("install-hint").textContent = t("noTorch", { needs: `${needs}.` });
        return;
      }
      const response = await get("v1/corruptions");
      document.documentElement.style.setProperty("--marks", response.severities.length);
      corruptions = new Map(response.corruptions.map((corruption) => [corruption.name, corruption]));
      list = createCorruptionList(find("corruptions"), [...corruptions.values()], hasBaseline, (name) => {
        state.chosenByUser = true;
        choose(name);
      });
      draw();
      if (!state.prediction) return;
      updateCorrupted();
      scheduleSweep();
    },
  };
}

/** A prediction as a sentence, for screen readers. */
export function spoken(side, prediction, truth) {
  if (prediction.blank) return t("spoken.blank", { side: t(`side.${side}`) });
  const [{ label, score }] = prediction.predictions;
  const isWrong = truth != null && label !== truth;
  const values = { side: t(`side.${side}`), label, score: percent(score), certainty: certaintyWord(prediction) };
  return t(isWrong ? "spoken.wrong" : "spoken.prediction", values);
}
