/** Strokes: how they are painted, and as a PNG file. A stroke is { points: [x, y, width][], erase } in units of SIDE. */

export const SIDE = 280; // of the drawing, in its own units and in pixels of the PNG that is sent

/** The strokes of a 2, the example at the start. */
export const SAMPLE = [
  {
    erase: false,
    points: [
      [88, 98], [94, 76], [110, 60], [132, 53], [154, 55], [174, 66], [184, 84], [183, 104], [173, 124], [158, 144], [140, 165],
      [120, 188], [100, 210], [86, 222], [104, 219], [128, 219], [152, 222], [174, 223], [198, 217],
    ].map(([x, y]) => [x, y, 23]),
  },
];

/** Paints a stroke from point `from` on, as curves between the midpoints of its segments, without corners. */
export function paintStroke(context, { points, erase }, from = 0) {
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  if (points.length === 1) paintDot(context, points[0]);
  else paintCurve(context, points, from);
  context.globalCompositeOperation = "source-over";
}

function paintDot(context, [x, y, width]) {
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
}

function paintCurve(context, points, from) {
  const midpoint = (i) => [(points[i - 1][0] + points[i][0]) / 2, (points[i - 1][1] + points[i][1]) / 2];
  for (let i = Math.max(1, from); i < points.length; i++) {
    context.lineWidth = points[i][2];
    context.beginPath();
    context.moveTo(...(i === 1 ? points[0] : midpoint(i - 1)));
    if (i > 1) context.quadraticCurveTo(points[i - 1][0], points[i - 1][1], ...midpoint(i));
    else context.lineTo(...midpoint(i));
    context.stroke();
  }
  if (from > 0 && from < points.length) return;
  context.beginPath(); // the last half segment, once the stroke has ended
  context.moveTo(...midpoint(points.length - 1));
  context.lineTo(...points.at(-1).slice(0, 2));
  context.stroke();
}

/** Points [x, y] along the curve that `paintStroke` paints through a stroke's points. */
export function paintedLine(points) {
  const line = [points[0].slice(0, 2)];
  for (let i = 1; i < points.length; i++) {
    const [start, corner] = [line.at(-1), points[i - 1]];
    const end = [0, 1].map((axis) => (corner[axis] + points[i][axis]) / 2);
    const parts = Math.max(1, Math.ceil(Math.hypot(end[0] - start[0], end[1] - start[1])));
    for (let k = 1; k <= parts; k++) {
      const along = k / parts;
      const [a, b, c] = [(1 - along) ** 2, 2 * along * (1 - along), along ** 2]; // of a quadratic Bézier curve
      line.push([0, 1].map((axis) => a * start[axis] + b * corner[axis] + c * end[axis]));
    }
  }
  if (points.length > 1) line.push(points.at(-1).slice(0, 2));
  return line;
}

/** A context of `canvas` in which strokes are painted. */
export function strokeContext(canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / SIDE, 0, 0, canvas.height / SIDE, 0, 0);
  context.lineCap = context.lineJoin = "round";
  return context;
}

/** The strokes on a new canvas, black on white. */
export function paper(strokes, side = SIDE) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = strokeContext(canvas);
  for (const stroke of strokes) paintStroke(context, stroke);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, SIDE, SIDE);
  return canvas;
}

/** Where an image lies on the sheet: in the centre, as large as fits. */
export function placement({ width, height }) {
  const scale = Math.min(SIDE / width, SIDE / height);
  return { scale, left: (SIDE - width * scale) / 2, top: (SIDE - height * scale) / 2 };
}

/** Paints an image at its place; a small one keeps its pixels. */
export function paintImage(context, image) {
  const { scale, left, top } = placement(image);
  context.imageSmoothingEnabled = scale < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, image.width * scale, image.height * scale);
}
