"use strict";
// Boxes from maps as in wsol/geometry/objects.py, computed from the small maps in the page.

/** Decode `HEIGHTxWIDTH:` and base64, with one byte or two bits per pixel. */
function decoded(code) {
  const [shape, text] = code.split(":");
  const [height, width] = shape.split("x").map(Number);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (bytes.length === height * width) return { height, width, values: bytes };
  const values = new Uint8Array(height * width);
  for (let i = 0; i < values.length; i++) values[i] = (bytes[i >> 2] >> (2 * (i & 3))) & 3;
  return { height, width, values };
}

/** Bilinear weights from `size` source pixels to `count` pixels: the source pixel before, the one after, and the weight of the latter. */
function interpolation(size, count) {
  const before = new Int32Array(count), after = new Int32Array(count), weight = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.min(Math.max(((i + 0.5) * size) / count - 0.5, 0), size - 1);
    before[i] = Math.floor(at);
    after[i] = Math.min(before[i] + 1, size - 1);
    weight[i] = at - before[i];
  }
  return { before, after, weight };
}

/** Bilinear, with pixel centres at 0.5; values stay in 0 to 255. */
function resized(map, height, width) {
  const plane = new Float32Array(height * width);
  const rows = interpolation(map.height, height), columns = interpolation(map.width, width);
  for (let y = 0, i = 0; y < height; y++) {
    const upper = rows.before[y] * map.width, lower = rows.after[y] * map.width, down = rows.weight[y];
    for (let x = 0; x < width; x++, i++) {
      const left = columns.before[x], right = columns.after[x], across = columns.weight[x];
      const top = map.values[upper + left] * (1 - across) + map.values[upper + right] * across;
      const bottom = map.values[lower + left] * (1 - across) + map.values[lower + right] * across;
      plane[i] = top * (1 - down) + bottom * down;
    }
  }
  return plane;
}

/** Connected components above a threshold (8-connectivity), the largest first; ties by y0, then x0.
 *  `labels` holds the component of each pixel, 0 is background. */
function components(plane, height, width, threshold) {
  const labels = new Int32Array(height * width), stack = new Int32Array(height * width);
  const found = [];
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] || plane[start] <= threshold) continue;
    const component = { label: found.length + 1, area: 0, x0: width, y0: height, x1: 0, y1: 0 };
    let waiting = 1;
    stack[0] = start;
    labels[start] = component.label;
    while (waiting) {
      const i = stack[--waiting], y = Math.floor(i / width), x = i - y * width;
      component.area++;
      if (x < component.x0) component.x0 = x;
      if (x >= component.x1) component.x1 = x + 1;
      if (y < component.y0) component.y0 = y;
      if (y >= component.y1) component.y1 = y + 1;
      const lastX = Math.min(x + 1, width - 1), lastY = Math.min(y + 1, height - 1);
      for (let v = Math.max(y - 1, 0); v <= lastY; v++) {
        for (let u = Math.max(x - 1, 0); u <= lastX; u++) {
          const j = v * width + u;
          if (labels[j] || plane[j] <= threshold) continue;
          labels[j] = component.label;
          stack[waiting++] = j;
        }
      }
    }
    found.push(component);
  }
  found.sort((a, b) => b.area - a.area || a.y0 - b.y0 || a.x0 - b.x0);
  return { labels, found };
}

/** The largest component, or all that cover at least `minArea` of the image. */
function objectsIn(found, objects, minArea, size) {
  return objects === "largest" ? found.slice(0, 1) : found.filter((component) => component.area >= minArea * size);
}

/** Intersection over union of two boxes x0, y0, x1, y1. */
function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const common = Math.max(width, 0) * Math.max(height, 0);
  return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common) || 0;
}
