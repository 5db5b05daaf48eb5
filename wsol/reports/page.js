(() => {
  const list = document.getElementById("cards");
  if (!list) return;
  const settings = JSON.parse(list.dataset.settings);
  const byId = (id) => document.getElementById(id);
  const [controls, cut, slider, own, effect, more] = ["controls", "cut", "threshold", "own", "effect", "more"].map(byId);
  const levels = byId("levels"); // null where no network fuses levels
  const hasMaps = cut !== null; // false for methods that predict boxes without maps: no threshold and no score
  const inferno = Uint8Array.from(atob(settings.inferno), (letter) => letter.charCodeAt(0));
  const { found: FOUND, background: BACKGROUND, undecided: UNDECIDED, hatch: HATCH } = settings.colours;

  const boxesIn = (text) => (text ? text.split(",").map((box) => box.split(" ").map(Number)) : []);
  const rest = byId("rest")?.content.children ?? [];
  const cards = [...list.children, ...rest].map((item, position) => ({
    item,
    position,
    name: item.querySelector(".file").textContent,
    score: item.dataset.score === undefined ? null : Number(item.dataset.score),
    iou: item.dataset.iou === undefined ? null : Number(item.dataset.iou),
  }));
  const SVG = cards[0]?.item.querySelector("svg").namespaceURI; // not written out: it would look like a network address
  const cardOf = new Map(cards.map((card) => [card.item, card]));
  let threshold = settings.threshold;
  let isOwn = true;

  // Filters and order. Sorting is stable: ties stay in the order of the page, worst first.

  const collator = new Intl.Collator(undefined, { numeric: true });
  const ORDERS = {
    worst: (a, b) => a.position - b.position,
    unsure: (a, b) => a.score - b.score || a.position - b.position,
    name: (a, b) => collator.compare(a.name, b.name),
  };
  const WHICH = {
    all: () => true,
    wrong: (card) => card.iou !== null && card.iou < 0.5,
    empty: (card) => card.item.dataset.boxes === "",
    misnamed: (card) => card.item.dataset.misnamed !== undefined,
  };
  let shown = [];
  let reached = 0;

  function arrange() {
    const chosen = byId("class").value, is = WHICH[byId("which").value];
    const [least, most] = ["least", "most"].map((id) => (byId(id)?.value ? Number(byId(id).value) : NaN));
    const isShown = (card) => {
      // Scores are shown with two digits, so the bounds apply to rounded scores.
      const score = Math.round(card.score * 100) / 100;
      return (chosen === "" || card.item.dataset.class === chosen) && is(card) && !(score < least) && !(score > most);
    };
    shown = cards.filter(isShown).sort(ORDERS[byId("order").value]);
    reached = 0;
    list.replaceChildren();
    showMore();
    byId("count").textContent = `${shown.length} of ${cards.length} images`;
    byId("nothing").hidden = shown.length > 0;
  }

  /** Cards are added while the user scrolls: with a thousand in the page, each filter would take a second. */
  function showMore() {
    const next = shown.slice(reached, reached + settings.portion);
    list.append(...next.map((card) => card.item));
    for (const card of next) observer.observe(card.item);
    reached += next.length;
    more.hidden = reached === shown.length;
    return next[0];
  }

  // Panels are drawn when their image comes near the window, and released when it is far away again.

  const wanted = new Set(), near = new Map();

  function drawn(card) {
    const image = card.item.querySelector("img");
    const width = image.naturalWidth, height = image.naturalHeight, panels = {};
    for (const canvas of card.item.querySelectorAll("canvas[data-panel]")) {
      filled(canvas, width, height);
      panels[canvas.dataset.panel] = canvas;
    }
    const pen = panels.photo.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, 0, 0);
    const pixels = pen.getImageData(0, 0, width, height).data;
    const state = { width, height, pixels, mask: panels.mask };
    if (!hasMaps) return state;
    const { heat, cam, pseudo, gaussian } = card.item.dataset;
    state.plane = resized(decoded(heat), height, width);
    const source = cam ? resized(decoded(cam), height, width) : state.plane;
    paintMap(panels.map, state, source);
    if (gaussian) {
      const prior = resized(decoded(gaussian), height, width);
      paintMap(panels.gaussian, state, prior);
      paintMap(panels.combined, state, prior.map((value, i) => Math.max(value, source[i])));
    }
    if (pseudo) paintPseudo(panels.pseudo, state, decoded(pseudo));
    return state;
  }

  function filled(canvas, width, height) {
    canvas.width = width;
    canvas.height = height;
    canvas.dataset.drawn = "true";
  }

  function emptied(canvas) {
    canvas.width = canvas.height = 0;
    delete canvas.dataset.drawn;
  }

  /** Fill a canvas: `kinds` holds for each pixel the index of the palette colour over the photo. A colour is red, green, blue,
   *  opacity, and how far the photo below it is turned to grey, so that tints keep their colour. */
  function paint(canvas, { width, height, pixels }, kinds, palette) {
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height), data = image.data;
    for (let i = 0, j = 0; i < kinds.length; i++, j += 4) {
      const over = palette[kinds[i]], opacity = over[3], grey = over[4];
      const luma = 0.299 * pixels[j] + 0.587 * pixels[j + 1] + 0.114 * pixels[j + 2];
      for (let k = 0; k < 3; k++) {
        const under = pixels[j + k] * (1 - grey) + luma * grey;
        data[j + k] = under * (1 - opacity) + over[k] * opacity;
      }
      data[j + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }

  const GREY = 2 / 3;
  // The heat map is more opaque where it is high: at a constant opacity its black would hide the photo.
  const HEAT = Array.from({ length: 256 }, (_, i) => [...inferno.subarray(3 * i, 3 * i + 3), 0.42 + (0.3 * i) / 255, GREY]);
  const OUTLINED = [...HEAT, [...FOUND, 1, 0]];
  const PSEUDO = [[...BACKGROUND, 0.66, GREY], [...FOUND, 0.62, GREY], [...UNDECIDED, 0.66, GREY], [...HATCH, 0.8, GREY]];
  const MASK = [[0, 0, 0, 0.45, GREY], [...FOUND, 0.42, 0], [...FOUND, 1, 0]];

  function paintMap(canvas, state, plane) {
    paint(canvas, state, Uint8Array.from(plane, Math.round), HEAT);
  }

  function paintPseudo(canvas, state, map) {
    const { width, height } = state, kinds = new Uint8Array(width * height);
    for (let y = 0, i = 0; y < height; y++) {
      const row = Math.floor((y * map.height) / height) * map.width;
      for (let x = 0; x < width; x++, i++) {
        const kind = map.values[row + Math.floor((x * map.width) / width)];
        kinds[i] = kind === 2 && (x + y) % 10 < 3 ? 3 : kind;
      }
    }
    paint(canvas, state, kinds, PSEUDO);
  }

  /** For each pixel 0 outside, 1 inside, 2 on the outline of the chosen components. */
  function outlined({ width, height }, labels, chosen) {
    const isChosen = new Set(chosen.map((component) => component.label));
    const kinds = new Uint8Array(labels.length);
    for (let i = 0; i < labels.length; i++) kinds[i] = labels[i] && isChosen.has(labels[i]) ? 1 : 0;
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && kinds[y * width + x] > 0;
    for (const { x0, y0, x1, y1 } of chosen) {
      for (let y = y0; y < y1; y++) {
        for (let x = x0; x < x1; x++) {
          const isRim = !inside(x - 2, y) || !inside(x + 2, y) || !inside(x, y - 2) || !inside(x, y + 2);
          if (isRim && inside(x, y)) kinds[y * width + x] = 2;
        }
      }
    }
    return kinds;
  }

  // Boxes at the threshold of the slider.

  function redraw(card) {
    const state = near.get(card);
    if (!state) return;
    if (levels?.checked) redrawLevels(card, state);
    if (state.threshold === threshold) return;
    state.threshold = threshold;
    const { kinds, boxes: found } = objectsOf(card, state, state.plane);
    paint(state.mask, state, kinds, MASK);
    const boxes = isOwn ? boxesIn(card.item.dataset.boxes) : found;
    card.item.querySelector(".found").replaceChildren(...boxes.flatMap(rectangles));
    showIou(card, boxes[0]);
  }

  /** The objects in a map at the threshold: their pixels as in `outlined`, their boxes in pixels of the image. */
  function objectsOf(card, state, plane) {
    const { labels, found } = components(plane, state.height, state.width, 255 * threshold);
    const chosen = objectsIn(found, settings.objects, settings.minArea, labels.length);
    const view = card.item.querySelector("svg").viewBox.baseVal;
    const across = view.width / state.width, down = view.height / state.height;
    const boxes = chosen.map(({ x0, y0, x1, y1 }) => [x0 * across, y0 * down, x1 * across, y1 * down]);
    return { kinds: outlined(state, labels, chosen), boxes };
  }

  function rectangle([x0, y0, x1, y1], kind) {
    const one = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ class: kind, x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) one.setAttribute(name, value);
    return one;
  }

  /** A line with a dark line below it, visible on any photo. */
  const rectangles = (box) => [rectangle(box, "rim"), rectangle(box, "line")];

  /** IoU of a box with the annotated one that it fits best; 0 without a box. */
  const fitOf = (card, box) => box ? Math.max(0, ...boxesIn(card.item.dataset.true).map((one) => iou(box, one))) : 0;

  /** The IoU, and the alternative text of the image with the boxes. */
  function showIou(card, box) {
    const image = card.item.querySelector("img");
    image.dataset.own ??= image.alt;
    const about = fitOf(card, box);
    const words = box ? "box redrawn" : "no box";
    const fit = card.iou === null ? "" : `, IoU about ${about.toFixed(2)}`;
    image.alt = isOwn ? image.dataset.own : `${words} at threshold ${threshold.toFixed(2)}${fit}`;
    if (card.iou === null) return;
    const [number, bar] = card.item.querySelectorAll(".iou dd > span");
    const value = isOwn ? card.iou : about;
    number.textContent = isOwn ? value.toFixed(2) : `\u2248 ${value.toFixed(2)}`;
    bar.firstElementChild.style.width = `${Math.round(100 * value)}%`;
  }

  // Each fused level alone beside the fused map (Wei et al. 2021, Fig. 7), a row for each stage. The rows are built when they are
  // first near the window: a thousand images would have eight thousand panels.

  const LEVELS = { 2: ["shallow", "deep"], 3: ["shallow", "middle", "deep"], 4: ["shallowest", "shallow", "middle", "deep"] };

  function element(name, parts = [], attributes = {}) {
    const one = document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes)) one.setAttribute(attribute, value);
    one.append(...parts);
    return one;
  }

  function levelRows(card) {
    const { cam, heat, camLevels, segLevels } = card.item.dataset;
    const stages = [["Stage 1", camLevels, cam], ["Stage 3", segLevels, heat]].filter(([, codes]) => codes);
    return stages.flatMap(([stage, levelCodes, fused]) => {
      const codes = [...levelCodes.split(" "), fused];
      const panels = codes.map((code, i) => levelPanel(card, `${stage}, ${LEVELS[codes.length - 1][i] ?? "fused"}`, code));
      const row = element("div", panels.map(({ figure }) => figure), { class: "panels levels" });
      row.style.setProperty("--ratio", card.item.querySelector(".panels").style.getPropertyValue("--ratio"));
      card.item.querySelector("article").append(row);
      return panels;
    });
  }

  function levelPanel(card, name, code) {
    const canvas = element("canvas", [], { role: "img" }), caption = element("figcaption");
    const frames = card.item.querySelector("svg").cloneNode(true);
    const figure = element("figure", [element("div", [canvas, frames], { class: "boxed" }), caption]);
    return { name, code, figure, canvas, caption, found: frames.querySelector(".found") };
  }

  function redrawLevels(card, state) {
    if (state.levelThreshold === threshold) return;
    state.levelThreshold = threshold;
    card.levels ??= levelRows(card);
    state.levelPlanes ??= card.levels.map(({ code }) => resized(decoded(code), state.height, state.width));
    card.levels.forEach(({ name, canvas, caption, found }, i) => {
      const plane = state.levelPlanes[i], { kinds, boxes } = objectsOf(card, state, plane);
      filled(canvas, state.width, state.height);
      const colours = new Uint16Array(plane.length); // a loop: `from` with a function takes three times as long
      for (let k = 0; k < plane.length; k++) colours[k] = kinds[k] === 2 ? 256 : Math.round(plane[k]);
      paint(canvas, state, colours, OUTLINED);
      found.replaceChildren(...boxes.flatMap(rectangles));
      const fit = card.iou === null ? "" : `, IoU\u00a0\u2248\u00a0${fitOf(card, boxes[0]).toFixed(2)}`;
      caption.textContent = name + fit;
      canvas.setAttribute("aria-label", `map of ${name}${boxes.length ? "" : ", no box"}${fit.replace("\u2248", "about").replaceAll("\u00a0", " ")}`);
    });
  }

  function showLevels() {
    list.classList.toggle("with-levels", levels.checked);
    for (const card of near.keys()) redraw(card);
  }

  function showEffect() {
    own.disabled = isOwn;
    const rates = settings.rates, shown = threshold.toFixed(2);
    const what = isOwn ? `${shown}, the run\u2019s threshold.` : `${shown}: masks and boxes are redrawn approximately, from small maps.`;
    slider.setAttribute("aria-valuetext", shown);
    if (!rates) return (effect.textContent = what);
    const accuracy = isOwn ? rates.own : rates.hundredths[Math.round(100 * threshold) - 1];
    const atOwn = isOwn ? "" : `; ${rates.own.toFixed(1)} % at the run\u2019s ${settings.threshold.toFixed(2)}`;
    return (effect.textContent = `${what} Correct: ${accuracy.toFixed(1)} % of ${rates.n} images${atOwn}.`);
  }

  let isWaiting = false;
  function cutAgain() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      showEffect();
      for (const card of near.keys()) redraw(card);
    });
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const card = cardOf.get(target);
        if (!isIntersecting) {
          wanted.delete(card);
          if (near.delete(card)) target.querySelectorAll("canvas").forEach(emptied);
          continue;
        }
        wanted.add(card);
        target.querySelector("img").decode().then(() => {
          if (near.has(card) || !wanted.has(card)) return;
          near.set(card, drawn(card));
          if (hasMaps) redraw(card);
        }, () => {});
      }
    },
    { rootMargin: "400px 0px" },
  );

  new IntersectionObserver(
    (entries) => {
      if (entries.some((one) => one.isIntersecting)) showMore();
    },
    { rootMargin: "2000px 0px" },
  ).observe(more);
  more.addEventListener("click", () => {
    const first = showMore();
    if (!first) return; // scrolling has added them already
    first.item.tabIndex = -1;
    first.item.focus();
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", (event) => (event.target === levels ? showLevels() : arrange()));
  if (hasMaps) {
    cut.addEventListener("submit", (event) => event.preventDefault());
    slider.addEventListener("input", () => {
      threshold = Number(slider.value);
      isOwn = threshold === settings.threshold;
      cutAgain();
    });
    own.addEventListener("click", () => {
      slider.value = threshold = settings.threshold;
      isOwn = true;
      slider.focus();
      cutAgain();
    });
    cut.hidden = false;
    showEffect();
  }
  for (const link of document.querySelectorAll("a[data-class]")) {
    link.addEventListener("click", () => {
      byId("class").value = link.dataset.class;
      arrange();
    });
  }
  document.documentElement.classList.add("scripted");
  controls.hidden = false;
  arrange();
})();
