// The review page: navigation between images, decisions, keys and buttons.

import { Boxes } from "/page/boxes.js";
import { Classes } from "/page/classes.js";
import { Pace } from "/page/pace.js";
import { Images } from "/page/images.js";
import { ask, newId, Queue } from "/page/queue.js";

const AHEAD = 4;
const POLL_EVERY_MS = 4000;
const LARGEST_ZOOM = 6;
const EXPORT_HINT = "wsol export … --reviewed exports them in the format of another tool.";
const CALIBRATE_HINT = "wsol calibrate RUN --reviewed PREDICTIONS measures the accuracy of the run and chooses its threshold.";
const SAMPLE_NOTICE = "Random sample for calibration: correct every box, even if it is nearly right.";
const VERDICTS = { u: "undecided", a: "accepted", c: "corrected", e: "nothing here", r: "rejected" };

const at = (id) => document.getElementById(id);
const stage = at("stage");
const sheet = at("sheet");
const session = sessionStorage.getItem("wsol-review-session") || newId();
sessionStorage.setItem("wsol-review-session", session);
history.replaceState(null, "", "/"); // the key in the address is now in a cookie

let overview; // class_names, order, verdicts (an array), seen
let images;
let here = null; // details of the image on the screen, including decisions that are not saved yet
let going = 0; // number of image requests so far; identifies the latest one
let isEmpty = false; // whether no image matches the filter
let undoing = 0; // value of `going` at the last undo request
let left; // the image to show when all undo requests are answered
const visited = []; // image indices in the order they were shown; Back and Next walk through them
let position = -1;
const pace = new Pace();
const queue = new Queue(showSaved, onSaved, onRefused);
const boxes = new Boxes(at("boxes"), sheet, onBoxes, () => showButtons());
const classes = new Classes(at("classes"), [], onClass);

// Navigation

// "corrected image": for "There is no ..."
function imageOf(filter) {
  return filter === "e" ? 'image marked "nothing here"' : `${VERDICTS[filter]} image`;
}

function matchesFilter(index) {
  const filter = at("filter").value;
  return !filter || overview.verdicts[index] === filter;
}

// The next image that matches the filter in the review order, wrapping around at the end; or undefined.
function following(index, skipped = new Set()) {
  const { order } = overview;
  const start = index === undefined ? -1 : overview.positions[index];
  for (let step = 1; step <= order.length; step++) {
    const found = order[(start + step) % order.length];
    if (found !== index && !skipped.has(found) && matchesFilter(found)) return found;
  }
  return undefined;
}

function preceding(index) {
  for (let i = overview.positions[index] - 1; i >= 0; i--) if (matchesFilter(overview.order[i])) return overview.order[i];
  return undefined;
}

function next() {
  boxes.finishNudge();
  if (position < visited.length - 1) return void show(visited[++position]);
  const found = following(visited[position]);
  if (found !== undefined) visit(found);
  else if (here && matchesFilter(here.index)) notify("This is the only image that matches the filter.");
  else showNothing();
}

function previous() {
  boxes.finishNudge();
  if (here === null && position >= 0) return void show(visited[position]);
  if (position > 0) return void show(visited[--position]);
  const found = position === 0 ? preceding(visited[0]) : undefined;
  if (found === undefined) return notify(isFirst());
  visited.unshift(found);
  position = 0;
  show(found);
}

// Earlier images may exist that the filter leaves out.
function isFirst() {
  const filter = at("filter").value;
  const before = position === 0 ? overview.positions[visited[0]] : overview.order.length;
  return filter && before > 0 ? `There is no earlier ${imageOf(filter)}. Set Show to all to see the others.` : "This is the first image.";
}

function visit(index, notice) {
  boxes.finishNudge();
  if (visited[position] !== index) {
    visited.splice(position + 1);
    visited.push(index);
    position = visited.length - 1;
  }
  show(index, notice);
}

// Display

// Keys pressed before the image is loaded decide nothing.
function wait() {
  here = null;
  sheet.classList.add("waiting");
  return ++going;
}

