"""Small picture files of every kind that is read, made by other programs' writers where there are some."""

import functools
import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms
from skimage import data

PHOTO = np.ascontiguousarray(data.astronaut()[60:140:2, 180:280:2])  # 40 x 50 x 3, uint8
GREY = np.ascontiguousarray(PHOTO[:, :, 1])
ALPHA = np.tile(np.linspace(0, 255, 50).astype(np.uint8), (40, 1))
DEEP = np.random.default_rng(7).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:ImageWidth="50">'
    b'<exif:PixelXDimension xmlns:exif="http://ns.adobe.com/exif/1.0/">50</exif:PixelXDimension>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
MAKER_NOTE = b"a maker's own data with offsets inside"


@functools.cache  # it holds the time it was made
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cmyk_profile() -> bytes:
    """A CMYK profile of two grid points an ink (ICC.1, lut8Type): white paper, made-up colours, black."""
    inks = np.array(list(np.ndindex(2, 2, 2, 2)))
    left = 1 - inks @ [0.35, 0.45, 0.1, 0.95]
    lab = np.stack((255 * left.clip(0), 128 + inks @ [-40, 75, -5, 0], 128 + inks @ [-50, -5, 90, 0]), axis=1)
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + ramp * 4
    lut += lab.clip(0, 255).astype(np.uint8).tobytes() + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"A2B0": lut + bytes(-len(lut) % 4), b"wtpt": white}
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    size = at + len(body)
    head = struct.pack(">I4s4s4s4s4s", size, b"none", b"\2\x40\0\0", b"prtr", b"CMYK", b"Lab ")
    head = head.ljust(36, b"\0") + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def exif_bytes(orientation: int = 1, *, xmp: bytes | None = None) -> bytes:
    """EXIF as Pillow makes it, without the prefix of JPEG; XMP may be a tag in it, as in TIFF files."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Sharp & Sons"
    exif[0x8769] = {0xA002: 50, 0xA003: 40, 0x829A: (1, 250), 0x927C: MAKER_NOTE}
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 30.0)}
    if xmp:
        exif[0x02BC] = xmp
    return exif.tobytes().removeprefix(b"Exif\0\0")


def exif_with_thumbnail(thumbnail: bytes) -> bytes:
    """Big-endian EXIF: main directory (Orientation 1), a thumbnail directory, the thumbnail at the end."""
    main = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 1, 0, 26)
    thumb_at = 26 + 2 + 24 + 4
    thumb = struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, thumb_at, 0x0202, 4, 1, len(thumbnail), 0)
    return b"MM\0*" + struct.pack(">I", 8) + main + thumb + thumbnail


def encoded(image: Image.Image | np.ndarray, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def every_kind() -> dict[str, bytes]:
    """One small file of every kind, by file name."""
    photo = Image.fromarray(PHOTO)
    rich = {"icc_profile": srgb_profile(), "exif": b"Exif\0\0" + exif_bytes(6), "xmp": XMP}
    rgba = Image.fromarray(np.dstack((PHOTO, ALPHA)))
    return {
        "rgb.png": encoded(photo, "PNG", icc_profile=srgb_profile(), exif=exif_bytes(6), dpi=(300, 300)),
        "palette.png": encoded(photo.quantize(16), "PNG", bits=4, transparency=3),
        "bilevel.png": encoded(photo.convert("1"), "PNG"),
        "grey_alpha.png": encoded(Image.fromarray(np.dstack((GREY, ALPHA))), "PNG"),
        "deep.png": imagecodecs.png_encode(DEEP),
        "photo.jpg": encoded(photo, "JPEG", **rich, dpi=(300, 300)),
        "progressive.jpg": encoded(
            photo, "JPEG", progressive=True, exif=b"Exif\0\0" + exif_with_thumbnail(b"thumb" * 20)
        ),
        "grey.jpg": encoded(GREY, "JPEG"),
        "cmyk.jpg": encoded(photo.convert("CMYK"), "JPEG"),
        "lossless.webp": encoded(rgba, "WEBP", lossless=True, **rich),
        "lossy.webp": encoded(photo, "WEBP", quality=80),
        "photo.avif": encoded(rgba, "AVIF", speed=10, **rich),
        "plain.tif": encoded(photo, "TIFF", **rich | {"exif": exif_bytes(6, xmp=XMP), "dpi": (300, 300)}),
        "lzw.tif": encoded(photo, "TIFF", compression="tiff_lzw"),
        "fax.tif": encoded(photo.convert("1"), "TIFF", compression="group4"),
        "palette.tif": encoded(photo.quantize(16), "TIFF"),
        "cmyk.tif": encoded(photo.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": encoded(photo, "TIFF", compression="jpeg"),
        "deep.tif": tiff(DEEP, photometric="rgb", tile=(16, 16), compression="deflate", predictor=True),
        "float.tif": tiff((DEEP / 65535).astype(np.float32), photometric="rgb"),
        "big.tif": tiff(DEEP, photometric="rgb", bigtiff=True, byteorder=">"),
        "photo.gif": encoded(photo.quantize(64), "GIF"),
        "photo.bmp": encoded(photo, "BMP"),
    }
