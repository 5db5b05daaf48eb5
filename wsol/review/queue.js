// Decisions on their way to the disk: sent in order, one at a time, again and again until the server says that they are written.

const KEPT = "wsol-review-unsaved";

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
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
  const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
  return { status: answer.status, content: isJson ? await answer.json() : {} };
}

export class Queue {
  // told(state, count, reason): "saved", "saving" or "away". done(entry, content), refused(entry, status, content).
  constructor(told, done, refused) {
    this.told = told;
    this.done = done;
    this.refused = refused;
    this.entries = JSON.parse(sessionStorage.getItem(KEPT) || "[]"); // a reload must not lose what was not saved
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

  // The last decision about an image that is on its way, or undefined.
  latest(image) {
    return this.entries.findLast((entry) => entry.body.image === image)?.body;
  }

  push(path, body) {
    this.entries.push({ path, body: { id: newId(), ...body } });
    this.keep();
    this.run();
  }

  keep() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.entries));
  }

  async run() {
    if (this.isRunning) return;
    this.isRunning = true;
    let pause = 250;
    while (this.entries.length) {
      const entry = this.entries[0];
      if (pause === 250) this.told("saving", this.entries.length);
      let answer;
      try {
        answer = await ask(entry.path, entry.body);
      } catch {
        answer = { status: 0, content: {} };
      }
      if (answer.status === 200) {
        pause = 250;
        this.settle(entry, answer.content);
        this.done(entry, answer.content);
      } else if ([400, 404, 409, 413, 422].includes(answer.status)) {
        pause = 250;
        // What was decided on top of a refused decision makes no sense without it.
        this.entries = this.entries.filter((one) => one !== entry && (entry.body.image === undefined || one.body.image !== entry.body.image));
        this.keep();
        this.refused(entry, answer.status, answer.content);
      } else {
        this.told("away", this.entries.length, reasonOf(answer));
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(2 * pause, 4000);
      }
    }
    this.isRunning = false;
    this.told("saved", 0);
  }

  settle(entry, content) {
    this.entries.shift();
    for (const later of this.entries) {
      // Decided by this window before it knew the number of its own last decision, or of its undo.
      const isOfSame = content.image && later.body.image === content.image.index;
      const isOnTop = isOfSame && (entry.path === "/api/undo" || later.body.base === entry.body.base);
      if (isOnTop) later.body.base = content.number;
    }
    this.keep();
  }
}

function reasonOf(answer) {
  if (answer.content.error) return answer.content.error;
  if (answer.status === 403 || answer.status === 421) return "another server is here now: open the address that it printed";
  return "the server is away; trying again";
}
