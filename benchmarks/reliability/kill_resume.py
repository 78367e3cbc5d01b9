"""Kill real trainings at random moments, go on with the same command, and compare the weights' sha256.

python benchmarks/kills.py --kills 100 --out results/2026-11-24-kills

Each run is `imparfait train` on MNIST with a checkpoint every quarter of a second instead of every ten seconds; it is
killed (SIGKILL) at a random moment after its first checkpoint, again and again, until it has been killed eight times,
and then left to end. Its weights are compared with those of a run of the same seed that was never killed.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import leave

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment

CHILD = """
from imparfait.cli import learning
from imparfait.cli.main import main
learning.EVERY, learning.SHARE = 0.25, 0
main()
"""
KILLS_A_RUN = 8
LONGEST = 1.0  # seconds that a run is left alone after its first checkpoint


def start(out: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """The command, saving often."""
    words = [sys.executable, "-c", CHILD, "train", "--out", str(out), *words]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def newest(out: Path) -> str:
    """The name of the newest checkpoint, which begins with the number of its step."""
    return max((path.name for path in out.glob("*.unfinished/[0-9]*.safetensors")), default="")


def sha256(out: Path) -> str:
    """Of the finished run's weights."""
    (weights,) = out.glob("*/model.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def killed_and_ended(out: Path, words: list[str], kills: int) -> list[dict[str, object]]:
    """Kill the run so many times, then let it end; what was there at each kill."""
    moments: list[dict[str, object]] = []
    while len(moments) < kills:
        before = newest(out)
        child = start(out, words)
        while newest(out) == before and child.poll() is None:
            time.sleep(0.002)
        time.sleep(random.uniform(0, LONGEST))
        if child.poll() is not None:  # it ended first: no kill
            break
        child.send_signal(signal.SIGKILL)
        child.wait()
        in_a_save = bool(list(out.glob("*.unfinished/.*.tmp")))
        moments.append({"after_step": int(newest(out)[:9]), "in_a_save": in_a_save})
    child = start(out, words)
    assert child.wait() == 0
    return moments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", default="1")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    random.seed(0)
    rows, kills = [], 0
    about = environment(ComputeConfig())
    with tempfile.TemporaryDirectory() as folder:
        while kills < options.kills:
            seed = len(rows)
            words = ["--seed", str(seed), "--epochs", options.epochs]
            undisturbed, killed = Path(folder) / f"{seed}", Path(folder) / f"{seed}-killed"
            assert start(undisturbed, words).wait() == 0
            moments = killed_and_ended(killed, words, min(KILLS_A_RUN, options.kills - kills))
            kills += len(moments)
            same = sha256(undisturbed) == sha256(killed)
            left = [path.name for path in killed.iterdir() if not (path / "model.safetensors").exists()]
            row = {"seed": seed, "same": same, "kills": moments, "left_behind": left, "sha256": sha256(killed)}
            rows.append(row)
            print(f"{kills} kills, run {seed}: {'same' if same else 'DIFFERS'}", flush=True)
    in_saves = sum(bool(kill["in_a_save"]) for row in rows for kill in row["kills"])  # type: ignore[attr-defined]
    summary = {
        "kills": kills,
        "runs": len(rows),
        "runs_that_differ": sum(not row["same"] for row in rows),
        "kills_in_the_middle_of_a_save": in_saves,
        "files_left_behind": sum(len(row["left_behind"]) for row in rows),  # type: ignore[arg-type]
    }
    leave(options.out, {"summary": summary, "runs": rows}, about)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
