"""`imparfait read --fields`: a row of CSV per form, resumed after an interruption; JSON; mistakes."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.commands import refused, run
from helpers.forms import file_bytes, region, sheet, write, write_fields

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.inference.forms import form_files
from imparfait.inference.forms.decisions import as_cell
from imparfait.inference.forms.review import Review
from imparfait.inference.image_workers.client import ImageWorkers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pages in two files, and their fields.json; on the last page a field is cut by its region."""
    monkeypatch.chdir(tmp_path)
    first, second, third = sheet(), sheet(), sheet()
    write(first, "417", 60, 60)
    write(second, "58", 60, 60, first=1)
    write(third, "92", 60, 60, first=2)
    write(third, "50829", 160, 60)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(file_bytes(first))
    (tmp_path / "scans" / "b.tif").write_bytes(file_bytes(second, third, kind="TIFF"))
    write_fields(tmp_path / "fields.json", region("meter", 50, 40, 130, 300), region("date", 180, 40, 230, 400))
    return tmp_path


def rows(path: str = "forms.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def invoked(*words: str) -> Result:
    return CliRunner().invoke(commands, list(words), catch_exceptions=True)


READ = ("read", "--fields", "fields.json", "scans", "--csv", "forms.csv")


def test_each_page_is_a_row_with_the_names_of_its_unsure_fields(home: Path) -> None:
    result = invoked(*READ)
    assert result.exit_code == 0, result.output
    found = rows()
    assert list(found[0]) == ["file", "page", "meter", "date", "unsure"]
    assert [(row["file"], row["page"], row["meter"]) for row in found] == [
        ("scans/a.png", "1", "417"), ("scans/b.tif", "1", "58"), ("scans/b.tif", "2", "92"),
    ]  # fmt: skip
    assert [row["unsure"] for row in found] == ["", "", "date"]
    assert "3 forms, unsure of 1 of 6 fields: forms.csv" in result.stderr
    assert "next: imparfait review forms.csv " in result.stderr


def test_a_review_is_the_next_step_only_while_fields_are_unsure(home: Path) -> None:
    assert "next:" not in invoked(*READ[:3], "scans/a.png", *READ[4:]).stderr
    assert "next: imparfait review forms.csv " in invoked(*READ).stderr
    with Review(Path("forms.csv")) as review:
        assert review.decide(0, "7").saved
    assert "next:" not in invoked(*READ).stderr


def test_a_second_run_reads_only_what_is_new_or_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*READ)
    before = Path("forms.csv").read_bytes()
    read: list[str] = []
    real = ImageWorkers.pages
    monkeypatch.setattr(ImageWorkers, "pages", lambda workers, file: read.append(file) or real(workers, file))
    run(*READ)
    assert (read, Path("forms.csv").read_bytes()) == ([], before)
    page = sheet()
    write(page, "36", 60, 60)
    Path("scans/a.png").write_bytes(file_bytes(page))
    Path("scans/c.png").write_bytes(file_bytes(sheet()))
    run(*READ)
    assert read == ["scans/a.png", "scans/c.png"]
    assert {(row["file"], row["meter"]) for row in rows()} == {
        ("scans/a.png", "36"), ("scans/b.tif", "58"), ("scans/b.tif", "92"), ("scans/c.png", ""),
    }  # fmt: skip


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_an_interrupted_run_keeps_its_pages_and_ends_with_the_same_table(
    home: Path, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    run(*READ)
    whole = rows()
    for name in ("forms.csv", "forms.readings.jsonl"):
        Path(name).unlink()
    real, count = form_files.read_form, 0

    def interrupted(*arguments: object) -> object:
        nonlocal count
        if count == pages:
            raise KeyboardInterrupt
        count += 1
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(form_files, "read_form", interrupted)
        assert invoked(*READ).exit_code != 0
    assert rows() == whole[:pages]
    with Path("forms.readings.jsonl").open("ab") as file:
        file.write(b'{"path": "/torn')  # as a crash leaves it
    run(*READ)
    assert rows() == whole


def test_other_fields_another_model_and_a_foreign_file_are_refused(home: Path) -> None:
    run(*READ)
    assert "holds readings with model digits" in refused(*READ, "--model", "digits-clean")
    write_fields(Path("fields.json"), region("meter", 50, 40, 130, 310), region("date", 180, 40, 230, 400))
    assert "holds readings with other fields" in refused(*READ)
    Path("mine.csv").write_text("a,b\n")
    assert "there are no readings beside it" in refused(*READ[:-1], "mine.csv")
    assert Path("mine.csv").read_text() == "a,b\n"
    Path("bad.readings.jsonl").write_text("{}\n")
    assert "holds something else than readings" in refused(*READ[:-1], "bad.csv")
    assert not Path("bad.csv").exists()
    assert "expected a name that ends in .csv" in refused(*READ[:-1], "forms.txt")


def test_a_broken_file_does_not_stop_the_others_and_is_tried_again(home: Path) -> None:
    Path("scans/aa.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = invoked(*READ)
    assert isinstance(result.exception, UserError)
    assert "1 of 3 files could not be read; the first was scans/aa.png" in str(result.exception)
    assert len(rows()) == 3
    page = sheet()
    write(page, "36", 60, 60)
    Path("scans/aa.png").write_bytes(file_bytes(page))
    run(*READ)
    assert len(rows()) == 4


def test_without_csv_fields_are_printed_and_json_has_a_line_per_page(home: Path) -> None:
    result = invoked(*READ[:-2])
    assert result.stdout.startswith("scans/a.png:\n  meter: 417\n  date: \nscans/b.tif, page 1:\n")
    assert "unsure of 1 of 6 fields" in result.stderr
    pages = [json.loads(line) for line in run(*READ[:-2], "--json").splitlines()]
    assert [(page["file"], page.get("page"), page["unsure"]) for page in pages] == [
        ("scans/a.png", None, []), ("scans/b.tif", 1, []), ("scans/b.tif", 2, ["date"]),
    ]  # fmt: skip
    assert not Path("forms.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--csv", "forms.csv"), "write --fields fields.json too"),
        (
            ("--fields", "none.json"),
            "expected the fields of a form, as JSON; draw them on an example: imparfait fields EXAMPLE --out none.json",
        ),
        (("--fields", "fields.json", "--show"), "--show does not go with --fields"),
        (("--fields", "fields.json", "--length", "5"), "write 'length' into fields.json"),
        (("--fields", "fields.json", "--review", "unsure"), "--review does not go with --fields"),
    ],
)
def test_options_that_contradict_each_other_are_refused(home: Path, words: tuple[str, ...], message: str) -> None:
    before = sorted(path.name for path in Path().iterdir())
    assert message in refused("read", "scans", *words)
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1.png", "'=1+1.png"), ("@SUM(A1)", "'@SUM(A1)"), ("-2+3+cmd|x", "'-2+3+cmd|x"),
        ("+1x", "'+1x"), ("\tx", r"\x09x"),
        ("-12.50", "-12.50"), ("+33 1 23", "+33 1 23"), ("00217", "00217"), ("", ""), ("scans/a.png", "scans/a.png"),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula_and_numbers_stay(text: str, cell: str) -> None:
    assert as_cell(text) == cell


def test_a_file_with_a_formula_for_a_name_is_a_row(home: Path) -> None:
    Path("=1+1.png").write_bytes(Path("scans/a.png").read_bytes())
    run("read", "--fields", "fields.json", "=1+1.png", "--csv", "forms.csv")
    assert rows()[0]["file"] == "'=1+1.png"
