/** The sheet across reloads: its strokes, or its image, in the browser's storage of this tab. */

import { blobOf } from "./images.js";

const KEY = "imparfait.sheet";
const MAX_IMAGE_BYTES = 3 << 20; // browsers store 5 MB of text, base64 included
const SAVE_DELAY_MS = 300;

let timer;

/** Keeps strokes, or an image (a Blob), soon; null keeps nothing. */
export function keepSheet(strokes, image) {
  clearTimeout(timer);
  timer = setTimeout(() => save(strokes, image), SAVE_DELAY_MS);
}

async function save(strokes, image) {
  try {
    sessionStorage.removeItem(KEY);
    if (image && image.size <= MAX_IMAGE_BYTES) sessionStorage.setItem(KEY, JSON.stringify({ image: await dataUrl(image) }));
    else if (strokes && !image) sessionStorage.setItem(KEY, JSON.stringify({ strokes: strokes.map(rounded) }));
  } catch {
    // The storage is full or switched off: a reload then starts anew.
  }
}

/** { strokes } or { image: Blob } of this tab's last sheet; null without one. */
export function keptSheet() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return kept?.image ? { image: blobOf(kept.image) } : kept;
  } catch {
    return null;
  }
}

const rounded = ({ points, erase }) => ({
  erase,
  points: points.map((point) => point.map((value) => Math.round(10 * value) / 10)),
});

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
