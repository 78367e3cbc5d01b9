"""Every access to the test set is in the ledger before it happens."""

import csv
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bars import draw_bars

from imparfait.core.errors import UserError
from imparfait.data.sealed_test import SealedTest
from imparfait.data.test_ledger import BEGUN, LEDGER, count_accesses, ledger_for, read

SEALED = SealedTest("bars", lambda: draw_bars(6))


def results(ledger: Path) -> list[str]:
    with ledger.open(newline="", encoding="utf-8") as file:
        return [row["result"] for row in csv.DictReader(file)]


def test_the_line_is_there_before_the_images_are_used_and_has_the_result_afterwards(tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "ledger.csv"
    for times in (1, 2):
        with SEALED.open(ledger, "hash") as access:
            assert results(ledger)[-1] == BEGUN
            assert access.times == times
            access.result = "=97 %, clean"
    assert results(ledger) == [BEGUN, "=97 %, clean"] * 2
    assert [path.name for path in ledger.parent.iterdir()] == [ledger.name]


def test_an_error_leaves_the_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), SEALED.open(tmp_path / "ledger.csv", "hash"):
        raise ZeroDivisionError
    assert results(tmp_path / "ledger.csv") == [BEGUN, "no result"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a child process")
def test_a_process_that_is_killed_leaves_the_line(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    for times in (1, 2, 3):
        child = os.fork()
        if child == 0:
            with SEALED.open(ledger, "hash"):
                os._exit(9)  # as after SIGKILL, nothing more is run
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert count_accesses(ledger, draw_bars(6).fingerprint()) == times
    assert results(ledger) == [BEGUN] * 3


def test_accesses_at_the_same_time_have_a_line_each(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"

    def evaluate(number: int) -> None:
        with SEALED.open(ledger, f"model {number}") as access:
            access.result = str(number)

    threads = [threading.Thread(target=evaluate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results(ledger)) == sorted([*map(str, range(8)), *[BEGUN] * 8])
    assert count_accesses(ledger, draw_bars(6).fingerprint()) == 8


def test_a_ledger_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    images = draw_bars(6).fingerprint()
    ledger.write_text(f'date,test_images,settings,result\n2026-11-01T00:00:00+00:00,{images},x,"clean 97 %, mean 9"\n')
    with SEALED.open(ledger, "hash") as access:
        assert access.times == 2
    said = "the 1 line above had no hashes until now"
    assert results(ledger) == ["clean 97 %, mean 9", said, BEGUN, "no result"]
    assert len(read(ledger)) == 4


CHANGES = {
    "a result is made better": lambda lines: [lines[0], lines[1], lines[2].replace("97", "99"), *lines[3:]],
    "an access is left out": lambda lines: [lines[0], *lines[3:]],
    "lines change places": lambda lines: [lines[0], *lines[3:5], *lines[1:3]],
    "an access is put in": lambda lines: [lines[0], *lines[1:3], *lines[1:]],
    "a hash is taken away": lambda lines: [*lines[:2], lines[2].rpartition(",")[0], *lines[3:]],
    "a line is cut short": lambda lines: [*lines[:4], lines[4][:20]],
    "all hashes but the column's name are taken away": lambda lines: [
        lines[0],
        *(line.rpartition(",")[0].replace("97", "99") for line in lines[1:]),
    ],
    "a date is changed": lambda lines: [lines[0], lines[1].replace("20", "19", 1), *lines[2:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_ledger_is_refused_and_left_as_it_is(change: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    for _ in range(2):
        with SEALED.open(ledger, "hash") as access:
            access.result = "97 %"
    ledger.write_text("\n".join(CHANGES[change](ledger.read_text().splitlines())) + "\n")
    before = ledger.read_bytes()
    with pytest.raises(UserError, match=r"line \d does not follow"), SEALED.open(ledger, "hash"):
        pass
    assert ledger.read_bytes() == before


def test_taking_all_hashes_away_leaves_a_line_that_says_so(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    with SEALED.open(ledger, "hash") as access:
        access.result = "97 %"
    lines = [line.rpartition(",")[0] for line in ledger.read_text().splitlines()]
    ledger.write_text("\n".join(lines).replace("97", "99") + "\n")
    with SEALED.open(ledger, "hash"):
        pass
    assert "the 2 lines above had no hashes until now" in results(ledger)


NO_LEDGERS = {
    "not UTF-8": b"\xff\xfe\n",
    "a long field": b"date,test_images,settings,result,chain\n" + b"x" * 200_000 + b",,,,\n",
    "another table": b"image,label\n1,2\n",
    "an open quote": b'date,test_images,settings,result,chain\n"2026',
}


@pytest.mark.parametrize("content", NO_LEDGERS.values(), ids=NO_LEDGERS)
def test_what_is_no_ledger_is_refused_and_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    ledger = tmp_path / LEDGER
    ledger.write_bytes(content)
    with pytest.raises(UserError, match="restore the file"), SEALED.open(ledger, "hash"):
        pass
    assert ledger.read_bytes() == content


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nothing")])
def test_a_pipe_a_folder_or_a_dead_link_is_refused_and_never_waited_for(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / LEDGER)
    with pytest.raises(UserError), SEALED.open(tmp_path / LEDGER, "hash"):
        pass


def test_cutting_off_the_end_shows_beside_the_version_that_was_published(tmp_path: Path) -> None:
    """A chain cannot show that its last lines are missing; the last hash, once published, can."""
    ledger = tmp_path / "ledger.csv"
    for _ in range(2):
        with SEALED.open(ledger, "hash"):
            pass
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join(lines[:3]) + "\n")
    assert len(read(ledger)) == 2
    assert lines[-1].rsplit(",", 1)[1] not in ledger.read_text()


def test_another_folder_of_the_same_project_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ledger_for(tmp_path / "elsewhere") == tmp_path / "elsewhere" / LEDGER
    with SEALED.open(ledger_for(Path("runs")), "hash"):
        pass
    for out in ("runs", "runs/more", "elsewhere", str(tmp_path / "far")):
        assert ledger_for(Path(out)).resolve() == tmp_path / "runs" / LEDGER
    monkeypatch.chdir("/")
    assert ledger_for(tmp_path / "far", tmp_path / "runs" / "quick-s0") == tmp_path / "runs" / LEDGER
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / LEDGER).write_bytes((tmp_path / "runs" / LEDGER).read_bytes())
    assert ledger_for(Path("own")) == Path("own") / LEDGER


def test_the_ledger_of_this_repository_holds_and_only_grows() -> None:
    """Its first 17 lines are those of the audit; the last hash of them is written down here."""
    ledger = Path(__file__).parents[2] / "results" / LEDGER
    assert len(read(ledger)) >= 17
    with ledger.open(newline="", encoding="utf-8") as file:
        assert (
            list(csv.DictReader(file))[16]["chain"]
            == "a2bb4781edb9ce8b309694164843fc29eca432e9bc96fa644623b4e6f55f4f37"
        )