async function show(index, notice = "") {
  const mine = wait();
  isEmpty = false;
  let found;
  try {
    found = await images.get(index);
  } catch {
    notify("The image cannot be loaded: the server does not respond.");
    setTimeout(() => mine === going && show(index, notice), 1000);
    return;
  }
  if (mine !== going) return;
  here = found.details;
  here.error = found.error;
  const unsaved = queue.latest(index);
  if (unsaved) for (const name of ["boxes", "class_name", "is_class_chosen"]) here[name] = unsaved[name];
  sheet.hidden = false;
  sheet.classList.remove("waiting");
  sheet.querySelector("img")?.remove();
  if (!found.error) sheet.prepend(found.image);
  at("empty").hidden = !found.error;
  at("empty").textContent = found.error;
  fit();
  boxes.show(here.boxes, here.predicted_boxes, here.image_hw);
  showState();
  notify(notice);
  const folder = otherClass() ?? emptyFolder();
  const classNote = `${here.is_class_chosen ? ", your choice" : ""}${folder === null ? "" : `, folder ${folder}`}`;
  announce(`${at("class").textContent || "image"}${classNote}, ${VERDICTS[overview.verdicts[index]]}, ${counted(here.boxes.length)}`);
  prefetch(index);
}

function prefetch(index) {
  const coming = new Set([index]);
  for (let found = index; coming.size <= AHEAD; coming.add(found)) {
    found = following(found, coming);
    if (found === undefined) break;
    images.get(found).catch(() => {});
  }
}

function fit() {
  if (!here) return;
  const style = getComputedStyle(stage);
  const width = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const scale = Math.min(width / here.image_hw[1], height / here.image_hw[0], LARGEST_ZOOM);
  sheet.style.width = `${Math.max(here.image_hw[1] * scale, 1)}px`;
  sheet.style.height = `${Math.max(here.image_hw[0] * scale, 1)}px`;
  sheet.hidden = Boolean(here.error);
}

function showNothing() {
  wait();
  isEmpty = true;
  visited.splice(position + 1);
  sheet.hidden = true;
  const filter = at("filter").value;
  const isDone = filter === "u" || !overview.order.length;
  at("empty").hidden = false;
  at("empty").textContent = isDone
    ? `All ${overview.order.length} images are decided.\n\n${overview.is_sample ? CALIBRATE_HINT : EXPORT_HINT}`
    : `There is no ${imageOf(filter)}.`;
  announce(at("empty").textContent);
  showState();
}

function showState() {
  const total = overview.order.length;
  const left = overview.order.filter((index) => overview.verdicts[index] === "u").length;
  at("progress").max = Math.max(total, 1);
  at("progress").value = total - left;
  at("far").textContent = `${total - left} of ${total} decided`;
  at("pace").textContent = pace.text(left);
  at("what").hidden = here === null;
  if (here) showDetails();
  showButtons();
}

function showDetails() {
  const verdict = VERDICTS[overview.verdicts[here.index]];
  at("verdict").textContent = verdict;
  at("verdict").dataset.verdict = verdict;
  at("score").textContent = here.scores.length ? `score ${Math.min(...here.scores).toFixed(2)}` : "nothing found";
  at("class-line").hidden = !overview.class_names.length;
  at("class").textContent = here.class_name ?? (overview.class_names.length ? "no class" : "");
  at("given-line").hidden = otherClass() === null && emptyFolder() === null;
  at("given-button").hidden = otherClass() === null;
  at("given-empty-button").hidden = emptyFolder() === null;
  at("given-empty").textContent = emptyFolder() ?? "";
  at("given-line").classList.toggle("settled", here.is_class_chosen);
  at("given").textContent = otherClass() ?? "";
  at("keep-button").hidden = otherClass() === null || here.is_class_chosen || here.class_name === null;
  at("chosen").hidden = !here.is_class_chosen;
  at("count").textContent = here.boxes.length ? counted(here.boxes.length) : "no box: background image";
  at("name").textContent = here.image;
  sheet.classList.toggle("rejected", verdict === "rejected");
  document.title = `${here.image} - wsol review`;
}

function showButtons() {
  for (const button of document.querySelectorAll("footer button")) {
    const needsImage = ["accept", "nothing", "draw", "redraw", "delete"].includes(button.dataset.do);
    button.disabled = (here === null && !["undo", "previous"].includes(button.dataset.do)) || (needsImage && Boolean(here?.error));
  }
  at("box-keys").hidden = here === null || boxes.chosen < 0;
  const ofBox = document.querySelectorAll("[data-do=delete], [data-do=redraw]");
  if (here && boxes.chosen < 0 && here.boxes.length !== 1) for (const button of ofBox) button.disabled = true;
  document.querySelector("[data-do=draw]").setAttribute("aria-pressed", String(boxes.isDrawing && !boxes.isReplacing));
  document.querySelector("[data-do=redraw]").setAttribute("aria-pressed", String(boxes.isReplacing));
}

