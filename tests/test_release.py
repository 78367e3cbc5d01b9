"""The publishing workflow: who may do what, and nothing that could change between two runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / ".github" / "workflows" / "publish.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]


def test_it_runs_on_version_tags_only() -> None:
    on = WORKFLOW[True]  # YAML 1.1 reads the key "on" so
    assert list(on) == ["push"]
    assert list(on["push"]) == ["tags"]
    assert all(pattern.startswith("v[0-9]") for pattern in on["push"]["tags"])


def test_only_the_job_that_publishes_has_an_identity_and_it_has_no_other_right() -> None:
    assert WORKFLOW["permissions"] == {}
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    assert rights == {"build": {"contents": "read"}, "publish": {"id-token": "write"}}
    assert JOBS["publish"]["environment"] == "release"
    assert JOBS["publish"]["needs"] == "build"
    assert not any("run" in step for step in JOBS["publish"]["steps"])  # none of our code beside the identity


@pytest.mark.parametrize(("job", "step"), [(job, step) for job, step in STEPS if "uses" in step], ids=str)
def test_each_action_is_named_by_the_hash_of_its_commit(job: str, step: dict[str, Any]) -> None:
    assert re.fullmatch(r"(actions|pypa)/[a-z-]+@[0-9a-f]{40}", step["uses"])
    assert re.search(rf"{re.escape(step['uses'])}  # v\d+\.\d+\.\d+$", TEXT, re.M)


def test_there_is_no_secret_and_nothing_that_others_write_is_in_a_command() -> None:
    assert "secrets." not in TEXT
    assert [step["run"] for _, step in STEPS if "${{" in step.get("run", "")] == []  # a tag's name could hold a command
    (checkout,) = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["persist-credentials"] is False


def test_the_files_that_it_names_exist() -> None:
    commands = "\n".join(step.get("run", "") for _, step in STEPS)
    named = re.findall(r"(?:deploy|benchmarks)/[\w/]+\.\w+", commands)
    assert len(named) == 2
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_page_on_releases_names_the_workflow_and_its_environment() -> None:
    page = (ROOT / "docs" / "release.md").read_text(encoding="utf-8")
    assert f"the workflow file `{FILE.name}`" in page
    assert "environment `release`" in page.replace("\n  ", "")
