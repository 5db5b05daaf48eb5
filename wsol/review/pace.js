// Speed of the review: recent decisions per minute, without pauses.

const WINDOW = 30;
const PAUSE_MS = 60000;

export class Pace {
  constructor() {
    this.times = [];
  }

  decided(now) {
    this.times.push(now);
    if (this.times.length > WINDOW) this.times.shift();
  }

  // Images per minute; undefined while there are too few decisions.
  perMinute() {
    const gaps = this.times.slice(1).map((time, i) => time - this.times[i]).filter((gap) => gap < PAUSE_MS);
    if (gaps.length < 3) return undefined;
    const sum = gaps.reduce((a, b) => a + b, 0);
    return (60000 * gaps.length) / Math.max(sum, 1);
  }

  text(left) {
    const speed = this.perMinute();
    if (speed === undefined || !left) return "";
    const minutes = left / speed;
    const time = minutes < 1.5 ? "1 min" : minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
    return `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} per minute, ${time} left`;
  }
}
