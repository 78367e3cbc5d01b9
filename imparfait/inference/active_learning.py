"""Active learning: which unlabelled images are most worth labelling, uncertain ones that differ from each other."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, Int64

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities, Watch
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.inference.batch import CHUNK_FILES, Batch
from imparfait.inference.predictor import Predictor

POOL = 20  # times as many images as are chosen: the most uncertain ones, among which unlike ones are chosen
THUMBNAIL = 8  # pixels a side, in grey: enough to tell near-copies from other images


@dataclass(frozen=True, eq=False)
class Candidate:
    """An unlabelled image file, and what a model predicts for it."""

    file: str
    probabilities: Float[np.ndarray, " classes"]
    features: Float[np.ndarray, " features"]
    """What tells it apart from other images."""

    @property
    def uncertainty(self) -> float:
        """0 where one class has all of the probability, 1 where the two most probable have equal shares."""
        return float(uncertainties(self.probabilities[None])[0])

    def ranked(self) -> list[int]:
        """The indices of the classes, the most probable first."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")]


def choose_images(files: Sequence[str], batch: Batch, count: int, watch: Watch) -> list[Candidate]:
    """At most `count` of the images most worth labelling, the first chosen first.

    All files are predicted once. The most uncertain ones, `POOL` times as many as are chosen, are then read again to
    find unlike ones among them, so memory does not grow with the files. Blank images, files that cannot be read, and
    later pages of a file are left out. Raises UserError where no image is left.
    """
    pool: list[tuple[float, int, str]] = []  # a heap, its least uncertain image first
    results = watch(batch.predict(files), len(files))
    for number, result in enumerate(results):
        prediction = result.prediction
        if prediction is None or result.page not in (None, 1) or prediction.blank:
            continue
        scores = [score for _, score in prediction.predictions]
        entry = (1 - (scores[0] - scores[1]), -number, result.file)
        if len(pool) < POOL * count:
            heapq.heappush(pool, entry)
        else:
            heapq.heappushpop(pool, entry)
    candidates = list(candidates_of([file for _, _, file in sorted(pool, reverse=True)], batch.predictor))
    if not candidates:
        why = f"; {batch.failed[0].file}: {batch.failed[0].error}" if batch.failed else ""
        raise UserError(f"no image to label among {counted(len(files), 'file')}: all are blank or cannot be read{why}")
    probabilities = np.stack([each.probabilities for each in candidates])
    features = np.stack([each.features for each in candidates])
    return [candidates[row] for row in spread_out(uncertainties(probabilities), features, count)]


def candidates_of(files: Iterable[str], predictor: Predictor) -> Iterator[Candidate]:
    """What the model predicts for the first page of each file; files that cannot be read are left out."""
    waiting = iter(files)
    while chunk := list(islice(waiting, CHUNK_FILES)):
        read: list[tuple[str, NormalizedImage]] = []
        for file in chunk:
            try:
                read.append((file, next(read_normalized(file, predictor.input_format))))
            except UserError:
                continue
        if read:
            rows = predictor.probabilities_of([image for _, image in read])
            features = features_of(rows, np.stack([image.pixels for _, image in read]))
            for (file, _), row, own in zip(read, rows, features, strict=True):
                yield Candidate(file, row, own)


def uncertainties(probabilities: Probabilities) -> Float[np.ndarray, " n"]:
    """One less the margin, the difference of the two highest probabilities."""
    highest = np.sort(probabilities, 1)[:, -2:]
    return np.asarray(1 - (highest[:, 1] - highest[:, 0]), np.float64)


def features_of(probabilities: Probabilities, pixels: Pixels) -> Float[np.ndarray, "n features"]:
    """What tells images apart: square roots of their probabilities, and a small grey thumbnail of mean 0 and norm 1.

    The Euclidean distance of the roots is Hellinger's, but for a factor.
    """
    height, width = pixels.shape[2:]
    rows, columns = (np.linspace(0, side, min(side, THUMBNAIL) + 1).astype(int)[:-1] for side in (height, width))
    grey = pixels.mean(1, dtype=np.float64)
    small = np.add.reduceat(np.add.reduceat(grey, rows, 1), columns, 2).reshape(len(pixels), -1)
    small -= small.mean(1, keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)
    return np.hstack([np.sqrt(probabilities.clip(0)), small])


def spread_out(
    uncertainty: Float[np.ndarray, " n"], features: Float[np.ndarray, "n features"], count: int
) -> Int64[np.ndarray, " chosen"]:
    """At most `count` rows, the most uncertain first, then always the highest uncertainty times distance.

    The distance is that to the nearest row chosen before: greedy k-centre, weighted by uncertainty.
    Source: Sener & Savarese, "Active learning for convolutional neural networks: a core-set approach" (2018).
    """
    chosen = [int(uncertainty.argmax())]
    distance = np.full(len(uncertainty), np.inf)
    while len(chosen) < min(count, len(uncertainty)):
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
        score = uncertainty * distance
        score[chosen] = -1
        chosen.append(int(score.argmax()))
    return np.array(chosen)
