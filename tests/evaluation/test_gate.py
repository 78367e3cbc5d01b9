"""Bounds on accuracy in continuous integration: broken beyond noise only."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.fake_suites import suite_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_rel

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.evaluation.gate import (
    Baseline,
    baseline_of,
    check_conditions,
    gate,
    read_baseline,
    shares_of,
    write_baseline,
)
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import suite_named
from imparfait.reports.gate_text import gate_badge, gate_junit, gate_markdown, gate_sentence, passes

NAMES = ("clean", "geometric", "shrunk")


def result(*correct: np.ndarray, groups: np.ndarray | None = None) -> SuiteResult:
    """A suite result in which these images are right under clean, geometric and shrunk."""
    conditions = []
    for name, right in zip(NAMES, correct, strict=True):
        truths = np.zeros(len(right), np.int64)
        probabilities = np.stack([right, ~right], 1).astype(np.float32)
        sources, severity = np.arange(len(right)), float(name != "clean")
        conditions.append(ConditionResult(name, severity, sources, truths, probabilities, groups))
    return SuiteResult(Scores(tuple(conditions), ("a", "b")))


def drawn(accuracy: float, images: int = 1000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(images) < round(accuracy * images)


GOOD = result(drawn(0.95), drawn(0.9), drawn(0.8))


def test_the_same_model_passes_against_its_own_baseline() -> None:
    findings = gate(GOOD, "data", baseline=baseline_of(GOOD, "good", "data"))
    assert {found.name for found in findings} == {*NAMES, "mean"}
    assert {found.outcome for found in findings} == {"ok"}
    assert passes(findings)
    assert gate_sentence(findings).startswith("passing: 4 bounds kept")


def test_a_model_equals_its_own_baseline_also_where_shares_are_rounded() -> None:
    conditions = [("clean", 0.0), *(("mine", number / 10) for number in range(1, 8))]  # a seventh is no 255th
    truths, sources = np.zeros(40, np.int64), np.arange(40)
    for seed in range(20):
        right = np.random.default_rng(seed).random((len(conditions), 40)) < 0.7
        found = SuiteResult(
            Scores(
                tuple(
                    ConditionResult(*condition, sources, truths, np.stack([each, ~each], 1).astype(np.float32))
                    for condition, each in zip(conditions, right, strict=True)
                ),
                ("a", "b"),
            )
        )
        assert {each.outcome for each in gate(found, "data", baseline=baseline_of(found, "it", "data"))} == {"ok"}


def test_a_large_drop_is_broken_and_a_small_one_within_noise() -> None:
    baseline = baseline_of(GOOD, "good", "data")
    worse = result(drawn(0.949, seed=1), drawn(0.9), drawn(0.6, seed=1))
    outcomes = {found.name: found.outcome for found in gate(worse, "data", baseline=baseline)}
    assert outcomes == {"clean": "within noise", "geometric": "ok", "shrunk": "broken", "mean": "broken"}
    allowed = gate(worse, "data", baseline=baseline, max_drop=0.25)
    assert {found.outcome for found in allowed} == {"ok"}


def test_the_test_of_a_drop_is_paired_on_the_same_images_and_welch_s_on_others() -> None:
    now, before = drawn(0.7, seed=1), drawn(0.8)
    baseline = Baseline(
        model="a",
        data="same",
        images=1000,
        correct={"clean": baseline_of(result(before, before, before), "a", "same").correct["clean"]},
    )
    suite = result(now, now, now)
    (paired,) = gate(suite, "same", baseline=baseline)
    assert paired.p == pytest.approx(ttest_rel(now.astype(float), before.astype(float), alternative="less").pvalue)
    (other,) = gate(suite, "other", baseline=baseline)
    assert other.p != paired.p
    assert other.before == paired.before == pytest.approx(0.8)


def test_a_minimum_is_tested_exactly_and_adjusted_for_the_number_of_bounds() -> None:
    (alone,) = gate(GOOD, "data", minimums={"shrunk": 0.83})
    assert alone.p == pytest.approx(binom.cdf(800, 1000, 0.83))
    both = gate(GOOD, "data", minimums={"core.shrunk": 0.83, "clean": 0.5})
    assert both[0].p == pytest.approx(2 * alone.p)
    assert [found.outcome for found in both] == ["broken", "ok"]
    (near,) = gate(GOOD, "data", minimums={"shrunk": 0.805})
    assert near.outcome == "within noise"


def test_a_true_bound_is_called_broken_in_at_most_one_run_of_twenty() -> None:
    """Holm's promise: the chance of any false alarm, over four bounds, is 5 %."""
    alarms, rng = 0, np.random.default_rng(0)
    for _ in range(300):
        before, now = (result(*(rng.random(400) < accuracy for accuracy in (0.95, 0.9, 0.8))) for _ in range(2))
        alarms += not passes(gate(now, "other", baseline=baseline_of(before, "a", "data")))
    assert alarms <= binom.ppf(0.999, 300, 0.05)


