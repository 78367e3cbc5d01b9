"""Bit-exact resumption: real trainings killed at random moments, compared with undisturbed ones.

python benchmarks/reliability/kill_resume.py --kills 100 --out results/resume-after-kill

Each run is `imparfait train` on MNIST with a checkpoint every quarter of a second instead of every ten seconds. It is
killed (SIGKILL) at a random moment after a checkpoint and restarted by the same command, up to eight times, then left
to finish. The sha256 of its weights is compared with that of an undisturbed run with the same seed.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment

CHILD = """
from imparfait.cli.main import main
from imparfait.training import loop
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = 0.25, 0
main()
"""
KILLS_PER_RUN = 8
MAX_DELAY_SECONDS = 1.0  # between a run's first checkpoint and its kill


def start(out: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start the training with frequent checkpoints."""
    command = [sys.executable, "-c", CHILD, "train", "--out", str(out), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def newest(out: Path) -> str:
    """Name of the newest checkpoint, which starts with its step number."""
    return max((path.name for path in out.glob("*.unfinished/[0-9]*.safetensors")), default="")


def sha256(out: Path) -> str:
    """Hash of the finished run's weights."""
    (weights,) = out.glob("*/model.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def kill_and_finish(out: Path, arguments: list[str], kills: int) -> list[dict[str, object]]:
    """Kill the run repeatedly, then let it finish; returns the step of each kill."""
    records: list[dict[str, object]] = []
    while len(records) < kills:
        before = newest(out)
        child = start(out, arguments)
        while newest(out) == before and child.poll() is None:
            time.sleep(0.002)
        time.sleep(random.uniform(0, MAX_DELAY_SECONDS))
        if child.poll() is not None:  # it finished before the kill
            break
        child.send_signal(signal.SIGKILL)
        child.wait()
        during_save = bool(list(out.glob("*.unfinished/.*.tmp")))
        records.append({"after_step": int(newest(out)[:9]), "during_save": during_save})
    child = start(out, arguments)
    assert child.wait() == 0
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", default="1")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    random.seed(0)
    rows, kills = [], 0
    machine = environment(ComputeConfig())
    with tempfile.TemporaryDirectory() as folder:
        while kills < options.kills:
            seed = len(rows)
            arguments = ["--seed", str(seed), "--epochs", options.epochs]
            undisturbed, killed = Path(folder) / f"{seed}", Path(folder) / f"{seed}-killed"
            assert start(undisturbed, arguments).wait() == 0
            records = kill_and_finish(killed, arguments, min(KILLS_PER_RUN, options.kills - kills))
            kills += len(records)
            same = sha256(undisturbed) == sha256(killed)
            left = [path.name for path in killed.iterdir() if not (path / "model.safetensors").exists()]
            row = {"seed": seed, "same": same, "kills": records, "left_behind": left, "sha256": sha256(killed)}
            rows.append(row)
            print(f"{kills} kills, run {seed}: {'same' if same else 'DIFFERS'}", flush=True)
    during_saves = sum(bool(kill["during_save"]) for row in rows for kill in row["kills"])  # type: ignore[attr-defined]
    summary = {
        "kills": kills,
        "runs": len(rows),
        "runs_that_differ": sum(not row["same"] for row in rows),
        "kills_during_a_save": during_saves,
        "files_left_behind": sum(len(row["left_behind"]) for row in rows),  # type: ignore[arg-type]
    }
    write_claim(options.out, {"summary": summary, "runs": rows}, machine)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
