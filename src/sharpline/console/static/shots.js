// The newest picture of each camera, as far as the browser has it. Bitmaps that are replaced are freed at once.

export class Shots {
  constructor(bicubic) {
    this.bicubic = bicubic;
    this.all = new Map();
  }

  get(name) {
    return this.all.get(name);
  }

  /** Takes a message; what it does not bring along stays. */
  take({ header, parts, received }) {
    const shot = this.all.get(header.source) ?? { loupe: {} };
    this.all.set(header.source, shot);
    Object.assign(shot, { header, received });
    if (parts.sr) this.replace(shot, "sr", parts.sr.bitmap);
    if (parts.sr) this.replace(shot, "camera", parts.camera ? this.enlarged(parts) : null);
    if (parts.heat) shot.heat = parts.heat;
    for (const side of ["camera", "sr"]) {
      const glass = parts[`loupe_${side}`];
      if (!glass) continue;
      shot.loupe[side]?.bitmap.close();
      shot.loupe[side] = glass;
    }
    return shot;
  }

  enlarged({ camera, sr }) {
    const factor = Math.round(sr.width / camera.width);
    if (factor <= 1) return camera.bitmap;
    const large = this.bicubic.enlarge(camera.bitmap, factor);
    camera.bitmap.close();
    return large;
  }

  replace(shot, kind, bitmap) {
    shot[kind]?.close();
    shot[kind] = bitmap;
  }

  /** Seconds since the capture: the server's count, gone on with a clock that nobody sets. */
  age(name) {
    const shot = this.all.get(name);
    if (shot?.header.age == null) return null;
    return shot.header.age + (performance.now() - shot.received) / 1000;
  }

  keep(names) {
    for (const name of [...this.all.keys()].filter((name) => !names.includes(name))) {
      const shot = this.all.get(name);
      for (const bitmap of [shot.sr, shot.camera, shot.loupe.sr?.bitmap, shot.loupe.camera?.bitmap]) bitmap?.close();
      this.all.delete(name);
    }
  }
}
