"""Our recipes and other networks, at equal images, time, threads and tuning: by results/peers-fair/PLAN.md.

python benchmarks/accuracy/peers_fair.py tune --dry-run                      # jobs that are left, and their hours
python benchmarks/accuracy/peers_fair.py tune --budgets 10 60                # the smallest useful part
python benchmarks/accuracy/peers_fair.py train --budgets 10 60
python benchmarks/accuracy/peers_fair.py analyse --out results/peers-fair
python benchmarks/accuracy/peers_fair.py tune && python benchmarks/accuracy/peers_fair.py train    # all of it

keras-cnn and resnet18 need packages that imparfait does not: benchmarks/peers/keras.txt and timm.txt, the latter beside
imparfait. `--python keras-cnn ../keras/bin/python` names the Python that has them.

Each job is one training in a process of its own, which fair_worker.py describes, and one JSON file in --runs, written
whole. A finished job never runs twice; a job that was interrupted is run again. Jobs of a seed come before those of the
next, so that what is finished after an interruption is the same for all contestants. Nobody gets test images.
"""

import argparse
import base64
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers_fair_analysis import analyse, best_factor, is_disturbed
from peers_fair_images import save_images, save_stream

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.hardware import environment, has_bf16_units
from imparfait.core.openmp import SPINS
from imparfait.core.storage import write_json
from imparfait.data.splits import fold, sample

WORKER = Path(__file__).parents[1] / "peers" / "fair_worker.py"
NEEDS = {"keras-cnn": ("tensorflow", "keras.txt"), "resnet18": ("timm", "timm.txt")}
FOLDS, PARTITION = 5, 41  # of the 50,000 images beside the validation set; a partition that was used for nothing
TUNING_IMAGES = 3000  # of the validation set
TUNING_SEED, SEEDS = 240, (241, 242, 243, 244, 245)
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
TUNED_FOR = {20.0: (10.0, 60.0), 60.0: (300.0, 1800.0)}
"""Seconds of a tuning trial, and the budgets whose learning rate it gives."""
STREAM_EPOCHS = 40  # then the stream starts again
SLACK_SECONDS = 1800  # for imports, the first steps and scoring; then a job is ended
OTHERS = ("plain", "deskew", "deotte", "keras-cnn")
STILL = ("default-no-jitter", "default")


@dataclass(frozen=True)
class Part:
    """Contestants that are trained alike for one budget in one arm, with the first so many seeds."""

    arm: str
    budget: float
    contestants: tuple[str, ...]
    seeds: int = 5


PLAN = (
    Part("stream", 10, ("quick", "default", *OTHERS)),
    Part("fixed", 10, (*STILL, *OTHERS)),
    Part("stream", 60, ("quick", "default", "best", *OTHERS)),
    Part("fixed", 60, (*STILL, *OTHERS)),
    Part("stream", 300, ("default", "best", *OTHERS, "matuzas", "resnet18"), 4),
    Part("fixed", 300, (*STILL, "plain", "deskew"), 3),
    Part("stream", 1800, ("best", "plain"), 3),
)
IMAGES_PER_SECOND = 12_000  # more than any contestant trains on
SECONDS_TO_START = 10  # imports and the first steps
SCORING_SECONDS = {
    **{"quick": 1, "default": 2, "best": 7, "plain": 12, "deskew": 15, "deotte": 10, "keras-cnn": 24},
    **{"matuzas": 400, "resnet18": 270},
}
"""Of 30,000 images on two idle cores of machine A: estimates from pieces of 20 s beside other work."""
PARENT = {"default-no-jitter": "default"}
"""Whose tuned learning rate is used."""


