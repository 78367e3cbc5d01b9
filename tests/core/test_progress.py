"""Progress of long calls: none, a bar, or a function of the caller; and tables and plots without their packages."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers.bars import draw_bars

import imparfait
from imparfait.core.install import install_hint
from imparfait.core.optional import axes_or_new, frame_of
from imparfait.core.progress import ShowProgress, reporting, watch_with

DATA = draw_bars(40)
SETTINGS = imparfait.TrainingSettings(epochs=2, batch_size=10, augmentation="clean")


def classes_at_random(images: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).random((len(images), len(DATA.classes))).astype(np.float32)


def trained(progress: ShowProgress) -> object:
    model = imparfait.build("petit", channels=1, classes=len(DATA.classes), height=16, width=16)
    return list(imparfait.train(model, DATA, SETTINGS, progress=progress))


CALLS: dict[str, Callable[[ShowProgress], object]] = {
    "predict": lambda progress: imparfait.predict([np.zeros((9, 9), np.uint8)] * 3, progress=progress),
    "read": lambda progress: imparfait.read([np.zeros((9, 9), np.uint8)] * 3, progress=progress),
    "train": trained,
    "evaluate": lambda progress: imparfait.evaluate(classes_at_random, DATA, progress=progress),
    "evaluate two": lambda progress: imparfait.evaluate(
        {"a": classes_at_random, "b": classes_at_random}, DATA, progress=progress
    ),
    "compare": lambda progress: (
        imparfait.compare(
            {"a": SETTINGS, "b": SETTINGS.model_copy(update={"epochs": 1})},
            DATA, folds=2, seeds=1, executor="serial", progress=progress,
        ).result
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_function_sees_how_much_is_done_until_all_is(call: Callable[[ShowProgress], object]) -> None:
    seen: list[tuple[float, float]] = []
    call(lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    assert all(0 < done <= total for done, total in seen)


@pytest.mark.parametrize("call", [CALLS["predict"], CALLS["train"]], ids=["predict", "train"])
def test_a_bar_is_drawn_on_stderr_when_it_is_wanted(
    call: Callable[[ShowProgress], object], capsys: pytest.CaptureFixture[str]
) -> None:
    call(False)
    assert capsys.readouterr() == ("", "")
    call(True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "ing" in printed.err


def test_items_pass_unchanged_and_one_after_the_other() -> None:
    taken, passed = [], []
    for item in watch_with(lambda done, total: taken.append(done), "x")(iter("abc"), 3):
        passed.append(item)
        assert len(taken) == len(passed) - 1
    assert passed == list("abc")


def test_in_a_notebook_without_widgets_a_line_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, content: dict[str, str], raw: bool) -> None:
            shown.append(content["text/plain"])

    def display(content: dict[str, str], raw: bool, display_id: bool) -> Handle:
        shown.append(content["text/plain"])
        return Handle()

    import IPython.display
    import rich.console

    monkeypatch.setattr(rich.console, "Console", partial(rich.console.Console, force_jupyter=True))
    monkeypatch.setattr("imparfait.core.progress.find_spec", lambda name: None)
    monkeypatch.setattr(IPython.display, "display", display)
    with reporting(True, "training", 2) as report:
        report(1, 2)
    assert shown == ["training", "training: 1 of 2"]


@pytest.mark.parametrize(
    ("package", "call", "what"),
    [("pandas", lambda: frame_of([]), "to_frame()"), ("matplotlib", lambda: axes_or_new(None), "plot()")],
)
def test_a_missing_package_is_said_in_a_sentence(
    package: str, call: Callable[[], Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.split(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=package)

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as error:
        call()
    assert str(error.value) == f"{what} needs {package}, which is not installed; {install_hint('train')}"
