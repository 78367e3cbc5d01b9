/** One alteration, chosen: a slider, the altered picture, and both models' answers beside each other. */

import { drawBars, spoken, write } from "./answers.js";
import { breaking, drawLane, SIDES } from "./breaking.js";

/** The bench in `section`; `moved` is called with a severity when the slider is. */
export function benchIn(section, moved) {
  const find = (selector) => section.querySelector(selector);
  const slider = find("#slider");
  const lanes = find("#lanes");

  slider.addEventListener("input", () => {
    level(Number(slider.value));
    moved(Number(slider.value));
  });

  function level(severity) {
    find("#severity").textContent = severity.toFixed(2);
    slider.setAttribute("aria-valuetext", severity.toFixed(2));
    section.style.setProperty("--severity", severity);
  }

  return {
    /** Sets the alteration and how much of it; `still` where the slider cannot change that. */
    choose({ name, summary, degrees }, severity, still = false) {
      find("#alteration").textContent = spoken(name);
      find("#summary").textContent = summary ? `${summary.replaceAll("`", "")}.` : "";
      slider.disabled = still;
      section.classList.toggle("recorded", still);
      slider.step = degrees ? 0.01 : 1; // what has no degrees is there or not
      slider.value = degrees ? severity : Math.ceil(severity);
      slider.setAttribute("aria-label", `How much of ${spoken(name)}`);
      level(Number(slider.value));
    },
    /** Scrolls as little as shows what is said. */
    bringInSight() {
      const place = section.getClientRects().length ? section : find(".live"); // on a phone the bench is no box
      place.scrollIntoView({ block: "nearest" });
    },
    /** The altered picture (a data URL) and what is said of it; null empties it. */
    draw(picture, said, classes, truth) {
      find("#altered").hidden = !picture;
      if (picture) find("#altered").src = picture;
      for (const side of SIDES) {
        const place = find(`.reads[data-side=${side}]`);
        write(place, said?.[side], truth);
        drawBars(find(`.bars[data-side=${side}]`), classes, said?.[side], truth);
      }
    },
    /** The strips of the chosen alteration; without `strip` they are empty. */
    drawLanes(strip, truth) {
      for (const side of SIDES) {
        drawLane(lanes.querySelector(`.lane[data-side=${side}]`), strip?.[side], truth);
        const words = strip?.[side] && truth != null ? `${strip.names[side]} ${breaking(strip, side, truth)}` : "";
        lanes.querySelector(`.broken[data-side=${side}]`).textContent = words;
      }
    },
  };
}
