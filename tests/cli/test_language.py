"""`--language fr`: a training writes a French report, and a finished one says how to get another report."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx

from imparfait.cli.main import commands
from imparfait.reports.translation import language_of


def test_a_training_has_a_french_report_and_a_finished_one_points_to_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_idx(tmp_path / "bars", draw_bars(60), draw_bars(30, first_source=60))
    words = ["train", "--data", "bars", "--recipe", "quick", "--epochs", "1", "--batch-size", "16"]
    first = CliRunner().invoke(commands, [*words, "--language", "fr"], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    [page] = tmp_path.rglob("report.html")
    assert language_of(page) == "fr"
    assert "Entraînement\N{NARROW NO-BREAK SPACE}: quick sur bars, graine 0" in page.read_text(encoding="utf-8")
    assert "already trained" not in first.output
    again = CliRunner().invoke(commands, [*words, "--language", "fr"], catch_exceptions=False)
    assert "already trained" in again.output
    assert "its report stays as it is" not in again.output
    english = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert f"another one: imparfait evaluate {page.parent.relative_to(tmp_path)} --data bars\n" in english.stderr
