"""The SBOM and the list of licences: complete, with the installed versions, and the same when made again."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from write_sbom import licence_table, needed, sbom

PYPROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")


def test_every_package_of_the_extras_is_listed_with_its_version_and_licence() -> None:
    packages = needed(["serve"])
    document = sbom(packages)
    listed = {each["name"]: each for each in document["components"]}
    assert {"numpy", "pillow", "onnxruntime", "fastapi", "uvicorn", "starlette", "h11"} <= listed.keys()
    assert "torch" not in listed
    for name, each in listed.items():
        assert each["version"] == version(name)
        assert each["purl"] == each["bom-ref"] == f"pkg:pypi/{name}@{each['version']}"
        assert each["licenses"][0]["license"]["name"]
    assert document["metadata"]["component"]["name"] == "imparfait"
    assert sbom(needed(["serve"])) == document
    assert set(re.findall(r"^\| ([a-z0-9-]+) \|", licence_table(packages), re.M)) == {
        *listed,
        "imparfait",
        "package",
        "---",
    }


def test_dependencies_refer_to_components() -> None:
    document = sbom(needed(["serve"]))
    references = {each["bom-ref"] for each in (document["metadata"]["component"], *document["components"])}
    assert {each["ref"] for each in document["dependencies"]} == references
    by_reference = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert all({*named} <= references for named in by_reference.values())
    starlette = f"pkg:pypi/starlette@{version('starlette')}"
    assert starlette in by_reference[f"pkg:pypi/fastapi@{version('fastapi')}"]


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(SystemExit, match="not installed: no-such-package-of-ours"):
        needed([], "no-such-package-of-ours")
