"""`imparfait compare`: the plan, the table, and what is refused."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import plan_of

from imparfait.core.errors import UserError
from imparfait.selection.candidates import candidate_named, candidates
from imparfait.selection.plan import Plan, _within, plan
from imparfait.selection.profiling import measured
from imparfait.training.recipes import RECIPES, read_settings
from imparfait.training.settings import TrainingSettings, as_toml

TINY = "batch_size = 16\nepochs = 2\n[model_args]\nfilters = 8\ndepth = 1\nframe = 12\n"


def imparfait(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "imparfait", *words], cwd=home, capture_output=True, text=True)


@pytest.fixture
def home(bars_folder: Path) -> Path:
    for name, rate in (("slow", 0.002), ("fast", 0.02)):
        (bars_folder.parent / f"{name}.toml").write_text(f"learning_rate = {rate}\n{TINY}")
    return bars_folder.parent


def small(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ("--data", "bars", "--folds", "3", "--seeds", "2", "--executor", "here", *more)
    return imparfait("compare", "slow.toml", "fast.toml", *words, home=home)


def test_a_comparison_leaves_a_table_a_verdict_and_a_report_and_opens_no_test(home: Path) -> None:
    result = small(home)
    assert result.returncode == 0, result.stderr
    assert "slow: 6 jobs × " in result.stderr
    assert "12 jobs, 1 at once: about " in result.stderr
    assert "all were trained on identical pixels" in result.stdout
    assert "is better than" in result.stdout or "no difference shown" in result.stdout
    assert "--final" in result.stderr
    assert not (home / "runs" / "TEST_LEDGER.csv").exists()
    [folder] = (home / "runs").glob("compare-slow-fast-*")
    files = {path.name for path in folder.iterdir()}
    assert {"report.html", "comparison.json", "jobs.csv", "plan.json", "differences.png"} <= files
    page = " ".join((folder / "report.html").read_text().split())
    assert "no writer ids" in page
    assert json.loads((folder / "comparison.json").read_text())["verdicts"][0]["sentence"] in page
    with (folder / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["contender"], row["seed"], row["fold"]) for row in rows} == {
        (name, str(seed), str(fold)) for name in ("slow", "fast") for seed in range(2) for fold in range(3)
    }
    for name in ("slow", "fast"):
        for seed in "01":
            assert sum(int(r["images"]) for r in rows if (r["contender"], r["seed"]) == (name, seed)) == 120
    again = small(home)
    assert again.stdout == result.stdout


def test_final_fits_the_best_on_everything_and_opens_the_test_once(home: Path) -> None:
    for _ in range(2):
        result = small(home, "--final")
        assert result.returncode == 0, result.stderr
    with (home / "runs" / "TEST_LEDGER.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    [run] = (home / "runs").glob("*-s0-*")
    told = json.loads((run / "settings.json").read_text())
    assert told["final"]
    assert told["data"]["images"] == 120
    assert told["settings"]["learning_rate"] in (0.002, 0.02)


def test_cells_of_a_smaller_comparison_are_used_by_a_larger_one(home: Path) -> None:
    assert small(home).returncode == 0
    before = {path.name for path in (home / "runs" / "jobs").glob("*.job")}
    assert small(home, "--seeds", "3").returncode == 0
    after = {path.name for path in (home / "runs" / "jobs").glob("*.job")}
    assert before < after
    assert len(after) == 18


def test_a_contender_whose_cells_fail_is_told_and_the_rest_is_compared(home: Path) -> None:
    (home / "wild.toml").write_text(f"learning_rate = 1e30\n{TINY}")
    result = small(home, "wild.toml")
    assert result.returncode == 0, result.stderr
    assert "0 of 6" in result.stdout
    assert "wild: 6 jobs failed: the loss became" in result.stdout
    assert "slow" in result.stdout.split("report:")[0].splitlines()[-1]


REFUSED = [
    (["slow.toml", "defualt"], "no recipe or model is called 'defualt'; did you mean 'default'?"),
    (["slow.toml"], "two contenders or more, and 1 came; write: imparfait compare"),
    (["slow.toml", "slow.toml"], "slow.toml is slow.toml once more"),
    (["slow.toml", "none.toml"], "none.toml: cannot be read: No such file"),
    (["slow.toml", "odd.toml"], "odd.toml: no setting is called 'learning_rat'; did you mean 'learning_rate'?"),
    (["slow.toml", "wrong.toml"], "wrong.toml: epochs was given as 'many'; "),
    (["slow.toml", "torn.toml"], "torn.toml: not TOML"),
    (["slow.toml", "fast.toml", "--executor", "rey"], "no executor is called 'rey'; did you mean 'ray'?"),
    (["slow.toml", "fast.toml", "--executor", "ray", "--address", "127.0.0.1:9"], "nobody answers there"),
    (["slow.toml", "fast.toml", "--folds", "41"], "has 40 images, fewer than the 41 folds; write --folds 40"),
    (["slow.toml", "fast.toml", "--epochs", "1", "--seconds", "9"], "leave one out"),
    (["slow.toml", "runs/done"], "runs/done is a finished run.* write: imparfait evaluate runs/done"),
]


@pytest.mark.parametrize(("words", "expected"), REFUSED, ids=[expected[:30] for _, expected in REFUSED])
def test_what_cannot_be_is_refused_in_one_sentence_and_nothing_is_left(
    words: list[str], expected: str, home: Path
) -> None:
    import re

    (home / "odd.toml").write_text("learning_rat = 0.1\n")
    (home / "wrong.toml").write_text("epochs = 'many'\n")
    (home / "torn.toml").write_text("epochs = \n")
    (home / "runs" / "done").mkdir(parents=True)
    (home / "runs" / "done" / "config.json").write_text("{}")
    result = imparfait("compare", *words, "--data", "bars", home=home)
    assert result.returncode == 2, result.stderr
    assert re.search(expected, result.stderr)
    assert len(result.stderr.strip().splitlines()) <= 2  # "measuring …" may come first
    assert "Traceback" not in result.stderr
    assert not list((home / "runs").glob("compare-*"))


def test_one_s_own_network_once_changed_is_compared_anew(home: Path) -> None:
    layers = "nn.Flatten(), nn.Linear(256, classes)"
    mine = f"from torch import nn\ndef build(channels, classes): return nn.Sequential({layers})"
    (home / "mine.py").write_text(mine)
    words = ["compare", "mine.py:build", "fast.toml", "--data", "bars", "--executor", "here"]
    words += ["--folds", "3", "--seeds", "1", "--epochs", "1"]
    first = imparfait(*words, "--json", home=home)
    (home / "mine.py").write_text(mine.replace("nn.Flatten()", "nn.Tanh(), nn.Flatten()"))
    second = imparfait(*words, "--json", home=home)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    one, other = (json.loads(each.stdout) for each in (first, second))
    assert one["folder"] != other["folder"]
    assert one["contenders"] != other["contenders"]


def test_a_model_competes_with_its_own_recipe() -> None:
    assert candidate_named("cnn").settings == RECIPES["study"].settings
    assert candidate_named("cnn_gru").settings == RECIPES["study-gru"].settings
    assert candidate_named("petit").settings == RECIPES["default"].settings
    assert candidate_named("quick").settings == RECIPES["quick"].settings


def test_one_s_own_network_can_be_a_contender(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(channels, classes): ...\n")
    found = candidate_named(f"{tmp_path / 'mine.py'}:build")
    assert found.name == "mine"
    assert found.settings.model.endswith("mine.py:build")


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings_survive_their_file(recipe: str, tmp_path: Path) -> None:
    settings = RECIPES[recipe].settings.model_copy(update={"learning_rate": 1e-5, "model": 'é"\\ \n.py:build'})
    (tmp_path / "s.toml").write_text(as_toml(settings), encoding="utf-8")
    assert read_settings(tmp_path / "s.toml") == settings


def test_what_a_settings_file_does_not_say_is_its_model_s_recipe(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('model = "cnn"\nepochs = 3\n')
    assert read_settings(tmp_path / "s.toml") == RECIPES["study"].settings.model_copy(update={"epochs": 3})
    (tmp_path / "s.toml").write_text("")
    assert read_settings(tmp_path / "s.toml") == TrainingSettings()


def test_contenders_are_judged_at_the_fewest_epochs_that_any_of_them_has() -> None:
    data = draw_bars(60)
    found = plan(candidates(["quick", "petit"]), data, folds=2, seeds=1)
    assert {entry.settings.epochs for entry in found.entries} == {1}


def test_at_equal_seconds_each_trains_for_as_long_as_the_others() -> None:
    data = draw_bars(120)
    found = plan(candidates(["quick", "petit"]), data, folds=2, seeds=1, seconds=5)
    for entry in found.entries:
        per_epoch = entry.training_seconds(found.fit) / entry.settings.epochs
        assert abs(entry.training_seconds(found.fit) - 5) <= per_epoch / 2 + 1e-9


def test_speeds_are_measured_one_after_the_other_and_not_in_cells() -> None:
    started = time.perf_counter()
    [entry] = measured([candidate_named("quick")], draw_bars(60))
    assert entry.learns > 0
    assert entry.answers > 0
    assert time.perf_counter() - started > 2  # its three turns of 0.7 s each


def test_minutes_give_up_seeds_first_then_epochs_then_pictures_and_say_so() -> None:
    wished = plan_of("a", "b", sources=10_000, seeds=3)
    longer = [e.model_copy(update={"settings": e.settings.model_copy(update={"epochs": 6})}) for e in wished.entries]
    wished = wished.model_copy(update={"entries": tuple(longer)})
    seen = []
    for share in (1.0, 0.9, 0.4, 0.02):
        found = _within(wished, wished.seconds * share)
        assert found.seconds <= wished.seconds * share * 1.001
        seen.append((found.seeds, found.entries[0].settings.epochs, found.images is None, len(found.lost)))
    assert seen[0] == (3, 6, True, 0)
    assert seen[1] == (2, 6, True, 1)
    assert seen[2][:1] + seen[2][2:] == (2, True, 2)
    assert 1 < seen[2][1] < 6
    assert seen[3] == (2, 1, False, 3)
    assert "2 seeds instead of 3" in found.lost[0]
    assert "1 epoch instead of 6 epochs" in found.lost[1]
    assert "images instead of 10,000" in found.lost[2]
    with pytest.raises(UserError, match="write more minutes, fewer --folds or fewer contenders"):
        _within(wished, 0.5)


def test_a_plan_survives_its_file() -> None:
    found = plan_of("a", "b")
    assert Plan.model_validate_json(found.model_dump_json()) == found
