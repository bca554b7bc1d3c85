// The page: what is shown, what the server is asked for, and how one follows from the other.

import { Bicubic } from "./bicubic.js";
import { paintLegend } from "./heat.js";
import * as keys from "./keys.js";
import { Link } from "./link.js";
import { Loupe } from "./loupe.js";
import { AlarmList, Panel } from "./panel.js";
import { Shots } from "./shots.js";
import * as signs from "./signs.js";
import { Stage } from "./stage.js";
import { Tiles } from "./tiles.js";
import { element } from "./words.js";

const $ = (id) => document.getElementById(id);
const bicubic = new Bicubic();
const shots = new Shots(bicubic);
const stage = new Stage($("stage"), invalidate, (x, y) => loupe.open && loupe.look(x, y));
const loupe = new Loupe($("loupe"), moved);
const alarms = new AlarmList($("alarms"), $("alarm-count"), (alarm) => link.send({ type: "acknowledge", alarm }));
const link = new Link({ hello, status, picture, held, closed });

const show = { mode: "one", source: null, original: false, heat: false, boxes: true };
let names = [];
let staleAfter = null;
let server = null; // the last status
let panel, tiles;
let frozen = null; // {n, number, waiting, lost}
let saving = null; // n of the picture that is to be saved
let pending = []; // pictures that are taken but not drawn: {n, drawn}
let asked = ""; // the last view that the server knows
let trouble = "";

const still = () => staleAfter == null;

// ---- from the server ----

function hello(message) {
  const first = !panel || names.join("\n") !== message.names.join("\n");
  names = message.names;
  staleAfter = message.stale_after;
  trouble = "";
  asked = "";
  pending = [];
  if (frozen) frozen.lost = true;
  if (first) begin();
  ask();
}

function begin() {
  panel = new Panel($("readings"), still());
  if (!still()) tiles = new Tiles($("tiles"), names, (name) => open(name));
  document.body.classList.toggle("stills", still());
  $("t-tiles").hidden = still() || names.length < 2;
  for (const id of ["t-previous", "t-next", "position"]) $(id).hidden = !still() || names.length < 2;
  keys.explain($("help-keys"), still(), !still() && names.length > 1);
  paintLegend($("legend-scale"));
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (!still() && names.length > 1 && !names.includes(wanted)) overview();
  else open(names.includes(wanted) ? wanted : names[0]);
}

function status(message) {
  server = message;
  const unseen = alarms.show(message.alarms);
  signs.limits(message.limits);
  document.title = (unseen ? `▲ ${unseen} · ` : "") + (show.mode === "one" ? `${show.source} · ` : "") + "Sharpline";
  panel?.source(message.sources[show.source] ?? Object.values(message.sources)[0], message.screen);
  tick();
}

function picture(message) {
  const { header } = message;
  const wanted = frozen ? header.frozen && !frozen.lost : !header.frozen;
  pending.push({ n: header.n, drawn: wanted && !document.hidden });
  if (wanted) {
    shots.take(message);
    if (show.mode === "one" && header.source === show.source) panel.picture(header);
  }
  if (!bicubic.works) ask();
  invalidate();
}

function held(message) {
  if (message.refused) {
    if (message.freeze) frozen = null;
    signs.toast(`Not ${message.freeze ? "frozen" : "saved"}: ${message.refused}.`);
  } else if (message.freeze && frozen) {
    frozen.waiting = false;
    frozen.number = message.number;
  }
  if (saving === message.n) {
    saving = null;
    if (!message.refused) download(message);
  }
  tick();
}

function closed(reason) {
  trouble = reason || "The line does not answer. The page connects again by itself.";
  pending = [];
  tick();
}

// ---- to the server ----

function ask() {
  const one = show.mode === "one";
  const shot = shots.get(show.source);
  const size = one ? shot?.header.size : null;
  const view = {
    type: "view",
    sources: one ? [show.source] : names,
    width: one ? stage.wanted(size) : tiles.wanted(),
    camera: one,
    enlarged: !bicubic.works,
    heat: one && show.heat,
    loupe: one ? loupe.window(size) : null,
  };
  const text = JSON.stringify(view);
  if (text === asked || !link.connected) return;
  asked = text;
  link.send(view);
}

// ---- what the operator does ----

function open(name) {
  unfreeze();
  show.mode = "one";
  show.source = name;
  if (still()) shots.keep([name]);
  panel.open(shots.get(name)?.header);
  if (names.length > 1) history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  arrange();
}

function overview() {
  if (still() || names.length < 2) return;
  unfreeze();
  show.mode = "tiles";
  history.replaceState(null, "", location.pathname);
  arrange();
}

function browse(step) {
  const at = names.indexOf(show.source) + step;
  if (at >= 0 && at < names.length) open(names[at]);
}

function arrange() {
  const one = show.mode === "one";
  $("stage").hidden = $("panel").hidden = !one;
  $("tiles").hidden = one;
  if (!one && loupe.open) loupe.toggle();
  signs.position(names.indexOf(show.source), names.length);
  for (const id of ["original", "loupe", "heat", "boxes", "save", "freeze"]) $(`t-${id}`).hidden = !one;
  if (still()) $("t-boxes").hidden = $("t-freeze").hidden = true;
  $("hint").hidden = one;
  $("panel").hidden = false;
  $("readings").hidden = !one;
  document.body.classList.toggle("overview", !one);
  moved();
  tick();
}

