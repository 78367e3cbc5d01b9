"""Copies of images: the same pixels, and nearly the same by a perceptual hash."""

# Equal pixels are found by a hash of the bytes. Nearly equal ones are found in two steps, so that 100,000 images take
# seconds: pairs whose 63-bit perceptual hashes (signs of the lowest frequencies of a 16x16 thumbnail; Zauner 2010)
# differ in up to 3 bits, which share one of 4 bands of bits; of these, pairs whose thumbnails correlate.

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt64
from scipy.fft import dctn

from imparfait.core.types import Pixels
from imparfait.data.images.levels import LUMA

SIDE = 16  # pixels of a thumbnail
FREQUENCIES = 8  # on each axis, of which the signs are the hash
MAX_BITS = 3  # that the hashes of nearly equal images differ in
BANDS = 4  # of 16 bits: hashes that differ in fewer bits than there are bands share one
MIN_CORRELATION = (
    0.995  # of thumbnails: then 3 of MNIST's test images (all 1s) have a near copy, with 0.99 there are 71
)
MIN_CONTRAST = 2.0  # standard deviation of a thumbnail in grey levels; plainer images have no near copies
VALUES_AT_A_TIME = 1 << 22  # of pixels: 16 MB as floats
PAIRS_AT_A_TIME = 1 << 20
MAX_BAND = 2000  # images that share a band; more are too alike to be told apart by it


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What is compared of images: a hash of the pixels, a perceptual hash, and a thumbnail."""

    exact: UInt64[np.ndarray, " n"]
    perceptual: UInt64[np.ndarray, " n"]
    thumbnails: UInt8[np.ndarray, "n pixels"]

    def __len__(self) -> int:
        return len(self.exact)


def fingerprints(pixels: Pixels) -> Fingerprints:
    """The fingerprints of images. Memory: 272 bytes an image."""
    step = max(1, VALUES_AT_A_TIME // pixels[:1].size) if len(pixels) else 1
    return joined([_fingerprints(pixels[start : start + step]) for start in range(0, max(len(pixels), 1), step)])


def _fingerprints(pixels: Pixels) -> Fingerprints:
    exact = [_digest(image.data) for image in np.ascontiguousarray(pixels)]
    thumbnails = _thumbnails(pixels)
    return Fingerprints(np.array(exact, np.uint64), _hashes(thumbnails), thumbnails.astype(np.uint8))


def _digest(content: memoryview) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def joined(parts: Iterable[Fingerprints]) -> Fingerprints:
    """The fingerprints of several parts of a split."""
    every = list(parts)
    return Fingerprints(
        np.concatenate([part.exact for part in every]),
        np.concatenate([part.perceptual for part in every]),
        np.concatenate([part.thumbnails for part in every]),
    )


def copies_of(images: Fingerprints, others: Fingerprints) -> Int64[np.ndarray, " n"]:
    """For each of `images` the first of `others` that has the same pixels; -1 where none has."""
    values, first = np.unique(others.exact, return_index=True)
    places = np.searchsorted(values, images.exact).clip(max=len(values) - 1)
    return np.where(values[places] == images.exact, first[places], -1)


def repeated(images: Fingerprints) -> Bool[np.ndarray, " n"]:
    """Which images are copies of an earlier one."""
    _, first = np.unique(images.exact, return_index=True)
    mask = np.ones(len(images), bool)
    mask[first] = False
    return mask


def near_copies_of(images: Fingerprints, others: Fingerprints) -> Int64[np.ndarray, " n"]:
    """For each of `images` the one of `others` that is nearly the same, but not the same; -1 where none is."""
    found = np.full(len(images), -1, np.int64)
    best = np.full(len(images), MIN_CORRELATION, np.float32)
    plain, other_plain = (each.thumbnails.std(1) < MIN_CONTRAST for each in (images, others))
    for rows, candidates in _candidates(images.perceptual, others.perceptual):
        differ = np.bitwise_count(images.perceptual[rows] ^ others.perceptual[candidates])
        kept = (differ <= MAX_BITS) & ~plain[rows] & ~other_plain[candidates]
        kept &= images.exact[rows] != others.exact[candidates]
        rows, candidates = rows[kept], candidates[kept]
        alike = _correlations(images.thumbnails[rows], others.thumbnails[candidates])
        for place in np.flatnonzero(alike >= best[rows]):
            if alike[place] >= best[rows[place]]:
                best[rows[place]], found[rows[place]] = alike[place], candidates[place]
    return found


def _candidates(
    hashes: UInt64[np.ndarray, " n"], others: UInt64[np.ndarray, " m"]
) -> Iterator[tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]]:
    """Pairs of places whose hashes share a band of bits, in parts."""
    for band in range(BANDS):
        shift = np.uint64(band * 16)
        keys, other_keys = ((each >> shift) & np.uint64(0xFFFF) for each in (hashes, others))
        order = np.argsort(other_keys, kind="stable")
        starts, ends = (np.searchsorted(other_keys[order], keys, side) for side in ("left", "right"))
        counts = np.where(ends - starts > MAX_BAND, 0, ends - starts)
        for rows in np.split(np.arange(len(hashes)), np.flatnonzero(np.diff(counts.cumsum() // PAIRS_AT_A_TIME)) + 1):
            own = counts[rows]
            within = np.arange(own.sum()) - np.repeat(own.cumsum() - own, own)
            yield np.repeat(rows, own), order[np.repeat(starts[rows], own) + within]


def _correlations(first: UInt8[np.ndarray, "n p"], second: UInt8[np.ndarray, "n p"]) -> Float32[np.ndarray, " n"]:
    centred = [each - each.mean(1, keepdims=True, dtype=np.float32) for each in (first, second)]
    norms = [np.sqrt((each * each).sum(1)) for each in centred]
    return np.asarray((centred[0] * centred[1]).sum(1) / np.maximum(norms[0] * norms[1], 1), np.float32)


def _hashes(thumbnails: Float32[np.ndarray, "n p"]) -> UInt64[np.ndarray, " n"]:
    """The signs of the lowest frequencies, but for the mean, against their median."""
    waves = dctn(thumbnails.reshape(-1, SIDE, SIDE), axes=(1, 2))[:, :FREQUENCIES, :FREQUENCIES]
    lowest = waves.reshape(len(waves), FREQUENCIES * FREQUENCIES)[:, 1:]
    bits = (lowest > np.median(lowest, 1, keepdims=True)).astype(np.uint64)
    return np.asarray(bits @ (np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)), np.uint64)


def _thumbnails(pixels: Pixels) -> Float32[np.ndarray, "n p"]:
    """Grey levels 0..255 of 16×16, each the mean of an area."""
    down, across = (_areas(side) for side in pixels.shape[2:])
    small = down @ pixels.astype(np.float32) @ across.T
    grey = np.tensordot(small, LUMA, (1, 0)) if small.shape[1] == 3 else small[:, 0]
    return np.ascontiguousarray(grey.reshape(len(pixels), SIDE * SIDE), np.float32)


def _areas(side: int) -> Float32[np.ndarray, "sixteen side"]:
    """How much each of `side` pixels is of each of SIDE equal parts."""
    edges = np.linspace(0, side, SIDE + 1)
    places = np.arange(side)
    covered = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.asarray(covered.clip(min=0) * SIDE / side, np.float32)
