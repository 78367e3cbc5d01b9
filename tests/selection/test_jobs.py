"""Jobs: what decides an outcome is in the key, and an outcome is a function of the job."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import SMALL, small_job

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.models.custom import custom_fingerprint
from imparfait.selection import jobs
from imparfait.selection.jobs import JobResult, code_digest, run_job
from imparfait.training.settings import TrainingSettings

PACKAGE = Path(imparfait.__file__).parent
CHANGES = {
    "data": "another",
    "settings": SMALL.model_copy(update={"learning_rate": 0.02}),
    "network": "another",
    "compute": ComputeConfig(threads=2),
    "partition": 1,
    "folds": 4,
    "fold": 1,
    "images": 30,
    "corruptions": (("clean", 0.0),),
}


def test_changing_any_field_of_a_cell_changes_its_key() -> None:
    job = small_job(draw_bars(60))
    assert CHANGES.keys() == type(job).model_fields.keys()
    keys = {job.key, job.model_copy(update={"compute": ComputeConfig(precision="bfloat16")}).key}
    keys |= {job.model_copy(update={name: value}).key for name, value in CHANGES.items()}
    assert len(keys) == len(CHANGES) + 2


def test_another_torch_gives_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    job = small_job(draw_bars(60))
    before = job.key
    monkeypatch.setattr(jobs.torch, "__version__", "9.9.9")
    assert job.key != before


@pytest.mark.parametrize("name", ["corruptions/blur.py", "models/petit.py", "training/loop.py", "evaluation/suite.py"])
def test_editing_a_module_that_computes_changes_the_digest_and_a_comment_does_not(name: str, tmp_path: Path) -> None:
    package = tmp_path / "imparfait"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("mnist", "weights", "__pycache__"))
    assert code_digest(package) == code_digest()
    path = package / name
    text = path.read_text()
    path.write_text(f'"""Another docstring."""\n# a comment\n{text}')
    code_digest.cache_clear()
    assert code_digest(package) == code_digest()
    path.write_text(f"{text}\nanother = 1\n")
    code_digest.cache_clear()
    assert code_digest(package) != code_digest()
    code_digest.cache_clear()


def test_the_digest_covers_every_module_that_running_a_job_imports() -> None:
    """What a fresh process has loaded after importing the module of `run_job`, against what is found by reading."""
    program = "import sys, imparfait.selection.jobs; print(*(m for m in sys.modules if m.startswith('imparfait.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    counted = {path.relative_to(PACKAGE).with_suffix("") for path in jobs.imported_files(PACKAGE / "selection/jobs.py")}
    names = {".".join(("imparfait", *path.parts)).removesuffix(".__init__") for path in counted}
    assert set(loaded) - {"imparfait.selection"} <= names


def test_where_the_pictures_were_read_from_does_not_matter() -> None:
    data = draw_bars(60)
    assert small_job(replace(data, name="elsewhere")).key == small_job(data).key
    assert small_job(data.select(np.arange(59))).key != small_job(data).key


def test_an_outcome_is_the_same_each_time_and_survives_the_disk() -> None:
    data = draw_bars(60)
    first, second = (run_job(small_job(data), data) for _ in range(2))
    assert first.said.shape == (3, 20)
    again = JobResult.from_bytes(first.to_bytes())
    for other in (second, again):
        assert np.array_equal(first.said, other.said)
        assert np.array_equal(first.sources, other.sources)
    assert again.making == first.making
    assert again.training_seconds == first.training_seconds


def test_an_outcome_holds_exactly_the_held_out_pictures() -> None:
    data = draw_bars(60)
    held = np.concatenate([run_job(small_job(data, fold=number), data).sources for number in range(3)])
    assert sorted(held.tolist()) == list(range(60))


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        (SMALL.model_copy(update={"learning_rate": 1e30, "epochs": 3}), "the loss became"),
        (SMALL.model_copy(update={"model_args": {"filters": -1}}), ""),
        (SMALL.model_copy(update={"model": "there_is_none"}), "no model is called"),
    ],
)
def test_a_cell_that_fails_is_an_outcome_with_its_cause(settings: object, cause: str) -> None:
    data = draw_bars(60)
    outcome = run_job(small_job(data).model_copy(update={"settings": settings}), data)
    assert outcome.cause
    assert cause in outcome.cause
    assert outcome.lasting
    assert np.isnan(outcome.mean)
    assert JobResult.from_bytes(outcome.to_bytes()).cause == outcome.cause


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_lack_of_memory_is_an_outcome_that_another_time_may_change(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    data = draw_bars(60)
    monkeypatch.setattr(jobs, "fit_and_judge", fails)
    outcome = run_job(small_job(data), data)
    assert type(error).__name__ in outcome.cause
    assert not outcome.lasting


def test_a_network_s_file_that_has_changed_is_put_back_and_the_cell_runs(tmp_path: Path) -> None:
    data, file = draw_bars(60), tmp_path / "mine.py"
    layers = "nn.Flatten(), nn.Linear(256, classes)"
    text = f"from torch import nn\ndef build(channels, classes): return nn.Sequential({layers})"
    file.write_text(text)
    name = f"{file}:build"
    job = small_job(data).model_copy(
        update={"settings": TrainingSettings(model=name, epochs=1), "network": custom_fingerprint(name)}
    )
    file.write_text(text.replace("nn.Flatten()", "nn.Tanh(), nn.Flatten()"))
    changed = run_job(job, data)
    assert "is not the file it was when this was planned" in changed.cause
    assert not changed.lasting
    file.write_text(text)
    assert not run_job(job, data).cause


def test_shuffled_labels_give_chance() -> None:
    """Whatever leaks would be learned from: with labels drawn at random a fold is read no better than by guessing."""
    data = draw_bars(360)
    shuffled = replace(data, labels=np.random.default_rng(0).permutation(data.labels))

    def accuracy(of: LabelledImages) -> float:
        settings = SMALL.model_copy(update={"epochs": 4})
        return float(np.mean([run_job(small_job(of, settings=settings, fold=n), of).mean for n in range(3)]))

    assert accuracy(data) > 0.6
    assert abs(accuracy(shuffled) - 1 / 3) < 0.09  # 3 standard deviations of 360 guesses are 0.075