function counted(number) {
  return number === 0 ? "no box" : number === 1 ? "1 box" : `${number} boxes`;
}

function announce(text) {
  at("said").textContent = text;
}

function notify(text, goTo) {
  const notice = at("notice");
  notice.hidden = !text;
  notice.textContent = text;
  if (text) at("what").hidden = false;
  if (goTo === undefined || !text) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Show it";
  button.addEventListener("click", () => visit(goTo));
  notice.append(button);
}

// Decisions

function decide(isRejected) {
  const isAsPredicted = same(here.boxes, here.predicted_boxes) && here.class_name === here.predicted_class;
  const kept = here.boxes.length === 0 ? "e" : isAsPredicted ? "a" : "c";
  if (overview.verdicts[here.index] === "u") pace.decided(performance.now());
  overview.verdicts[here.index] = isRejected ? "r" : kept;
  queue.push("/api/decide", {
    image: here.index, base: here.version, is_rejected: isRejected, boxes: here.boxes, class_name: here.class_name,
    is_class_chosen: here.is_class_chosen, session, seen: overview.seen,
  });
  showState();
  announce(VERDICTS[overview.verdicts[here.index]]);
}

function accept() {
  boxes.finishNudge();
  if (boxes.isDrawing) return boxes.addAtCentre();
  if (here.error) return;
  if (needsClass()) return chooseClass();
  if (!["a", "c", "e"].includes(overview.verdicts[here.index])) decide(false);
  next();
}

// The image contains no object; undo brings its boxes back.
function nothing() {
  boxes.finishNudge();
  if (overview.verdicts[here.index] !== "e") {
    here.boxes = [];
    boxes.show(here.boxes, here.predicted_boxes, here.image_hw);
    decide(false);
  }
  next();
}

function reject() {
  boxes.finishNudge();
  if (overview.verdicts[here.index] !== "r") decide(true);
  next();
}

function undo() {
  boxes.finishNudge();
  if (!queue.waitsForUndo) left = isEmpty ? undefined : here?.index ?? visited[position];
  undoing = wait(); // the response names the image
  showButtons();
  queue.push("/api/undo", { session, seen: overview.seen });
}

// The response to an undo: the image whose decision was undone, or the reason why there is none.
function undone(index, text) {
  left = index ?? left;
  if (queue.waitsForUndo) return;
  const isElsewhere = going !== undoing && (index === undefined || here?.index !== index);
  if (isElsewhere) notify(text || "Undone.", index); // another image was requested in the meantime
  else if (left === undefined) notify(text);
  else visit(left, text);
}

function needsClass() {
  const isOfObjects = here.class_name !== null && (here.is_class_chosen || !overview.no_object.includes(here.class_name));
  return overview.class_names.length > 0 && here.boxes.length > 0 && !isOfObjects;
}

function onBoxes(changed, what) {
  if (!here) return;
  here.boxes = changed.map((box) => [...box]);
  const other = what === "drawn" ? boxes.overlapping(boxes.chosen) : -1;
  if (other >= 0) notify(`It overlaps box ${other + 1}. To delete that box, press ${other + 1}, then d; b replaces a box.`);
  else if (["drawn", "deleted"].includes(what)) notify(""); // the hint about drawing is out of date
  showButtons();
  if (needsClass()) {
    showState();
    chooseClass();
    return;
  }
  decide(false);
  announce(`box ${what}, ${counted(here.boxes.length)}`);
}

function chooseClass() {
  if (overview.class_names.length && !here.error) classes.open(here.class_name, here.likely);
}

// Choosing the class that is shown counts, too: it then has priority over the folder's class.
function onClass(name) {
  if (!here) return;
  const isNew = name !== here.class_name || !here.is_class_chosen;
  here.class_name = name;
  here.is_class_chosen = true;
  if (isNew) decide(false);
  stage.focus();
}

// The class of the image's folder if it differs from the one shown, or null.
function otherClass() {
  return here.error || here.given_class === here.class_name ? null : here.given_class;
}

// The class of the image's folder if its images contain no object while this one has a box, or null.
function emptyFolder() {
  return here.error || !here.boxes.length ? null : here.given_empty;
}

function useFolderClass() {
  boxes.finishNudge();
  if (emptyFolder() !== null) return nothing();
  if (otherClass() === null) return notify("The folder's class is the one shown.");
  onClass(otherClass());
  announce(`class ${here.class_name}, from the folder`);
}

