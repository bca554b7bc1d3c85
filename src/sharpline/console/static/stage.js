// The large picture: camera and upscaled with a border between them, differences, boxes, and the loupe's place.

import { fitted, labelled, outlined, part, placed } from "./drawing.js";
import { painted, worst } from "./heat.js";

const BOX = "#ffd166";
const WORST = "#f4f7fa";
const WINDOW = "#8fd0ff";
const STEP = 0.02;

export class Stage {
  constructor(root, changed, picked) {
    this.root = root;
    this.canvas = root.querySelector("#picture");
    this.border = root.querySelector("#border");
    this.handle = root.querySelector("#handle");
    this.split = 0.5;
    this.place = { x: 0, y: 0, w: 0, h: 0, scale: 1 };
    this.changed = changed;
    this.picked = picked;
    this.listen();
  }

  /** Width in the screen's pixels that a picture of this size takes: what the server should send. */
  wanted(size) {
    fitted(this.canvas);
    return size ? placed(this.canvas, size).w : this.canvas.width;
  }

  draw(shot, show) {
    const context = fitted(this.canvas);
    context.fillStyle = "#0a0d11";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.border.hidden = !shot?.sr || !shot.camera || show.original;
    if (!shot?.sr) return;
    this.size = shot.header.size;
    this.place = placed(this.canvas, this.size, shot.sr.width);
    const split = !shot.camera ? 0 : show.original ? 1 : this.split;
    if (shot.camera) part(context, shot.camera, this.place, 0, split);
    part(context, shot.sr, this.place, split, 1);
    if (show.heat && shot.heat) this.drawHeat(context, shot.heat);
    if (show.boxes) this.drawBoxes(context, shot.header.detections);
    if (show.window) this.drawWindow(context, show.window);
    this.placeBorder();
  }

  drawHeat(context, heat) {
    const { x, y, w, h, scale } = this.place;
    heat.picture ??= painted(heat);
    const block = heat.block * scale;
    context.save();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
    context.globalCompositeOperation = "saturation"; // the picture in grey, so that colour belongs to the map
    context.fillStyle = "#808080";
    context.fillRect(x, y, w, h);
    context.globalCompositeOperation = "source-over";
    context.imageSmoothingEnabled = false;
    context.drawImage(heat.picture, x, y, heat.columns * block, heat.rows * block);
    context.restore();
    const { column, row, level } = worst(heat);
    const ratio = window.devicePixelRatio;
    const [left, above] = [x + column * block, y + row * block];
    outlined(context, left, above, block, block, WORST, ratio);
    labelled(context, `most: ${level.toFixed(1)}`, left, above, this.place, WORST, ratio);
  }

  drawBoxes(context, detections) {
    const { x, y, scale } = this.place;
    const ratio = window.devicePixelRatio;
    for (const { label, score, box } of detections) {
      const [left, above, right, below] = box.map((value) => value * scale);
      outlined(context, x + left, y + above, right - left, below - above, BOX, ratio);
      labelled(context, `${label} ${Math.round(score * 100)} %`, x + left, y + above, this.place, BOX, ratio);
    }
  }

  drawWindow(context, window) {
    const { x, y, scale } = this.place;
    const ratio = globalThis.devicePixelRatio;
    const [left, above, w, h] = [window.x, window.y, window.width, window.height].map((value) => value * scale);
    outlined(context, x + left, y + above, w, h, WINDOW, ratio);
  }

  placeBorder() {
    const ratio = window.devicePixelRatio;
    const { x, y, w, h } = this.place;
    const edges = { left: x, top: y, right: this.canvas.width - x - w, bottom: this.canvas.height - y - h };
    for (const [edge, value] of Object.entries(edges)) this.root.style.setProperty(`--${edge}`, `${value / ratio}px`);
    this.border.style.left = `${Math.round(x + w * this.split) / ratio}px`;
    this.border.style.top = `${y / ratio}px`;
    this.border.style.height = `${h / ratio}px`;
    const percent = Math.round(this.split * 100);
    this.handle.setAttribute("aria-valuenow", percent);
    this.handle.setAttribute("aria-valuetext", `${percent} % camera`);
  }

  move(split) {
    this.split = Math.min(Math.max(split, 0), 1);
    this.changed();
  }

  step(direction) {
    this.move(this.split + direction * STEP);
  }

  /** A place on the screen in pixels of the upscaled picture. */
  at(event) {
    const ratio = window.devicePixelRatio;
    const frame = this.canvas.getBoundingClientRect();
    const { x, y, scale } = this.place;
    return [((event.clientX - frame.left) * ratio - x) / scale, ((event.clientY - frame.top) * ratio - y) / scale];
  }

  listen() {
    let dragged = null;
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.size) return;
      dragged = this.border.contains(event.target) ? "border" : "window";
      this.root.setPointerCapture(event.pointerId);
      if (dragged === "border") {
        this.handle.focus({ preventScroll: true });
        event.preventDefault();
      } else this.picked(...this.at(event));
    });
    this.root.addEventListener("pointermove", (event) => {
      if (dragged === "border") this.move(this.at(event)[0] / this.size[0]);
      else if (dragged === "window") this.picked(...this.at(event));
    });
    for (const over of ["pointerup", "pointercancel"]) this.root.addEventListener(over, () => (dragged = null));
    this.handle.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -0.1, PageUp: 0.1 };
      if (event.key in steps) this.move(this.split + steps[event.key]);
      else if (event.key === "Home") this.move(0);
      else if (event.key === "End") this.move(1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}
