/** Sharing: the sheet with its answer as a PNG file, and a link that holds the strokes. */

import { t } from "./i18n.js";
import { decodeStrokes, encodeStrokes } from "./stroke_code.js";

const PREFIX = "#s=";
const [SHEET, CAPTION, MARGIN] = [840, 150, 40]; // pixels of the PNG

/** The strokes in the page's address, which is cleared of them; null without. `onBroken` is called for a broken link. */
export function sharedStrokes(onBroken) {
  if (!location.hash.startsWith(PREFIX)) return null;
  const strokes = decodeStrokes(location.hash.slice(PREFIX.length));
  history.replaceState(null, "", location.pathname + location.search);
  if (!strokes) onBroken();
  return strokes;
}

/** Opens the dialog with `button`. `answer()` is a line of text for the PNG; empty without an answer. */
export function createSharing({ button, dialog, drawing, answer }) {
  const find = (selector) => dialog.querySelector(selector);
  const say = (text) => (find(".outcome").textContent = text);
  button.addEventListener("click", () => {
    say("");
    find(".link").value = linkTo(drawing.strokes()) ?? "";
    find(".link").hidden = !find(".link").value;
    dialog.showModal();
  });
  find(".close").addEventListener("click", () => dialog.close());
  find(".download").addEventListener("click", () => {
    captioned(drawing, answer()).toBlob((blob) => download(blob, "imparfait.png"), "image/png");
  });
  find(".copy").addEventListener("click", async () => {
    const link = find(".link");
    if (!link.value) return say(t(drawing.strokes().length ? "share.tooLong" : "share.onlyStrokes"));
    try {
      await navigator.clipboard.writeText(link.value);
      say(t("share.copied"));
    } catch {
      link.select(); // over http, browsers let only the user copy
    }
  });
}

function linkTo(strokes) {
  const code = strokes.length ? encodeStrokes(strokes) : null;
  return code && location.origin + location.pathname + PREFIX + code;
}

function captioned(drawing, text) {
  const canvas = document.createElement("canvas");
  canvas.width = SHEET + 2 * MARGIN;
  canvas.height = SHEET + 2 * MARGIN + CAPTION;
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(drawing.sheet(SHEET), MARGIN, MARGIN);
  context.strokeStyle = "#999";
  context.strokeRect(MARGIN, MARGIN, SHEET, SHEET);
  context.fillStyle = "#222";
  context.font = "48px sans-serif";
  context.fillText(text, MARGIN, SHEET + MARGIN + 90, SHEET);
  context.font = "26px sans-serif";
  context.fillText("imparfait", MARGIN, SHEET + MARGIN + 140);
  return canvas;
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