@pytest.mark.parametrize("bound", ["same images", "other images", "minimum"])
def test_false_alarms_are_rare_where_images_of_one_writer_are_alike(bound: str) -> None:
    """Ten writers of 100 images, each as legible as a draw of mean 0.8, for each model anew; no model is better."""
    alarms, rng = 0, np.random.default_rng(1)
    writers = np.arange(1000) % 10
    for _ in range(300):
        before, now = (
            result(*(rng.random(1000) < rng.beta(8, 2, 10)[writers] for _ in NAMES), groups=writers) for _ in range(2)
        )
        if bound == "minimum":
            alarms += not passes(gate(now, "data", minimums=dict.fromkeys((*NAMES, "mean"), 0.8)))
        else:
            baseline = baseline_of(before, "a", "data")
            alarms += not passes(gate(now, "data" if bound == "same images" else "other", baseline=baseline))
    assert alarms <= binom.ppf(0.999, 300, 0.05)


def test_a_drop_of_every_writer_is_found_and_the_groups_of_the_baseline_are_kept(tmp_path: Path) -> None:
    writers = np.random.default_rng(0).integers(100, 110, 1000)
    before = [drawn(accuracy) for accuracy in (0.95, 0.9, 0.8)]
    write_baseline(tmp_path / "b.json", baseline_of(result(*before, groups=writers), "a", "data"))
    baseline = read_baseline(tmp_path / "b.json")
    members = baseline.members()
    assert members is not None
    assert np.array_equal(members, np.unique(writers, return_inverse=True)[1])
    now = [drawn(0.3, seed=1), *before[1:]]
    for groups in (writers, None):  # those of the baseline are used where --group was left out
        assert gate(result(*now, groups=groups), "data", baseline=baseline)[0].outcome == "broken"
    one = [each & (writers != 103) for each in before]  # of one writer all is lost: chance may bring another such one
    assert [found.outcome for found in gate(result(*one), "data", baseline=baseline)] == ["within noise"] * 4
    damaged = baseline.model_copy(update={"groups": baseline.groups[:12]})
    with pytest.raises(UserError, match="the baseline's groups is damaged"):
        gate(result(*now), "data", baseline=damaged)


@given(st.lists(st.booleans(), min_size=2, max_size=50), st.integers(0, 2**32 - 1))
def test_a_baseline_keeps_every_image(right: list[bool], seed: int) -> None:
    others = np.random.default_rng(seed).random((2, len(right))) < 0.5
    suite = result(np.array(right), *others)
    stored = Baseline.model_validate_json(baseline_of(suite, "a", "data").model_dump_json())
    for name, shares in shares_of(suite).items():
        np.testing.assert_allclose(stored.shares(name), shares, atol=1 / 510 + 1e-9)


