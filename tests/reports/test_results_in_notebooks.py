"""to_frame() and plot() of results: rows that hold the numbers, axes that show the names."""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import made_up_result, plan_of
from matplotlib.axes import Axes

import imparfait
from imparfait.evaluation.robustness import SuiteResult

DATA = draw_bars(30)
BLANK = np.full((60, 40), 255, np.uint8)


def first_class(images: np.ndarray) -> np.ndarray:
    return np.tile(np.eye(len(DATA.classes), dtype=np.float32)[0], (len(images), 1))


def last_class(images: np.ndarray) -> np.ndarray:
    return first_class(images)[:, ::-1]


def history() -> Any:
    settings = imparfait.TrainingSettings(epochs=2, batch_size=10, augmentation="clean")
    model = imparfait.build("petit", channels=1, classes=len(DATA.classes), height=16, width=16)
    found = imparfait.train(model, DATA, settings, validation=draw_bars(12, first_source=100))
    assert len(list(found)) == 2
    return found


def reading() -> Any:
    page = BLANK.copy()
    page[15:45, 18:22] = 0
    return imparfait.read(page)


def comparison() -> Any:
    plan = plan_of("one", "other", folds=2, seeds=2, sources=40)
    return made_up_result(plan, lambda name, seed: np.full((3, 40), 0.7 if name == "one" else 0.4))


RESULTS = {
    "predictions": (lambda: imparfait.predict([BLANK, BLANK]), 2, ("image", "label", "score", "confident", "reason")),
    "reading": (reading, 1, ("page", "line", "text", "score", "confident", "left", "top", "right", "bottom")),
    "scores": (lambda: imparfait.evaluate(first_class, DATA), 4, ("severity", "correct", "total", "accuracy")),
    "suite": (
        lambda: SuiteResult(imparfait.evaluate(first_class, DATA)), 3,
        ("corruption", "family", "severity", "correct", "total", "accuracy", "low", "high"),
    ),
    "evaluation": (
        lambda: imparfait.evaluate({"first": first_class, "last": last_class}, DATA), 6,
        ("model", "seed", "corruption", "accuracy"),
    ),
    "comparison": (comparison, 2, ("name", "mean", "standard_deviation", "jobs", "failed")),
    "history": (history, 2, ("epoch", "loss", "accuracy", "seconds", "validation clean")),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_a_table_and_a_plot(name: str) -> None:
    make, rows, columns = RESULTS[name]
    result = make()
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == rows
    assert set(columns) <= set(frame.columns)
    axes = result.plot()
    assert isinstance(axes, Axes)
    _, own = plt.subplots()
    assert result.plot(own) is own
    own.figure.canvas.draw()


def test_tables_hold_the_results_numbers() -> None:
    scores = imparfait.evaluate(first_class, DATA)
    assert scores.to_frame().loc["clean", "accuracy"] == scores.scores[0].accuracy
    both = imparfait.evaluate({"first": first_class, "last": last_class}, DATA)
    of_first = both.to_frame().query("model == 'first'")
    assert of_first["accuracy"].tolist() == [score.accuracy for score in scores.scores]
    found = comparison()
    assert found.to_frame()["name"].tolist() == found.ranked
    assert found.to_frame()["mean"].tolist() == [found.mean(name) for name in found.ranked]
    predictions = imparfait.predict([BLANK])
    assert predictions.to_frame().loc[0, "reason"] == predictions[0].reason


def test_a_plot_has_the_names_as_they_are() -> None:
    odd = {r"$\foo$": first_class, "_": last_class}
    axes = imparfait.evaluate(odd, DATA).plot()
    axes.figure.canvas.draw()
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().strip("\N{NO-BREAK SPACE}") for text in legend.get_texts()] == [r"\$\foo\$", "_"]


def test_a_training_that_is_not_finished_has_the_epochs_so_far() -> None:
    settings = imparfait.TrainingSettings(epochs=3, batch_size=10, augmentation="clean")
    model = imparfait.build("petit", channels=1, classes=len(DATA.classes), height=16, width=16)
    training = imparfait.train(model, DATA, settings)
    assert repr(training) == "<0 finished epochs>"
    next(training)
    assert training.to_frame()["epoch"].tolist() == [1]
    assert "<table" in training._repr_html_()
    training.close()
    assert list(training) == []
