"""Equal time for all contestants of peers_fair.py: each trains on small images; what counts is counted alike."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))

import fair_worker
import peers_fair
from fair_networks import deskew
from fair_torch import CONTESTANTS
from peers_fair_analysis import analyse, crossed_mean, edge_factors, is_disturbed

from imparfait.core.hardware import torch_threads

SIDE, SMALL_SIDE = 28, 16
BUILT_FOR_SIDE = ("deotte", "keras-cnn")
ALL = (*CONTESTANTS, *fair_worker.KERAS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """Files of 200 images to train on and 30 to score, as a job names them, and the labels of the latter; by side."""
    found = {}
    for side in (SIDE, SMALL_SIDE):
        train, tune = draw_bars(200, side), draw_bars(30, side, first_source=1000)
        score = draw_bars(30, side, first_source=2000)
        saved = peers_fair.save_images(train, tune, score, tmp_path_factory.mktemp("peers"))
        found[side] = {
            "stream": peers_fair.save_stream(train, 7, 2, saved),
            "fixed": str(saved / "fixed.npz"),
            "scored": str(saved / "score.npz"),
            "labels": np.load(saved / "score-labels.npy"),
        }
    return found


@pytest.fixture(scope="module")
def images(files: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return files[SMALL_SIDE]


def run(contestant: str, images: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A job in this process; Keras in one of its own, where its threads and its backend are still to be chosen."""
    job = {"contestant": contestant, "arm": "stream", "budget": 2.0, "seed": 7, "factor": 1.0, "threads": 1}
    job |= {"precision": "float32", "bf16_units": False, "classes": 10}
    job |= {name: value for name, value in images.items() if name != "labels"} | changes
    if contestant in fair_worker.KERAS:
        if importlib.util.find_spec("tensorflow") is None:
            pytest.skip("tensorflow is not installed")
        return peers_fair.run_job(job, images["labels"])
    if contestant == "resnet18" and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    with torch_threads(1), torch.random.fork_rng():
        return fair_worker.run(job)


@pytest.mark.parametrize("contestant", ALL)
def test_each_contestant_trains_for_two_seconds_and_predicts_every_condition(
    contestant: str, files: dict[int, dict[str, Any]]
) -> None:
    images = files[SIDE if contestant in BUILT_FOR_SIDE else SMALL_SIDE]
    found = run(contestant, images)
    assert found["seconds"] >= 2
    assert found["threads_inside"] == 1
    assert found["images_seen"] == found["steps"] * found["batch"] > 0
    if "predictions" in found:
        assert set(found["predictions"]) == {"clean", "geometric", "shrunk"}
        assert all(len(each) == 30 for each in found["predictions"].values())
        correct = [np.array(each) == images["labels"] for each in found["predictions"].values()]
        assert 0 <= np.mean(correct) <= 1
    else:
        assert 0 <= found["core_mean"] <= 1
        assert set(found["correct"]) == {"clean", "geometric", "shrunk"}


@pytest.mark.parametrize(
    ("contestant", "arm"), [("quick", "stream"), ("deskew", "fixed"), ("deotte", "stream"), ("keras-cnn", "fixed")]
)
def test_the_budget_is_counted_alike(contestant: str, arm: str, files: dict[int, dict[str, Any]]) -> None:
    """Where each step counts half a second, all take as many: three that warm up, and four of the two seconds."""
    images = files[SIDE if contestant in BUILT_FOR_SIDE else SMALL_SIDE]
    found = run(contestant, images, arm=arm, step_seconds=0.5)
    assert found["steps"] == fair_worker.WARM_UP_STEPS + 4
    assert found["seconds"] == 2


def test_a_network_learns_in_the_budget(images: dict[str, Any]) -> None:
    found = run("quick", images, arm="fixed", budget=10, step_seconds=0.1)
    assert (np.array(found["predictions"]["clean"]) == images["labels"]).mean() > 0.8


