"""NIQE: how natural a picture looks, judged without its original. Lower is better."""

from __future__ import annotations

import math
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from sharpline.errors import ModelError, UsageError
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Array

Float64 = npt.NDArray[np.float64]

_BLOCK = 96
_GREY = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])  # MATLAB's rgb2gray
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (-1, 1))  # the shifts whose products with the block are looked at

_SHAPES = np.arange(200, 10001) / 1000  # the shape parameters that a fit chooses from


def _log_gamma(numerator: int) -> Float64:
    return np.array([math.lgamma(numerator / shape) for shape in _SHAPES])


_RATIOS = np.exp(2 * _log_gamma(2) - _log_gamma(1) - _log_gamma(3))  # of moments, one for every shape


def niqe(image: Array, params_path: str | Path) -> float:
    """Scores a picture by the Natural Image Quality Evaluator, as the authors' MATLAB code does.

    The picture becomes grey as by MATLAB's ``rgb2gray`` (rounded to uint8, full range) and is cut to whole
    blocks of 96 x 96 pixels; their statistics at two scales are compared with those of pristine photographs.

    Args:
        image: H x W x 3 or H x W x 1; uint8, uint16, or float32 in [0, 1]; at least two blocks of
            96 x 96 pixels.
        params_path: npz file of the pristine model: ``mu_pris_param`` (1 x 36), ``cov_pris_param``
            (36 x 36) and ``gaussian_window`` (7 x 7).

    Returns:
        The score: about 2 to 5 for good photographs, higher for worse pictures.

    Raises:
        UsageError: The picture is no image, has fewer than two blocks, or is flat nearly everywhere.
        ModelError: The parameter file is missing or is not NIQE's.

    Source: A. Mittal et al., "Making a completely blind image quality analyzer", IEEE SPL 2013, and the
    authors' ``computequality.m``.

    Example:
        >>> from sharpline.pixels.niqe import niqe
        >>> from sharpline.pixels.reading import read_image
        >>> niqe(read_image("photo.png").pixels, "niqe_pris_params.npz")  # doctest: +SKIP
        3.18...
    """
    pristine_mean, pristine_cov, window = _load(Path(params_path))
    grey = _grey(image)
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    if rows * columns < 2:
        raise UsageError(
            f"NIQE needs two blocks of {_BLOCK} x {_BLOCK} pixels or more, not a picture of "
            f"{image.shape[1]} x {image.shape[0]} pixels"
        )
    grey = grey[: rows * _BLOCK, : columns * _BLOCK]
    fine = _block_features(grey, window, _BLOCK)
    coarse = _block_features(_snap(imresize(grey, 0.5)), window, _BLOCK // 2)
    features = np.hstack((fine, coarse))
    complete = ~np.isnan(features).any(axis=1)
    if complete.sum() < 2:
        raise UsageError("NIQE has no value for a picture that is flat nearly everywhere")
    difference = np.nanmean(features, axis=0) - pristine_mean
    covariance = np.cov(features[complete], rowvar=False)
    return math.sqrt(difference @ np.linalg.pinv((pristine_cov + covariance) / 2) @ difference)


def _load(path: Path) -> tuple[Float64, Float64, Float64]:
    try:
        with np.load(path) as file:
            mean, covariance, window = (file[k] for k in ("mu_pris_param", "cov_pris_param", "gaussian_window"))
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; give the path of NIQE's pristine parameters (npz)") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ModelError(f"{path} is not NIQE's parameter file (npz): give the right one") from error
    if mean.size != 36 or covariance.shape != (36, 36) or window.shape != (7, 7):
        raise ModelError(f"{path} is not NIQE's parameter file (npz): its arrays have other sizes")
    return (
        mean.ravel(),
        covariance,
        window.sum(axis=0),
    )  # the window is separable: one row of it serves both passes


def _grey(image: Array) -> Float64:
    """Grey values 0..255, rounded, as MATLAB's rgb2gray of a uint8 image gives them."""
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise UsageError(f"NIQE takes an H x W x 3 or H x W x 1 image, not an array of shape {image.shape}")
    pixels = convert_depth(image, np.uint8)
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.float64)
    grey: Float64 = np.floor(pixels @ _GREY + 0.5)
    return grey


def _snap(values: Float64) -> Float64:
    """Drops the rounding noise of a sum: flat areas stay flat, else noise counts as texture in the fits."""
    snapped: Float64 = np.round(values * 2**32) / 2**32
    return snapped


def _local_mean(values: Float64, window: Float64) -> Float64:
    """Gaussian mean with replicated borders."""
    height, width = values.shape
    padded = np.pad(values, 3, mode="edge")
    vertical = sum(window[k] * padded[k : k + height] for k in range(7))
    return _snap(sum(window[k] * vertical[:, k : k + width] for k in range(7)))


def _block_features(grey: Float64, window: Float64, size: int) -> Float64:
    """The 18 features of every size x size block of the locally normalised picture: (blocks, 18)."""
    mean = _local_mean(grey, window)
    deviation = np.sqrt(np.abs(_local_mean(grey * grey, window) - mean * mean))
    normalised = (grey - mean) / (deviation + 1)
    rows, columns = range(0, grey.shape[0], size), range(0, grey.shape[1], size)
    return np.array([_features(normalised[y : y + size, x : x + size]) for y in rows for x in columns])


def _features(block: Float64) -> list[float]:
    shape, left, right = _fit(block)
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)
        features += [shape, mean, left, right]
    return features


def _fit(values: Float64) -> tuple[float, float, float]:
    """Asymmetric generalised Gaussian by moment matching: shape, left and right scale (NaN if flat)."""
    left, right = _rms(values[values < 0]), _rms(values[values > 0])
    balance = left / right
    moments = np.mean(np.abs(values)) ** 2 / np.mean(values**2) if values.any() else math.nan
    target = moments * (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    # Of NaNs only, argmin takes the first, as MATLAB's min does: a flat block has shape 0.2 and NaN scales.
    shape = float(_SHAPES[np.argmin(np.square(_RATIOS - target))])
    factor = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * factor, right * factor


def _rms(values: Float64) -> float:
    return math.sqrt(np.mean(np.square(values))) if values.size else math.nan
