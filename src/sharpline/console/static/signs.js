// What is written over the picture and into the bar: whose picture it is, from when, and what is wrong with it.

import { top } from "./heat.js";
import { STATES, clock, maker, span } from "./words.js";

const $ = (id) => document.getElementById(id);

/** Text that a screen reader follows is set only where it changes. */
function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** Names both sides of the picture. */
export function label(shot, { split, original, heat, still }) {
  const header = shot?.header;
  const [camera, sr] = [$("chip-camera"), $("chip-sr")];
  camera.hidden = !header || !(original || split > 0) || !shot.camera;
  sr.hidden = !header || (original && Boolean(shot.camera));
  $("legend").hidden = !heat || !shot?.heat;
  if (!header) return;
  const given = still ? "file" : "camera";
  const enlarged = header.scale > 1 ? `, bicubic ×${header.scale}` : "";
  const name = given[0].toUpperCase() + given.slice(1) + enlarged;
  camera.textContent = original ? `Original: ${given}${enlarged}` : name;
  sr.textContent = `${header.fallback ? "⚠ " : ""}${maker(header)}`;
  sr.classList.toggle("fallback", header.fallback);
  $("loupe-camera-name").textContent = name;
  $("loupe-sr-name").textContent = sr.textContent;
  if (!shot.heat) return;
  const highest = top(shot.heat);
  $("legend-middle").textContent = highest / 2;
  $("legend-top").textContent = `${highest}${shot.heat.largest > highest ? "+" : ""}`;
}

/** The state of one camera, in the bar. */
export function banner(name, standing, still) {
  const { word, sign, kind } = STATES[standing];
  const own = still ? { running: "Ready", connecting: "Upscaling" }[standing] : null;
  write("camera-name", name);
  write("state", `${sign} ${own ?? word}`);
  $("state").className = `state ${kind}`;
}

/** The bar over all cameras: each says its state by itself, here only whether the line answers. */
export function bannerOfAll(cameras, connected) {
  write("camera-name", `${cameras} cameras`);
  write("state", connected ? "" : `${STATES.away.sign} ${STATES.away.word}`);
  $("state").className = "state bad";
}

/** When the picture was taken. */
export function stamp(header, age, frozen) {
  const text = header ? `${clock(header.captured)} · picture ${header.number}` : "";
  $("stamp").textContent = text && frozen ? `${text} · frozen, ${span(age)} old` : text;
}

/** Says over the picture that it is not live; with an age where it is too old. */
export function veil(standing, age, shown, why, still) {
  const { word } = STATES[standing];
  $("veil").hidden = false;
  if (age != null) {
    write("veil-title", `${span(age)} old`);
    write("veil-text", standing === "stale" ? "No newer picture has come." : `${word}. ${why}`);
    return;
  }
  const waiting = still && standing !== "away" ? (standing === "closed" ? "Cannot be shown" : "Upscaling …") : null;
  const none = standing === "running" ? "No picture yet" : `${word} …`; // a folder that nothing was put into
  write("veil-title", shown || standing === "away" ? word : (waiting ?? none));
  write("veil-text", why);
}

export function unveil() {
  $("veil").hidden = true;
}

/** What limits the line although it runs. */
export function limits(sentences) {
  const more = sentences.length > 1 ? ` (and ${sentences.length - 1} more)` : "";
  write("limits", sentences.length ? `⚠ ${sentences[0]}${more}` : "");
  $("limits").title = sentences.join("\n");
}

/** Where one is in a folder of stills. */
export function position(at, count) {
  write("position", `${at + 1} / ${count}`);
  $("t-previous").disabled = at === 0;
  $("t-next").disabled = at === count - 1;
}

let gone = 0;

/** A word about what was just done. */
export function toast(text) {
  write("toast", text);
  $("toast").hidden = false;
  clearTimeout(gone);
  gone = setTimeout(() => ($("toast").hidden = true), 4000);
}
