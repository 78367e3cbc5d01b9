/** "It is a 1": saves the image under its true label, where the server collects such images. */

import { ApiError, post } from "./server.js";
import { richText, t } from "./i18n.js";
import { showError, withBusySign } from "./notices.js";

/** The form of a correction; `subject` returns { content: () => Promise<Blob> } or null. */
export function createCorrection(form, classes, subject) {
  const select = form.querySelector("select");
  const result = form.querySelector(".result-text");
  select.replaceChildren(...classes.map((name) => new Option(name, name)));

  let shown = null; // what the form is about
  let isChosen = false; // by the visitor: the answer to a last stroke, still under way, must not choose another
  select.addEventListener("change", () => (isChosen = true));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const saved = subject();
    if (!saved) return;
    try {
      const path = `v1/collect?label=${encodeURIComponent(select.value)}`;
      const answer = await withBusySign(post(path, await saved.content()));
      isChosen = false;
      shown = saved; // so that an answer to it, still under way, leaves the message
      result.replaceChildren(...richText(t(answer.saved ? "correct.saved" : "correct.known", answer)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showError(error);
    }
  });

  return {
    /** Offers the correction for what is shown, the most probable other label first; null hides it. */
    draw(subjectShown, prediction) {
      form.hidden = !subjectShown || !prediction;
      if (form.hidden) isChosen = false;
      if (subjectShown === shown) return;
      shown = subjectShown;
      result.replaceChildren();
      const other = prediction?.predictions[1]?.label;
      if (other && !isChosen) select.value = other;
    },
  };
}
