/** The sheet: strokes by mouse, finger or pen, and pictures laid on it; each step can be undone. */

const SIDE = 280; // of the sheet, in its own units; also the pixels of what is sent
const PEN = 23; // a stroke's width: 0.11 of a digit that fills three quarters, as the median of MNIST's is 0.12

/** A sheet on `canvas`; `changed` is called whenever what lies on it does. */
export function sheetOn(canvas, changed) {
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / SIDE, 0, 0, canvas.height / SIDE, 0, 0);
  context.lineCap = context.lineJoin = "round";
  const steps = []; // { stroke, fresh } | { picture, subject } | { blank }
  let pulled = null; // the stroke under way
  let pointer = null;

  /** What lies on the sheet: a picture, or all strokes since the sheet was last new. */
  function lying() {
    const from = steps.findLastIndex((step) => step.blank || step.picture || step.fresh);
    const last = steps[from];
    if (last?.picture) return { picture: last.picture, subject: last.subject, strokes: [] };
    return { strokes: steps.slice(Math.max(0, from)).filter((step) => step.stroke).map((step) => step.stroke) };
  }

  function redraw() {
    const { picture, strokes } = lying();
    context.clearRect(0, 0, SIDE, SIDE);
    if (picture) lay(context, picture);
    for (const stroke of strokes) draw(context, stroke, 0);
    canvas.classList.toggle("inked", !picture);
    changed();
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    // A pen's pressure makes a stroke thinner or thicker; a mouse and most fingers have none.
    const pressed = event.pointerType === "pen" && event.pressure > 0 ? 0.6 + 0.8 * event.pressure : 1;
    return [
      ((event.clientX - box.left) / box.width) * SIDE,
      ((event.clientY - box.top) / box.height) * SIDE,
      PEN * pressed,
    ];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pulled || event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const { picture } = lying();
    pointer = event.pointerId;
    pulled = [at(event)];
    steps.push({ stroke: pulled, fresh: Boolean(picture) });
    if (picture) redraw();
    draw(context, pulled, 0);
    changed();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const before = pulled.length;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) pulled.push(at(each));
    draw(context, pulled, before);
    changed();
  });

  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      draw(context, pulled, pulled.length);
      pulled = pointer = null;
      changed();
    });
  }

  return {
    /** Takes back the last step. */
    undo() {
      if (pulled || !steps.length) return;
      steps.pop();
      redraw();
    },
    /** A new sheet; undo brings the old one back. */
    clear() {
      if (pulled || this.isEmpty()) return;
      steps.push({ blank: true });
      redraw();
    },
    /** Lays a picture (anything a canvas draws, or null where it cannot be shown) on a new sheet. */
    lay(picture, subject) {
      pulled = pointer = null;
      steps.push({ picture: picture ?? "unseen", subject });
      redraw();
    },
    isEmpty() {
      const { picture, strokes } = lying();
      return !picture && !strokes.length;
    },
    canUndo: () => steps.length > 0,
    /** What came with the picture that lies on it; undefined where it is drawn on. */
    subject: () => lying().subject,
    /** Whether what lies on it cannot be shown. */
    isUnseen: () => lying().picture === "unseen",
    /** The strokes as the content of a PNG file, dark on white. */
    png: () => new Promise((resolve) => onWhite(lying().strokes).toBlob(resolve, "image/png")),
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

/** Draws a stroke's points from number `from` on: curves from middle to middle, so that no corner shows. */
function draw(context, points, from) {
  if (points.length === 1) {
    const [x, y, width] = points[0];
    context.beginPath();
    context.arc(x, y, width / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const middle = (i) => [(points[i - 1][0] + points[i][0]) / 2, (points[i - 1][1] + points[i][1]) / 2];
  for (let i = Math.max(1, from); i < points.length; i++) {
    context.lineWidth = points[i][2];
    context.beginPath();
    context.moveTo(...(i === 1 ? points[0] : middle(i - 1)));
    if (i > 1) context.quadraticCurveTo(points[i - 1][0], points[i - 1][1], ...middle(i));
    else context.lineTo(...middle(i));
    context.stroke();
  }
  if (from < points.length) return;
  context.beginPath(); // the last half, once the stroke has ended
  context.moveTo(...middle(points.length - 1));
  context.lineTo(...points.at(-1));
  context.stroke();
}

/** Lays a picture in the middle of the sheet, as large as fits; a small one keeps its pixels. */
function lay(context, picture) {
  if (picture === "unseen") return;
  const scale = Math.min(SIDE / picture.width, SIDE / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  context.imageSmoothingEnabled = scale < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
}
