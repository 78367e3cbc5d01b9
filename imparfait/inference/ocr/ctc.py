"""What the frames of a CTC network say about a string: the probability of each length, and of each digit in it."""

# Exact, by the forward-backward algorithm over (digits so far, last digit): Graves et al., ICML 2006, section 4.1. Each
# length is a segmentation of its own, so that the reader's constraints search it as they search the detector's.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from imparfait.inference.ocr.automaton import MAX_LENGTH

MIN_PROBABILITY = 1e-4  # of a length
CLEAR_BLANK = 0.9999  # probability of a blank in frames of which one tells as much as many


@dataclass(frozen=True, eq=False)
class LengthReading:
    """The strings of one length."""

    probability: float
    """Of this length."""
    rows: Float[np.ndarray, "length digits"]
    """The probability of each digit at each position, if the string has this length."""
    frames: Float[np.ndarray, " length"]
    """The mean frame in which each digit begins."""


def strings_by_length(probabilities: Float[np.ndarray, "frames labels"]) -> list[LengthReading]:
    """The lengths that are possible, 0 among them, the most probable first; none over MAX_LENGTH.

    `probabilities` has in each frame the probability of each digit and, as the last one, of a blank.
    """
    frames = np.flatnonzero(_informative(probabilities[:, -1]))
    kept = np.maximum(probabilities[frames].astype(float), 1e-12)
    begins, last, blank = _forward(kept, min(MAX_LENGTH, len(frames)))
    total = last.sum(1) + blank
    likely = np.flatnonzero(total > MIN_PROBABILITY)
    if not likely.size:
        return []
    rest_after_digit = _backward(kept, int(likely.max()))
    found = []
    for length in likely.tolist():
        if length == 0:
            found.append(LengthReading(float(blank[0]), np.zeros((0, last.shape[1])), np.zeros(0)))
            continue
        # begins [frames, position, digit] from position 1 on; what is left after it to reach this length
        paths = begins[:, 1 : length + 1] * rest_after_digit[:, length - 1 :: -1][:, :length]
        rows = paths.sum(0)
        where = paths.sum(2) / np.maximum(paths.sum((0, 2)), 1e-300)
        rows /= rows.sum(1, keepdims=True)
        found.append(LengthReading(float(total[length]), rows, frames @ where))
    return sorted(found, key=lambda each: -each.probability)


def _informative(blank: Float[np.ndarray, " frames"]) -> np.ndarray:
    """Frames without those of clear blanks that follow another: these change nothing, and most are such."""
    clear = blank > CLEAR_BLANK
    return np.asarray(~(clear & np.concatenate([[False], clear[:-1]])))


def _forward(
    probabilities: Float[np.ndarray, "frames labels"], longest: int
) -> tuple[np.ndarray, Float[np.ndarray, "lengths digits"], Float[np.ndarray, " lengths"]]:
    """The probability that a digit begins, by frame, position and digit; and that of all paths at the end.

    Paths end in a digit or in a blank after so many digits.
    """
    digits = probabilities.shape[1] - 1
    begins = np.zeros((len(probabilities), longest + 1, digits))
    last, blank = np.zeros((longest + 1, digits)), np.zeros(longest + 1)
    blank[0] = 1
    for frame, (*_, stays_blank) in enumerate(probabilities):
        before = last.sum(1, keepdims=True)
        begins[frame, 1:] = probabilities[frame, :-1] * (blank[:-1, None] + before[:-1] - last[:-1])
        blank = stays_blank * (blank + before[:, 0])
        last = probabilities[frame, :-1] * last + begins[frame]
    return begins, last, blank


def _backward(
    probabilities: Float[np.ndarray, "frames labels"], longest: int
) -> Float[np.ndarray, "frames lengths digits"]:
    """After each frame, in a digit: the probability that so many more digits follow."""
    digits = probabilities.shape[1] - 1
    after = np.zeros((len(probabilities), longest + 1, digits))
    in_digit, in_blank = np.zeros((longest + 1, digits)), np.zeros(longest + 1)
    in_digit[0] = in_blank[0] = 1
    for frame in range(len(probabilities) - 1, -1, -1):
        after[frame] = in_digit
        *_, stays_blank = probabilities[frame]
        entering = probabilities[frame, :-1] * in_digit
        more = np.concatenate([np.zeros((1, digits)), entering[:-1]])
        in_digit = entering + stays_blank * in_blank[:, None] + more.sum(1, keepdims=True) - more
        in_blank = stays_blank * in_blank + more.sum(1)
    return after
