"""Files that are broken in endless ways: how many end in one sentence, how many still work, and what else happens.

python benchmarks/malformed.py --count 10000 --out results/2026-12-02-malformed

Each file is a small real .onnx, .keras, or run folder with .safetensors and config.json, damaged in a way that its
number decides (tests/malformed.py).
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims import leave
from helpers.fuzz_models import KINDS, outcome


def gist(sentence: str, folder: Path) -> str:
    """The start of a sentence without what differs from file to file."""
    words = re.sub(r"^.*?: ", "", sentence.replace(str(folder), ""))
    return " ".join(re.sub(r"\d+|'[^']*'", "…", words).split()[:7])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    said: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    slowest = {"seconds": 0.0, "file": 0}
    crashes, not_one_sentence = [], []
    with tempfile.TemporaryDirectory() as home:
        canary, folder = Path(home) / "canary", Path(home) / "broken"
        folder.mkdir()
        for kind in range(len(KINDS)):  # starts the servers
            outcome(kind, folder, canary)
        for index in range(options.count):
            kind = list(KINDS)[index % len(KINDS)]
            start = time.perf_counter()
            try:
                kind, sentence = outcome(index, folder, canary)
            except Exception as error:
                crashes.append({"file": index, "error": repr(error)[:300]})
                continue
            took = time.perf_counter() - start
            seconds[kind] += took
            slowest = max(slowest, {"seconds": round(took, 3), "file": index}, key=lambda each: each["seconds"])
            if not sentence.isprintable() or len(sentence) > 700:
                not_one_sentence.append(index)
            said[kind]["works" if sentence == "works" else gist(sentence, folder)] += 1
        code_run = canary.exists()
    summary = {
        "files": options.count,
        "crashes": crashes,
        "code_run": code_run,
        "not_one_sentence": not_one_sentence,
        "works": {kind: count["works"] for kind, count in said.items()},
        "refused": {kind: count.total() - count["works"] for kind, count in said.items()},
        "seconds": {kind: round(each, 1) for kind, each in seconds.items()},
        "slowest": slowest,
        "most_often": {kind: dict(count.most_common(25)) for kind, count in said.items()},
    }
    if options.out:
        leave(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
