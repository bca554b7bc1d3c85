// The one socket to the server: opens again by itself, and turns messages into events.

const FULL = 4503;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;
const WAIT_WHEN_FULL = 10000;

async function decoded(part, bytes) {
  if (!part.mime.startsWith("image/")) return { ...part, data: bytes.slice() };
  const blob = new Blob([bytes], { type: part.mime });
  // As they are: no colour management may change what the loupe shows.
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return { ...part, bitmap };
}

async function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const pieces = header.parts.map((part) => {
    at += part.bytes;
    return decoded(part, new Uint8Array(buffer, at - part.bytes, part.bytes));
  });
  const parts = Object.fromEntries((await Promise.all(pieces)).map((part) => [part.kind, part]));
  return { header, parts };
}

export class Link {
  constructor(handlers) {
    this.handlers = handlers;
    this.wait = FIRST_WAIT;
    this.connected = false;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/socket`);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", (event) => this.take(event.data));
    this.socket.addEventListener("close", (event) => this.closed(event));
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async take(data) {
    const received = performance.now();
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "hello") {
        this.connected = true;
        this.name = message.socket;
        this.wait = FIRST_WAIT;
      }
      this.handlers[message.type]?.(message, received);
      return;
    }
    const socket = this.socket;
    const picture = await unpacked(data);
    // A picture of a connection that is gone was never asked for by the new one.
    if (socket === this.socket) this.handlers.picture({ ...picture, received });
  }

  async closed(event) {
    const full = event.code === FULL;
    this.connected = false;
    this.handlers.closed(full ? event.reason : "");
    if (!full && (await this.shutOut())) location.reload(); // the server asks for the token
    setTimeout(() => this.open(), full ? WAIT_WHEN_FULL : this.wait);
    this.wait = Math.min(this.wait * 1.6, LONGEST_WAIT);
  }

  async shutOut() {
    try {
      return (await fetch("/session", { cache: "no-store" })).status === 401;
    } catch {
      return false; // not there at all
    }
  }
}
