/** The map of alterations: a strip for each and each model, standing where it reads right, falling where not. */

import { element, judged, spoken } from "./answers.js";

export const SIDES = ["model", "beside"];

/** Draws the alterations into a form, grouped by family; `chosen` is called with a name. Returns its handles. */
export function mapIn(form, alterations, hasBeside, chosen) {
  const rows = new Map();
  const families = Map.groupBy(alterations, (each) => each.family);
  for (const [family, members] of families) {
    const group = element("fieldset");
    group.append(element("legend", "", spoken(family)));
    for (const each of members) {
      const row = rowOf(each.name, hasBeside);
      rows.set(each.name, row);
      group.append(row);
    }
    form.append(group);
  }
  form.addEventListener("change", (event) => chosen(event.target.value));
  form.addEventListener("submit", (event) => event.preventDefault());
  return {
    /** Marks the chosen one. */
    mark(name) {
      for (const [each, row] of rows) row.querySelector("input").checked = each === name;
    },
    /** Draws all strips; without `strips` they are empty. */
    draw(strips, truth) {
      form.classList.toggle("empty", !strips);
      for (const [name, row] of rows) {
        const strip = strips?.get(name);
        for (const lane of row.querySelectorAll(".lane")) drawLane(lane, strip?.[lane.dataset.side], truth);
        row.querySelector(".unseen").textContent = strip ? told(strip, truth) : "";
      }
    },
    /** Whether the strips are of an earlier picture. */
    old: (is) => form.classList.toggle("old", is),
  };
}

function rowOf(name, hasBeside) {
  const row = element("label", "row");
  const input = Object.assign(element("input"), { type: "radio", name: "alteration", value: name });
  const strips = element("span", "strips");
  strips.setAttribute("aria-hidden", "true");
  for (const side of hasBeside ? SIDES : SIDES.slice(0, 1)) {
    const lane = element("span", "lane");
    lane.dataset.side = side;
    strips.append(lane);
  }
  row.append(input, element("span", "name", spoken(name)), strips, element("span", "unseen"));
  return row;
}

function told(strip, truth) {
  if (truth == null) return "";
  const there = SIDES.filter((side) => strip[side]);
  return there.map((side) => `${strip.names[side]} ${breaking(strip, side, truth)}`).join(", ");
}

/** Draws one strip; without `found` it is empty. */
export function drawLane(lane, found, truth) {
  const cells = found?.labels.length ?? 11;
  while (lane.children.length < cells) lane.append(element("i"));
  for (const [place, cell] of [...lane.children].entries()) {
    cell.dataset.judged = found ? judged(found.labels[place], truth) : "";
    cell.style.setProperty("--score", found ? found.scores[place] : 0);
  }
}

/** The answer of /v1/break by name, each alteration at all levels; one without degrees is the same at all but 0. */
export function stripsOf({ levels, alterations, models: names }) {
  const whole = alterations.find((each) => each.levels.length === levels.length);
  const spread = (each, side) => {
    if (!each[side] || each.levels.length === levels.length) return each[side];
    const last = (key) => each[side][key].at(-1);
    const all = (key) => levels.map((level, place) => (level === 0 ? whole[side][key][place] : last(key)));
    return { labels: all("labels"), scores: all("scores") };
  };
  return new Map(
    alterations.map((each) => {
      const degrees = each.levels.length === levels.length;
      return [each.name, { names, levels, degrees, model: spread(each, "model"), beside: spread(each, "beside") }];
    }),
  );
}

/** The severity that says most: where the one is most surely wrong and the other right, else where either breaks. */
export function telling({ levels, model, beside }, truth) {
  const places = [...levels.keys()];
  const clear = (place) => (parted(model, beside, place, truth) ? Math.min(model.scores[place], beside.scores[place]) : 0);
  const best = places.reduce((one, other) => (clear(other) > clear(one) ? other : one));
  if (clear(best)) return levels[best];
  const breaks = places.find((place) => model.labels[place] !== truth || (beside && beside.labels[place] !== truth));
  return levels[breaks] ?? 1;
}

/** The alteration through which `model` holds furthest while `beside` falls; where none is, under which most fall. */
export function mostTelling(strips, truth) {
  let best = null;
  let most = [0, 0];
  for (const [name, { degrees, levels, model, beside }] of strips) {
    if (!degrees) continue;
    const fallen = model.labels.filter((label) => label !== truth).length;
    const apart = levels.filter((_, place) => parted(model, beside, place, truth)).length;
    const shows = [Math.max(0, apart - fallen), fallen];
    if (shows[0] > most[0] || (shows[0] === most[0] && shows[1] > most[1])) [best, most] = [name, shows];
  }
  return best;
}

function parted(model, beside, place, truth) {
  return Boolean(beside) && model.labels[place] === truth && beside.labels[place] !== truth;
}

/** When a model breaks, in words. */
export function breaking(strip, side, truth) {
  const place = strip[side].labels.findIndex((label) => label !== truth);
  if (place < 0) return "holds to the end";
  if (place === 0) return "is wrong from the start";
  return strip.degrees ? `breaks at ${strip.levels[place].toFixed(1)}` : "breaks";
}
