"""Reading access logs: every form of file, lines that are damaged, several models, and samples of many requests."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.evaluation.observations import Observations
from imparfait.serving import logged_images
from imparfait.serving.access_log import AccessLog
from imparfait.serving.logged_images import LoggedImages, blocks_of, parse_since, read_logs

START = datetime(2026, 11, 1, tzinfo=UTC)
IMAGE = {"brightness": 0.25, "contrast": 0.3, "sharpness": 1.2, "colourfulness": 0.0, "eccentricity": 0.1, "scale": 0.4}
PAGE = {"label": "7", "score": 0.9, "confident": True, "image": {**IMAGE, "zoom": 0.5}}


def entry(minute: float = 0, model: str = "digits", address: str = "10.0.0.1", **more: Any) -> dict[str, Any]:
    time = (START + timedelta(minutes=minute)).isoformat(timespec="milliseconds")
    start = {"time": time, "id": "a1", "address": address, "method": "POST", "path": "/v1/predict", "status": 200}
    return {**start, "ms": 5.1, "bytes": 900, "model": model, "pages": [PAGE]} | more


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in entries))
    return path


def only(path: Path, **options: Any) -> LoggedImages:
    (found,) = read_logs([path], **options).images.values()
    return found


def facts_of(one: Observations) -> tuple[Any, ...]:
    properties = {name: values.tolist() for name, values in one.properties.items()}
    return properties, one.labels.tolist(), one.scores.tolist(), one.unsure.tolist(), one.blocks.tolist()


def test_what_the_server_writes_is_read(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    second = {**PAGE, "label": 'é"\\', "confident": False}
    log.write(id="1", address="::1", method="GET", path="/", status=200, ms=1.0, bytes=5)
    log.write(id="2", address="::1", path="/v1/predict", status=200, model='a "model"', pages=[PAGE, second])
    log.close()
    found = read_logs([tmp_path / "access.log"])
    assert (found.requests, found.unreadable, list(found.images)) == (2, 0, ['a "model"'])
    observations = found.images['a "model"'].observations
    assert observations.labels.tolist() == ["7", 'é"\\']
    assert observations.unsure.tolist() == [False, True]
    assert {name: values.tolist() for name, values in observations.properties.items()} == {
        name: [value] * 2
        for name, value in PAGE["image"].items()  # type: ignore[attr-defined]
    }


def test_a_log_in_any_form_of_json_and_any_file_is_the_same(tmp_path: Path) -> None:
    entries = [entry(number, address=f"10.0.0.{number % 7}") for number in range(40)]
    usual = only(write(tmp_path / "log", entries))
    (tmp_path / "spaced").write_text("".join(json.dumps(each, sort_keys=True) + "\n\n" for each in entries))
    (tmp_path / "log.2.gz").write_bytes(gzip.compress((tmp_path / "log").read_bytes()))
    for name in ("spaced", "log.2.gz"):
        assert facts_of(only(tmp_path / name).observations) == facts_of(usual.observations)
    parts = [write(tmp_path / "log.1", entries[20:]), write(tmp_path / "log.0", entries[:20])]
    both = read_logs(parts).images["digits"]
    assert (both.images, both.first, both.last) == (40, usual.first, usual.last)


BAD = {
    "": "is empty; expected a log that imparfait serve --log wrote",
    "hello\n": "no line is of a server's log; expected a log that imparfait serve --log wrote",
    '127.0.0.1 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n': "no line is of a server's log",
    '{"time":"2026-11-01T00:00:00+00:00","level":"info"}\n': "no line is of a server's log",
    "[1]\n2\nnull\n": "no line is of a server's log",
    json.dumps(entry(pages=[])) + "\n": "has 1 request and no prediction; only /v1/predict leaves statistics",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_what_is_no_log_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(text)
    with pytest.raises(UserError) as error:
        read_logs([tmp_path / "access.log"])
    assert f"access.log: {message}" in str(error.value)


def test_a_folder_a_missing_file_and_a_file_given_twice_are_refused(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [entry()])
    for files in ([tmp_path], [tmp_path / "nothing"], [log, log]):
        with pytest.raises(UserError):
            read_logs(files)


DAMAGED = (
    json.dumps(entry())[:-9], json.dumps(entry(time="yesterday")), json.dumps(entry(pages=[{}])),
    json.dumps(entry(pages=[{**PAGE, "score": 3}])), json.dumps(entry(pages=[{**PAGE, "label": 7}])),
    json.dumps(entry(pages=[{**PAGE, "image": {"brightness": float("inf")}}])), json.dumps(entry(pages=7)),
    json.dumps(entry(pages=[{**PAGE, "image": {"brightness": "dark"}}])), "\0\0",
    json.dumps(entry(pages=[{**PAGE, "image": None}])), json.dumps(entry(pages=[{**PAGE, "image": "x"}])),
    json.dumps(entry(pages=[{**PAGE, "image": {"brightness": 10**400}}])),
    json.dumps(entry(pages=[{**PAGE, "image": {"brightness": -1e308}}])),
    json.dumps(entry(time="9999-12-31T23:59:59.999999+00:00")), json.dumps(entry(time="9999-12-31T23:59:59-23:59")),
    "x" * (logged_images.MAX_LINE + 5),
)  # fmt: skip


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
@pytest.mark.parametrize("compact", [True, False])
def test_a_damaged_line_is_counted_and_left_out(line: str, compact: bool, tmp_path: Path) -> None:
    good = json.dumps(entry(), separators=(",", ":"))
    line = line.replace(", ", ",").replace(": ", ":") if compact else line
    (tmp_path / "log").write_text(f"{good}\n{line}\n{good}")
    found = read_logs([tmp_path / "log"])
    assert (found.images["digits"].images, found.unreadable, found.requests) == (2, 1, 2)


def test_a_model_whose_lines_are_all_damaged_is_none(tmp_path: Path) -> None:
    bad = [entry(model=f"m{number}", pages=[{**PAGE, "score": 5}]) for number in range(60)]
    found = read_logs([write(tmp_path / "log", [*bad, entry()])])
    assert list(found.images) == ["digits"]
    assert found.unreadable == 60


def test_a_gzip_file_that_ends_early_is_read_to_there(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    entries = [entry(number, id=random.bytes(16).hex()) for number in range(2000)]
    content = gzip.compress(write(tmp_path / "log", entries).read_bytes())
    (tmp_path / "log.gz").write_bytes(content[: len(content) // 2])
    found = read_logs([tmp_path / "log.gz"])
    assert 500 < found.images["digits"].images < 1500
    assert found.unreadable in (1, 2)


def test_each_model_is_kept_apart_and_the_time_divides(tmp_path: Path) -> None:
    entries = [entry(number, model="ab"[number % 2]) for number in range(20)]
    found = read_logs([write(tmp_path / "log", entries)], since=(START + timedelta(minutes=10)).timestamp())
    assert {name: each.images for name, each in found.images.items()} == {"a": 5, "b": 5}
    assert {name: each.images for name, each in found.earlier.items()} == {"a": 5, "b": 5}
    assert max(each.last for each in found.earlier.values()) < min(each.first for each in found.images.values())


@pytest.mark.parametrize("since", [None, START.timestamp() + 90])
def test_a_log_of_more_than_twenty_models_is_refused(since: float | None, tmp_path: Path) -> None:
    """On whichever side of `since` they are; one that is on both counts once."""
    entries = [entry(minute, model=f"m{number}") for minute in (1, 2) for number in range(20)]
    found = read_logs([write(tmp_path / "log", entries)], since=since)
    assert len(found.images) == 20
    assert len(found.earlier) == (20 if since else 0)
    for minute in (1, 2):
        of_one_side = [entry(minute, model=f"m{number}") for number in range(21)]
        for many in ([*entries, entry(minute, model="m20")], of_one_side):
            with pytest.raises(UserError, match="more than 20 models"):
                read_logs([write(tmp_path / "many", many)], since=since)


def test_of_many_requests_a_sample_of_all_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged_images, "MOST_REQUESTS", 200)
    log = write(tmp_path / "log", [entry(number, pages=[PAGE, PAGE]) for number in range(3000)])
    found = only(log)
    times = found.observations.times
    assert times is not None
    assert (found.images, len(found.observations)) == (6000, 400)
    assert (found.first, found.last) == (START.timestamp(), (START + timedelta(minutes=2999)).timestamp())
    assert len({*times}) == 200  # both pages of a request are kept, or none
    assert abs(np.mean(times) - (found.first + found.last) / 2) < 0.1 * (found.last - found.first)


def test_blocks_are_the_longest_spans_of_which_there_are_enough() -> None:
    hours = np.arange(240) // 10 * 3600.0  # ten requests in each of 24 hours
    addresses, requests = np.zeros(240), np.arange(240.0)
    assert blocks_of(hours, addresses, requests)[0] == "address and hour"
    assert blocks_of(24 * hours, addresses, requests)[0] == "address and day"
    assert blocks_of(hours / 60, addresses, requests)[0] == "address and minute"
    name, blocks = blocks_of(hours / 1e6, addresses, requests // 2)
    assert (name, len({*blocks})) == ("request", 120)
    assert len({*blocks_of(hours, addresses, requests)[1]}) == 24
    assert blocks_of(hours, requests % 12, requests)[0] == "address and day"


def test_points_in_time_are_ages_or_dates() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert parse_since("7d", now) == (now - timedelta(days=7)).timestamp()
    assert parse_since("12h", now) == (now - timedelta(hours=12)).timestamp()
    assert parse_since("2026-11-30", now) == datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    assert parse_since("2026-11-30T08:00+01:00", now) == datetime(2026, 11, 30, 7, tzinfo=UTC).timestamp()
    for wrong in ("soon", "7", "d", "-7d", "7w", "99999999999d", ""):
        with pytest.raises(UserError, match="no time; expected 7d, 12h"):
            parse_since(wrong, now)
