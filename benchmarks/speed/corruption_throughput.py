"""Throughput of our geometric corruptions, compared with Keras, Kornia and Albumentations.

python -m venv ../kornia && ../kornia/bin/pip install -r benchmarks/peers/kornia.txt
python benchmarks/speed/corruption_throughput.py --peer kornia ../kornia/bin/python --out results/corruption-throughput

Peers: keras (its ImageDataGenerator), kornia and albumentations. Each has its own environment
(benchmarks/peers/<peer>.txt) and runs in its own process for the whole benchmark, in turn with ours. Give --peer once
per peer.

Ours and kornia's work on chunks of images: the rounds use the fastest size of each, chosen among the same sizes, all of
which are in scores.json. The two others work image by image. Ratios are of `geometric` only, which does what theirs do:
`shrunk` has no counterpart.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait import CORRUPTIONS, ComputeConfig, CounterRng, load_data
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment

ROUNDS, CHUNK_ROUNDS = 7, 3
CHUNKS = (128, 250, 500, 1000, 2000, 4000)  # images at once; 128 is a training batch
CHUNKED = ("geometric", "shrunk", "kornia")
OURS = 20_000  # images per round; fewer for the peers, so that every round takes about as long
PEERS = {"keras": 2_000, "kornia": 5_000, "albumentations": 2_000}
NAMES = {"keras": "ImageDataGenerator"}
WORKER = Path(__file__).parents[1] / "peers" / "corruption_worker.py"


Work = Callable[[int], float]
"""Corrupts all images once, in chunks of so many, and returns the seconds."""


def ours(images: torch.Tensor, name: str, severity: float) -> Work:
    rng = CounterRng(0, "benchmark", 0, torch.arange(len(images)))

    def work(chunk: int) -> float:
        start = time.perf_counter()
        for batch, rows in zip(images.split(chunk), torch.arange(len(images)).split(chunk), strict=True):
            CORRUPTIONS[name](batch, severity, rng.at(rows))
        return time.perf_counter() - start

    return work


def theirs(peer: str, python: str, file: Path, threads: int, log: Path) -> tuple[Work, dict[str, str]]:
    """The peer's work, and its version; those without chunks ignore their size."""
    child = subprocess.Popen(
        [python, str(WORKER), peer, str(file), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )

    def reply() -> object:
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"{peer} ended with {child.wait()}:\n{log.read_text()[-2000:]}")
        return json.loads(line)

    def work(chunk: int) -> float:
        print(chunk, file=child.stdin, flush=True)
        return reply()

    return work, reply()


def rates_by_chunk(candidates: dict[str, tuple[Work, int]]) -> dict[str, dict[int, int]]:
    """Images per second of those that work on chunks, for each size; medians of rounds in turn."""
    rates: dict[str, dict[int, list[float]]] = {}
    for _ in range(CHUNK_ROUNDS):
        for chunk in CHUNKS:
            for name, (work, count) in candidates.items():
                if name in CHUNKED:
                    rates.setdefault(name, {}).setdefault(chunk, []).append(count / work(chunk))
    return {
        name: {chunk: round(statistics.median(values)) for chunk, values in found.items()}
        for name, found in rates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peer", nargs=2, action="append", default=[], metavar=("NAME", "PYTHON"), help="a peer and its Python"
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if unknown := {name for name, _ in options.peer} - PEERS.keys():
        parser.error(f"unknown peer {min(unknown)!r}, expected one of {', '.join(PEERS)}")
    threads = usable_cores()
    torch.set_num_threads(threads)
    pixels = load_data().train.pixels[:OURS]
    images = torch.from_numpy(pixels) / 255
    candidates: dict[str, tuple[Work, int]] = {
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
            work(CHUNKS[-1])  # the first call is slower
        by_chunk = rates_by_chunk(candidates)
        chunks = {name: max(found, key=found.__getitem__) for name, found in by_chunk.items()}
        for _ in range(ROUNDS):
            for name, (work, count) in candidates.items():
                rates.setdefault(name, []).append(count / work(chunks.get(name, CHUNKS[-1])))
    medians = {name: round(statistics.median(values)) for name, values in rates.items()}
    summary: dict[str, object] = {
        "images_per_second_median": medians,
        "images_per_second_by_chunk": by_chunk,
        "chunk": chunks,
        "range": {name: [round(min(values)), round(max(values))] for name, values in rates.items()},
    }
    for peer, _ in options.peer:
        name = NAMES.get(peer, peer)
        summary[f"ratio_to_{name}"] = {"geometric": round(medians["geometric"] / medians[name], 1)}
        if name in by_chunk:
            summary[f"ratio_to_{name}_by_chunk"] = {
                chunk: round(by_chunk["geometric"][chunk] / by_chunk[name][chunk], 1) for chunk in CHUNKS
            }
    summary |= {"rounds": ROUNDS, "rounds_by_chunk": CHUNK_ROUNDS}
    pythons = {f"{peer.upper()}_PYTHON": python for peer, python in options.peer}
    write_claim(options.out, summary, environment(ComputeConfig(threads=threads)) | {"peers": versions}, **pythons)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