function keepPredictedClass() {
  boxes.finishNudge();
  if (otherClass() === null) return notify("The folder's class is the one shown.");
  if (here.class_name === null) return notify("No class was predicted. Choose one (c).");
  if (here.is_class_chosen) return notify(`${here.class_name} is already your choice.`);
  onClass(here.class_name);
  announce(`class ${here.class_name} kept`);
}

function same(some, others) {
  return some.length === others.length && some.every((box, i) => box.every((value, k) => value === others[i][k]));
}

// Server responses

function showSaved(state, count, reason) {
  const saved = at("saved");
  if (state === "away" && saved.dataset.state !== "away") announce(`${count} not saved: ${reason}`);
  saved.dataset.state = state;
  saved.textContent = state === "saved" ? "saved" : state === "saving" ? "saving" : count ? `${count} not saved: ${reason}` : reason;
}

async function onSaved(entry, content) {
  const { image } = content;
  if (image && here?.index === image.index) here.version = content.number;
  if (entry.path === "/api/undo") return onUndone(content);
  await images.refresh(image.index, merged(image));
  await note(content);
}

async function onUndone(content) {
  const index = content.image?.index;
  if (index !== undefined) {
    images.forget(index);
    overview.verdicts[index] = content.image.verdict[0];
  }
  await note(content);
  undone(index, index === undefined ? "There is nothing to undo." : "");
}

// The server's details of an image; only its version if the image is shown or has decisions that are not saved yet.
function merged(image) {
  return here?.index === image.index || queue.waitsFor(image.index) ? { version: image.version } : image;
}

async function onRefused(entry, status, content) {
  const index = entry.body.image;
  if (entry.path === "/api/undo") return undone(undefined, `Not undone: ${content.error || status}`);
  if (status !== 409) {
    notify(`Not saved: ${content.error || status}`, index);
    if (index !== undefined) reread(index);
    return;
  }
  const { image } = content;
  overview.verdicts[image.index] = image.verdict[0];
  const text = `Another window has already decided about ${image.image} (${VERDICTS[image.verdict[0]]}). Your decision is not saved; this is the current state.`;
  images.forget(image.index);
  await note({ seen: content.seen, changes: content.changes.filter(({ index }) => index !== image.index) });
  if (here?.index === image.index) show(image.index, text);
  else notify(text.replace("this is the current state", "check the image again"), image.index);
}

async function reread(index) {
  images.forget(index);
  const details = await images.details(index);
  overview.verdicts[index] = details.verdict[0];
  if (here?.index === index) show(index, at("notice").textContent);
}

// Apply the decisions of all windows since the last response.
async function note({ seen, changes }) {
  overview.seen = Math.max(overview.seen, seen);
  for (const { index, version, verdict } of changes) {
    if (queue.waitsFor(index)) continue;
    overview.verdicts[index] = verdict[0];
    if (here?.index === index) {
      if (here.version < version && !boxes.nudging) {
        images.forget(index);
        show(index, `Another window has just changed this image (${VERDICTS[verdict[0]]}).`);
      }
    } else if (images.kept.has(index)) {
      images.get(index).then((found) => found.details.version !== version && images.forget(index), () => {});
    }
  }
  showState();
}

async function poll() {
  if (document.hidden || queue.length) return;
  const showUnlessSaving = (state, reason) => queue.length || showSaved(state, 0, reason); // while there are unsaved decisions, the queue shows the state
  try {
    const { status, content } = await ask(`/api/changes?since=${overview.seen}`);
    if (status !== 200) return void showUnlessSaving("away", "another server is running: open the address that it printed");
    showUnlessSaving("saved");
    if (content.changes.length) await note(content);
  } catch {
    showUnlessSaving("away", "the server does not respond");
  }
}

// Keys and buttons

const CHOOSE_FIRST = "Select a box first: Tab, its number, or a click.";

const DO = {
  accept, reject, nothing, undo, next, previous,
  draw: () => draw(!boxes.isDrawing || boxes.isReplacing, false),
  redraw: () => {
    if (here.boxes.length && boxes.target < 0) return notify(CHOOSE_FIRST);
    if (here.boxes.length) draw(!boxes.isReplacing, true);
    else draw(!boxes.isDrawing, false);
  },
  take: useFolderClass,
  keep: keepPredictedClass,
  delete: () => boxes.remove() || notify(CHOOSE_FIRST),
};