def test_files_for_ci_say_which_bounds_are_broken() -> None:
    findings = gate(GOOD, "data", minimums={"shrunk": 0.9, "clean": 0.5})
    cases = ElementTree.fromstring(gate_junit("m<o>del", findings)).findall("testcase")
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["shrunk"]
    markdown = gate_markdown("model", "1,000 images", findings)
    assert "failing: 1 of 2 bounds broken; worst shrunk, 10.00 points" in markdown
    assert "| shrunk | 80.00 % | – | 90.00 % | broken |" in markdown
    assert "robustness: failing" in gate_badge(findings)
    assert ElementTree.fromstring(gate_badge(findings)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not a baseline"),
        ('{"model": "a"}', "not a baseline"),
        (None, "write one first: imparfait gate"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(content: str | None, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=expected):
        read_baseline(path)


@pytest.mark.parametrize("damage", [lambda packed: packed[:40], lambda packed: "?" + packed, lambda packed: ""])
def test_a_damaged_baseline_is_refused(damage: Callable[[str], str], tmp_path: Path) -> None:
    baseline = baseline_of(GOOD, "a", "data")
    write_baseline(
        tmp_path / "b.json", baseline.model_copy(update={"correct": {"clean": damage(baseline.correct["clean"])}})
    )
    with pytest.raises(UserError, match="damaged"):
        gate(GOOD, "data", baseline=read_baseline(tmp_path / "b.json"))


def test_nothing_to_check_and_unknown_conditions_are_refused() -> None:
    with pytest.raises(UserError, match="no bound was given"):
        gate(GOOD, "data")
    with pytest.raises(UserError, match="shrank"):
        gate(GOOD, "data", minimums={"shrank": 0.5})


def test_the_command_saves_a_baseline_keeps_to_it_and_fails_under_a_minimum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, junit = tmp_path / "new" / "baseline.json", tmp_path / "junit.xml"
    commands.main(["gate", "digits", "--save", str(baseline)], standalone_mode=False)
    assert "baseline of digits on 10,000 images" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        commands.main(
            ["gate", "digits", "--against", str(baseline), "--min", "mean=0.999", "--junit", str(junit), "--json"],
            standalone_mode=False,
        )
    assert stopped.value.code == 1
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [found["outcome"] for found in printed["findings"]] == ["broken", "ok", "ok", "ok", "ok"]
    assert printed["passing"] is False
    assert junit.read_text().count("<failure") == 1


@pytest.mark.parametrize("suite", ["digits", "photo"])
def test_a_minimum_names_a_corruption_with_or_without_its_suite(suite: str) -> None:
    conditions = suite_named(suite)
    found = suite_of({(each.corruption, each.severity): drawn(0.9, 40) for each in conditions})
    own = f"{'photo.' if suite == 'photo' else ''}fog"
    for name in ("fog", f"{suite}.fog", f"{suite}.clean", f"{suite}.mean", "mean"):
        check_conditions({name: 0.5}, conditions)
        (finding,) = gate(found, "data", minimums={name: 0.5})
        assert finding.name == (own if "fog" in name else name.rpartition(".")[2])
        assert finding.accuracy == pytest.approx(0.9)


@pytest.mark.parametrize(("suite", "name"), [("digits", "photo.fog"), ("photo", "digits.fog"), ("photo", "fgo")])
def test_a_condition_of_another_suite_is_refused_before_anything_is_evaluated(suite: str, name: str) -> None:
    with pytest.raises(UserError, match=f"no condition is called '{name}'"):
        commands.main(["gate", "digits", "--suite", suite, "--min", f"{name}=0.5"], standalone_mode=False)


@pytest.mark.parametrize("option", ["--junit", "--markdown", "--badge", "--save"])
def test_a_file_that_cannot_be_written_is_refused_before_the_model_runs(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "x")
    with pytest.raises(UserError, match=r"there is no folder .*; expected the path of a file to write"):
        commands.main(["gate", "digits", "--min", "clean=0.9", option, path], standalone_mode=False)