function press(name) {
  show[name] = !show[name];
  moved();
}

function freeze() {
  if (show.mode !== "one" || still()) return;
  if (frozen) return unfreeze();
  const shot = shots.get(show.source);
  if (!shot?.sr || !link.connected) return;
  frozen = { n: shot.header.n, number: shot.header.number, waiting: true, lost: false };
  link.send({ type: "hold", n: shot.header.n, freeze: true });
  tick();
}

function unfreeze() {
  if (!frozen) return;
  frozen = null;
  link.send({ type: "live" });
  tick();
}

function save() {
  const shot = shots.get(show.source);
  if (show.mode !== "one" || !shot?.sr) return;
  if (frozen?.lost || !link.connected) return signs.toast("Not saved: the connection was lost meanwhile. Go on with F, then save.");
  saving = shot.header.n;
  link.send({ type: "hold", n: saving, freeze: Boolean(frozen) });
}

function download(message) {
  const anchor = element("a");
  anchor.href = `/pair?socket=${encodeURIComponent(link.name)}`;
  anchor.download = "";
  anchor.click();
  signs.toast(`Saved: ${message.source}, picture ${message.number}.`);
}

// ---- what is seen ----

function moved() {
  ask();
  invalidate();
}

let dirty = false;

function invalidate() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(draw);
}

function draw() {
  dirty = false;
  const shot = shots.get(show.source);
  if (show.mode === "tiles") tiles.draw(shots);
  else {
    stage.draw(shot, { ...show, window: loupe.open ? loupe.window(shot?.header.size) : null });
    loupe.draw(shot);
    signs.label(shot, { ...show, split: stage.split, still: still() });
    ask(); // the first picture tells its size, and with it what is to be asked for
  }
  for (const [name, on] of Object.entries({ ...show, loupe: loupe.open, freeze: frozen, tiles: show.mode === "tiles" })) {
    $(`t-${name}`)?.setAttribute("aria-pressed", Boolean(on));
  }
  for (const { n, drawn } of pending) link.send({ type: "ack", n, drawn });
  pending = [];
}

/** How a source stands: the picture's age decides before what the camera says of itself. */
function state(name) {
  if (!link.connected) return "away";
  const said = server?.sources[name]?.state ?? "connecting";
  const age = shots.age(name);
  return said === "running" && staleAfter != null && age != null && age > staleAfter ? "stale" : said;
}

function tick() {
  if (!panel) return signs.veil(trouble ? "away" : "connecting", null, false, trouble, false);
  const name = show.source;
  if (show.mode === "tiles") {
    for (const each of names) {
      const unseen = (server?.alarms ?? []).filter((alarm) => alarm.source === each && !alarm.acknowledged).length;
      tiles.show(each, state(each), shots.age(each), server?.sources[each], unseen);
    }
  }
  const standing = state(name);
  const age = shots.age(name);
  const old = staleAfter != null && age != null && age > staleAfter && !frozen;
  $("stage").classList.toggle("stale", old);
  $("loupe").classList.toggle("stale", old);
  $("stage").classList.toggle("frozen", Boolean(frozen));
  const shot = show.mode === "one" ? shots.get(name) : null;
  if (show.mode === "tiles") signs.bannerOfAll(names.length, link.connected);
  else signs.banner(name, frozen && link.connected ? "frozen" : standing, still());
  signs.stamp(still() ? null : shot?.header, age, Boolean(frozen));
  const why = link.connected ? (server?.sources[name]?.trouble ?? "") : trouble;
  if (!frozen && (old || !shot?.sr || standing === "away" || standing === "closed")) {
    signs.veil(standing, old ? age : null, Boolean(shot?.sr), why, still());
  } else signs.unveil();
  $("freeze-word").textContent = frozen ? "Go on" : "Freeze";
  $("freeze-icon").setAttribute("href", frozen ? "#i-live" : "#i-freeze");
}

// ---- beginning ----

const actions = {
  original: () => press("original"),
  heat: () => press("heat"),
  boxes: () => press("boxes"),
  loupe: () => show.mode === "one" && loupe.toggle(),
  nearer: () => loupe.open && loupe.nearer(1),
  farther: () => loupe.open && loupe.nearer(-1),
  left: () => stage.step(-1),
  right: () => stage.step(1),
  acknowledge: () => alarms.acknowledgeFirst(),
  tiles: overview,
  camera: (at) => !still() && at < names.length && open(names[at]),
  help: () => $("help").showModal(),
  freeze,
  save,
  arrow(right, down, far, target) {
    const inLoupe = $("loupe").contains(target);
    if (still() && right && !far && !inLoupe) browse(right);
    else if (loupe.open) loupe.step(right, down, far && !still());
    else if (right && show.mode === "one") stage.step(right);
  },
};

keys.listen(actions);
for (const name of ["original", "loupe", "heat", "boxes", "freeze", "save", "tiles"]) {
  $(`t-${name}`).addEventListener("click", () => actions[name]());
}
$("t-previous").addEventListener("click", () => browse(-1));
$("t-next").addEventListener("click", () => browse(1));
$("help-button").addEventListener("click", actions.help);
new ResizeObserver(moved).observe($("main"));
new ResizeObserver(moved).observe($("stage"));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) for (const each of pending) each.drawn = false; // drawn late: that is no latency of the line
  tick(); // before the old picture is seen again
});
setInterval(tick, 250);
link.open();
