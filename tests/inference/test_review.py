"""Reviews of forms: decisions, what constraints forbid, and digits to train on."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.commands import refused, run
from helpers.forms import DIGITS, file_bytes, form, region, sheet, write, write_fields

from imparfait.core.errors import UserError
from imparfait.inference.forms import decisions
from imparfait.inference.forms.corrections import export_corrections
from imparfait.inference.forms.objections import as_printed, objection
from imparfait.inference.forms.review import Review

PLACE = {"left": 0.1, "top": 0.1, "width": 0.2, "height": 0.1}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two forms that are read: `meter` is cut by its region on the first, `date` is empty on both, and required."""
    monkeypatch.chdir(tmp_path)
    first, second = sheet(), sheet()
    write(first, "50829", 60, 60)
    write(second, "41", 60, 160, first=1)
    for name, page in (("a", first), ("b", second)):
        (tmp_path / f"{name}.png").write_bytes(file_bytes(page))
    (tmp_path / "list.txt").write_text("50829\n41\n777\n")
    meter, date = region("meter", 50, 90, 130, 300, one_of="list.txt"), region("date", 180, 40, 230, 400, required=True)
    write_fields(tmp_path / "fields.json", meter, date)
    run("read", "--fields", "fields.json", "a.png", "b.png", "--csv", "forms.csv")
    return tmp_path


@pytest.fixture
def review(home: Path) -> Iterator[Review]:
    with Review(Path("forms.csv")) as opened:
        yield opened


