// All cameras at once; each tile says by itself how its camera stands.

import { fitted, part, placed } from "./drawing.js";
import { STATES, element, maker, rate, span } from "./words.js";

export class Tiles {
  constructor(root, names, opened) {
    this.root = root;
    this.tiles = new Map();
    root.replaceChildren();
    const columns = Math.ceil(Math.sqrt(names.length));
    root.style.setProperty("--columns", columns);
    names.forEach((name, i) => {
      const tile = element("button", "", "tile");
      tile.type = "button";
      const [canvas, caption, made] = [element("canvas"), element("span", "", "caption"), element("span", "", "chip tile-made")];
      const [label, state, fact] = [element("strong", name), element("span", "", "state"), element("span", "", "fact")];
      if (i < 9) label.prepend(element("kbd", `${i + 1}`));
      caption.append(label, state, fact);
      tile.append(canvas, element("span", "", "hatch"), made, caption);
      tile.addEventListener("click", () => opened(name));
      root.append(tile);
      this.tiles.set(name, { tile, canvas, state, fact, made });
    });
  }

  wanted() {
    const canvas = this.tiles.values().next().value?.canvas;
    if (!canvas) return 320;
    fitted(canvas);
    return canvas.width;
  }

  draw(shots) {
    for (const [name, { canvas, made }] of this.tiles) {
      const context = fitted(canvas);
      context.fillStyle = "#0a0d11";
      context.fillRect(0, 0, canvas.width, canvas.height);
      const shot = shots.get(name);
      if (!shot?.sr) continue;
      part(context, shot.sr, placed(canvas, shot.header.size, shot.sr.width), 0, 1);
      made.textContent = shot.header.fallback ? `⚠ ${maker(shot.header)}` : "";
    }
  }

  show(name, state, age, of, unseen) {
    const { tile, state: label, fact } = this.tiles.get(name);
    const { word, sign, kind } = STATES[state];
    label.textContent = `${sign} ${word}`;
    label.className = `state ${kind}`;
    tile.classList.toggle("stale", state !== "running");
    tile.classList.toggle("alarmed", unseen > 0);
    const number = unseen ? `▲ ${unseen} · ` : "";
    fact.textContent = number + (state === "running" ? `${rate(of?.rate)} frames/s` : age == null ? "no picture yet" : `${span(age)} old`);
  }
}
