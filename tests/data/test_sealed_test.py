"""Every access to the test set is in the ledger before it happens."""

import csv
import os
import threading
from pathlib import Path

import pytest
from helpers.bars import draw_bars

from imparfait.data.sealed_test import BEGUN, SealedTest, count_accesses

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
    assert results(ledger) == ["=97 %, clean"] * 2
    assert [path.name for path in ledger.parent.iterdir()] == [ledger.name]


def test_an_error_leaves_the_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), SEALED.open(tmp_path / "ledger.csv", "hash"):
        raise ZeroDivisionError
    assert results(tmp_path / "ledger.csv") == ["no result"]


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
    assert sorted(results(ledger)) == sorted(map(str, range(8)))


def test_a_ledger_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    images = draw_bars(6).fingerprint()
    ledger.write_text(f'date,test_images,settings,result\n2026-11-01T00:00:00+00:00,{images},x,"clean 97 %, mean 9"\n')
    with SEALED.open(ledger, "hash") as access:
        assert access.times == 2
    assert results(ledger) == ["clean 97 %, mean 9", "no result"]
