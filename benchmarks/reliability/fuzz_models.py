"""Robustness of model loading against malformed files: crashes, clear refusals and code execution.

python benchmarks/reliability/fuzz_models.py --count 10000 --out results/malformed-inputs/models

Each file is a small valid .onnx, .keras or run folder (.safetensors and config.json), damaged in a way determined by
its number (tests/helpers/fuzz_models.py).
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.fuzz_models import KINDS, outcome
from tools.claims import write_claim


def summarise(message: str, folder: Path) -> str:
    """The start of a message, without parts that differ between files."""
    words = re.sub(r"^.*?: ", "", message.replace(str(folder), ""))
    return " ".join(re.sub(r"\d+|'[^']*'", "…", words).split()[:7])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    messages: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    slowest = {"seconds": 0.0, "file": 0}
    crashes, unclear = [], []
    with tempfile.TemporaryDirectory() as home:
        canary, folder = Path(home) / "canary", Path(home) / "broken"
        folder.mkdir()
        for kind in range(len(KINDS)):  # starts the sandbox servers
            outcome(kind, folder, canary)
        for index in range(options.count):
            kind = list(KINDS)[index % len(KINDS)]
            start = time.perf_counter()
            try:
                kind, message = outcome(index, folder, canary)
            except Exception as error:
                crashes.append({"file": index, "error": repr(error)[:300]})
                continue
            elapsed = time.perf_counter() - start
            seconds[kind] += elapsed
            slowest = max(slowest, {"seconds": round(elapsed, 3), "file": index}, key=lambda each: each["seconds"])
            if not message.isprintable() or len(message) > 700:
                unclear.append(index)
            messages[kind]["works" if message == "works" else summarise(message, folder)] += 1
        code_executed = canary.exists()
    summary = {
        "files": options.count,
        "crashes": crashes,
        "code_executed": code_executed,
        "unclear_messages": unclear,
        "works": {kind: count["works"] for kind, count in messages.items()},
        "refused": {kind: count.total() - count["works"] for kind, count in messages.items()},
        "seconds": {kind: round(each, 1) for kind, each in seconds.items()},
        "slowest": slowest,
        "most_frequent_messages": {kind: dict(count.most_common(25)) for kind, count in messages.items()},
    }
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
