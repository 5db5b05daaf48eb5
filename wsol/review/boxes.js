// The boxes over the image: select, move, resize, draw and delete, by pointer (mouse, pen, finger) or keyboard.

const EDGES = ["n", "s", "w", "e", "nw", "ne", "sw", "se"];
const MIN_DRAWN_PX = 5;
const NUDGE_PAUSE_MS = 700;

export class Boxes {
  // changed(boxes, what): called after a finished change. chose(index): called with the selected box, -1 for none.
  constructor(svg, sheet, changed, chose) {
    this.svg = svg;
    this.sheet = sheet;
    this.changed = changed;
    this.chose = chose;
    this.boxes = [];
    this.predicted = [];
    this.chosen = -1;
    this.hw = [1, 1];
    this.isDrawing = false;
    this.isReplacing = false; // the drawn box replaces the target box
    this.replaced = -1;
    this.nudging = 0;
    this.shown = new AbortController(); // ends the drags on an image when another is shown
    svg.addEventListener("pointerdown", (event) => this.onDown(event));
    svg.addEventListener("focusin", (event) => this.onFocus(event));
    svg.addEventListener("focusout", () => this.finishNudge());
  }

  // A drag or move in progress belongs to the previous image and is dropped.
  show(boxes, predicted, hw) {
    clearTimeout(this.nudging);
    this.nudging = 0;
    this.shown.abort();
    this.shown = new AbortController();
    this.boxes = boxes.map((box) => [...box]);
    this.predicted = predicted;
    this.hw = hw;
    this.chosen = -1;
    this.draw(false);
    this.render();
  }

  // Screen pixels in one pixel of the image.
  get scale() {
    return this.svg.clientWidth / this.hw[1] || 1;
  }

  render() {
    const [height, width] = this.hw;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const focused = this.svg.contains(document.activeElement) ? this.chosen : -1;
    this.svg.replaceChildren(...this.boxes.map((box, i) => this.group(box, i)));
    if (focused >= 0 && focused < this.boxes.length) this.svg.children[focused].focus({ preventScroll: true });
  }

  group(box, i) {
    const group = element("g", { class: "box", tabindex: "0", role: "button", "data-box": i });
    group.append(element("rect", { class: "hold" }), element("rect", { class: "case" }), element("rect", { class: "line" }));
    for (const edge of EDGES) group.append(element("rect", { class: `edge ${edge}`, "data-edge": edge }));
    for (const edge of EDGES) group.append(element("rect", { class: `grip ${edge}` }));
    if (this.boxes.length > 1) {
      const number = element("text", {});
      number.textContent = String(i + 1);
      group.append(number);
    }
    this.layOut(group, box, i);
    return group;
  }

  // Position all parts of a box. The elements stay the same, so that a drag keeps its pointer capture.
  layOut(group, box, i) {
    const [x0, y0, x1, y1] = box;
    const px = 1 / this.scale;
    const [w, h] = [x1 - x0, y1 - y0];
    for (const part of group.querySelectorAll(".hold, .case, .line")) set(part, x0, y0, w, h);
    const reach = (matchMedia("(pointer: coarse)").matches ? 22 : 11) * px;
    const inX = Math.min(reach, w / 4);
    const inY = Math.min(reach, h / 4);
    for (const part of group.querySelectorAll(".edge")) {
      const edge = part.dataset.edge;
      const left = edge.includes("w") ? x0 - reach : edge.includes("e") ? x1 - inX : x0 + inX;
      const right = edge.includes("w") ? x0 + inX : edge.includes("e") ? x1 + reach : x1 - inX;
      const top = edge.includes("n") ? y0 - reach : edge.includes("s") ? y1 - inY : y0 + inY;
      const low = edge.includes("n") ? y0 + inY : edge.includes("s") ? y1 + reach : y1 - inY;
      set(part, left, top, right - left, low - top);
    }
    const size = 9 * px;
    for (const part of group.querySelectorAll(".grip")) {
      const edge = part.classList[1];
      const x = edge.includes("w") ? x0 : edge.includes("e") ? x1 : (x0 + x1) / 2;
      const y = edge.includes("n") ? y0 : edge.includes("s") ? y1 : (y0 + y1) / 2;
      const isMiddle = edge.length === 1;
      part.style.display = isMiddle && Math.min(w, h) / px < 48 ? "none" : "";
      set(part, x - size / 2, y - size / 2, size, size);
    }
    const text = group.querySelector("text");
    if (text) {
      text.setAttribute("font-size", String(15 * px));
      text.setAttribute("x", String(x0 + 6 * px));
      text.setAttribute("y", String(y0 + 18 * px));
    }
    group.classList.toggle("by-hand", !this.predicted.some((one) => one.every((value, k) => value === box[k])));
    group.classList.toggle("chosen", i === this.chosen);
    const round = box.map((value) => Math.round(value));
    group.setAttribute(
      "aria-label",
      `Box ${i + 1} of ${this.boxes.length}: left ${round[0]}, top ${round[1]}, ${round[2] - round[0]} wide, ${round[3] - round[1]} high. Shift and arrow keys move it, Alt and arrow keys resize it, B replaces it, D deletes it.`,
    );
  }

