"""`predict --out` given again: images that could not be read are not forgotten."""

import os
from pathlib import Path

import pytest
from helpers.commands import refused, run
from helpers.photos import a_seven
from PIL import Image

from imparfait.inference.file_results import FileResult
from imparfait.inference.results_file import ResultsWriter


def test_errors_of_an_earlier_command_count_until_their_lines_are_taken_out(tmp_path: Path) -> None:
    folder, out = tmp_path / "images", tmp_path / "b.jsonl"
    folder.mkdir()
    for name in "abcd":
        Image.fromarray(255 - a_seven()).resize((60, 60)).save(folder / f"{name}.png")
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:40])
    (folder / "z.png").write_bytes(b"")  # the last file is predicted again
    for _ in range(2):
        said = refused("predict", folder, "--out", out)
        assert said.startswith(f"2 of 5 could not be read; the first was {folder / 'b.png'}")
        assert said.endswith(f"take their lines out of {out}")
    (folder / "b.png").write_bytes(whole)
    (folder / "z.png").unlink()
    assert "1 of 4 could not be read" in refused("predict", folder, "--out", out)
    lines = [line for line in out.read_text().splitlines() if '"error"' not in line]
    out.write_text("".join(f"{line}\n" for line in lines))
    run("predict", folder, "--out", out)
    assert out.read_text().count(f'"file": "{folder / "b.png"}"') == 1


@pytest.mark.parametrize("where", ["missing/b.jsonl", "file/b.jsonl"])
def test_a_place_that_cannot_be_written_to_is_refused(where: str, tmp_path: Path) -> None:
    Image.fromarray(a_seven()).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    assert "expected a file in a folder that can be written to" in refused(
        "predict", tmp_path / "a.png", "--out", tmp_path / where
    )


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "b.jsonl", "digits") as writer:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, writer._file.fileno())
        with pytest.raises(OSError, match="No space left") as error:
            writer.add([FileResult("a.png", error="x")])
        assert error.value.filename == str(tmp_path / "b.jsonl")
        os.close(full)
