"""Makes examples/coffee.png and docs/before-after.png: python docs/before_after.py (needs the extra dev)."""

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

from sharpline import Upscaler, imresize, write_image

HERE = Path(__file__).parent
CROP = (slice(30, 300), slice(60, 380))  # rows and columns of the original


def main() -> None:
    """Shrink the photograph by MATLAB's bicubic, enlarge it again, put crops side by side."""
    hr = skimage.data.coffee()
    lr = imresize(hr, 0.25)
    write_image(HERE.parent / "examples" / "coffee.png", lr, overwrite=True)
    pictures = {"bicubic": imresize(lr, 4), "edge-m-x4": Upscaler("edge-m-x4")(lr), "original": hr}
    strip = Image.fromarray(np.hstack([picture[CROP] for picture in pictures.values()]))
    draw = ImageDraw.Draw(strip)
    for place, name in enumerate(pictures):
        corner = (place * strip.width // len(pictures) + 8, 6)
        draw.text(corner, name, "white", font_size=16, stroke_width=2, stroke_fill="black")
    write_image(HERE / "before-after.png", np.asarray(strip), overwrite=True)


if __name__ == "__main__":
    main()
