/** The reader's answer for an image: its digits with boxes, in reading order, and their text. */

import { certainty } from "./certainty.js";
import { post } from "./server.js";

const RANK = ["sure", "probably", "unsure"];

/** The digits on the first page of an image (a Blob); null where there are fewer than two. Throws ApiError. */
export async function readDigits(image, signal) {
  const [page] = (await post("v1/read?inputs=1", image, signal)).pages;
  const fields = page.lines.flatMap((line) => line.fields);
  const digits = fields.flatMap((field) => field.digits);
  if (digits.length < 2) return null;
  const ranks = fields.map((field) => RANK.indexOf(certainty(field)));
  return { lines: page.lines, digits, text: page.text, certainty: RANK[Math.max(...ranks)] };
}
