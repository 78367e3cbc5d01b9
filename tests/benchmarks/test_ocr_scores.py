"""Scores of read numbers, and the comparison of libraries: each in its best setting, read once."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from ocr import peers, scores
from ocr.scores import Answer
from peers.ocr_worker import in_reading_order

RIGHT, WRONG = Answer("12", "12", 0.9), Answer("12", "13", 0.8)


@pytest.mark.parametrize(
    ("truth", "read", "whole", "inside"),
    [("", "", 0, 0), ("123", "123", 0, 0), ("123", "", 3, 3), ("123", "99123 8", 4, 0), ("123", "9 1723", 3, 1)],
)
def test_edits_are_the_fewest_and_what_is_around_may_be_free(truth: str, read: str, whole: int, inside: int) -> None:
    assert scores.edits(truth, read) == whole
    assert scores.edits(truth, read, inside=True) == inside


def test_only_digits_count() -> None:
    assert scores.digits_of("No. 12\n3,4 ²٣") == "1234"


def test_exact_numbers_and_character_errors() -> None:
    answers = [RIGHT, WRONG, Answer("3456", "345", 0.1)]
    assert scores.exact(answers)["count"] == 1
    assert scores.character_error_percent(answers) == 25.0
    assert scores.digits_found([Answer("1234", "77123", 1)]) == 75.0
    assert scores.exact([]) == {"count": 0, "total": 0}


def test_the_least_sure_are_sent() -> None:
    answers = [RIGHT] * 19 + [WRONG]
    assert scores.accepted_at(answers, 0.05)["count"] == 0
    assert scores.accepted_at(answers, 0.05)["total"] == 19
    assert scores.accepted_at(answers, 0.0)["count"] == 1
    assert scores.accepted_at(answers[1:], 0.05)["count"] == 1  # a twentieth of 19 is none


def test_the_order_of_equal_scores_does_not_matter() -> None:
    equal = [Answer("1", "1", 0.5)] * 10 + [Answer("1", "7", 0.5)] * 10
    assert scores.accepted_at(equal, 0.2) == scores.accepted_at(equal[::-1], 0.2)
    assert scores.accepted_at(equal, 0.2)["count"] == 8


def test_the_own_threshold_sends_what_is_not_confident() -> None:
    at = scores.accepted_by_itself([RIGHT, WRONG, Answer("1", "7", 0.2, confident=False)])
    assert at["sent"]["count"] == 1  # type: ignore[index]
    assert at["accepted_wrong"]["count"] == 1  # type: ignore[index]


def test_boxes_are_read_line_by_line() -> None:
    boxes = [(50, 2, 60, 22), (0, 40, 10, 60), (0, 0, 10, 20), (20, 44, 30, 58)]
    assert in_reading_order(boxes) == [2, 0, 1, 3]
    assert in_reading_order([]) == []


@pytest.mark.parametrize(("ink", "ground"), [((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (0, 0, 0))])
def test_transparent_ink_is_put_on_the_ground_that_shows_it(
    tmp_path: Path, ink: tuple[int, ...], ground: tuple[int, ...]
) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((*ink, 255), (2, 2, 5, 5))
    image.save(tmp_path / "ink.png")
    upright = peers.upright(tmp_path / "ink.png")
    assert upright.mode == "RGB"
    assert (upright.getpixel((0, 0)), upright.getpixel((3, 3))) == (ground, ink)


WORKER = """
import json, sys
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    answer = {"poor": {"text": "7", "score": 0.9, "seconds": 1}, "good": {"text": "1 2", "score": 0.5, "seconds": 2}}
    print(json.dumps(answer), flush=True)
"""


def test_a_library_is_scored_in_its_best_setting_and_reads_an_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(peers, "WORKER", tmp_path / "worker.py")
    items = [
        peers.Item("a", Image.new("RGB", (4, 4)), "12", ("paint",)),
        peers.Item("b", Image.new("RGB", (5, 4)), "2912", ("photo",), grid=True),
    ]
    for _ in range(2):
        library = peers.Library("any", sys.executable, tmp_path)
        seen, said = peers.read_all(iter(items), [library])
        library.close()
    kept = [json.loads(line) for line in (tmp_path / "any.jsonl").read_text().splitlines()]
    assert len(kept) == 2
    assert library.process is None
    result = peers.scored(seen, said["any"])
    assert result["setting"] == "good"
    assert result["exact"]["count"] == result["exact"]["total"] == 1  # type: ignore[index]
    assert result["grids"] == {"images": 1, "setting": "good", "digits_found_percent": 50.0}
    assert result["exact_by_setting"] == {"poor": 0, "good": 1}
