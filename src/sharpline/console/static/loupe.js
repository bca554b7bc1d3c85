// Two windows onto the same place: the camera by bicubic, and the upscaled picture, pixel for pixel and without loss.
// There is one place and one zoom for both, so that they cannot run apart.

import { fitted } from "./drawing.js";

const ZOOMS = [1, 2, 4, 8];
const STEP = 24; // pixels of the screen

export class Loupe {
  constructor(root, changed) {
    this.root = root;
    this.canvases = { camera: root.querySelector("#loupe-camera"), sr: root.querySelector("#loupe-sr") };
    this.zoom = 1;
    this.centre = null;
    this.size = null;
    this.changed = changed;
    this.listen();
  }

  get open() {
    return !this.root.hidden;
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
    this.changed();
  }

  /** The rectangle of the upscaled picture that is looked at, or null while the loupe is closed. */
  window(size) {
    if (!this.open || !size) return null;
    if (this.size && (this.size[0] !== size[0] || this.size[1] !== size[1])) {
      this.centre = this.centre?.map((value, i) => (value * size[i]) / this.size[i]);
    }
    this.size = size;
    this.centre ??= [size[0] / 2, size[1] / 2];
    const canvas = this.canvases.sr;
    fitted(canvas);
    const side = [canvas.width, canvas.height].map((value, i) => Math.min(Math.ceil(value / this.zoom), size[i], 2048));
    const [x, y] = this.centre.map((value, i) => Math.round(Math.min(Math.max(value - side[i] / 2, 0), size[i] - side[i])));
    return { x, y, width: side[0], height: side[1] };
  }

  draw(shot) {
    if (!this.open) return;
    for (const [side, canvas] of Object.entries(this.canvases)) {
      const context = fitted(canvas);
      context.fillStyle = "#0a0d11";
      context.fillRect(0, 0, canvas.width, canvas.height);
      const glass = shot?.loupe?.[side];
      if (!glass) continue;
      context.imageSmoothingEnabled = false;
      // While the picture of a new place is on its way, the old one already moves: panning feels direct.
      const wanted = this.window(shot.header.size);
      const [dx, dy] = [glass.x - wanted.x, glass.y - wanted.y].map((value) => value * this.zoom);
      context.drawImage(glass.bitmap, dx, dy, glass.width * this.zoom, glass.height * this.zoom);
    }
    this.root.querySelector("#loupe-zoom").textContent = `${this.zoom} : 1`;
    this.root.querySelector("#loupe-out").disabled = this.zoom === ZOOMS[0];
    this.root.querySelector("#loupe-in").disabled = this.zoom === ZOOMS.at(-1);
  }

  look(x, y) {
    if (!this.size) return;
    this.centre = [x, y].map((value, i) => Math.min(Math.max(value, 0), this.size[i]));
    this.changed();
  }

  /** Moves by pixels of the screen. */
  pan(dx, dy) {
    const seen = this.window(this.size);
    if (!seen) return;
    const half = [seen.width / 2, seen.height / 2];
    // From where the window stands, not from its rounded place: a drag of many small steps would run away from the hand.
    const [x, y] = this.centre.map((value, i) => Math.min(Math.max(value, half[i]), this.size[i] - half[i]));
    this.look(x + dx / this.zoom, y + dy / this.zoom);
  }

  step(right, down, far) {
    this.pan(right * STEP * (far ? 5 : 1), down * STEP * (far ? 5 : 1));
  }

  nearer(direction) {
    const at = ZOOMS.indexOf(this.zoom) + direction;
    this.zoom = ZOOMS[Math.min(Math.max(at, 0), ZOOMS.length - 1)];
    this.changed();
  }

  listen() {
    this.root.querySelector("#loupe-in").addEventListener("click", () => this.nearer(1));
    this.root.querySelector("#loupe-out").addEventListener("click", () => this.nearer(-1));
    for (const canvas of Object.values(this.canvases)) {
      canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
      canvas.addEventListener("pointermove", (event) => {
        if (!canvas.hasPointerCapture(event.pointerId)) return;
        const ratio = window.devicePixelRatio;
        this.pan(-event.movementX * ratio, -event.movementY * ratio);
      });
      canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        this.nearer(event.deltaY < 0 ? 1 : -1);
      }, { passive: false });
    }
  }
}
