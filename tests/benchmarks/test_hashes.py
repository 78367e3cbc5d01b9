"""The requirements of a server: exactly what it needs, in the versions of the constraints, with hashes of the files."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from write_sbom import needed

ROOT = Path(__file__).parents[2]
OF_WINDOWS = {"colorama"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.M)


def pins(text: str) -> dict[str, str]:
    """Versions by normalised name."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PIN.findall(text)}


def test_a_server_is_installed_from_files_whose_hashes_are_known() -> None:
    text = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    requirements = re.split(r"^(?=[A-Za-z])", re.sub(r"^#.*\n", "", text, flags=re.M), flags=re.M)[1:]
    assert len(requirements) == len(pins(text))
    for each in requirements:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", each), each


def test_they_are_all_that_a_server_needs_in_the_pinned_versions() -> None:
    own = pins((ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8"))
    constraints = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert own.keys() - OF_WINDOWS == needed(["serve", "pdf"]).keys() - {"imparfait"}
    for name in own.keys() - OF_WINDOWS:
        assert own[name] == constraints[name], name
