// The readings beside the picture, and the alarms above them.

import { count, element, icon, milliseconds, rate, span } from "./words.js";

const HISTORY = 120; // half seconds
const LEARNED_NOTHING = ["bicubic", "lanczos", "passthrough"];

class Curve {
  constructor(canvas) {
    this.canvas = canvas;
    this.values = [];
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > HISTORY) this.values.shift();
    const ratio = window.devicePixelRatio;
    const [width, height] = [this.canvas.clientWidth * ratio, this.canvas.clientHeight * ratio];
    if (!width) return;
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const highest = Math.max(...this.values.map((v) => v ?? 0), 1e-6) * 1.15;
    context.strokeStyle = "#6cb8f0";
    context.lineWidth = 1.5 * ratio;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    this.values.forEach((v, i) => {
      const x = width - (this.values.length - 1 - i) * (width / (HISTORY - 1));
      const y = height - ratio - (height - 2 * ratio) * ((v ?? 0) / highest);
      if (v == null) drawing = false; // a gap is a gap
      else if (drawing) context.lineTo(x, y);
      else context.moveTo(x, y), (drawing = true);
    });
    context.stroke();
  }
}

function reading(list, name, unit, curve) {
  const box = element("div", "", curve ? "reading large" : "reading");
  const value = element("dd");
  const number = element("span", "–", "value");
  const more = element("small");
  value.append(number, element("span", unit, "unit"), more);
  box.append(element("dt", name), value);
  list.append(box);
  const made = { box, number, more };
  if (curve) {
    const canvas = element("canvas", "", "curve");
    canvas.setAttribute("aria-hidden", "true");
    box.append(canvas);
    made.curve = new Curve(canvas);
  }
  return made;
}

function put(made, text, more = "") {
  made.number.textContent = text;
  made.number.classList.toggle("none", text === "–");
  made.more.textContent = more;
}

export class Panel {
  constructor(list, still) {
    list.replaceChildren();
    this.given = still ? "file" : "camera";
    if (!still) {
      this.rate = reading(list, "On screen", "frames/s", true);
      this.latency = reading(list, "Camera to screen", "ms", true);
      this.dropped = reading(list, "Dropped", "");
      this.reconnects = reading(list, "Reconnects", "");
    }
    this.time = reading(list, "Upscaling", "ms");
    this.consistency = reading(list, "Difference", "levels");
    this.size = reading(list, "Picture", "px");
    this.model = reading(list, "Made by", "");
    this.model.box.classList.add("model");
  }

  source(of, screen) {
    if (!this.rate || !of) return;
    put(this.rate, rate(screen.rate), of.captured_rate == null ? "" : `camera ${rate(of.captured_rate)}`);
    put(this.latency, milliseconds(screen.latency), screen.latency_95 == null ? "" : `95 %: ${milliseconds(screen.latency_95)}`);
    this.rate.curve.add(screen.rate);
    this.latency.curve.add(screen.latency);
    const reasons = Object.entries(of.dropped);
    put(this.dropped, count(reasons.reduce((sum, [, n]) => sum + n, 0)), reasons.map(([why, n]) => `${why} ${count(n)}`).join(", "));
    put(this.reconnects, count(of.reconnects));
  }

  /** Another camera or file is looked at: what was read of the one before is none of it. */
  open(header) {
    for (const each of [this.time, this.consistency, this.size, this.model]) put(each, "–");
    this.model.more.title = "";
    this.model.box.classList.remove("fallback");
    this.consistency.box.hidden = this.given === "file"; // files have no guard
    for (const each of [this.rate, this.latency]) if (each) each.curve.values = [];
    this.method = null;
    if (header) this.picture(header);
  }

  picture(header) {
    put(this.time, milliseconds(header.seconds), header.reused ? `${Math.round(header.reused * 100)} % unchanged` : "");
    if (header.consistency != null) put(this.consistency, header.consistency.toFixed(1));
    else if (header.method !== this.method) put(this.consistency, "–"); // what was measured of another way is not of this
    this.method = header.method;
    put(this.size, header.size.join(" × "), `${this.given} ${header.camera_size.join(" × ")}, ×${header.scale}`);
    const hash = header.model_sha256;
    put(this.model, header.method, hash ? `sha256 ${hash.slice(0, 16)}…` : LEARNED_NOTHING.includes(header.method) ? "no model" : "");
    this.model.more.title = hash ?? "";
    this.model.box.classList.toggle("fallback", header.fallback);
  }
}

/** Rebuilt only where something has changed, so that a button does not vanish under a finger. */
export class AlarmList {
  constructor(root, counter, acknowledge) {
    this.root = root;
    this.counter = counter;
    this.acknowledge = acknowledge;
    this.cards = new Map();
    counter.addEventListener("click", () => root.querySelector("button")?.focus());
  }

  show(alarms) {
    this.alarms = alarms;
    const numbers = new Set(alarms.map((alarm) => alarm.number));
    for (const [number, card] of this.cards) {
      if (numbers.has(number)) continue;
      card.root.remove();
      this.cards.delete(number);
    }
    for (const alarm of alarms) this.update(this.cards.get(alarm.number) ?? this.card(alarm.number), alarm);
    const unseen = alarms.filter((alarm) => !alarm.acknowledged).length;
    this.counter.hidden = !alarms.length;
    this.counter.classList.toggle("seen", !unseen);
    const words = unseen ? `${unseen} ${unseen === 1 ? "alarm" : "alarms"}` : `${alarms.length} seen`;
    this.counter.replaceChildren(icon(unseen ? "alarm" : "tick"), element("span", words));
    return unseen;
  }

  card(number) {
    const root = element("div", "", "alarm");
    const [sign, text, about] = [element("span", "", "sign"), element("p"), element("small")];
    const button = element("button", "Acknowledge");
    button.type = "button";
    button.addEventListener("click", () => this.acknowledge(number));
    root.append(sign, text, about, button);
    this.root.append(root);
    const card = { root, sign, text, about, button, kind: null };
    this.cards.set(number, card);
    return card;
  }

  update(card, alarm) {
    const kind = alarm.active ? (alarm.acknowledged ? "seen" : "active") : "over";
    if (kind !== card.kind) {
      card.kind = kind;
      card.root.className = `alarm ${kind}`;
      card.sign.replaceChildren(icon(kind === "seen" ? "tick" : "alarm"));
      card.button.hidden = alarm.acknowledged;
    }
    if (card.text.textContent !== alarm.text) card.text.textContent = alarm.text;
    const state = { active: "", seen: "seen, goes on · ", over: "is over · " }[kind];
    card.about.textContent = `${alarm.source ? alarm.source + " · " : ""}${state}${span(alarm.age)} ago`;
  }

  /** The one that waits longest. */
  acknowledgeFirst() {
    const first = this.alarms?.find((alarm) => !alarm.acknowledged);
    if (first) this.acknowledge(first.number);
  }
}
