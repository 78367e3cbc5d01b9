"""External model files: which formats are recognised, and which are refused with what to write instead."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from helpers.external_files import IMAGES, refused, written
from helpers.fuzz_models import KINDS, outcome
from helpers.model_files import CLASSES, keras_file, run_folder

from imparfait.core.install import install_hint
from imparfait.evaluation.external.load import FORMATS, LISTED_FORMATS, UNSUPPORTED, format_of
from imparfait.models.loading import load_classifier


@pytest.mark.parametrize("suffix", UNSUPPORTED)
def test_the_error_for_an_unsupported_format_says_what_to_write(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"model{suffix}", b"anything")
    hints = (
        "write: ",
        "evaluate its predict function",
        "give the run folder",
        "name the function in it: model.py:predict",
    )
    assert any(hint in refused(path) for hint in hints)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.keras", b"\x89HDF\r\n\x1a\nrest", "keras.saving.load_model('model.keras').save('model.keras')"),
        ("model.onnx", b"\x80\x04\x95rest of it", "is a pickle, which runs code when it is loaded"),
        ("model.onnx", b"\x1c\0\0\0TFL3", "is in TensorFlow Lite's format"),
        ("model.onnx", b"PK\x03\x04", "is a zip archive, which an .onnx file is not"),
        (
            "model",
            b"anything",
            f"is no run folder and no known model file; expected a run folder, or a {LISTED_FORMATS} file",
        ),
    ],
)
def test_the_content_of_a_file_counts_more_than_its_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    assert message in refused(written(tmp_path / name, content))


def test_folders_pipes_and_huge_files_are_rejected_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refused(tmp_path / "pipe.onnx").startswith(f"is not a regular file; expected a {LISTED_FORMATS} file")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert refused(tmp_path / "huge.onnx") == "has 1,073,741,825 bytes; expected at most 1,073,741,824"
    assert refused(tmp_path).startswith("is a folder without a run; expected a run folder, or a .onnx")
    (tmp_path / "saved_model.pb").touch()
    assert "tf2onnx.convert --saved-model" in refused(tmp_path)
    assert refused(tmp_path / "nothing.onnx") == "there is no such file"


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "model.keras", keras_file())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused(path) == f"to load it, keras must be installed; {install_hint('keras')}"
    assert format_of(path) == FORMATS[".keras"]


def test_malformed_files_give_a_user_error_or_a_working_model(tmp_path: Path, fuzz_count: int) -> None:
    """Any other exception, or a dead process, fails the test."""
    canary, folder = tmp_path / "canary", tmp_path / "broken"
    folder.mkdir()
    outcomes = [outcome(index, folder, canary) for index in range(fuzz_count)]
    assert not canary.exists()
    for kind in KINDS:
        messages = [message for of_kind, message in outcomes if of_kind == kind]
        assert messages.count("works") < len(messages) / 2
        assert "works" in messages or fuzz_count < 500  # some damage does no harm
        for message in set(messages) - {"works"}:
            assert message.startswith(str(folder))
            assert message.isprintable()
            assert len(message) < 700


def test_the_files_of_that_test_work_before_they_are_damaged(tmp_path: Path) -> None:
    for name, content in run_folder().items():
        (tmp_path / name).write_bytes(content)
    assert load_classifier(tmp_path, "cpu")(IMAGES).shape == (300, CLASSES)
    assert zipfile.is_zipfile(io.BytesIO(keras_file()))
