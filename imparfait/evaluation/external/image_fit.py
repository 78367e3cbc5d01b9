"""Images brought to the channels and the size that an external model takes: repeated, padded, resized, cropped."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from imparfait.core.errors import UserError
from imparfait.data.images.centre_crop import linear_weights
from imparfait.data.images.levels import LUMA

Images = Float32[np.ndarray, "n channels height width"]
Fitted = Float32[np.ndarray, "n fitted_channels fitted_height fitted_width"]
Shape = tuple[int, int, int]
"""Channels, height and width."""


def fit_images(images: Images, fit: str, shape: Shape) -> Fitted:
    """Images in 0..1 with the channels, height and width of `shape`, brought to it as `fit` says, a name of FITS."""
    channels, height, width = shape
    if images.shape[1] != channels:
        images = in_channels(images, channels)
    return images if images.shape[2:] == (height, width) else FITS[fit](images, height, width)


def in_channels(images: Images, channels: int) -> Fitted:
    """Grey images repeated in every channel, or the lightness of those in colour."""
    if images.shape[1] == 1:
        return np.repeat(images, channels, 1)
    if (images.shape[1], channels) != (3, 1):
        raise UserError(f"images of {images.shape[1]} channels for a model of {channels}", expected="grey or colour")
    return np.asarray(np.einsum("nchw,c->nhw", images, LUMA)[:, None], np.float32)


def padded(images: Images, height: int, width: int) -> Fitted:
    """Images in the middle of larger ones, whose other pixels have the median of the image's border."""
    count, channels, rows, columns = images.shape
    if height < rows or width < columns:
        raise UserError(f"images of {rows}×{columns} pixels to pad to {height}×{width}", expected="a larger size")
    edges = (images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1])
    framed: np.ndarray = np.empty((count, channels, height, width), np.float32)
    framed[:] = np.median(np.concatenate(edges, 2), 2)[..., None, None]
    top, left = (height - rows) // 2, (width - columns) // 2
    framed[:, :, top : top + rows, left : left + columns] = images
    return framed


def resized(images: Images, height: int, width: int) -> Fitted:
    """Images stretched to a size, by linear interpolation; reduced ones are smoothed first, as Pillow does."""
    down, across = linear_weights(images.shape[2], height), linear_weights(images.shape[3], width)
    return np.asarray(down @ images @ across.T, np.float32)


def cropped(images: Images, height: int, width: int) -> Fitted:
    """The middle of images."""
    rows, columns = images.shape[2:]
    if height > rows or width > columns:
        raise UserError(f"images of {rows}×{columns} pixels to crop to {height}×{width}", expected="a smaller size")
    top, left = (rows - height) // 2, (columns - width) // 2
    return images[:, :, top : top + height, left : left + width]


FITS: dict[str, Callable[[Images, int, int], Fitted]] = {"pad": padded, "resize": resized, "crop": cropped}
"""How images become as large as a model takes them."""


def shape_in_words(before: Sequence[int], fit: str, after: Shape) -> str:
    """What `fit_images` does to images of the shape `before`, in words."""
    done = []
    if before[0] != after[0]:
        done.append(f"grey repeated in {after[0]} channels" if after[0] > 1 else "colour turned to grey")
    if tuple(before[1:]) != after[1:]:
        verb = {"pad": "padded", "resize": "resized", "crop": "cropped"}[fit]
        done.append(f"{verb} from {before[1]}×{before[2]} to {after[1]}×{after[2]}")
    return " and ".join(done)