function draw(isDrawing, isReplacing) {
  boxes.finishNudge();
  boxes.draw(isDrawing, isReplacing);
  if (isReplacing && isDrawing) boxes.choose(boxes.target);
  showButtons();
  const what = isReplacing ? "a box that replaces the selected one" : here.boxes.length ? "another box (b replaces the selected one, d deletes it)" : "a new box";
  notify(isDrawing ? `Draw ${what}. Enter puts it at the centre.` : "");
}

function act(name) {
  const needsImage = !["undo", "previous"].includes(name);
  if (needsImage && here === null) return;
  if (here?.error && ["accept", "nothing", "draw", "redraw", "delete", "take", "keep"].includes(name)) return;
  DO[name]();
}

const KEYS = {
  Enter: "accept", " ": "accept", x: "reject", e: "nothing", u: "undo", n: "draw", b: "redraw", f: "take", k: "keep", d: "delete", Delete: "delete", Backspace: "delete",
  ArrowRight: "next", ArrowDown: "next", ArrowLeft: "previous", ArrowUp: "previous",
};

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELD_STEP_PX = 10;

function onKey(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.target.matches("select, input")) return;
  const step = STEPS[event.key];
  if (step && (event.shiftKey || event.altKey) && !event.ctrlKey && !event.metaKey && here && !here.error) {
    event.preventDefault(); // Alt and an arrow key would leave the page
    const isThere = boxes.nudge(step.map((one) => one * (event.repeat ? HELD_STEP_PX : 1)), event.altKey);
    if (!isThere) notify(CHOOSE_FIRST);
    return;
  }
  if (event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z" || event.shiftKey) return;
    event.preventDefault();
    if (!event.repeat) act("undo");
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.target.matches("button") && (key === "Enter" || key === " ")) return;
  if (key === "?") showHelp();
  else if (key === "Escape") {
    boxes.draw(false);
    boxes.choose(-1);
    notify("");
    stage.focus();
  } else if (key === "c" && here) chooseClass();
  else if (/^[1-9]$/.test(key) && here && Number(key) <= here.boxes.length) boxes.choose(Number(key) - 1);
  else if (KEYS[key]) {
    // A key that is held down must not decide about several images.
    if (!event.repeat || key.startsWith("Arrow")) act(KEYS[key]);
  } else return;
  event.preventDefault();
}

function showHelp() {
  at("help").showModal();
  at("help").scrollTop = 0; // the button at the end has the focus and would be scrolled to
}

function listen() {
  document.addEventListener("keydown", onKey);
  for (const button of document.querySelectorAll("footer button")) {
    button.addEventListener("click", () => {
      act(button.dataset.do);
      if (!boxes.svg.contains(document.activeElement)) stage.focus(); // Enter then accepts and does not press the button again
    });
  }
  at("help-button").addEventListener("click", showHelp);
  at("class-button").addEventListener("click", () => here && chooseClass());
  at("given-button").addEventListener("click", () => act("take"));
  at("keep-button").addEventListener("click", () => act("keep"));
  at("given-empty-button").addEventListener("click", () => act("nothing"));
  at("filter").addEventListener("change", () => {
    boxes.finishNudge();
    const from = here?.index ?? visited[position];
    const isThere = from !== undefined && matchesFilter(from);
    const found = here && isThere ? from : following(from) ?? (isThere ? from : undefined);
    if (found === undefined) showNothing();
    else visit(found);
    stage.focus();
  });
  new ResizeObserver(() => {
    images.fit(stage.clientWidth, stage.clientHeight);
    fit();
    boxes.layOutAll();
  }).observe(stage);
  window.addEventListener("pagehide", () => boxes.finishNudge());
  window.addEventListener("beforeunload", (event) => queue.length && event.preventDefault());
  document.addEventListener("visibilitychange", poll);
  setInterval(poll, POLL_EVERY_MS);
}

async function start() {
  const { status, content } = await ask("/api/overview");
  if (status !== 200) {
    notify("Open the address that wsol review printed: it contains the key.");
    return;
  }
  overview = { ...content, verdicts: [...content.verdicts], positions: [] };
  overview.order.forEach((index, position) => (overview.positions[index] = position));
  classes.names = overview.class_names;
  images = new Images(overview.sizes);
  images.fit(stage.clientWidth, stage.clientHeight);
  at("folder").textContent = overview.folder + (overview.is_sample ? `, random sample of ${overview.order.length}` : "");
  listen();
  await queue.run(); // decisions that an earlier load of the page could not save
  const first = following(undefined);
  if (first === undefined) showNothing();
  else visit(first, overview.is_sample ? SAMPLE_NOTICE : "");
  stage.focus();
}

start();
