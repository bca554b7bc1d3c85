// The map of differences to the camera: dark to bright (cividis), the same order for every kind of colour vision.

const COLOURS = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];
const LEAST_TOP = 8; // levels: a map without differences stays dark
const MOST_TOP = 64; // levels: the map counts no farther

function colour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (COLOURS.length - 1);
  const [low, high] = [COLOURS[Math.floor(at)], COLOURS[Math.ceil(at)]];
  return low.map((value, i) => Math.round(value + (high[i] - value) * (at - Math.floor(at))));
}

/** What a bright block means, in levels; steps, so that the scale does not dance. */
export function top(heat) {
  return Math.min(MOST_TOP, Math.max(LEAST_TOP, 2 ** Math.ceil(Math.log2(Math.max(heat.largest, 1)))));
}

/** The map as a picture of one pixel a block; the smallest differences let the picture through. */
export function painted(heat) {
  const canvas = new OffscreenCanvas(heat.columns, heat.rows);
  const context = canvas.getContext("2d");
  const image = context.createImageData(heat.columns, heat.rows);
  const highest = top(heat) * heat.steps;
  heat.data.forEach((value, i) => {
    const share = value / highest;
    image.data.set([...colour(share), Math.round(255 * Math.min(0.86, 0.45 + share))], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The worst block: its column, row and level. */
export function worst(heat) {
  let at = 0;
  heat.data.forEach((value, i) => {
    if (value > heat.data[at]) at = i;
  });
  return { column: at % heat.columns, row: Math.floor(at / heat.columns), level: heat.largest };
}

export function paintLegend(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${colour(x / (canvas.width - 1)).join(" ")})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