  layOutAll() {
    this.boxes.forEach((box, i) => this.svg.children[i] && this.layOut(this.svg.children[i], box, i));
  }

  choose(i, withFocus = true) {
    this.chosen = i;
    if (i >= 0 && withFocus) this.svg.children[i].focus({ preventScroll: true });
    if (i < 0 && this.svg.contains(document.activeElement)) document.activeElement.blur();
    this.layOutAll();
    this.chose(i);
  }

  draw(isDrawing, isReplacing = false) {
    this.isDrawing = isDrawing;
    this.isReplacing = isDrawing && isReplacing;
    this.sheet.classList.toggle("drawing", isDrawing);
  }

  point(event) {
    const area = this.svg.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * this.hw[1];
    const y = ((event.clientY - area.top) / area.height) * this.hw[0];
    return [x, y];
  }

  onFocus(event) {
    const group = event.target.closest(".box");
    if (!group) return;
    this.chosen = Number(group.dataset.box);
    this.layOutAll();
    this.chose(this.chosen);
  }

  onDown(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    this.finishNudge();
    const start = this.point(event);
    if (this.isDrawing) {
      event.preventDefault();
      this.replaced = this.isReplacing ? this.target : -1;
      this.follow(event, this.stretching(start), "drawn");
      return;
    }
    const group = event.target.closest(".box");
    if (!group) {
      this.choose(-1);
      return;
    }
    event.preventDefault();
    const i = Number(group.dataset.box);
    this.choose(i);
    const edge = event.target.dataset.edge || "";
    const before = [...this.boxes[i]];
    const move = (point) => {
      const [dx, dy] = [point[0] - start[0], point[1] - start[1]];
      this.boxes[i] = edge ? this.resized(before, edge, dx, dy) : this.moved(before, dx, dy);
    };
    this.follow(event, { move, end: () => this.boxes[i].some((value, k) => value !== before[k]), undo: () => (this.boxes[i] = before) }, edge ? "resized" : "moved");
  }

  // A new box between where the pointer went down and where it is.
  stretching(start) {
    const i = this.boxes.length;
    const chosen = this.chosen;
    let isThere = false;
    const [height, width] = this.hw;
    return {
      move: (point) => {
        const xs = [start[0], point[0]].map((x) => clip(x, width)).sort((a, b) => a - b);
        const ys = [start[1], point[1]].map((y) => clip(y, height)).sort((a, b) => a - b);
        const box = [Math.floor(xs[0]), Math.floor(ys[0]), Math.ceil(xs[1]), Math.ceil(ys[1])];
        const isLarge = Math.min(xs[1] - xs[0], ys[1] - ys[0]) * this.scale >= MIN_DRAWN_PX;
        if (!isThere && !isLarge) return;
        this.boxes[i] = [box[0], box[1], Math.max(box[2], box[0] + 1), Math.max(box[3], box[1] + 1)];
        if (!isThere) {
          isThere = true;
          this.chosen = i;
          this.render();
        }
      },
      end: () => isThere,
      undo: () => {
        this.boxes.length = i;
        this.chosen = chosen;
      },
    };
  }

  follow(down, job, what) {
    const { pointerId } = down;
    this.svg.setPointerCapture(pointerId);
    const onMove = (event) => {
      if (event.pointerId !== pointerId) return;
      job.move(this.point(event));
      this.layOutAll();
    };
    const stop = (event) => {
      if (event.pointerId !== pointerId) return;
      this.svg.removeEventListener("pointermove", onMove);
      this.svg.removeEventListener("pointerup", stop);
      this.svg.removeEventListener("pointercancel", stop);
      if (event.type === "pointercancel") {
        job.undo();
        this.render();
      } else if (job.end()) {
        if (what === "drawn") this.keepDrawn();
        this.changed(this.boxes, what);
      }
    };
    for (const [kind, listener] of [["pointermove", onMove], ["pointerup", stop], ["pointercancel", stop]]) {
      this.svg.addEventListener(kind, listener, { signal: this.shown.signal });
    }
  }

