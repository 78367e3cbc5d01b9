/** The drawing area: strokes by mouse, finger or pen, and images placed on it; every step can be undone. */

import { paintImage, paintStroke, paper, placement, SIDE, strokeContext } from "./strokes.js";

const WIDTHS = { thin: 14, medium: 23, thick: 34 }; // medium: 0.11 of a digit of three quarters; MNIST's median is 0.12
const ERASER_WIDTH = 40;
const TAP = 6; // units that a pointer may move and still tap

/**
 * A drawing on `canvas`. `on.change` is called after every change; `on.tap([x, y])` says whether something is chosen
 * there, so that a tap does not draw. `sample`: strokes to begin with.
 */
export function createDrawing(canvas, on, sample) {
  const context = strokeContext(canvas);
  const steps = []; // { stroke, fresh } | { strokes } | { image, subject } | { blank }
  let active = null; // the stroke in progress
  let tap = null; // where a stroke may begin, if it is no tap
  let pointer = null;
  let tool = "medium";

  /** The visible content: an image, or all strokes since the last clear. */
  function content() {
    const from = steps.findLastIndex((step) => step.blank || step.image || step.strokes || step.fresh);
    const last = steps[from];
    if (!last && sample && !steps.length) return { strokes: sample, sample: true };
    if (last?.image) return { image: last.image, subject: last.subject, strokes: [] };
    const later = steps.slice(Math.max(0, from)).filter((step) => step.stroke).map((step) => step.stroke);
    return { strokes: [...(last?.strokes ?? []), ...later] };
  }

  function redraw() {
    const { image, strokes } = content();
    context.clearRect(0, 0, SIDE, SIDE);
    if (image && image !== "undisplayable") paintImage(context, image);
    for (const stroke of strokes) paintStroke(context, stroke);
    canvas.classList.toggle("strokes", !image);
    on.change();
  }

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    // A pen's pressure changes the width; a mouse and most touch screens report none.
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.6 + 0.8 * event.pressure : 1;
    const width = tool === "eraser" ? ERASER_WIDTH : WIDTHS[tool] * pressure;
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE, width];
  }

  function begin(point) {
    const { image, sample: isSample, strokes } = content();
    const erase = tool === "eraser";
    if (erase && (image || isSample || !strokes.length)) return;
    active = { points: [point], erase };
    steps.push({ stroke: active, fresh: Boolean(image || isSample) });
    if (image || isSample) redraw();
    paintStroke(context, active);
    on.change();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    const point = pointOf(event);
    if (on.tap(point, false)) tap = point;
    else begin(point);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    if (tap) {
      const [x, y] = pointOf(event);
      if (Math.hypot(x - tap[0], y - tap[1]) < TAP) return;
      begin(tap);
      tap = null;
    }
    if (!active) return;
    const before = active.points.length;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const moved of events.length ? events : [event]) active.points.push(pointOf(moved));
    paintStroke(context, active, before);
    on.change();
  });

  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      if (tap && end === "pointerup") on.tap(tap, true);
      if (active) paintStroke(context, active, active.points.length);
      const changed = Boolean(active);
      active = tap = pointer = null;
      if (changed) on.change();
    });
  }

  return {
    redraw,
    /** Chooses "thin", "medium", "thick" or "eraser". */
    setTool(name) {
      tool = name;
    },
    /** Undoes the last step. */
    undo() {
      if (active || !steps.length) return;
      steps.pop();
      redraw();
    },
    /** Clears the drawing, which can be undone. */
    clear() {
      if (active || this.isEmpty()) return;
      steps.push({ blank: true });
      redraw();
    },
    /** Replaces the drawing by an image (anything a canvas can draw, or null if the browser cannot show it). */
    place(image, subject) {
      active = tap = pointer = null;
      steps.push({ image: image ?? "undisplayable", subject });
      redraw();
    },
    /** Replaces the drawing by strokes, of a link or an earlier visit. */
    placeStrokes(strokes) {
      steps.push({ strokes });
      redraw();
    },
    isEmpty() {
      const { image, strokes } = content();
      return !image && !strokes.length;
    },
    isDrawing: () => active !== null,
    isSample: () => Boolean(content().sample),
    canUndo: () => steps.length > 0,
    /** All strokes that are visible; empty for an image. */
    strokes: () => content().strokes,
    /** The `subject` of the placed image; undefined for strokes. */
    subject: () => content().subject,
    /** Whether the browser cannot show the placed image. */
    isUndisplayable: () => content().image === "undisplayable",
    /** Where the pixels of what is sent lie on the sheet; null for an image that cannot be shown. */
    placement() {
      const { image } = content();
      if (image === "undisplayable") return null;
      return image ? placement(image) : { scale: 1, left: 0, top: 0 };
    },
    /** The strokes as a PNG file, black on white. */
    png: () => new Promise((resolve) => paper(content().strokes).toBlob(resolve, "image/png")),
    /** The sheet on a new canvas, as it is shown but black on white. */
    sheet(side) {
      const { image, strokes } = content();
      const canvas = paper(strokes, side);
      if (image && image !== "undisplayable") paintImage(strokeContext(canvas), image);
      return canvas;
    },
  };
}
