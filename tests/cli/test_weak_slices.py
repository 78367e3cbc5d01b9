"""`train` says on which images a network is less accurate: printed, in the report, in JSON, and again later."""

import json
from pathlib import Path

from helpers.bars import draw_bars
from helpers.commands import run
from PIL import Image

EASY = ("--recipe", "quick", "--epochs", 3, "--batch-size", 16, "--augmentation", "clean")


def write(home: Path, dark: bool) -> Path:
    """Bars, of whose validation images a fifth may be dark; these have wrong labels, so that any network errs."""
    for split, n in (("train", 240), ("val", 150)):
        data = draw_bars(n, first_source=1000 * (split == "val"))
        for row, (pixels, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
            is_dark = dark and split == "val" and row % 5 == 0
            name = data.classes[(label + is_dark) % len(data.classes)]
            path = home / split / name / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0] // (4 if is_dark else 1)).save(path)
    return home


def test_a_slice_is_printed_reported_and_in_json(tmp_path: Path) -> None:
    command = ("train", "--data", write(tmp_path / "mine", dark=True), "--out", tmp_path / "runs", *EASY)
    first = run(*command)
    said = next(line for line in first.splitlines() if line.startswith("less accurate on"))
    assert "of 240 training images are like them" in said
    (folder,) = (path.parent for path in (tmp_path / "runs").glob("*/report.html"))
    for name in ("report.html", "README.md"):
        written = (folder / name).read_text(encoding="utf-8")
        assert said.split(" (")[0].removeprefix("less") in written.replace("\n", " ")
    assert said in run(*command)  # printed again for the finished run
    [found, *_] = json.loads(run(*command, "--json"))["weak_slices"]
    assert found == json.loads((folder / "weak_slices.json").read_text())["slices"][0]
    assert found["correct"] / found["images"] < found["other_correct"] / found["other_images"]


def test_nothing_is_said_where_nothing_differs(tmp_path: Path) -> None:
    done = run("train", "--data", write(tmp_path / "mine", dark=False), "--out", tmp_path / "runs", *EASY)
    assert "less accurate" not in done
    assert not list((tmp_path / "runs").glob("*/weak_slices.json"))
