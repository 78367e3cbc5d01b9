"""Counter-based random numbers: a function of (seed, purpose, epoch, source id, name), never of a state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from imparfait.core import tensors


@dataclass(frozen=True)
class CounterRng:
    """Random numbers for `n` images: each image's depend on its source id and on nothing else in the batch.

    The same (seed, purpose, epoch, source, name) gives the same number for any batch size, order or number of
    workers, today and after a crash, so there is no generator state to save or restore. They are computed on the
    device of `sources`.
    Source: SplitMix64 as a counter hash (Steele, Lea & Flood, OOPSLA 2014).
    """

    seed: int
    purpose: str
    epoch: int
    sources: Int64[Tensor, " n"]

    def bits(self, name: str, *shape: int) -> Int64[Tensor, ...]:
        """64 random bits for each entry of `[n, *shape]`, on the device of `sources`: the same on every device."""
        if len(self.sources) == 0:
            return torch.empty(0, *shape, dtype=torch.int64, device=self.sources.device)
        streams = self.sources ^ _key(self.seed, self.purpose, self.epoch, name)
        words = _words_on_cpu if tensors.on_cpu(streams) else _words
        return words(streams, torch.Size(shape).numel()).reshape(len(streams), *shape)

    def uniform(self, name: str, *shape: int) -> Float32[Tensor, ...]:
        """Numbers in [0, 1), of shape `[n, *shape]`.

        They have 24 bits, so that float32 and float64 arithmetic start from exactly the same numbers.
        """
        return _shift(self.bits(name, *shape), 40).to(torch.float32) * 2.0**-24

    def normal(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, ...]:
        """Normally distributed numbers of mean 0 and standard deviation 1, of shape `[n, *shape]`."""
        normal: Tensor = torch.special.ndtri(self.uniform(name, *shape).to(dtype).clamp(min=2.0**-25))
        return normal

    def at(self, rows: Tensor | slice) -> CounterRng:
        """The generator of some of the images; `rows` are indices, a mask or a slice."""
        return CounterRng(self.seed, self.purpose, self.epoch, self.sources[rows])

    def to(self, device: torch.device) -> CounterRng:
        """The same generator, with its numbers on `device`."""
        return CounterRng(self.seed, self.purpose, self.epoch, self.sources.to(device, non_blocking=True))


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed, hashed from `parts`, for code that needs a stateful generator (initial weights, dropout)."""
    return _key(*parts) & (2**63 - 1)


def _key(*parts: int | str) -> int:
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64's
WORDS_AT_ONCE = 1 << 14  # hashed: 128 KB, which stay in the processor's cache over the nine passes


def _words(streams: Int64[Tensor, " n"], count: int) -> Int64[Tensor, "n count"]:
    """The words 1 to `count` of each stream, on its device: int64 arithmetic wraps as unsigned arithmetic does."""
    counter = torch.arange(1, count + 1, device=streams.device) * _signed(GOLDEN)
    return _mix(counter + _mix(streams)[:, None])


def _mix(words: Int64[Tensor, ...]) -> Int64[Tensor, ...]:
    for by, factor in ((30, FIRST), (27, SECOND)):
        words = (words ^ _shift(words, by)) * _signed(factor)
    return words ^ _shift(words, 31)


def _shift(x: Tensor, by: int) -> Tensor:
    return (x >> by) & ((1 << (64 - by)) - 1)  # torch shifts int64 arithmetically: drop the copied sign bits


def _signed(word: int) -> int:
    return word - (1 << 64 if word >> 63 else 0)


def _words_on_cpu(streams: Int64[Tensor, " n"], count: int) -> Int64[Tensor, "n count"]:
    """As `_words`, with NumPy in parts that stay in the cache: PyTorch is half as fast."""
    starts = streams.numpy().view(np.uint64).copy()
    _mix_in_place(starts)
    counter = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    words = np.empty((len(starts), count), np.uint64)
    rows = max(1, WORDS_AT_ONCE // max(1, count))
    for start in range(0, len(words), rows):
        part = words[start : start + rows]
        _mix_in_place(np.add(counter, starts[start : start + rows, None], out=part))
    return torch.from_numpy(words.view(np.int64))


def _mix_in_place(words: np.ndarray) -> None:
    shifted = np.empty_like(words)
    for by, factor in ((30, np.uint64(FIRST)), (27, np.uint64(SECOND))):
        np.bitwise_xor(words, np.right_shift(words, by, out=shifted), out=words)
        np.multiply(words, factor, out=words)
    np.bitwise_xor(words, np.right_shift(words, 31, out=shifted), out=words)
