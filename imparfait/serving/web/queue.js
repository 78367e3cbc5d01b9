/** What the pages share that show one item of a queue at a time and save each decision at once. */

import { capitalize } from "./format.js";
import { get } from "./server.js";

const PRELOADED = 3; // images after the present one
let busy = false; // while a request is in progress

export const find = (id) => document.getElementById(id);
export const isBusy = () => busy;

/** The queue at `path`; where it cannot be fetched, the error is shown and `empty` returned. */
export async function load(path, empty) {
  try {
    return await get(path);
  } catch (error) {
    showError(error.message);
    return empty;
  }
}

/** The index of the next open item, from `start` on and then from the first; null where there is none. */
export function nextOpen(items, isOpen, start) {
  const order = [...items.keys()];
  return [...order.slice(start), ...order.slice(0, start)].find(isOpen) ?? null;
}

/** Fetches the images of the items after `index`, so that they are there when their turn comes. */
export function preload(folder, index, count) {
  for (let after = index + 1; after <= index + PRELOADED && after < count; after++) {
    new Image().src = `${folder}/${after}`;
  }
}

/** Runs one request at a time: a key pressed meanwhile would be meant for another item. */
export async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    showError("");
  } catch (error) {
    showError(error.message);
  } finally {
    busy = false;
  }
}

/** Calls `actionOf` for each key outside `input`, and what it returns; Escape within the input calls `leave`. */
export function acceptKeys(input, leave, actionOf) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target === input) {
      if (event.key === "Escape") leave();
      return; // Enter submits the form
    }
    if (event.target instanceof HTMLButtonElement && ["Enter", " "].includes(event.key)) return;
    const action = actionOf(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function showError(message) {
  find("error").textContent = capitalize(message);
  find("error").hidden = !message;
}

export function announce(text) {
  find("announcement").textContent = text;
}
