/** The list of corruptions: a curve for each and each model, with a tall mark where the prediction is correct. */

import { element, judge, localized } from "./format.js";
import { displayName, t } from "./i18n.js";

export const SIDES = ["model", "baseline"];

/** Draws the corruptions into a form, grouped by family; `onChoose` is called with a name. */
export function createCorruptionList(form, corruptions, hasBaseline, onChoose) {
  const rows = new Map();
  for (const [family, members] of Map.groupBy(corruptions, (corruption) => corruption.family)) {
    const group = element("fieldset");
    group.append(element("legend", "", displayName(family)));
    for (const { name } of members) {
      const row = createRow(name, hasBaseline);
      rows.set(name, row);
      group.append(row);
    }
    form.append(group);
  }
  form.addEventListener("change", (event) => onChoose(event.target.value));
  form.addEventListener("submit", (event) => event.preventDefault());
  return {
    /** Marks a corruption as chosen. */
    select(chosen) {
      for (const [name, row] of rows) row.querySelector("input").checked = name === chosen;
    },
    /** Draws all curves; without `results` they are empty. */
    draw(results, truth) {
      form.classList.toggle("empty", !results);
      for (const [name, row] of rows) {
        const result = results?.get(name);
        for (const curve of row.querySelectorAll(".curve")) drawCurve(curve, result?.[curve.dataset.side], truth);
        row.querySelector(".visually-hidden").textContent = result ? description(result, truth) : "";
      }
    },
    /** Marks the curves as those of an earlier image, or not. */
    setStale: (stale) => form.classList.toggle("stale", stale),
  };
}

function createRow(name, hasBaseline) {
  const row = element("label", "row");
  const input = Object.assign(element("input"), { type: "radio", name: "corruption", value: name });
  const curves = element("span", "row-curves");
  curves.setAttribute("aria-hidden", "true");
  for (const side of hasBaseline ? SIDES : SIDES.slice(0, 1)) {
    const curve = element("span", "curve");
    curve.dataset.side = side;
    curves.append(curve);
  }
  row.append(input, element("span", "name", displayName(name)), curves, element("span", "visually-hidden"));
  return row;
}

function description(result, truth) {
  if (truth == null) return "";
  const sides = SIDES.filter((side) => result[side]);
  return sides.map((side) => failureText(result, side, truth)).join(", ");
}

/** Draws one curve; without `predictions` it is empty. */
export function drawCurve(curve, predictions, truth) {
  const marks = predictions?.labels.length ?? document.documentElement.style.getPropertyValue("--marks");
  while (curve.children.length < marks) curve.append(element("i"));
  while (curve.children.length > marks) curve.lastChild.remove();
  for (const [index, mark] of [...curve.children].entries()) {
    mark.dataset.judged = predictions ? judge(predictions.labels[index], truth) : "";
    mark.style.setProperty("--score", predictions ? predictions.scores[index] : 0);
  }
}

/** The response of /v1/robustness by name; a corruption that is not graded is repeated at all severities but 0. */
export function resultsByName({ severities, corruptions, models: names }) {
  const reference = corruptions.find((corruption) => corruption.graded);
  const atAllSeverities = (corruption, side) => {
    if (!corruption[side] || corruption.graded) return corruption[side];
    const spread = (key) =>
      severities.map((severity, index) => (severity === 0 ? reference[side][key][index] : corruption[side][key].at(-1)));
    return { labels: spread("labels"), scores: spread("scores") };
  };
  return new Map(
    corruptions.map((corruption) => {
      const [model, baseline] = SIDES.map((side) => atAllSeverities(corruption, side));
      return [corruption.name, { names, severities, graded: corruption.graded, model, baseline }];
    }),
  );
}

/** The severity at which the models disagree most confidently, else the first at which either fails. */
export function mostInformativeSeverity({ severities, model, baseline }, truth) {
  const margin = (index) =>
    onlyModelIsCorrect(model, baseline, index, truth) ? Math.min(model.scores[index], baseline.scores[index]) : 0;
  const best = [...severities.keys()].reduce((one, other) => (margin(other) > margin(one) ? other : one));
  if (margin(best)) return severities[best];
  const fails = (index) => model.labels[index] !== truth || (baseline && baseline.labels[index] !== truth);
  return severities.find((_, index) => fails(index)) ?? 1;
}

/** The corruption under which only `baseline` fails at most severities; without any, the one under which most fail. */
export function mostInformativeCorruption(results, truth) {
  let best = null;
  let highest = [0, 0];
  for (const [name, { graded, severities, model, baseline }] of results) {
    if (!graded) continue;
    const failures = model.labels.filter((label) => label !== truth).length;
    const disagreements = severities.filter((_, index) => onlyModelIsCorrect(model, baseline, index, truth)).length;
    const rank = [Math.max(0, disagreements - failures), failures];
    if (rank[0] > highest[0] || (rank[0] === highest[0] && rank[1] > highest[1])) [best, highest] = [name, rank];
  }
  return best;
}

function onlyModelIsCorrect(model, baseline, index, truth) {
  return Boolean(baseline) && model.labels[index] === truth && baseline.labels[index] !== truth;
}

/** From which severity on a model is wrong, in words. */
export function failureText(result, side, truth) {
  return t("failure.of", { side: t(`side.${side}`), failure: firstFailure(result, side, truth) });
}

function firstFailure({ graded, severities, ...result }, side, truth) {
  const { labels } = result[side];
  const index = labels.findIndex((label) => label !== truth);
  if (index < 0) return t("failure.never");
  if (index === 0) return t("failure.clean");
  return graded ? t("failure.from", { severity: localized(severities[index].toFixed(1)) }) : t("failure.wrong");
}
