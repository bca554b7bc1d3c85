// Everything that the page does has a key.

import { element } from "./words.js";

const HELD = 300; // milliseconds: a key held longer shows the original only while it is held

export function explain(list, still, several) {
  const keys = [
    ["O", "the camera's picture alone; held: only while it is held"],
    ["[  ]", "move the border between camera and upscaled"],
    ["L", "loupe: both pictures, pixel for pixel"],
    ["+  −", "nearer and farther under the loupe"],
    [still ? "Shift + arrows" : "Arrows", still ? "move the loupe" : "move the loupe (with Shift: far), or the border"],
    ["H", "differences between the upscaled picture and the camera's"],
    ["B", "boxes of the fault detector"],
    ["F, Space", "freeze the picture, and go on"],
    ["S", "save camera, upscaled and data as one file"],
  ];
  if (still) {
    keys.splice(keys.findIndex(([key]) => key === "B"), 2); // nothing is detected, and nothing moves
    keys.unshift(["←  →", "previous and next picture"]);
  } else keys.push(["A", "acknowledge the oldest alarm"]);
  if (several) keys.push(["T, Esc", "all cameras"], ["1 … 9", "one camera"]);
  keys.push(["?", "these keys"]);
  list.replaceChildren(...keys.flatMap(([key, does]) => [element("dt", key), element("dd", does)]));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listen(actions) {
  let pressed = 0;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const onButton = event.target instanceof HTMLButtonElement;
    if (event.key in ARROWS) actions.arrow(...ARROWS[event.key], event.shiftKey, event.target);
    else if (event.key === "o" || event.key === "O") {
      if (event.repeat) return;
      pressed = performance.now();
      actions.original();
    } else if (event.key === " ") {
      if (onButton) return; // presses the button
      actions.freeze();
    } else if (/^[1-9]$/.test(event.key)) actions.camera(Number(event.key) - 1);
    else {
      const action = {
        l: actions.loupe, h: actions.heat, b: actions.boxes, f: actions.freeze, s: actions.save, a: actions.acknowledge,
        t: actions.tiles, escape: actions.tiles, "?": actions.help, "+": actions.nearer, "=": actions.nearer,
        "-": actions.farther, "[": actions.left, "]": actions.right,
      }[event.key.toLowerCase()];
      if (!action) return;
      action();
    }
    event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "o" && performance.now() - pressed > HELD) actions.original();
  });
}
