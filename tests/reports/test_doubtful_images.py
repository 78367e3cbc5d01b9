"""The report of a run shows labels that are perhaps wrong, and validation images that are also training images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.commands import SHORT, run
from PIL import Image

from imparfait.evaluation.suspect_labels import SuspectLabel
from imparfait.reports.doubtful_images import copies_figure, suspects_figure
from imparfait.reports.figures.drawing import LIGHT


def texts(figure: object) -> list[str]:
    """The captions in a figure."""
    assert figure is not None
    return [text.get_text() for text in figure.draw(LIGHT).axes[0].texts]  # type: ignore[attr-defined]


@pytest.mark.parametrize("files", [(), tuple(f"folder/{number}.png" for number in range(30))])
def test_a_suspect_label_is_shown_with_its_file(files: tuple[str, ...]) -> None:
    suspects = [SuspectLabel(source=17, label=0, likely=2, probability=0.987)]
    assert texts(suspects_figure(suspects, draw_bars(30), files)) == [
        f"flat → cross  99 %\n{'17.png' if files else 'image 17'}"
    ]


def test_copies_and_near_copies_are_shown_beside_their_training_images() -> None:
    rng = np.random.default_rng(0)
    training, held_out = (
        replace(
            draw_bars(count, 16, first_source=first), pixels=rng.integers(0, 250, (count, 1, 16, 16), dtype=np.uint8)
        )
        for count, first in ((60, 0), (9, 60))
    )
    assert copies_figure(held_out, training, ()) is None
    held_out.pixels[4] = training.pixels[31]
    held_out.pixels[2] = np.clip(training.pixels[5].astype(int) * 0.9, 0, 255)
    figure = copies_figure(held_out, training, ())
    assert [caption.split("\n")[1] for caption in texts(figure)] == ["image 64", "image 31", "image 62", "image 5"]
    assert figure is not None
    assert figure.caption.startswith("2 of 9 validation images have a copy")
    many = copies_figure(training, training, ())
    assert len(texts(many)) == 20
    assert many is not None
    assert "the first 10 in pairs" in many.caption


def test_the_report_of_own_data_has_the_figure(tmp_path: Path) -> None:
    data = draw_bars(15)
    for row, (pixels, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
        for copy in "ab":
            path = tmp_path / "mine" / data.classes[label] / f"{row}{copy}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0]).save(path)
    run("train", "--data", tmp_path / "mine", "--out", tmp_path / "runs", *SHORT)
    (report,) = (tmp_path / "runs").glob("*/report.html")
    assert "Validation images that are also training images" in report.read_text()
    assert report.with_name("copies.png").exists()
