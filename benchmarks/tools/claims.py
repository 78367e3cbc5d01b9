"""The folder of a claim: what came out, by which command, on what machine."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imparfait.core.compute import Machine
from imparfait.core.hardware import environment
from imparfait.core.storage import write_json


def leave(out: Path, scores: Any, about: Machine | Mapping[str, Any] | None = None, **hidden: str | None) -> None:
    """Write scores.json, environment.json and command.txt into `out`.

    `about` is the machine, as it was told to compute or as it is described already; `hidden` are words of the command
    that mean something on this computer only, by the names that stand for them.
    """
    found = environment(about or Machine()) if isinstance(about, Machine | None) else dict(about)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "scores.json", scores)
    write_json(out / "environment.json", found)
    (out / "command.txt").write_text(command(out, **hidden), encoding="utf-8")


def development_run(run: Path) -> Path:
    """The run, when it may be asked development pictures; ends the program when it was fitted on them."""
    if json.loads((run / "settings.json").read_text(encoding="utf-8"))["final"]:
        raise SystemExit(f"{run} was fitted on the development pictures too; give a run without --final")
    return run


def command(out: Path, **hidden: str | None) -> str:
    """The command under way, as it is written from the project's folder."""
    words = [f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]
    for name, word in hidden.items():
        words = [each.replace(word, name) if word else each for each in words]
    return shlex.join(["python", *(word.replace(str(out), f"results/{out.name}") for word in words)]) + "\n"
