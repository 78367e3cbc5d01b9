"""Searches by the command and in Python: their files, where they continue, and mistakes."""

import csv
import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.bars import draw_bars
from helpers.commands import refused
from helpers.fake_jobs import SMALL

import imparfait
from imparfait.cli.main import commands
from imparfait.selection.candidates import Candidate
from imparfait.selection.search import jobs_of_search
from imparfait.selection.search_space import Choice
from imparfait.training.recipes import read_settings

pytestmark = pytest.mark.usefixtures("quick_profiles")


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_a_search_leaves_its_trials_and_settings_that_train_takes_and_continues_where_it_was_stopped(
    bars_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bars_folder.parent
    monkeypatch.chdir(home)
    (home / "space.toml").write_text("batch_size = [8, 16]\n[model_args]\nfilters = [8, 16]\ndepth = 1\nframe = 12\n")
    words = ["search", "petit", "--method", "random", "--method", "bayes", "--trials", "5", "--epochs", "1"]
    words += ["--space", "space.toml", "--data", "bars", "--folds", "3", "--executor", "serial"]
    result = invoke(*words)
    assert "accuracy of the settings found" in result.stdout
    assert "described, not tested" in result.stdout
    [folder] = (home / "runs").glob("search-petit-random-bayes-*")
    files = {path.name for path in folder.iterdir()}
    assert {
        "report.html",
        "search.json",
        "trials.csv",
        "best.toml",
        "best_so_far.png",
        "slices.png",
        "table.tex",
    } <= files
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert sum(row["won"] == "True" for row in rows) == 2
    best = tomllib.loads((folder / "best.toml").read_text())
    assert best["model_args"]["filters"] in (8, 16)
    assert best["epochs"] == 1

    lost = sorted((home / "runs" / "jobs").glob("*.job"))[::3]
    for path in lost:  # as if it had been killed before these
        path.unlink()
    (folder / "trials.csv").rename(home / "before.csv")
    invoke(*words)
    with (folder / "trials.csv").open(newline="") as file:
        again = list(csv.DictReader(file))
    names = ["method", "repeat", "trial", "learning_rate", "batch_size", "model_args.filters", "holdout", "cause"]
    assert [[row[name] for name in names] for row in again] == [[row[name] for name in names] for row in rows]

    invoke("train", "--settings", str(folder / "best.toml"), "--data", "bars")
    [run] = (home / "runs").glob("best-petit-s0-*")
    settings = json.loads((run / "settings.json").read_text())["settings"]
    assert settings == read_settings(folder / "best.toml").model_dump()  # also where images are few


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["petti"], "no recipe or model is called 'petti'; did you mean 'petit'?"),
        (["petit", "--method", "baies"], "no method is called 'baies'; did you mean 'bayes'?"),
        (["petit", "--space", "none.toml"], "none.toml: cannot be read"),
        (["petit", "--executor", "rey"], "no executor is called 'rey'; did you mean 'ray'?"),
    ],
)
def test_an_impossible_search_is_rejected(
    words: list[str], expected: str, bars_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bars_folder.parent)
    assert expected in refused("search", *words, "--data", "bars")


def test_a_search_in_python_yields_its_jobs_and_stops_starting_trials_in_time() -> None:
    candidate = Candidate("small", SMALL, frozenset({"epochs", "batch_size"}))
    space = {"batch_size": Choice(of=(8, 16))}
    data = draw_bars(60)
    run = imparfait.search(candidate, data, space=space, trials=8, folds=2, minutes=1e-9, executor="serial")
    assert run.num_jobs == jobs_of_search(1, 8, 2, 2)
    assert [step.stage for step in run] == 4 * ["confirmation"]  # of the starting settings: no trial was started
    assert run.result.best is None
