// Images and their details, fetched and decoded ahead of time so that the next one appears at once.

import { ask } from "/page/queue.js";

const MAX_KEPT = 24;

export class Images {
  constructor(sizes) {
    this.sizes = sizes;
    this.kept = new Map();
    this.longest = sizes[0];
  }

  fit(width, height) {
    const wanted = Math.max(width, height) * window.devicePixelRatio;
    const longest = this.sizes.find((size) => size >= wanted) || this.sizes[this.sizes.length - 1];
    if (longest > this.longest) {
      this.longest = longest;
      this.kept.clear();
    }
  }

  // The image's details, its decoded <img>, and in `error` the reason if it cannot be decoded.
  get(index) {
    let found = this.kept.get(index);
    if (found === undefined) {
      found = this.fetch(index);
      found.catch(() => this.kept.get(index) === found && this.kept.delete(index));
    } else {
      this.kept.delete(index); // and append it again: the map is ordered by last use
    }
    this.kept.set(index, found);
    while (this.kept.size > MAX_KEPT) this.kept.delete(this.kept.keys().next().value);
    return found;
  }

  async fetch(index) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    const decoded = this.decode(image, index);
    const details = await this.details(index);
    return { details, image, error: await decoded };
  }

  async details(index) {
    const { status, content } = await ask(`/api/images/${index}`);
    if (status !== 200) throw new Error(content.error || `the server responds ${status}`);
    return content;
  }

  async decode(image, index) {
    const path = `/images/${index}/${this.longest}`;
    image.src = path;
    try {
      await image.decode();
      return "";
    } catch {
      const { status, content } = await ask(path);
      if (status === 410) return content.error;
      throw new Error("the image could not be loaded");
    }
  }

  forget(index) {
    this.kept.delete(index);
  }

  async refresh(index, details) {
    if (!this.kept.has(index)) return;
    const found = await this.kept.get(index).catch(() => null);
    if (found) Object.assign(found.details, details); // update in place: the page holds this object
  }
}
