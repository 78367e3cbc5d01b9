"""Jobs: the key covers everything that decides a result, and a result is a function of the job."""

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
from imparfait.core.code_digest import digest_of, import_closure
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
    "groups": "another",
    "corruptions": (("clean", 0.0),),
}


def test_changing_any_field_of_a_job_changes_its_key() -> None:
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


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's code."""
    package = tmp_path_factory.mktemp("copy") / "imparfait"
    for path in PACKAGE.rglob("*.py"):
        target = package / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return package


@pytest.mark.parametrize("name", ["corruptions/blur.py", "models/petit.py", "training/loop.py", "evaluation/suite.py"])
def test_editing_a_module_that_computes_changes_the_digest_and_a_comment_does_not(name: str, package: Path) -> None:
    text = (package / name).read_text()
    digests = []
    for edited in (f'"""Another docstring."""\n# a comment\n{text}', f"{text}\nanother = 1\n"):
        (package / name).write_text(edited)
        digests.append(digest_of.__wrapped__(package / "selection" / "jobs.py", package=package))  # past the cache
    (package / name).write_text(text)
    assert digests[0] == code_digest() != digests[1]


def test_the_digest_covers_every_module_that_running_a_job_imports() -> None:
    """The modules that a fresh process loads with the module of `run_job` are all among those found by reading.

    What any `import imparfait` loads is left out: it sets variables and how threads wait, and computes nothing.
    """
    program = (
        "import sys, imparfait; before = set(sys.modules); import imparfait.selection.jobs;"
        "print(*(m for m in sys.modules if m.startswith('imparfait.') and m not in before))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    counted = {path.relative_to(PACKAGE).with_suffix("") for path in import_closure(PACKAGE / "selection" / "jobs.py")}
    names = {".".join(("imparfait", *path.parts)).removesuffix(".__init__") for path in counted}
    assert set(loaded) - {"imparfait.selection"} <= names


def test_the_source_of_the_images_does_not_matter() -> None:
    data = draw_bars(60)
    assert small_job(replace(data, name="elsewhere")).key == small_job(data).key
    assert small_job(data.select(np.arange(59))).key != small_job(data).key


def test_a_result_is_the_same_each_time_and_survives_the_disk() -> None:
    data = draw_bars(60)
    first, second = (run_job(small_job(data), data) for _ in range(2))
    assert first.predicted.shape == (3, 20)
    again = JobResult.from_bytes(first.to_bytes())
    for other in (second, again):
        assert np.array_equal(first.predicted, other.predicted)
        assert np.array_equal(first.sources, other.sources)
    assert again.provenance == first.provenance
    assert again.training_seconds == first.training_seconds


def test_the_results_of_all_folds_hold_every_image_once() -> None:
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
def test_a_failed_job_is_a_result_with_its_cause(settings: object, cause: str) -> None:
    data = draw_bars(60)
    result = run_job(small_job(data).model_copy(update={"settings": settings}), data)
    assert result.cause
    assert cause in result.cause
    assert result.permanent
    assert result.mean is None
    assert JobResult.from_bytes(result.to_bytes()).cause == result.cause


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_lack_of_memory_is_not_a_permanent_failure(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise error

    data = draw_bars(60)
    monkeypatch.setattr(jobs, "fit_and_evaluate", fails)
    result = run_job(small_job(data), data)
    assert type(error).__name__ in result.cause
    assert not result.permanent


def test_a_custom_network_that_changed_after_planning_fails_until_it_is_restored(tmp_path: Path) -> None:
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
    assert not changed.permanent
    file.write_text(text)
    assert not run_job(job, data).cause


def test_shuffled_labels_give_chance() -> None:
    """A leak would be learned: with random labels, accuracy on a held-out fold is that of guessing."""
    data = draw_bars(360)
    shuffled = replace(data, labels=np.random.default_rng(0).permutation(data.labels))

    def accuracy(of: LabelledImages) -> float:
        settings = SMALL.model_copy(update={"epochs": 4})
        return float(np.mean([run_job(small_job(of, settings=settings, fold=n), of).correct.mean() for n in range(3)]))

    assert accuracy(data) > 0.6
    assert abs(accuracy(shuffled) - 1 / 3) < 0.09  # 3 standard deviations of 360 guesses are 0.075
