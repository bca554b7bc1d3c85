// What is drawn on canvases, in the screen's own pixels.

/** Gives a canvas as many pixels as the screen has under it. */
export function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return canvas.getContext("2d", { alpha: false });
}

/** Where a picture of a size goes on a canvas: as large as it can be, in the middle, at whole pixels. */
export function placed(canvas, [width, height], own) {
  let scale = Math.min(canvas.width / width, canvas.height / height);
  if (own) { // pixel for pixel where that is nearly so: nothing is resampled then
    const exact = own / width;
    if (exact <= scale && exact > 0.94 * scale) scale = exact;
  }
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  return { x: Math.floor((canvas.width - w) / 2), y: Math.floor((canvas.height - h) / 2), w, h, scale };
}

/** One picture, smoothly shrunk, left of `until` or right of `from` (shares of its width). */
export function part(context, bitmap, place, from, until) {
  const [left, right] = [Math.round(place.x + place.w * from), Math.round(place.x + place.w * until)];
  if (right <= left) return;
  context.save();
  context.beginPath();
  context.rect(left, place.y, right - left, place.h);
  context.clip();
  context.imageSmoothingEnabled = place.w !== bitmap.width;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, place.x, place.y, place.w, place.h);
  context.restore();
}

/** A rectangle that is seen on every ground: light within dark. */
export function outlined(context, x, y, w, h, colour, ratio) {
  context.lineJoin = "round";
  context.strokeStyle = "rgb(8 11 14 / 0.9)";
  context.lineWidth = 4 * ratio;
  context.strokeRect(x, y, w, h);
  context.strokeStyle = colour;
  context.lineWidth = 2 * ratio;
  context.strokeRect(x, y, w, h);
}

/** Words on a plate, above `y` where there is room, inside the picture otherwise. */
export function labelled(context, text, x, y, place, colour, ratio) {
  const size = 13 * ratio;
  context.font = `600 ${size}px ${getComputedStyle(document.body).fontFamily}`;
  const width = context.measureText(text).width + 10 * ratio;
  const height = size + 7 * ratio;
  const left = Math.min(Math.max(x, place.x), place.x + place.w - width);
  const above = y - height - 2 * ratio >= place.y ? y - height - 2 * ratio : y + 2 * ratio;
  context.fillStyle = colour;
  context.fillRect(left, above, width, height);
  context.fillStyle = "#0b0f13";
  context.textBaseline = "middle";
  context.fillText(text, left + 5 * ratio, above + height / 2 + ratio / 2);
}
