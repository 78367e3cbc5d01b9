"""Folders appear whole or not at all."""

from pathlib import Path

import pytest

from imparfait.store import new_folder


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "a"
    with new_folder(target) as unfinished:
        (unfinished / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a"

    def fail() -> None:
        with new_folder(target) as unfinished:
            (unfinished / "file").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_older_folder_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    for content in ("first", "second"):
        with new_folder(target) as unfinished:
            (unfinished / "file").write_text(content)
    with pytest.raises(ValueError, match="broken"), new_folder(target):
        raise ValueError("broken")
    assert (target / "file").read_text() == "second"