def test_imports_and_reading_images_do_not_count(images: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second that passes before the first step, and one in the scoring, are not in the training seconds."""
    now = [0.0]
    monkeypatch.setattr(fair_worker.time, "perf_counter", lambda: now[0])
    clock = fair_worker.Clock(10)
    now[0] += 1  # reading images
    clock.begin()
    for _ in range(fair_worker.WARM_UP_STEPS):
        now[0] += 1
        assert clock.after_step() == 0
    for number in range(1, 11):
        now[0] += 1
        assert clock.after_step() == number / 10
    assert (clock.seconds, clock.warm_up_seconds) == (10, fair_worker.WARM_UP_STEPS)


def test_all_get_the_same_images_in_the_same_order(images: dict[str, Any]) -> None:
    for arm in ("stream", "fixed"):
        job = images | {"arm": arm, "seed": 7}
        small, large = (fair_worker.batches(job, size) for size in (16, 64))
        first, second = [next(small) for _ in range(4)], next(large)
        assert np.array_equal(np.concatenate([pixels for pixels, _, _ in first]), second[0])
        assert np.array_equal(np.concatenate([labels for _, labels, _ in first]), second[1])


def test_the_stream_is_drawn_anew_each_epoch(images: dict[str, Any]) -> None:
    pixels = [np.load(f"{path}-pixels.npy") for path in images["stream"]]
    assert len(pixels) == 2
    assert not np.array_equal(*pixels)


def test_moments_take_a_digit_to_the_centre_whatever_its_place_and_size() -> None:
    pixels = np.zeros((2, 1, SIDE, SIDE), np.uint8)
    pixels[0, 0, 2:10, 3:7] = 200
    pixels[1, 0, 10:26, 12:20] = 200
    small, large = deskew(pixels).astype(float)
    before = np.abs(pixels[0].astype(float) - pixels[1]).mean()
    assert np.abs(small - large).mean() < before / 4
    down, right = (float((large[0].sum(axis) * np.arange(SIDE)).sum() / large.sum()) for axis in (1, 0))
    assert abs(down - (SIDE - 1) / 2) < 0.5
    assert abs(right - (SIDE - 1) / 2) < 0.5


def test_a_job_is_written_whole_and_its_labels_stay_here(images: dict[str, Any]) -> None:
    job = {"contestant": "quick", "arm": "fixed", "budget": 0.2, "seed": 7, "factor": 1.0, "threads": 1}
    job |= {"precision": "float32", "bf16_units": False, "classes": 3}
    job |= {name: value for name, value in images.items() if name != "labels"}
    found = peers_fair.run_job(job, images["labels"])
    assert 0 <= found["core_mean"] <= 1
    with np.load(images["scored"]) as file:
        assert not [name for name in file.files if "label" in name]


def options(**given: Any) -> argparse.Namespace:
    every = {"contestants": None, "budgets": None, "arms": ("stream", "fixed"), "seeds": 5}
    return argparse.Namespace(**(every | given))


def test_the_plan_runs_seed_by_seed_and_takes_at_most_fourteen_hours() -> None:
    train, tune = [*peers_fair.jobs_of("train", options())], [*peers_fair.jobs_of("tune", options())]
    assert peers_fair.hours("train", train) + peers_fair.hours("tune", tune) <= 14
    cut = options(budgets=[10, 60])
    assert sum(peers_fair.hours(name, [*peers_fair.jobs_of(name, cut)]) for name in ("train", "tune")) <= 2.5
    seeds = [job["seed"] for job in train]
    assert seeds == sorted(seeds)
    names = [peers_fair.file_of("train", job, Path()) for job in train]
    assert len(names) == len(set(names))
    assert {job["contestant"] for job in train} <= set(ALL)


def test_a_missing_package_says_what_to_install(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')  # without any installed package
    python.chmod(0o755)
    with pytest.raises(SystemExit, match=r"has no tensorflow; expected benchmarks/peers/keras\.txt"):
        peers_fair.check_packages(["keras-cnn"], {"keras-cnn": str(python)})


def test_training_without_trials_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run `tune` first"):
        peers_fair.tuned_factor("default", 60, tmp_path)


def test_the_most_accurate_trial_is_chosen_and_the_nearest_to_its_own_among_equals(tmp_path: Path) -> None:
    for factor in peers_fair.FACTORS:
        job = {"arm": "stream", "contestant": "default", "budget": 20.0, "factor": factor}
        path = peers_fair.file_of("tune", job, tmp_path)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"core_mean": 0.9 if factor in (2, 8) else 0.5}))
    assert peers_fair.tuned_factor("default-no-jitter", 10, tmp_path) == 2


def test_a_finished_job_never_runs_twice_and_a_failed_one_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (peers_fair.Part("stream", 10, ("quick", "plain"), 2), peers_fair.Part("fixed", 10, ("quick",), 1))
    monkeypatch.setattr(peers_fair, "PLAN", parts)
    monkeypatch.setattr(peers_fair, "FACTORS", (1.0, 2.0))
    data = argparse.Namespace(train=draw_bars(900, SMALL_SIDE))
    monkeypatch.setattr(peers_fair, "load_data", lambda: data)
    ran: list[str] = []
    broken = {"plain"}

    def run_job(job: dict[str, Any], labels: np.ndarray, python: str) -> dict[str, Any]:
        ran.append(f"{job['arm']} {job['contestant']} {job['factor']:g}")
        if job["contestant"] in broken:
            raise RuntimeError("broken")
        return {"core_mean": job["factor"] / 10, "steps": 1}

    monkeypatch.setattr(peers_fair, "run_job", run_job)
    given = options(
        runs=tmp_path, dry_run=False, python=[], untuned=False, threads=1, precision="float32", rerun_disturbed=False
    )
    with pytest.raises(SystemExit, match="2 of 4 jobs failed"):
        peers_fair.work("tune", given)
    assert ran == ["stream quick 1", "stream plain 1", "stream quick 2", "stream plain 2"]
    broken.clear()
    ran.clear()
    peers_fair.work("tune", given)
    assert ran == ["stream plain 1", "stream plain 2"]
    ran.clear()
    peers_fair.work("train", given)
    assert ran == ["stream quick 2", "stream plain 2", "fixed quick 2", "stream quick 2", "stream plain 2"]
    peers_fair.work("train", given)
    assert len(ran) == 5
    assert not [path.name for path in (tmp_path / "train").iterdir() if path.suffix != ".json"]


def finished(contestant: str, seed: int, accuracy: float, rng: np.random.Generator) -> dict[str, Any]:
    """A finished job with random correct predictions of 400 images."""
    bits = {name: rng.random(400) < accuracy for name in ("clean", "geometric", "shrunk")}
    return {
        "arm": "stream", "budget": 60.0, "contestant": contestant, "seed": seed, "factor": 1.0, "images_seen": 1,
        "seconds": 60.0, "steps": 100, "threads_inside": 2, "precision": "float32", "load_average": [0.0, 2.0],
        "scored_images": 400, "correct": {name: int(each.sum()) for name, each in bits.items()},
        "core_mean": float(np.mean([*bits.values()])),
        "correct_bits": {
            name: peers_fair.base64.b64encode(np.packbits(each).tobytes()).decode() for name, each in bits.items()
        },
    }  # fmt: skip


def test_the_analysis_finds_a_difference_and_adjusts_for_their_number() -> None:
    rng = np.random.default_rng(0)
    rows = [
        finished(name, seed, accuracy, rng)
        for seed in range(3)
        for name, accuracy in (("default", 0.99), ("plain", 0.9), ("deskew", 0.99))
    ]
    scores, table = analyse(rows, [])
    assert list(scores["primary"]) == ["plain", "deskew"]
    plain, other = scores["primary"]["plain"], scores["primary"]["deskew"]
    assert plain["interval"][0] > 0.05
    assert other["interval"][0] < 0 < other["interval"][1]
    assert all(each["p_holm"] >= each["p"] for each in (plain, other))
    assert table.count("| stream | 60 |") == 3


def test_a_job_with_few_steps_or_a_high_load_is_disturbed_and_runs_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [finished("default", seed, 0.9, rng) for seed in range(5)] + [finished("plain", 0, 0.9, rng)]
    rows[1]["steps"], rows[2]["load_average"], rows[5]["steps"] = 84, [0.5, 3.1], 10  # the last has none to compare
    assert [is_disturbed(row, rows) for row in rows] == [False, True, True, False, False, False]
    for row in rows:
        path = peers_fair.file_of("train", row, tmp_path)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(row))
    assert peers_fair.set_aside("train", tmp_path) == ["stream-default-60s-s1", "stream-default-60s-s2"]
    assert len(peers_fair.finished("train", tmp_path)) == 4
    assert peers_fair.set_aside("train", tmp_path) == []


def test_of_equal_trials_the_nearest_to_its_own_rate_is_chosen_and_no_end_is_reported() -> None:
    trials = [
        {"contestant": "keras-cnn", "budget": 20.0, "factor": factor, "core_mean": 0.1} for factor in peers_fair.FACTORS
    ]
    assert edge_factors(trials) == []
    assert edge_factors(trials[:1]) == ["keras-cnn in 20 s"]


@pytest.fixture
def simulated() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    return (rng.normal(0, 1, (5, 1)) + rng.normal(0, 3, (1, 60)) + rng.normal(0, 2, (5, 60)) for _ in range(400))


def test_the_interval_covers_new_seeds_and_new_images(simulated: Iterator[np.ndarray]) -> None:
    """Nominally 95 %: at least 92 in 400 simulations, and not all, as where a variance is counted twice."""
    intervals = [crossed_mean(values).interval() for values in simulated]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.92 <= covered <= 0.99
