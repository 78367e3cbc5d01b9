"""What the frames of a CTC network say about a string: the probability of each length, and of each digit in it."""

# Exact, by the forward-backward algorithm over (digits so far, last digit): Graves et al., ICML 2006, section 4.1. Each
# length is a segmentation of its own, so that the reader's constraints search it as they search the detector's.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MAX_LENGTH = 40  # digits of a field; more are no field
MIN_PROBABILITY = 1e-4  # of a length
CLEAR_GROUND = 0.9999  # probability of none in a frame that says no more than its neighbour, which has as much


@dataclass(frozen=True, eq=False)
class OfLength:
    """The strings of one length."""

    probability: float
    """Of this length."""
    rows: Float[np.ndarray, "length digits"]
    """The probability of each digit at each position, if the string has this length."""
    frames: Float[np.ndarray, " length"]
    """The mean frame in which each digit begins."""


def strings_by_length(probabilities: Float[np.ndarray, "frames labels"]) -> list[OfLength]:
    """The lengths that are possible, 0 among them, the most probable first.

    `probabilities` has in each frame the probability of each digit and, as the last one, of none.
    """
    frames = np.flatnonzero(_says_something(probabilities[:, -1]))
    chances = np.maximum(probabilities[frames].astype(float), 1e-12)
    longest = min(MAX_LENGTH, len(frames))
    begins, last, ground = _forward(chances, longest)
    total = last.sum(1) + ground
    likely = np.flatnonzero(total > MIN_PROBABILITY * total.sum())
    rest_after_digit = _backward(chances, int(likely.max()))
    found = []
    for length in likely.tolist():
        if length == 0:
            found.append(OfLength(float(ground[0] / total.sum()), np.zeros((0, last.shape[1])), np.zeros(0)))
            continue
        # begins [frames, position, digit] from position 1 on; what is left after it to reach this length
        paths = begins[:, 1 : length + 1] * rest_after_digit[:, length - 1 :: -1][:, :length]
        rows = paths.sum(0)
        where = paths.sum(2) / np.maximum(paths.sum((0, 2)), 1e-300)
        rows /= rows.sum(1, keepdims=True)
        found.append(OfLength(float(total[length] / total.sum()), rows, frames @ where))
    return sorted(found, key=lambda each: -each.probability)


def _says_something(none: Float[np.ndarray, " frames"]) -> np.ndarray:
    """Frames without those of clear ground that follow another: these change nothing, and most are such."""
    clear = none > CLEAR_GROUND
    return np.asarray(~(clear & np.concatenate([[False], clear[:-1]])))


def _forward(
    chances: Float[np.ndarray, "frames labels"], longest: int
) -> tuple[np.ndarray, Float[np.ndarray, "lengths digits"], Float[np.ndarray, " lengths"]]:
    """The probability that a digit begins, by frame, position and digit; and that of all paths at the end.

    Paths end in the last digit or in ground after so many digits.
    """
    digits = chances.shape[1] - 1
    begins = np.zeros((len(chances), longest + 1, digits))
    last, ground = np.zeros((longest + 1, digits)), np.zeros(longest + 1)
    ground[0] = 1
    for frame, (*_, none) in enumerate(chances):
        before = last.sum(1, keepdims=True)
        begins[frame, 1:] = chances[frame, :-1] * (ground[:-1, None] + before[:-1] - last[:-1])
        ground = none * (ground + before[:, 0])
        last = chances[frame, :-1] * last + begins[frame]
    return begins, last, ground


def _backward(chances: Float[np.ndarray, "frames labels"], longest: int) -> Float[np.ndarray, "frames lengths digits"]:
    """After each frame, in a digit: the probability that so many more digits follow."""
    digits = chances.shape[1] - 1
    after = np.zeros((len(chances), longest + 1, digits))
    in_digit, in_ground = np.zeros((longest + 1, digits)), np.zeros(longest + 1)
    in_digit[0] = in_ground[0] = 1
    for frame in range(len(chances) - 1, -1, -1):
        after[frame] = in_digit
        *_, none = chances[frame]
        entering = chances[frame, :-1] * in_digit
        more = np.concatenate([np.zeros((1, digits)), entering[:-1]])
        in_digit = entering + none * in_ground[:, None] + more.sum(1, keepdims=True) - more
        in_ground = none * in_ground + more.sum(1)
    return after
