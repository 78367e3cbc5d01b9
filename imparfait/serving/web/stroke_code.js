/** Strokes as short text for a link: their painted line, simplified, on a grid, in base64url. */

import { paintedLine, SIDE } from "./strokes.js";

export const MAX_CODE = 4000; // characters: a link that every program takes
// By the version in a code's first byte: where the grid starts, the units of a step, the last step, the bytes of a point.
// The finer one reaches beyond the sheet, as strokes do: drawn along its edge instead, they would be seen.
const GRIDS = {
  1: { start: 0, unit: SIDE / 255, last: 255, size: 2 },
  2: { start: -SIDE / 2, unit: (2 * SIDE) / 4095, last: 4095, size: 3 },
};
const PRECISIONS = [[2, 0.25], [2, 0.5], [1, 0.5], [1, 1], [1, 2], [1, 3]]; // [version, units by which a line may differ]
const MAX_STROKES = 200;
const SPACING = 3; // units between points of a decoded stroke, so that the curve through them keeps its corners
const MAX_POINTS = 255; // of a stroke: longer ones are cut in two

/** The code of strokes; null where it would be too long. */
export function encodeStrokes(strokes) {
  for (const [version, tolerance] of PRECISIONS) {
    const bytes = [version];
    let parts = 0;
    for (const { points, erase } of strokes) {
      const kept = simplified(paintedLine(points), tolerance);
      const width = Math.round(points.reduce((sum, point) => sum + point[2], 0) / points.length);
      for (let from = 0; from === 0 || from < kept.length - 1; from += MAX_POINTS - 1) {
        const part = kept.slice(from, from + MAX_POINTS);
        parts++;
        bytes.push((erase ? 128 : 0) | Math.min(127, width), part.length, ...part.flatMap((point) => packed(point, version)));
      }
    }
    if (parts > MAX_STROKES || bytes.length > MAX_CODE) continue;
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
  const grid = GRIDS[bytes[0]];
  if (!grid || bytes.length === 1) return null;
  const strokes = [];
  for (let at = 1; at < bytes.length; at += 2 + grid.size * bytes[at + 1]) {
    const [head, count] = [bytes[at], bytes[at + 1]];
    const width = head & 127;
    if (!count || !width || at + 2 + grid.size * count > bytes.length || strokes.length >= MAX_STROKES) return null;
    const points = Array.from({ length: count }, (_, i) => {
      const [x, y] = unpacked(bytes.subarray(at + 2 + grid.size * i, at + 2 + grid.size * (i + 1)));
      return [grid.start + x * grid.unit, grid.start + y * grid.unit, width];
    });
    strokes.push({ erase: head > 127, points: dense(points) });
  }
  return strokes;
}

/** The points of a line with others between those far apart. */
function dense(points) {
  return points.flatMap(([x, y, width], i) => {
    if (!i) return [[x, y, width]];
    const [fromX, fromY] = points[i - 1];
    const count = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) / SPACING));
    return Array.from({ length: count }, (_, k) => {
      const along = (k + 1) / count;
      return [fromX + along * (x - fromX), fromY + along * (y - fromY), width];
    });
  });
}

/** The bytes of a point: one for each coordinate, or three for both. */
function packed(point, version) {
  const { start, unit, last, size } = GRIDS[version];
  const [x, y] = point.map((value) => Math.min(last, Math.max(0, Math.round((value - start) / unit))));
  return size === 2 ? [x, y] : [x >> 4, ((x & 15) << 4) | (y >> 8), y & 255];
}

const unpacked = ([a, b, c]) => (c === undefined ? [a, b] : [(a << 4) | (b >> 4), ((b & 15) << 8) | c]);

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
