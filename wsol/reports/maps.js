"use strict";
// The rule of wsol/maps.py, on the small maps that the page holds.

/** `HEIGHTxWIDTH:` and base64, a byte a place or two bits. */
function decoded(code) {
  const [shape, text] = code.split(":");
  const [height, width] = shape.split("x").map(Number);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (bytes.length === height * width) return { height, width, values: bytes };
  const values = new Uint8Array(height * width);
  for (let i = 0; i < values.length; i++) values[i] = (bytes[i >> 2] >> (2 * (i & 3))) & 3;
  return { height, width, values };
}

/** Where each of `count` pixels falls among `places`: the place before, the one after, and the share of the latter. */
function between(places, count) {
  const before = new Int32Array(count), after = new Int32Array(count), share = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.min(Math.max(((i + 0.5) * places) / count - 0.5, 0), places - 1);
    before[i] = Math.floor(at);
    after[i] = Math.min(before[i] + 1, places - 1);
    share[i] = at - before[i];
  }
  return { before, after, share };
}

/** Bilinear, pixel centres at half; values stay 0 to 255. */
function resized(map, height, width) {
  const plane = new Float32Array(height * width);
  const rows = between(map.height, height), columns = between(map.width, width);
  for (let y = 0, i = 0; y < height; y++) {
    const upper = rows.before[y] * map.width, lower = rows.after[y] * map.width, down = rows.share[y];
    for (let x = 0; x < width; x++, i++) {
      const left = columns.before[x], right = columns.after[x], across = columns.share[x];
      const top = map.values[upper + left] * (1 - across) + map.values[upper + right] * across;
      const bottom = map.values[lower + left] * (1 - across) + map.values[lower + right] * across;
      plane[i] = top * (1 - down) + bottom * down;
    }
  }
  return plane;
}

/** The parts above a threshold that touch by edge or corner, the largest first; of equal ones the upper, then the left.
 *  `labels` holds the number of each pixel's part, 0 is background. */
function parts(plane, height, width, threshold) {
  const labels = new Int32Array(height * width), stack = new Int32Array(height * width);
  const found = [];
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] || plane[start] <= threshold) continue;
    const part = { label: found.length + 1, area: 0, x0: width, y0: height, x1: 0, y1: 0 };
    let waiting = 1;
    stack[0] = start;
    labels[start] = part.label;
    while (waiting) {
      const i = stack[--waiting], y = Math.floor(i / width), x = i - y * width;
      part.area++;
      if (x < part.x0) part.x0 = x;
      if (x >= part.x1) part.x1 = x + 1;
      if (y < part.y0) part.y0 = y;
      if (y >= part.y1) part.y1 = y + 1;
      const lastX = Math.min(x + 1, width - 1), lastY = Math.min(y + 1, height - 1);
      for (let v = Math.max(y - 1, 0); v <= lastY; v++) {
        for (let u = Math.max(x - 1, 0); u <= lastX; u++) {
          const j = v * width + u;
          if (labels[j] || plane[j] <= threshold) continue;
          labels[j] = part.label;
          stack[waiting++] = j;
        }
      }
    }
    found.push(part);
  }
  found.sort((a, b) => b.area - a.area || a.y0 - b.y0 || a.x0 - b.x0);
  return { labels, found };
}

/** The largest part, or all that cover enough of the image. */
function objectsIn(found, objects, minArea, size) {
  return objects === "largest" ? found.slice(0, 1) : found.filter((part) => part.area >= minArea * size);
}

/** Intersection over union of two boxes x0, y0, x1, y1. */
function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const common = Math.max(width, 0) * Math.max(height, 0);
  return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common) || 0;
}
