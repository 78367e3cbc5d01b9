"""Write what a release is made of: a CycloneDX SBOM of the installed packages it needs, and a table of their licences.

python benchmarks/tools/write_sbom.py --out dist        # writes sbom.cdx.json and LICENCES.md

It reads the metadata of the packages that are installed here, and asks no registry. Install with constraints.txt first.
"""

import argparse
import json
import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = "imparfait"
LICENCE_CLASSIFIER = "License :: OSI Approved :: "
UNKNOWN = "not stated"


def needed(extras: Iterable[str], root: str = ROOT) -> dict[str, Distribution]:
    """The installed packages that `root` needs with these extras, itself first, by their normalised names.

    Raises SystemExit for one that is missing: the list would be incomplete.
    """
    found: dict[str, Distribution] = {}
    missing: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [(root, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, extra) in seen:
            continue
        seen.add((key, extra))
        try:
            package = found[key] = found.get(key) or distribution(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        for text in package.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, each) for each in ("", *requirement.extras)]
    if missing:
        raise SystemExit(
            f"not installed: {', '.join(sorted(missing))}; write: pip install -c constraints.txt -e '.[…]'"
        )
    return found


def licence_of(package: Distribution) -> str:
    """The licence in a package's metadata: the expression, else the classifiers, else a short text."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith(LICENCE_CLASSIFIER)]
    if classifiers:
        return ", ".join(sorted(text.removeprefix(LICENCE_CLASSIFIER) for text in classifiers))
    text = str(metadata.get("License") or "").strip()
    return text if text and "\n" not in text and len(text) < 80 else UNKNOWN


def sbom(packages: dict[str, Distribution]) -> dict[str, Any]:
    """A CycloneDX 1.6 document of the packages; it has no date, so that it is the same when it is made again."""
    references = {name: f"pkg:pypi/{name}@{package.version}" for name, package in packages.items()}
    components = [
        {
            "type": "application" if name == ROOT else "library",
            "bom-ref": references[name],
            "name": name,
            "version": package.version,
            "purl": references[name],
            "licenses": [{"license": {"name": licence_of(package)}}],
        }
        for name, package in packages.items()
    ]
    dependencies = []
    for name, package in packages.items():
        names = {re.sub(r"[-_.]+", "-", Requirement(text).name).lower() for text in package.requires or ()}
        dependencies.append({"ref": references[name], "dependsOn": sorted(references[n] for n in names & {*packages})})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": components[0]},
        "components": sorted(components[1:], key=lambda each: str(each["name"])),
        "dependencies": dependencies,
    }


def licence_table(packages: dict[str, Distribution]) -> str:
    """The licences as a Markdown table."""
    rows = [f"| {name} | {each.version} | {licence_of(each)} |" for name, each in sorted(packages.items())]
    return "\n".join(["| package | version | licence |", "| --- | --- | --- |", *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", nargs="*", default=["train", "serve"], help="[default: train serve]")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    packages = needed(options.extras)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sbom.cdx.json").write_text(json.dumps(sbom(packages), indent=1) + "\n", encoding="utf-8")
    (options.out / "LICENCES.md").write_text(licence_table(packages), encoding="utf-8")
    silent = [name for name, package in packages.items() if licence_of(package) == UNKNOWN]
    print(f"{len(packages)} packages; without a stated licence: {', '.join(silent) or 'none'}")


if __name__ == "__main__":
    main()
