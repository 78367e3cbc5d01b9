"""Images corrupted a second: ours beside what others alter with, in turn in one run.

python -m venv ../kornia && ../kornia/bin/pip install -r benchmarks/peers/kornia.txt
python benchmarks/altering.py --peer kornia ../kornia/bin/python --out results/<date>-altering

Peers: keras (its ImageDataGenerator), kornia and albumentations, each in an environment of its own
(benchmarks/peers/<peer>.txt) and a process of its own that lives as long as the run; --peer comes once for each.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from claims import leave

from imparfait import CORRUPTIONS, ComputeConfig, CounterRng, load_data
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment

ROUNDS = 7
OURS = 20_000  # images a round; of the peers so many that a round takes each about as long
PEERS = {"keras": 2_000, "kornia": 5_000, "albumentations": 2_000}
NAMES = {"keras": "ImageDataGenerator"}
WORKER = Path(__file__).with_name("peers") / "altering_with.py"


def ours(images: torch.Tensor, name: str, severity: float) -> Callable[[], float]:
    draw = CounterRng(0, "benchmark", 0, torch.arange(len(images)))

    def work() -> float:
        start = time.perf_counter()
        # 4,000 at a time was the fastest of 250 to 10,000 here; 250 to 500 reach half of it
        for part, rows in zip(images.split(4000), torch.arange(len(images)).split(4000), strict=True):
            CORRUPTIONS[name](part, severity, draw.at(rows))
        return time.perf_counter() - start

    return work


def theirs(peer: str, python: str, file: Path, threads: int, log: Path) -> tuple[Callable[[], float], dict[str, str]]:
    """What alters its images once and says how long that took, and its version."""
    child = subprocess.Popen(
        [python, str(WORKER), peer, str(file), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )

    def answer() -> object:
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"{peer} ended with {child.wait()}:\n{log.read_text()[-2000:]}")
        return json.loads(line)

    def work() -> float:
        print(file=child.stdin, flush=True)
        return answer()

    return work, answer()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", nargs=2, action="append", default=[], metavar=("NAME", "PYTHON"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if unknown := {name for name, _ in options.peer} - PEERS.keys():
        parser.error(f"no peer is called {min(unknown)!r}; choose from {', '.join(PEERS)}")
    threads = usable_cores()
    torch.set_num_threads(threads)
    pixels = load_data().train.pixels[:OURS]
    images = torch.from_numpy(pixels) / 255
    candidates: dict[str, tuple[Callable[[], float], int]] = {
        "geometric": (ours(images, "geometric", 0.5), OURS),
        "shrunk": (ours(images, "shrunk", 1.0), OURS),
    }
    versions: dict[str, str] = {}
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for peer, python in options.peer:
            file = Path(folder) / f"{peer}.npy"
            np.save(file, pixels[: PEERS[peer], 0])
            work, version = theirs(peer, python, file, threads, Path(folder) / f"{peer}.log")
            candidates[NAMES.get(peer, peer)] = work, PEERS[peer]
            versions |= version
        for work, _ in candidates.values():
            work()  # the first time is slower
        for _ in range(ROUNDS):
            for name, (work, batch) in candidates.items():
                rates.setdefault(name, []).append(batch / work())
    medians = {name: round(statistics.median(values)) for name, values in rates.items()}
    summary: dict[str, object] = {
        "pictures_per_second_median": medians,
        "range": {name: [round(min(values)), round(max(values))] for name, values in rates.items()},
    }
    for peer, _ in options.peer:
        name = NAMES.get(peer, peer)
        ratios = {mine: round(medians[mine] / medians[name], 1) for mine in ("geometric", "shrunk")}
        summary[f"ratio_to_{name}"] = ratios
    summary["rounds_in_turn"] = ROUNDS
    pythons = {f"{peer.upper()}_PYTHON": python for peer, python in options.peer}
    leave(options.out, summary, environment(ComputeConfig(threads=threads)) | {"peers": versions}, **pythons)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
