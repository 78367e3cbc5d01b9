"""Labels are saved one by one, undone, continued, and never written over another's file."""

import csv
from pathlib import Path

import pytest

from imparfait.core.errors import UserError
from imparfait.inference.label_session import LabelSession, session_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(table: str) -> list[list[str]]:
    return list(csv.reader(Path(table).read_text().splitlines()))


def test_each_label_is_in_the_table_at_once_and_a_new_session_continues(home: Path) -> None:
    with LabelSession(Path("labels.csv")) as session:
        session.start(["new/a.png", "new/b.png", "new/c.png"])
        session.decide("new/a.png", "cat, black")
        assert rows("labels.csv") == [["image_path", "label"], ["new/a.png", "cat, black"]]
        session.skip("new/b.png")
    with LabelSession(Path("labels.csv")) as session:
        assert session.images == ("new/a.png", "new/b.png", "new/c.png")
        assert [session.is_open(image) for image in session.images] == [False, False, True]
        session.decide("new/b.png", "dog")
        assert rows("labels.csv")[1:] == [["new/a.png", "cat, black"], ["new/b.png", "dog"]]


def test_steps_are_undone_from_the_newest_on_also_in_a_later_session(home: Path) -> None:
    with LabelSession(Path("labels.csv")) as session:
        session.start(["a.png", "b.png"])
        session.decide("a.png", "cat")
        session.skip("b.png")
    with LabelSession(Path("labels.csv")) as session:
        assert session.newest == "b.png"
        session.undo()
        assert session.newest == "a.png"
        session.undo()
        session.undo()
        assert session.newest is None
        assert rows("labels.csv") == [["image_path", "label"]]


def test_images_below_the_table_have_relative_paths_and_others_absolute_ones(home: Path) -> None:
    (home / "mine").mkdir()
    with LabelSession(Path("mine/labels.csv")) as session:
        session.start(["mine/new/a.png", "other/b.png"])
        for image in session.images:
            session.decide(image, "cat")
    assert [path for path, _ in rows("mine/labels.csv")[1:]] == ["new/a.png", str(home / "other" / "b.png")]
    with LabelSession(home / "mine" / "labels.csv") as session:  # by another path to the same file
        assert not any(map(session.is_open, session.images))


def test_labelled_skipped_and_other_images_are_not_offered_again(home: Path) -> None:
    with LabelSession(Path("labels.csv")) as session:
        session.start(["a.png", "b.png"])
        session.decide("a.png", "cat")
        session.skip("b.png")
        files = [str(home / "a.png"), "./b.png", "c.png", "d.png", " e.png", "f\udcff.png"]
        assert session.unlabelled(files, ["d.png"]) == ["c.png"]


def test_a_torn_line_is_cut_off_and_a_table_one_step_behind_is_written_again(home: Path) -> None:
    with LabelSession(Path("labels.csv")) as session:
        session.start(["a.png", "b.png"])
        session.decide("a.png", "cat")
        before = Path("labels.csv").read_bytes()
        session.decide("b.png", "dog")
    Path("labels.csv").write_bytes(before)
    with session_path(Path("labels.csv")).open("a") as file:
        file.write('{"image": "b.p')
    with LabelSession(Path("labels.csv")) as session:
        assert session.labels == {"a.png": "cat", "b.png": "dog"}
    assert rows("labels.csv")[1:] == [["a.png", "cat"], ["b.png", "dog"]]


def test_the_files_of_others_are_left_alone(home: Path) -> None:
    Path("mine.csv").write_text("image_path,label\n")
    with pytest.raises(UserError, match=r"mine.csv: exists, and was not written by imparfait label; name another file"):
        LabelSession(Path("mine.csv"))
    assert not session_path(Path("mine.csv")).exists()
    with pytest.raises(UserError, match=r"expected a name that ends in .csv"):
        LabelSession(Path("labels.txt"))
    with LabelSession(Path("labels.csv")) as session:
        session.start(["a.png"])
        session.decide("a.png", "cat")
        with pytest.raises(UserError, match="another process is labelling there"):
            LabelSession(Path("labels.csv"))
    Path("labels.csv").write_text("image_path,label\na.png,dog\n")
    with pytest.raises(UserError, match=r"labels.csv: was changed since imparfait label wrote it; rename it"):
        LabelSession(Path("labels.csv"))
    session_path(Path("labels.csv")).write_text("7\n")
    with pytest.raises(UserError, match="holds something else than labels"):
        LabelSession(Path("labels.csv"))


def test_a_session_in_which_nothing_was_chosen_leaves_no_file(home: Path) -> None:
    with LabelSession(Path("labels.csv")):
        pass
    assert not list(home.iterdir())
