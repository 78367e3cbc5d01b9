"""Uploads to the Hugging Face Hub, only on request, and results in the Hub's format for its leaderboards."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.names import as_yaml
from imparfait.core.storage import atomic_write
from imparfait.evaluation.scores_file import read_scores
from imparfait.export import folder_of
from imparfait.training.manifest import read_manifest

REPOSITORY = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
BENCHMARK = re.compile(r"([\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}):([\w.-]{1,96})", re.ASCII)
RESULTS = ".eval_results"


def check_repository(name: str) -> str:
    """`name`, if it is USER/NAME; raises UserError otherwise, before anything is written or sent."""
    if not REPOSITORY.fullmatch(name):
        raise UserError(f"{name!r}: no repository of the Hugging Face Hub", expected="USER/NAME, such as me/my-model")
    return name


def push_folder(folder: Path, repository: str, *, public: bool = False, api: Callable[[], Any] | None = None) -> str:
    """Upload a folder to a model repository of the Hub, made if it is missing, by default private; its address.

    `api` makes huggingface_hub's HfApi. The token is the one of `hf auth login`, or in HF_TOKEN. Raises UserError where
    huggingface_hub is not installed, and with the Hub's words where it refuses; the folder stays.
    """
    check_repository(repository)
    client = (api or _api)()
    try:
        made = client.create_repo(repo_id=repository, repo_type="model", private=not public, exist_ok=True)
        client.upload_folder(
            repo_id=repository, repo_type="model", folder_path=folder, commit_message="Upload of imparfait"
        )
    except Exception as error:  # of the network or the Hub, from several libraries
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"{repository}: the Hub did not take it: {first}", hint=f"{folder} is written; log in with: hf auth login"
        ) from error
    return str(made)


def check_hub() -> None:
    """Raise UserError without huggingface_hub, before anything is written."""
    _api()


def _api() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError("to upload, huggingface_hub must be installed", hint=install_hint("hub")) from error
    return HfApi(library_name="imparfait")


def results_of(run: str | Path, benchmark: str) -> dict[str, str]:
    """Files of results by path, for a benchmark DATASET:TASK of the Hub: clean images, and each corruption by itself.

    Values are accuracies, 0..1. Raises UserError for another name, and for a run that has no scores on test images:
    those on validation images are not the benchmark's.
    Source: huggingface.co/docs/hub/eval-results, with a file for each variant, distinguished by notes.
    """
    found = BENCHMARK.fullmatch(benchmark)
    if not found:
        raise UserError(f"{benchmark!r}: no benchmark of the Hub", expected="USER/DATASET:TASK, as in its eval.yaml")
    folder = folder_of(run)
    if not (folder / "scores.json").is_file() or not read_manifest(folder).final:
        raise UserError(
            f"{run}: has no scores on test images", expected="a run of train --final", hint="or leave out --benchmark"
        )
    files = {}
    for each in read_scores(folder).conditions:
        notes = "" if each.corruption == "clean" else f"corruption {each.corruption}, severity {each.severity:g}"
        files[f"{RESULTS}/{each.corruption}.yaml"] = (
            f"- dataset:\n    id: {as_yaml(found[1])}\n    task_id: {as_yaml(found[2])}\n"
            f"  value: {each.correct / each.total:.6f}\n" + (f"  notes: {as_yaml(notes)}\n" if notes else "")
        )
    return files


def write_results(folder: Path, files: dict[str, str]) -> None:
    """Write the files of `results_of` into an exported folder."""
    (folder / RESULTS).mkdir()
    for path, content in files.items():
        atomic_write(folder / path, content.encode())
