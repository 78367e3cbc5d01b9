"""`imparfait compare` and `imparfait.compare`: plans, tables, reports and user errors."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.bars import draw_bars, write_idx
from helpers.commands import refused
from helpers.fake_jobs import plan_of, with_settings, write_settings

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.reports.comparison_text import plan_lines, reduction_sentence
from imparfait.selection import profiling
from imparfait.selection.candidates import candidate_named, candidates_from
from imparfait.selection.executors import Executor, serial
from imparfait.selection.plan import Plan, make_plan, reduce_plan
from imparfait.selection.profiling import profile_candidates
from imparfait.training.recipes import RECIPES, read_settings
from imparfait.training.settings import TrainingSettings, as_toml

FOLDS, SEEDS = 3, 2


@pytest.fixture(scope="module", autouse=True)
def quick_profiles() -> Iterator[None]:
    """Throughput is measured in a moment: its value does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "TURN_SECONDS", 0.02)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder: images with a sealed test set, and settings files."""
    home = tmp_path_factory.mktemp("home")
    write_idx(home / "bars", draw_bars(120), draw_bars(30, first_source=120))
    write_settings(home, slow=0.002, fast=0.02, wild=1e30)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield home


def compare(*more: str) -> Result:
    words = ["slow.toml", "fast.toml", "--data", "bars", "--folds", f"{FOLDS}", "--seeds", f"{SEEDS}", *more]
    result = CliRunner().invoke(commands, ["compare", *words, "--executor", "serial"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def first(home: Path) -> Result:
    """The comparison that several tests read, without any access to the test set."""
    result = compare()
    assert not (home / "runs" / "TEST_LEDGER.csv").exists()
    return result


@pytest.fixture(scope="module")
def folder(home: Path, first: Result) -> Path:
    """The folder of its report."""
    return home / Path(first.stdout.rpartition("report: ")[2].strip()).parent


def stored(home: Path) -> set[str]:
    return {path.name for path in (home / "runs" / "jobs").glob("*.job")}


def test_a_comparison_leaves_a_table_a_verdict_and_a_report(first: Result, folder: Path) -> None:
    assert "slow: 6 jobs × " in first.stderr
    assert "12 jobs, 1 at once: about " in first.stderr
    assert "all candidates were trained on identical pixels" in first.stdout
    assert "is better than" in first.stdout or "no difference shown" in first.stdout
    assert "--final" in first.stderr
    files = {path.name for path in folder.iterdir()}
    assert {"report.html", "comparison.json", "jobs.csv", "plan.json", "differences.png", "table.tex"} <= files
    page = " ".join((folder / "report.html").read_text().split())
    assert "no writer ids" in page
    assert json.loads((folder / "comparison.json").read_text())["verdicts"][0]["sentence"] in page
    with (folder / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["candidate"], row["seed"], row["fold"]) for row in rows} == {
        (name, str(seed), str(fold)) for name in ("slow", "fast") for seed in range(SEEDS) for fold in range(FOLDS)
    }
    for name in ("slow", "fast"):
        for seed in "01":
            assert sum(int(r["images"]) for r in rows if (r["candidate"], r["seed"]) == (name, seed)) == 120


def test_the_same_comparison_again_runs_nothing_and_prints_the_same(home: Path, first: Result) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "runs" / "jobs").iterdir()}
    assert compare().stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_final_trains_the_best_on_all_images_and_accesses_the_test_set_once(home: Path, folder: Path) -> None:
    for _ in range(2):
        compare("--final")
    with (home / "runs" / "TEST_LEDGER.csv").open(newline="") as file:
        assert len({row["date"] for row in csv.DictReader(file)}) == 1
    [run] = (home / "runs").glob("*-s0-*")
    manifest = json.loads((run / "settings.json").read_text())
    assert manifest["final"]
    assert manifest["data"]["images"] == 120
    assert manifest["settings"]["learning_rate"] in (0.002, 0.02)
    settings = {p.name: p.settings for p in Plan.model_validate_json((folder / "plan.json").read_text()).profiles}
    assert TrainingSettings.model_validate(manifest["settings"]) in settings.values()


def test_jobs_of_a_smaller_comparison_are_used_by_a_larger_one(home: Path, first: Result) -> None:
    before = stored(home)
    compare("--seeds", "3")
    after = stored(home)
    assert before < after
    assert len(after - before) == 2 * FOLDS


def test_a_candidate_whose_jobs_fail_is_reported_and_the_others_are_compared(home: Path, first: Result) -> None:
    result = compare("wild.toml")
    assert "0 of 6" in result.stdout
    assert "wild: 6 jobs failed: the loss" in result.stdout
    assert "slow" in result.stdout.split("report:")[0].splitlines()[-1]


REFUSED = [
    (["slow.toml", "defualt"], "no recipe or model is called 'defualt'; did you mean 'default'?"),
    (["slow.toml"], "1 candidate; expected two or more; write, for example: imparfait compare"),
    (["slow.toml", "slow.toml"], "slow and slow are the same candidate"),
    (["slow.toml", "none.toml"], "none.toml: cannot be read: No such file"),
    (["slow.toml", "odd.toml"], "odd.toml: no setting is called 'learning_rat'; did you mean 'learning_rate'?"),
    (["slow.toml", "wrong.toml"], "wrong.toml: epochs was given as 'many'; "),
    (["slow.toml", "torn.toml"], "torn.toml: not TOML"),
    (["slow.toml", "fast.toml", "--executor", "rey"], "no executor is called 'rey'; did you mean 'ray'?"),
    (["slow.toml", "fast.toml", "--executor", "ray", "--address", "127.0.0.1:9"], "no connection"),
    (["slow.toml", "fast.toml", "--folds", "41"], "41 folds"),
    (["slow.toml", "fast.toml", "--epochs", "1", "--seconds", "9"], "leave one out"),
    (["slow.toml", "done"], "done is a finished run"),
]


@pytest.mark.parametrize(("words", "expected"), REFUSED, ids=[expected[:30] for _, expected in REFUSED])
def test_impossible_comparisons_are_user_errors_and_leave_no_file(words: list[str], expected: str, home: Path) -> None:
    if "ray" in words:
        pytest.importorskip("ray")
    (home / "odd.toml").write_text("learning_rat = 0.1\n")
    (home / "wrong.toml").write_text("epochs = 'many'\n")
    (home / "torn.toml").write_text("epochs = \n")
    (home / "done").mkdir(exist_ok=True)
    (home / "done" / "config.json").write_text("{}")
    assert expected in refused("compare", *words, "--data", "bars", "--out", "nowhere")
    assert not list((home / "nowhere").glob("compare-*"))


def test_a_custom_network_once_changed_is_compared_anew(home: Path) -> None:
    layers = "nn.Flatten(), nn.Linear(256, classes)"
    mine = f"from torch import nn\ndef build(channels, classes): return nn.Sequential({layers})"
    words = ["compare", "mine.py:build", "fast.toml", "--data", "bars", "--executor", "serial"]
    words += ["--folds", "2", "--seeds", "1", "--epochs", "1", "--json"]
    results = []
    for code in (mine, mine.replace("nn.Flatten()", "nn.Tanh(), nn.Flatten()")):
        (home / "mine.py").write_text(code)
        results.append(json.loads(CliRunner().invoke(commands, words, catch_exceptions=False).stdout))
    one, other = results
    assert one["folder"] != other["folder"]
    assert one["candidates"] != other["candidates"]


def test_from_python_a_comparison_yields_its_jobs_and_ends_in_the_result_of_the_command(
    home: Path, folder: Path
) -> None:
    data = imparfait.load_data("bars").train_and_val()
    settings = {name: read_settings(home / f"{name}.toml") for name in ("slow", "fast")}
    run = imparfait.compare(settings, data, folds=FOLDS, seeds=SEEDS, executor="serial")
    seen = [(step.done, step.total) for step in run]
    assert seen == [(n + 1, 12) for n in range(12)]
    assert list(run) == []  # nothing is left to run
    stored = json.loads((folder / "comparison.json").read_text())
    for name in ("mean", "standard_deviation", "jobs"):
        assert [c[name] for c in run.result.to_json()["candidates"]] == [c[name] for c in stored["candidates"]]


def test_the_result_of_a_comparison_runs_its_jobs() -> None:
    ran = Executor("noted", serial)
    run = imparfait.compare(["quick", "petit"], draw_bars(60), folds=2, seeds=1, epochs=1, executor=ran)
    assert [profile.settings.epochs for profile in run.plan.profiles] == [1, 1]
    assert len(run.result.verdicts) == 1
    assert run.result.verdicts[0].jobs == 2


def test_a_model_competes_with_its_own_recipe() -> None:
    assert candidate_named("cnn").settings == RECIPES["study"].settings
    assert candidate_named("cnn_gru").settings == RECIPES["study-gru"].settings
    assert candidate_named("duo").settings == RECIPES["default"].settings
    of_default = {"model": "petit", "model_args": {}}
    assert candidate_named("petit").settings == RECIPES["default"].settings.model_copy(update=of_default)
    assert candidate_named("quick").settings == RECIPES["quick"].settings


def test_a_recipe_of_an_earlier_version_names_its_successor() -> None:
    with pytest.raises(UserError, match="the recipe robust is now default; write default"):
        candidate_named("robust")


def test_a_custom_network_can_be_a_candidate(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(channels, classes): ...\n")
    candidate = candidate_named(f"{tmp_path / 'mine.py'}:build")
    assert candidate.name == "mine"
    assert candidate.settings.model.endswith("mine.py:build")


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings_survive_their_file(recipe: str, tmp_path: Path) -> None:
    settings = RECIPES[recipe].settings.model_copy(update={"learning_rate": 1e-5, "model": 'é"\\ \n.py:build'})
    (tmp_path / "s.toml").write_text(as_toml(settings), encoding="utf-8")
    assert read_settings(tmp_path / "s.toml") == settings


def test_what_a_settings_file_omits_is_its_model_s_recipe(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('model = "cnn"\nepochs = 3\n')
    assert read_settings(tmp_path / "s.toml") == RECIPES["study"].settings.model_copy(update={"epochs": 3})
    (tmp_path / "s.toml").write_text("")
    assert read_settings(tmp_path / "s.toml") == RECIPES["default"].settings


def test_candidates_are_compared_at_the_fewest_epochs_that_any_of_them_has() -> None:
    plan = make_plan(candidates_from(["quick", "petit"]), draw_bars(60), folds=2, seeds=1)
    assert {profile.settings.epochs for profile in plan.profiles} == {2}


def test_at_equal_seconds_each_trains_for_as_long_as_the_others() -> None:
    plan = make_plan(candidates_from(["quick", "petit"]), draw_bars(120), folds=2, seeds=1, seconds=5)
    for profile in plan.profiles:
        per_epoch = profile.training_seconds(plan.fit) / profile.settings.epochs
        assert abs(profile.training_seconds(plan.fit) - 5) <= per_epoch / 2 + 1e-9


def test_throughput_is_measured_in_three_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "TURN_SECONDS", 0.2)
    started = time.perf_counter()
    [profile] = profile_candidates([candidate_named("quick")], draw_bars(60))
    assert profile.train_throughput > 0
    assert profile.eval_throughput > 0
    assert time.perf_counter() - started > 3 * 0.2


def test_a_time_limit_reduces_seeds_then_epochs_then_images_and_reports_it() -> None:
    plan = plan_of("a", "b", sources=10_000, seeds=3)
    for name in "ab":
        plan = with_settings(plan, name, epochs=6)
    seen = []
    for share in (1.0, 0.9, 0.4, 0.02):
        reduced = reduce_plan(plan, plan.seconds * share)
        assert reduced.seconds <= plan.seconds * share * 1.001
        epochs = reduced.profiles[0].settings.epochs
        seen.append((reduced.seeds, epochs, reduced.images is None, [r.what for r in reduced.reductions]))
    assert seen[0] == (3, 6, True, [])
    assert seen[1] == (2, 6, True, ["seeds"])
    assert (seen[2][0], *seen[2][2:]) == (2, True, ["seeds", "epochs"])
    assert 1 < seen[2][1] < 6
    assert seen[3] == (2, 1, False, ["seeds", "epochs", "images"])
    sentences = list(map(reduction_sentence, reduced.reductions))
    assert plan_lines(reduced)[-3:] == sentences
    assert "2 seeds instead of 3" in sentences[0]
    assert "1 epoch instead of 6" in sentences[1]
    assert "images instead of 10,000" in sentences[2]
    with pytest.raises(UserError) as error:
        reduce_plan(plan, 0.5)
    assert "write more minutes, fewer --folds or fewer candidates" in error.value.hint


def test_a_plan_survives_its_file() -> None:
    plan = reduce_plan(plan_of("a", "b", sources=10_000), 30)
    assert plan.reductions
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