def jobs_of(command: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The planned jobs that the options leave, in the order in which they run."""

    def wanted(contestant: str, budget: float) -> bool:
        return (not options.contestants or contestant in options.contestants) and (
            not options.budgets or budget in options.budgets
        )

    if command == "tune":
        for trial, budgets in TUNED_FOR.items():
            names = dict.fromkeys(
                PARENT.get(name, name)
                for part in PLAN
                for name in part.contestants
                if part.budget in budgets and wanted(name, part.budget)
            )
            for factor in FACTORS:
                for name in names:
                    yield {
                        "arm": "stream", "contestant": name, "budget": trial, "seed": TUNING_SEED, "factor": factor
                    }  # fmt: skip
        return
    for number, seed in enumerate(SEEDS):
        for part in PLAN:
            for name in part.contestants if number < min(part.seeds, options.seeds) else ():
                if part.arm in options.arms and wanted(name, part.budget):
                    yield {"arm": part.arm, "contestant": name, "budget": part.budget, "seed": seed}


def file_of(command: str, job: Mapping[str, Any], runs: Path) -> Path:
    last = f"x{job['factor']:g}" if command == "tune" else f"s{job['seed']}"
    return runs / command / f"{job['arm']}-{job['contestant']}-{job['budget']:g}s-{last}.json"


def hours(command: str, jobs: Sequence[Mapping[str, Any]]) -> float:
    """What the jobs take; tuning scores fewer images."""
    share = 0.3 if command == "tune" else 1.0
    scoring = [share * SCORING_SECONDS[PARENT.get(job["contestant"], job["contestant"])] for job in jobs]
    return (sum(job["budget"] + SECONDS_TO_START for job in jobs) + sum(scoring)) / 3600


def tuned_factor(contestant: str, budget: float, runs: Path) -> float:
    """The factor of the learning rate that was the most accurate in the trials for this budget."""
    trial = next(seconds for seconds, budgets in TUNED_FOR.items() if budget in budgets)
    name = PARENT.get(contestant, contestant)
    found = {}
    for factor in FACTORS:
        job = {"arm": "stream", "contestant": name, "budget": trial, "factor": factor}
        path = file_of("tune", job, runs)
        if not path.exists():
            raise SystemExit(f"{path} is missing; expected all trials of {name}; run `tune` first, or write --untuned")
        found[factor] = json.loads(path.read_text(encoding="utf-8"))["core_mean"]
    return best_factor(found)


def run_job(job: Mapping[str, Any], labels: np.ndarray, python: str = sys.executable) -> dict[str, Any]:
    """Train in a process of its own; the job, what it recorded, and which predictions are correct."""
    with tempfile.TemporaryDirectory() as folder:
        task, reply, log = (Path(folder) / name for name in ("job.json", "reply.json", "log.txt"))
        task.write_text(json.dumps(job), encoding="utf-8")
        # As `imparfait train` has it on free cores, for all PyTorch contestants: results/busy-machine.
        threads = {"OMP_NUM_THREADS": str(job["threads"]), "GOMP_SPINCOUNT": SPINS}
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        with log.open("w") as errors:
            child = subprocess.Popen(
                [python, str(WORKER), str(task), str(reply)],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=inherited | threads,
            )  # fmt: skip
            try:
                code: int | str = child.wait(job["budget"] + SLACK_SECONDS)
            except subprocess.TimeoutExpired:
                code = "no answer in time"
            finally:
                child.kill()
                child.wait()
        if code:
            raise RuntimeError(f"{job['contestant']} ended with {code}: {log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
    correct = {name: np.array(each) == labels for name, each in found.pop("predictions").items()}
    found["correct"] = {name: int(each.sum()) for name, each in correct.items()}
    found["scored_images"] = len(labels)
    found["core_mean"] = float(np.mean([each.mean() for each in correct.values()]))
    found["correct_bits"] = {
        name: base64.b64encode(np.packbits(each).tobytes()).decode() for name, each in correct.items()
    }
    return found


def finished(command: str, runs: Path) -> dict[Path, dict[str, Any]]:
    """What finished jobs recorded, by file."""
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((runs / command).glob("*.json"))}


def set_aside(command: str, runs: Path) -> list[str]:
    """Move the files of disturbed jobs into a folder `disturbed`, so that they run again; their names."""
    jobs = finished(command, runs)
    moved = [path for path, row in jobs.items() if is_disturbed(row, list(jobs.values()))]
    for path in moved:
        folder = path.parent / "disturbed"
        folder.mkdir(exist_ok=True)
        path.replace(folder / f"{path.stem}-{sum(1 for _ in folder.iterdir())}.json")
    return [path.stem for path in moved]


def check_packages(contestants: Sequence[str], pythons: Mapping[str, str]) -> None:
    """Exit with what to install where a contestant's package is missing."""
    for name, (module, file) in NEEDS.items():
        python = pythons.get(name, sys.executable)
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        if name in contestants and subprocess.run([python, "-c", find]).returncode:
            beside = "imparfait and " if name == "resnet18" else ""
            raise SystemExit(
                f"{name}: {python} has no {module}; expected {beside}benchmarks/peers/{file}. Write: python -m venv "
                f"../peer && ../peer/bin/pip install -r benchmarks/peers/{file}, then --python {name} "
                f"../peer/bin/python; or leave {name} out of --contestants"
            )


def work(command: str, options: argparse.Namespace) -> None:
    """Run the jobs that are not finished; a job that fails is named at the end, and the others go on."""
    jobs = [*jobs_of(command, options)]
    for name in set_aside(command, options.runs) if options.rerun_disturbed else ():
        print(f"disturbed, to be run again: {name}", flush=True)
    if not jobs:
        raise SystemExit("no job of the plan has these budgets and contestants; `--dry-run` alone lists all")
    left = [job for job in jobs if not file_of(command, job, options.runs).exists()]
    print(
        f"{len(jobs)} jobs, {len(left)} left: about {hours(command, left):.1f} of {hours(command, jobs):.1f} hours",
        flush=True,
    )
    if options.dry_run:
        for job in left:
            print(file_of(command, job, options.runs).stem)
        return
    pythons = dict(options.python)
    check_packages([job["contestant"] for job in left], pythons)
    rest, validation = split(load_data().train)
    train, score = fold(rest, FOLDS, 0, PARTITION)
    saved = save_images(train, sample(validation, TUNING_IMAGES), score, options.runs)
    part = "tune" if command == "tune" else "score"
    labels = np.load(saved / f"{part}-labels.npy")
    failed = []
    for number, job in enumerate(left, 1):
        path = file_of(command, job, options.runs)
        untuned = {"factor": 1.0 if command == "tune" or options.untuned else None}
        job = untuned | job
        if job["factor"] is None:
            job["factor"] = tuned_factor(job["contestant"], job["budget"], options.runs)
        job |= {"threads": options.threads, "precision": options.precision, "bf16_units": has_bf16_units()}
        job |= {"classes": len(train.classes)}
        epochs = min(STREAM_EPOCHS, math.ceil(job["budget"] * IMAGES_PER_SECOND / len(train)))
        stream = save_stream(train, job["seed"], epochs, saved) if job["arm"] == "stream" else []
        files = {"stream": stream, "fixed": str(saved / "fixed.npz"), "scored": str(saved / f"{part}.npz")}
        try:
            found = run_job(job | files, labels, pythons.get(job["contestant"], sys.executable))
        except RuntimeError as error:
            failed.append(f"{path.stem}: {error}")
            print(failed[-1], file=sys.stderr, flush=True)
            continue
        machine = environment(ComputeConfig(threads=options.threads))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, job | found | {"images": saved.name, "stream_epochs": len(stream), "machine": machine})
        print(f"{number}/{len(left)} {path.stem}: {100 * found['core_mean']:.2f} %, {found['steps']} steps", flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(left)} jobs failed, above; run the same command again for them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted({name for part in PLAN for name in part.contestants})
    parser.add_argument("command", choices=("tune", "train", "analyse"))
    parser.add_argument("--contestants", nargs="+", choices=known, help="[default: all of the plan]")
    parser.add_argument("--budgets", nargs="+", type=float, help="seconds [default: all of the plan]")
    parser.add_argument("--arms", nargs="+", choices=("stream", "fixed"), default=("stream", "fixed"))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="the first so many")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each contestant [default: the cores]")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: bfloat16 for all where the processor has units for it",
    )
    parser.add_argument("--python", nargs=2, action="append", default=[], metavar=("CONTESTANT", "PYTHON"))
    parser.add_argument("--runs", type=Path, default=Path("runs/peers-fair"), help="images and finished jobs")
    parser.add_argument("--untuned", action="store_true", help="with each one's own learning rate, for a trial")
    parser.add_argument("--rerun-disturbed", action="store_true", help="run jobs again that other work disturbed")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs that are left")
    parser.add_argument("--out", type=Path, help="folder of the analysis")
    options = parser.parse_args()
    if options.command != "analyse":
        work(options.command, options)
        return
    if not options.out:
        parser.error("analyse needs --out")
    rows, trials = (list(finished(command, options.runs).values()) for command in ("train", "tune"))
    if not rows:
        raise SystemExit(f"{options.runs / 'train'} has no finished job; run `train` first")
    scores, table = analyse(rows, trials)
    write_claim(options.out, scores | {"plan": [asdict(part) for part in PLAN]}, rows[0]["machine"])
    (options.out / "table.md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
