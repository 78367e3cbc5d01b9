"""The trials that a choice of input is reported with, and what Python's evaluate may be told of a model's input."""

import numpy as np
import pytest
from helpers.bars import draw_bars

import imparfait
from imparfait.core.errors import UserError
from imparfait.evaluation.external import infer_spec as module
from imparfait.evaluation.external.base import DeclaredSpec

DATA = draw_bars(300, 16)


def perfect(images: np.ndarray) -> np.ndarray:
    """Logits of a classifier of bars, for images of any side in 0..1, in colour or grey."""
    shown = images.max(1) > 0.3
    flat, steep = shown.mean(2).max(1) > 0.4, shown.mean(1).max(1) > 0.4
    return np.stack([flat & ~steep, ~flat & steep, flat & steep], 1).astype(np.float32) * 5


def test_the_next_best_trial_is_one_on_as_many_images_as_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_ROUND_IMAGES", 30)
    monkeypatch.setattr(module, "SECOND_ROUND_IMAGES", 60)
    monkeypatch.setattr(module, "rivals", lambda best, trials, least: [each for each in trials if each is not best][:1])
    found = module.infer_spec(perfect, DeclaredSpec(shape=(None, 1, 16, 16)), DATA)
    assert [trial.total for trial in found.trials[:2]] == [len(DATA)] * 2
    assert {trial.total for trial in found.trials[2:]} <= {30, 60}
    rest = [trial.total for trial in found.trials[2:]]
    assert rest == sorted(rest, reverse=True)


def test_evaluate_takes_what_the_command_takes() -> None:
    assert clean_correct(imparfait.evaluate(perfect, DATA, suite=["rotate"])) == len(DATA)
    for arguments, model in (
        ({"classes": ("cross", "other", "flat", "steep")}, lambda images: reordered(perfect(images))),
        ({"mean": [0.25], "std": [0.5]}, lambda images: perfect(images * 0.5 + 0.25)),
        ({"fit": "pad", "side": 24}, lambda images: perfect_at(images, 24)),
        ({"color": "rgb", "layout": "flat-chw"}, lambda rows: perfect(rows.reshape(-1, 1, 16, 16))),
    ):
        scores = imparfait.evaluate(model, DATA, suite=["rotate"], **arguments)
        assert clean_correct(scores) == len(DATA), arguments


def clean_correct(scores: imparfait.Scores) -> int:
    return next(int(each.correct.sum()) for each in scores.conditions if each.corruption == "clean")


def reordered(logits: np.ndarray) -> np.ndarray:
    """As a network with one class more and another order."""
    return np.stack([logits[:, 2], 0 * logits[:, 0] - 9, logits[:, 0], logits[:, 1]], 1)


def perfect_at(images: np.ndarray, side: int) -> np.ndarray:
    assert images.shape[2:] == (side, side)
    return perfect(images[:, :, 4:-4, 4:-4])


def test_a_fit_without_its_side_is_a_user_error() -> None:
    with pytest.raises(UserError, match="fit 'pad' with side None; expected both"):
        imparfait.evaluate(perfect, DATA, fit="pad")