def rows() -> list[dict[str, str]]:
    with Path("forms.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# What constraints forbid


@pytest.mark.parametrize(
    ("constraints", "text", "found"),
    [
        ({}, "", None),
        ({}, "12 345", None),
        ({}, "n/a", "it is not a number"),
        ({}, "١٢", "it is not a number"),
        ({}, "-", "it is not a number"),
        ({"required": True}, "", "it is required"),
        ({"length": "3"}, "12", "its length is not 3"),
        ({"length": "3"}, "123", None),
        ({"length": "3"}, "", None),
        ({"one_of": ("10", "20", "30", "40")}, "11", "it is not in 10, 20, 30 …"),
        ({"one_of": ("10", "20")}, "20", None),
        ({"check": "luhn"}, "18", None),
        ({"check": "luhn"}, "19", "its check digits are wrong (luhn)"),
        ({"pattern": r"\d{2}\.\d"}, "12.3", None),
        ({"pattern": r"\d{2}\.\d"}, "1.23", r"it does not have the form \d{2}\.\d"),
        ({"pattern": r"\d{2}\.\d"}, "12.34", r"it does not have the form \d{2}\.\d"),
        ({"at_least": "100"}, "099", "it is smaller than 100, or has another number of digits"),
        ({"at_least": "100", "length": "3"}, "100", None),
    ],
)
def test_a_text_that_constraints_forbid_has_a_reason(
    constraints: dict[str, object], text: str, found: str | None
) -> None:
    assert objection(form({"name": "a", **PLACE, **constraints}), "a", text, {}) == found


@pytest.mark.parametrize(
    ("text", "others", "found"),
    [
        ("12", {}, None),
        ("12", {"a": "1 2"}, None),
        ("12", {"a": "13"}, "a has to be the same, and is 13"),
        ("12", {"a": ""}, "a has to be the same, and is empty"),
        ("", {"a": "13"}, "a has to be the same, and is 13"),
        ("12", {"c": "13"}, None),
    ],
)
def test_fields_that_have_the_same_number_are_compared(text: str, others: dict[str, str], found: str | None) -> None:
    fields = form({"name": "a", **PLACE}, {"name": "b", **PLACE, "same_as": "a"}, {"name": "c", **PLACE})
    assert objection(fields, "b", text, others) == found


@pytest.mark.parametrize(("text", "printed"), [("123", "12.3"), ("1.23", "1.23"), ("12", "12"), ("", ""), ("x", "x")])
def test_digits_get_the_separators_of_a_pattern(text: str, printed: str) -> None:
    assert as_printed(form({"name": "a", **PLACE, "pattern": r"\d{2}\.\d"}), "a", text) == printed


# Decisions


def test_the_unsure_fields_are_reviewed_in_order_with_their_crops(review: Review) -> None:
    assert [(page.file, each.name) for page, each in review.fields] == [
        ("a.png", "meter"), ("a.png", "date"), ("b.png", "date"),
    ]  # fmt: skip
    assert (review.left, review.classes, review.remark) == (3, DIGITS, "")
    assert review.crop(0).startswith(b"\xff\xd8")
    content = review.to_json()
    assert content["csv"] == "forms.csv"
    left, top, right, bottom = content["fields"][0]["region"]
    assert 0 < left < right < 1
    assert 0 < top < bottom < 1


def test_a_decision_is_in_both_files_when_it_is_made_and_a_later_review_has_it(review: Review) -> None:
    assert review.decide(0, " 50829 ").saved
    assert rows()[0]["meter"] == "50829"
    assert rows()[0]["unsure"] == "date"
    assert decisions.read_decisions(Path("forms.csv")) == {decisions.key_of(*review.fields[0]): "50829"}
    review.__exit__(None, None, None)
    with Review(Path("forms.csv")) as later:
        assert (later.decided(0), later.decided(1), later.left) == ("50829", None, 2)
        assert later.undo() == 0
        assert later.left == 3
    assert rows()[0]["unsure"] == "meter, date"


def test_a_forbidden_decision_is_saved_once_it_is_confirmed(review: Review) -> None:
    refused_result = review.decide(0, "123")
    assert (refused_result.saved, refused_result.objection) == (False, "it is not in list.txt")
    assert review.decided(0) is None
    assert review.decide(0, "123", confirmed=True).saved
    assert rows()[0]["meter"] == "123"
    assert not review.decide(1, "").saved
    assert review.decide(1, "", confirmed=True).saved
    assert rows()[0] == {"file": "a.png", "page": "1", "meter": "123", "date": "", "unsure": ""}


def test_decisions_are_undone_from_the_newest_on(review: Review) -> None:
    for index, text in ((2, "1"), (0, "41"), (2, "2")):
        assert review.decide(index, text).saved
    assert [review.undo() for _ in range(3)] == [2, 0, None]
    assert review.left == 3


@pytest.mark.parametrize("text", ["1" * 201, "1\x07"])
def test_a_text_that_is_no_cell_is_refused(review: Review, text: str) -> None:
    with pytest.raises(UserError) as error:
        review.decide(0, text)
    assert error.value.expected == "at most 200, all of them printable"
    assert review.left == 3


def test_a_formula_is_text_in_the_table(review: Review) -> None:
    assert review.decide(1, "=1+1", confirmed=True).saved
    assert rows()[0]["date"] == "'=1+1"


def test_without_its_list_of_numbers_a_review_goes_on_and_says_so(home: Path) -> None:
    Path("list.txt").unlink()
    with Review(Path("forms.csv")) as review:
        assert review.remark.startswith("constraints are not checked: fields.json, field 'meter', one_of:")
        assert review.decide(0, "123").saved


def test_one_process_at_a_time_reviews_or_reads(review: Review) -> None:
    assert "another process is reading or reviewing forms there" in refused("review", "forms.csv", "--no-open")
    assert "another process" in refused("read", "--fields", "fields.json", "a.png", "--csv", "forms.csv")


# Digits to train on


def files(folder: str = "corrections") -> list[str]:
    return sorted(f"{path.parent.name}/{path.name[:9]}" for path in Path(folder).rglob("*.png"))


def test_digits_of_decided_fields_are_written_into_the_folders_of_their_classes(review: Review) -> None:
    read = review.fields[0][1].digits
    text = "97531"[: len(read)]
    assert len(read) >= 3
    assert not export_corrections(review, Path("corrections"))
    review.decide(0, text, confirmed=True)
    review.decide(1, "7", confirmed=True)  # nothing was read there
    counts = export_corrections(review, Path("corrections"))
    assert dict(counts) == dict.fromkeys(text, 1)
    assert files() == sorted(f"{label}/a-1-meter" for label in text)


def test_a_later_export_moves_what_was_decided_anew_and_keeps_other_files(review: Review) -> None:
    count = len(review.fields[0][1].digits)
    review.decide(0, "7" * count, confirmed=True)
    export_corrections(review, Path("corrections"))
    mine = Path("corrections/7/mine.png")
    mine.write_bytes(b"")
    review.decide(0, "3" * count, confirmed=True)
    export_corrections(review, Path("corrections"))
    assert files() == [*["3/a-1-meter"] * count, "7/mine.png"]
    review.undo()
    mine.unlink()
    assert not export_corrections(review, Path("corrections"))
    assert files() == []
    assert not Path("corrections/3").exists()  # training refuses a class without images


def test_a_file_is_no_folder_for_digits(review: Review) -> None:
    with pytest.raises(UserError, match=r"forms\.csv: is a file"):
        export_corrections(review, Path("forms.csv"))
