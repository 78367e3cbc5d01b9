/** Strokes as short text for a link: simplified, on a grid of 256 steps, in base64url. */

import { SIDE } from "./strokes.js";

export const MAX_CODE = 4000; // characters: a link that every program takes
const VERSION = 1;
const STEPS = 255;
const TOLERANCES = [0.5, 1, 2, 3]; // units by which a simplified stroke may differ
const MAX_STROKES = 200;
const MAX_POINTS = 255; // of a stroke: longer ones are cut in two

/** The code of strokes; null where it would be too long. */
export function encodeStrokes(strokes) {
  for (const tolerance of TOLERANCES) {
    const bytes = [VERSION];
    for (const { points, erase } of strokes) {
      const kept = simplified(points, tolerance);
      const width = Math.round(points.reduce((sum, point) => sum + point[2], 0) / points.length);
      for (let from = 0; from === 0 || from < kept.length - 1; from += MAX_POINTS - 1) {
        const part = kept.slice(from, from + MAX_POINTS);
        bytes.push((erase ? 128 : 0) | Math.min(127, width), part.length, ...part.flatMap(([x, y]) => [step(x), step(y)]));
      }
    }
    const code = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    if (code.length <= MAX_CODE) return code;
  }
  return null;
}

/** The strokes of a code; null for anything else. */
export function decodeStrokes(code) {
  if (!/^[\w-]+$/.test(code) || code.length > MAX_CODE) return null;
  let bytes;
  try {
    bytes = Uint8Array.from(atob(code.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
  if (bytes[0] !== VERSION || bytes.length === 1) return null;
  const strokes = [];
  for (let at = 1; at < bytes.length; at += 2 + 2 * bytes[at + 1]) {
    const [head, count] = [bytes[at], bytes[at + 1]];
    const width = head & 127;
    if (!count || !width || at + 2 + 2 * count > bytes.length || strokes.length >= MAX_STROKES) return null;
    const points = Array.from({ length: count }, (_, i) => [bytes[at + 2 + 2 * i], bytes[at + 3 + 2 * i]]);
    strokes.push({ erase: head > 127, points: points.map(([x, y]) => [(x / STEPS) * SIDE, (y / STEPS) * SIDE, width]) });
  }
  return strokes;
}

const step = (value) => Math.round((Math.min(SIDE, Math.max(0, value)) / SIDE) * STEPS);

/** The points of a line without those that lie near it (Ramer, Douglas and Peucker). */
function simplified(points, tolerance) {
  const kept = new Set([0, points.length - 1]);
  const open = [[0, points.length - 1]];
  while (open.length) {
    const [first, last] = open.pop();
    let [farthest, distance] = [0, tolerance];
    for (let i = first + 1; i < last; i++) {
      const away = distanceToSegment(points[i], points[first], points[last]);
      if (away > distance) [farthest, distance] = [i, away];
    }
    if (!farthest) continue;
    kept.add(farthest);
    open.push([first, farthest], [farthest, last]);
  }
  return points.filter((_, i) => kept.has(i));
}

function distanceToSegment([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
  return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay));
}
