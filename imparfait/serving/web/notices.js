/** What the page says besides answers: errors, a sign that it is computing, and announcements for screen readers. */

import { capitalize } from "./format.js";
import { has, richText, t } from "./i18n.js";

const BUSY_DELAY_MS = 400; // a faster response needs no sign
const ANNOUNCE_DELAY_MS = 900; // without a change
const find = (id) => document.getElementById(id);

/** Shows a sentence where one looks, over the lower edge of the window; an empty one hides it. */
export function showNotice(sentence) {
  find("error-text").replaceChildren(...richText(capitalize(sentence)));
  find("error").hidden = !sentence;
}

/** Shows an ApiError in the page's language. */
export function showError({ code, message, detail }) {
  const known = ["unreachable", "unprocessable", "too_large", "unsupported_type", "busy", "timeout", "too_many", "unauthorized", "forbidden"];
  const finer = `error.${code}.${detail}`;
  showNotice(t(has(finer) ? finer : `error.${known.includes(code) ? code : "other"}`) || message);
}

let waiting = 0;
let busyTimer;
/** The result of a promise; while it takes long, the page says that it is computing. */
export async function withBusySign(promise) {
  if (waiting++ === 0) busyTimer = setTimeout(() => (find("busy").hidden = false), BUSY_DELAY_MS);
  try {
    return await promise;
  } finally {
    if (--waiting === 0) {
      clearTimeout(busyTimer);
      find("busy").hidden = true;
    }
  }
}

let announceTimer;
/** Announces a text, made when it is due, to screen readers. */
export function announce(makeText) {
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => (find("announcement").textContent = makeText()), ANNOUNCE_DELAY_MS);
}

find("error-close").addEventListener("click", () => showNotice(""));
