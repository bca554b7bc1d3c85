// Numbers and states in words. Every state has a sign of its own beside its colour.

export const STATES = {
  running: { word: "Live", sign: "●", kind: "ok" },
  connecting: { word: "Connecting", sign: "◌", kind: "warn" },
  reconnecting: { word: "Reconnecting", sign: "↻", kind: "warn" },
  stalled: { word: "Stalled", sign: "‖", kind: "warn" },
  closed: { word: "Closed", sign: "■", kind: "bad" },
  away: { word: "No connection", sign: "✕", kind: "bad" },
  stale: { word: "Old picture", sign: "◷", kind: "warn" },
  frozen: { word: "Frozen", sign: "❙❙", kind: "note" },
};

export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function milliseconds(seconds) {
  return seconds == null ? "–" : `${Math.round(seconds * 1000)}`;
}

export function count(value) {
  return value == null ? "–" : Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
}

export function rate(value) {
  return value == null ? "–" : value.toFixed(value < 9.95 ? 1 : 0);
}

/** What made the pixels, so that none passes for what it is not. */
export function maker(header) {
  if (!header.fallback) return header.method.endsWith(`x${header.scale}`) ? header.method : `${header.method} ×${header.scale}`;
  if (header.method === "passthrough") return "Not upscaled: the model is too slow or fails";
  if (header.method === "bicubic") return "Bicubic: the model is too slow or fails";
  return `${header.method}: the larger model is too slow or fails`;
}

export function clock(iso) {
  const when = new Date(iso);
  return when.toLocaleTimeString("en-GB") + "." + Math.floor(when.getMilliseconds() / 100);
}

/** An element with text and classes. */
export function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** An icon of the page's own set. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}
