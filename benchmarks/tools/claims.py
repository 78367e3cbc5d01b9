"""Write the results folder of a claim: scores, machine and command."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment
from imparfait.core.storage import write_json

BENCHMARKS = Path(__file__).parents[1]


def write_claim(
    out: Path, scores: Any, about: ComputeConfig | Mapping[str, Any] | None = None, **hidden: str | None
) -> None:
    """Write scores.json, environment.json and command.txt into `out`.

    `about` is a compute configuration, or a machine description that is already complete. `hidden` maps placeholder
    names to arguments that are meaningful on this machine only, such as the path of a Python interpreter.
    """
    machine = environment(about or ComputeConfig()) if isinstance(about, ComputeConfig | None) else dict(about)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "scores.json", scores)
    write_json(out / "environment.json", machine)
    (out / "command.txt").write_text(command_line(out, **hidden), encoding="utf-8")


def validation_run(run: Path) -> Path:
    """Return the run if the validation set was kept out of its training; otherwise exit."""
    if json.loads((run / "settings.json").read_text(encoding="utf-8"))["final"]:
        raise SystemExit(f"{run} was trained on the validation set too; expected a run without --final")
    return run


def command_line(out: Path, **hidden: str | None) -> str:
    """Return the running command as one would type it in the repository root."""
    script = Path(sys.argv[0]).resolve().relative_to(BENCHMARKS.parent)
    arguments = sys.argv[1:]
    for name, value in hidden.items():
        if value:
            arguments = [argument.replace(value, name) for argument in arguments]
    arguments = [argument.replace(str(out), f"results/{out.name}") for argument in arguments]
    return shlex.join(["python", str(script), *arguments]) + "\n"
