"""`imparfait review`: what it prints, how it ends, and digits to train on."""

import base64
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.commands import SHORT, refused, run
from helpers.forms import file_bytes, region, sheet, write, write_fields
from helpers.server import Address

from imparfait.cli.main import commands
from imparfait.inference.forms.review import Review


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two forms with two unsure fields each: they should be the same, and one is empty."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        page = sheet()
        write(page, "0123456789", 60, 20, tall=36)
        (tmp_path / f"{name}.png").write_bytes(file_bytes(page))
    meter, again = region("meter", 50, 10, 130, 580), region("again", 200, 10, 280, 580, same_as="meter", length="10")
    write_fields(tmp_path / "fields.json", meter, again)
    run("read", "--fields", "fields.json", "a.png", "b.png", "--csv", "forms.csv")
    return tmp_path


def invoked(*words: str) -> Result:
    return CliRunner().invoke(commands, list(words), catch_exceptions=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_address_is_printed_and_a_signal_ends_the_review(home: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "imparfait", "review", "forms.csv", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line.startswith("4 of 4 unsure fields to decide: http://127.0.0.1:")
        path = line.split("127.0.0.1:")[1].split(" ")[0]
        port, _, rest = path.partition("/")
        assert Address(int(port)).request("GET", f"/{rest}").status == 200
        process.send_signal(number)
        assert process.wait(30) == 0
        assert "decided 0 of 4 unsure fields: forms.csv\nnext: imparfait review forms.csv " in process.stderr.read()


def test_where_every_field_is_confident_there_is_nothing_to_review(home: Path) -> None:
    write_fields(Path("fields.json"), region("nothing", 200, 30, 280, 550))
    run("read", "--fields", "fields.json", "a.png", "--csv", "sure.csv")
    assert invoked("review", "sure.csv").stderr == "nothing to review: every field of sure.csv is confident\n"


def test_a_file_that_is_no_table_of_forms_is_refused(home: Path) -> None:
    assert "none.csv: there is no such file; write: imparfait read --fields" in refused("review", "none.csv")
    Path("mine.csv").write_text("a,b\n")
    assert "there are no readings beside it" in refused("review", "mine.csv")
    assert "expected a name that ends in .csv" in refused("review", "fields.json")
    Path("forms.decisions.jsonl").write_text("7\n")
    assert "holds something else than decisions" in refused("review", "forms.csv", "--export", "corrections")


def test_digits_are_exported_and_a_training_takes_them_once_there_are_two_of_each(home: Path) -> None:
    export = ("review", "forms.csv", "--export", "corrections")
    assert invoked(*export).stderr == "no digits written: no field is decided\n"
    with Review(Path("forms.csv")) as review:
        assert [len(each.digits) for _, each in review.fields] == [10, 0, 10, 0]
        assert base64.b64decode(review.fields[0][1].digits[0]).startswith(b"\x89PNG")
        assert review.decide(0, "0123456789").saved
        assert review.decide(2, "012345").saved
    result = invoked(*export)
    assert "10 digits of decided fields: corrections\ntoo few to train on: a training needs at least 2" in result.stderr
    assert "next:" not in result.stderr
    with Review(Path("forms.csv")) as review:
        assert review.decide(2, "0123456789").saved
    result = invoked(*export)
    assert "20 digits of decided fields: corrections\n" in result.stderr
    assert "next: imparfait train --data corrections --init-from digits " in result.stderr
    assert "report:" in run("train", "--data", "corrections", "--init-from", "digits", *SHORT)
