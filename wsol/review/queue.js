// Unsaved decisions: sent in order, one at a time, and repeated until the server confirms that they are written.

const STORAGE_KEY = "wsol-review-unsaved";

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Wsol-Review": "1" },
    body: JSON.stringify(body),
    keepalive: true,
  };
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
  const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
  return { status: response.status, content: isJson ? await response.json() : {} };
}

export class Queue {
  // showState(state, count, reason): "saved", "saving" or "away". done(entry, content), refused(entry, status, content).
  constructor(showState, done, refused) {
    this.showState = showState;
    this.done = done;
    this.refused = refused;
    this.entries = JSON.parse(sessionStorage.getItem(STORAGE_KEY) || "[]"); // unsaved decisions survive a reload
    this.isRunning = false;
  }

  get length() {
    return this.entries.length;
  }

  get waitsForUndo() {
    return this.entries.some((entry) => entry.path === "/api/undo");
  }

  waitsFor(image) {
    return this.entries.some((entry) => entry.body.image === image);
  }

  // The last unsaved decision about an image, or undefined.
  latest(image) {
    return this.entries.findLast((entry) => entry.body.image === image)?.body;
  }

  push(path, body) {
    this.entries.push({ path, body: { id: newId(), ...body } });
    this.keep();
    this.run();
  }

  keep() {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(this.entries));
  }

  async run() {
    if (this.isRunning) return;
    this.isRunning = true;
    let pause = 250;
    while (this.entries.length) {
      const entry = this.entries[0];
      if (pause === 250) this.showState("saving", this.entries.length);
      let response;
      try {
        response = await ask(entry.path, entry.body);
      } catch {
        response = { status: 0, content: {} };
      }
      if (response.status === 200) {
        pause = 250;
        this.settle(entry, response.content);
        this.done(entry, response.content);
      } else if ([400, 404, 409, 413, 422].includes(response.status)) {
        pause = 250;
        // Decisions based on a refused one are dropped with it.
        this.entries = this.entries.filter((one) => one !== entry && (entry.body.image === undefined || one.body.image !== entry.body.image));
        this.keep();
        this.refused(entry, response.status, response.content);
      } else {
        this.showState("away", this.entries.length, reasonOf(response));
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(2 * pause, 4000);
      }
    }
    this.isRunning = false;
    this.showState("saved", 0);
  }

  settle(entry, content) {
    this.entries.shift();
    for (const later of this.entries) {
      // These decisions were made before this one had its number: base them on it.
      const isOfSame = content.image && later.body.image === content.image.index;
      const isOnTop = isOfSame && (entry.path === "/api/undo" || later.body.base === entry.body.base);
      if (isOnTop) later.body.base = content.number;
    }
    this.keep();
  }
}

function reasonOf(response) {
  if (response.content.error) return response.content.error;
  if (response.status === 403 || response.status === 421) return "another server is running: open the address that it printed";
  return "the server does not respond; trying again";
}
