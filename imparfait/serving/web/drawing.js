/** The drawing area: strokes by mouse, finger or pen, and images placed on it; every step can be undone. */

const SIDE = 280; // of the drawing, in its own units and in pixels of the PNG that is sent
const STROKE_WIDTH = 23; // 0.11 of a digit that fills three quarters of the area; MNIST's median is 0.12

/** A drawing on `canvas`; `onChange` is called after every change. */
export function createDrawing(canvas, onChange) {
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / SIDE, 0, 0, canvas.height / SIDE, 0, 0);
  context.lineCap = context.lineJoin = "round";
  const steps = []; // { stroke, fresh } | { image, subject } | { blank }
  let active = null; // the stroke in progress
  let pointer = null;

  /** The visible content: an image, or all strokes since the last clear. */
  function content() {
    const from = steps.findLastIndex((step) => step.blank || step.image || step.fresh);
    const last = steps[from];
    if (last?.image) return { image: last.image, subject: last.subject, strokes: [] };
    return { strokes: steps.slice(Math.max(0, from)).filter((step) => step.stroke).map((step) => step.stroke) };
  }

  function redraw() {
    const { image, strokes } = content();
    context.clearRect(0, 0, SIDE, SIDE);
    if (image) drawImage(context, image);
    for (const stroke of strokes) draw(context, stroke, 0);
    canvas.classList.toggle("strokes", !image);
    onChange();
  }

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    // A pen's pressure changes the width; a mouse and most touch screens report none.
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.6 + 0.8 * event.pressure : 1;
    return [
      ((event.clientX - box.left) / box.width) * SIDE,
      ((event.clientY - box.top) / box.height) * SIDE,
      STROKE_WIDTH * pressure,
    ];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (active || event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const { image } = content();
    pointer = event.pointerId;
    active = [pointOf(event)];
    steps.push({ stroke: active, fresh: Boolean(image) });
    if (image) redraw();
    draw(context, active, 0);
    onChange();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const before = active.length;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const moved of events.length ? events : [event]) active.push(pointOf(moved));
    draw(context, active, before);
    onChange();
  });

  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      draw(context, active, active.length);
      active = pointer = null;
      onChange();
    });
  }

  return {
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
      active = pointer = null;
      steps.push({ image: image ?? "undisplayable", subject });
      redraw();
    },
    isEmpty() {
      const { image, strokes } = content();
      return !image && !strokes.length;
    },
    canUndo: () => steps.length > 0,
    /** The `subject` of the placed image; undefined for strokes. */
    subject: () => content().subject,
    /** Whether the browser cannot show the placed image. */
    isUndisplayable: () => content().image === "undisplayable",
    /** The strokes as a PNG file, black on white. */
    png: () => new Promise((resolve) => onWhite(content().strokes).toBlob(resolve, "image/png")),
  };
}

function onWhite(strokes) {
  const paper = document.createElement("canvas");
  paper.width = paper.height = SIDE;
  const context = paper.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, SIDE, SIDE);
  context.fillStyle = "black";
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) draw(context, stroke, 0);
  return paper;
}

/** Draws a stroke from point `from` on, as curves between the midpoints of its segments, without corners. */
function draw(context, points, from) {
  if (points.length === 1) {
    const [x, y, width] = points[0];
    context.beginPath();
    context.arc(x, y, width / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const midpoint = (i) => [(points[i - 1][0] + points[i][0]) / 2, (points[i - 1][1] + points[i][1]) / 2];
  for (let i = Math.max(1, from); i < points.length; i++) {
    context.lineWidth = points[i][2];
    context.beginPath();
    context.moveTo(...(i === 1 ? points[0] : midpoint(i - 1)));
    if (i > 1) context.quadraticCurveTo(points[i - 1][0], points[i - 1][1], ...midpoint(i));
    else context.lineTo(...midpoint(i));
    context.stroke();
  }
  if (from < points.length) return;
  context.beginPath(); // the last half segment, once the stroke has ended
  context.moveTo(...midpoint(points.length - 1));
  context.lineTo(...points.at(-1));
  context.stroke();
}

/** Draws an image in the centre, as large as fits; a small one keeps its pixels. */
function drawImage(context, image) {
  if (image === "undisplayable") return;
  const scale = Math.min(SIDE / image.width, SIDE / image.height);
  const width = image.width * scale;
  const height = image.height * scale;
  context.imageSmoothingEnabled = scale < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
}