  // The last box has just been drawn; move it to the index of the box that it replaces.
  keepDrawn() {
    const i = this.replaced;
    this.draw(false);
    if (i >= 0) this.boxes[i] = this.boxes.pop();
    this.render();
    this.choose(i >= 0 ? i : this.boxes.length - 1);
  }

  // Index of a box whose intersection with box i covers half or more of the smaller one; -1 for none.
  overlapping(i) {
    const area = ([x0, y0, x1, y1]) => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
    const both = ([a0, b0, a1, b1], [c0, d0, c1, d1]) => [Math.max(a0, c0), Math.max(b0, d0), Math.min(a1, c1), Math.min(b1, d1)];
    const mine = this.boxes[i];
    return this.boxes.findIndex((box, k) => k !== i && area(both(box, mine)) >= Math.min(area(box), area(mine)) / 2);
  }

  moved([x0, y0, x1, y1], dx, dy) {
    const [height, width] = this.hw;
    const x = Math.round(Math.min(Math.max(dx, -x0), width - x1));
    const y = Math.round(Math.min(Math.max(dy, -y0), height - y1));
    const inside = (low, high, by, size) => {
      const first = Math.max(low + by, 0);
      return [first, Math.min(first + high - low, size)];
    };
    const [a0, a1] = inside(x0, x1, x, width);
    const [b0, b1] = inside(y0, y1, y, height);
    return [a0, b0, a1, b1];
  }

  // Move only the dragged edges, to whole pixels.
  resized([x0, y0, x1, y1], edge, dx, dy) {
    const [height, width] = this.hw;
    const box = [x0, y0, x1, y1];
    if (edge.includes("w")) box[0] = Math.max(0, Math.min(Math.round(x0 + dx), Math.ceil(x1) - 1));
    if (edge.includes("e")) box[2] = Math.min(width, Math.max(Math.round(x1 + dx), Math.floor(x0) + 1));
    if (edge.includes("n")) box[1] = Math.max(0, Math.min(Math.round(y0 + dy), Math.ceil(y1) - 1));
    if (edge.includes("s")) box[3] = Math.min(height, Math.max(Math.round(y1 + dy), Math.floor(y0) + 1));
    return box;
  }

  // Index of the box that keys apply to: the selected one, or the only one; -1 for none.
  get target() {
    return this.chosen >= 0 ? this.chosen : this.boxes.length === 1 ? 0 : -1;
  }

  // Move the target box by a step, or its right or lower edge; false if there is no target.
  nudge([dx, dy], isResizing) {
    const i = this.target;
    if (i < 0) return false;
    if (i !== this.chosen) this.choose(i);
    this.boxes[i] = isResizing ? this.resized(this.boxes[i], dx ? "e" : "s", dx, dy) : this.moved(this.boxes[i], dx, dy);
    this.layOutAll();
    clearTimeout(this.nudging);
    this.nudging = setTimeout(() => this.finishNudge(), NUDGE_PAUSE_MS);
    return true;
  }

  // Consecutive steps with the arrow keys are one change.
  finishNudge() {
    if (!this.nudging) return;
    clearTimeout(this.nudging);
    this.nudging = 0;
    this.changed(this.boxes, "moved");
  }

  addAtCentre() {
    const [height, width] = this.hw;
    this.replaced = this.isReplacing ? this.target : -1;
    this.boxes.push([Math.floor(width / 4), Math.floor(height / 4), Math.ceil((3 * width) / 4), Math.ceil((3 * height) / 4)]);
    this.keepDrawn();
    this.changed(this.boxes, "drawn");
  }

  remove() {
    const i = this.target;
    if (i < 0) return false;
    this.finishNudge();
    this.draw(false); // otherwise the next drawn box would replace a different box
    this.boxes.splice(i, 1);
    this.choose(-1);
    this.render();
    this.changed(this.boxes, "deleted");
    return true;
  }
}

function clip(value, size) {
  return Math.min(Math.max(value, 0), size);
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function set(rect, x, y, width, height) {
  rect.setAttribute("x", String(x));
  rect.setAttribute("y", String(y));
  rect.setAttribute("width", String(Math.max(width, 0)));
  rect.setAttribute("height", String(Math.max(height, 0)));
}
