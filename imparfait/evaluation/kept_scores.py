"""Scores on the test set, kept until their report is written: a retry reuses them instead of a second access."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import delete, get, put
from imparfait.data.dataset import LabelledImages
from imparfait.data.sealed_test import SealedTest, TestAccess
from imparfait.data.test_ledger import count_accesses, ledger_for
from imparfait.evaluation.scores import ConditionResult, Scores

KEPT = ".test_scores"  # in the folder of the runs
SUFFIX = ".npz"
ARRAYS = ("sources", "truths", "probabilities", "groups")


def score_on_test(
    score: Callable[[LabelledImages], Scores],
    test: SealedTest,
    out: Path,
    settings: str,
    key: str | None,
    describe: Callable[[Scores], str],
    model: Path | None = None,
) -> tuple[Scores, TestAccess]:
    """The `score` of the test images, and the access to them, which the ledger in `out` records before it happens.

    Where an earlier access of the same `key` ended before its report was written, its scores are used: no further
    access. `settings` is what the ledger says of the classifier, `describe` what it says of the scores; None as `key`
    keeps nothing. `forget_scores` ends that once the report is written. `model` is the run or file, beside which the
    ledger may be.
    """
    ledger = ledger_for(out, *([model] if model else []))
    if key and (kept := _kept(out / KEPT, key)):
        scores, sha256 = kept
        images = test.read_again()
        if images.fingerprint() == sha256:
            return scores, TestAccess(images, count_accesses(ledger, sha256) - 1, ledger, describe(scores))
    with test.open(ledger, settings) as access:
        scores = score(access.images)
        if key:
            folder = out / KEPT
            folder.mkdir(exist_ok=True)
            put(folder, key, _packed(scores, access.images.fingerprint()), SUFFIX)
        access.result = describe(scores)
    return scores, access


def forget_scores(out: Path, key: str) -> None:
    """Remove the scores kept under `key`: their report is written."""
    folder = out / KEPT
    if folder.exists():
        delete(folder, key, SUFFIX)
        if not any(folder.iterdir()):
            folder.rmdir()


def _packed(scores: Scores, sha256: str) -> bytes:
    arrays = {"classes": np.array(scores.classes), "sha256": np.array(sha256)}
    arrays["names"] = np.array([result.corruption for result in scores.conditions])
    arrays["severities"] = np.array([result.severity for result in scores.conditions])
    for number, result in enumerate(scores.conditions):
        for name in ARRAYS:
            if (array := getattr(result, name)) is not None:
                arrays[f"{name}_{number}"] = array
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _kept(folder: Path, key: str) -> tuple[Scores, str] | None:
    content = get(folder, key, SUFFIX) if folder.exists() else None
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            results = tuple(
                ConditionResult(name, severity, *(arrays.get(f"{each}_{number}") for each in ARRAYS))
                for number, (name, severity) in enumerate(
                    zip(arrays["names"].tolist(), arrays["severities"].tolist(), strict=True)
                )
            )
            return Scores(results, tuple(arrays["classes"].tolist())), str(arrays["sha256"])
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder}: holds something else than scores", hint="remove it") from error
