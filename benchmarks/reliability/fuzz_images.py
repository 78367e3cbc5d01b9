"""Robustness of image decoding against malformed files: crashes, clear refusals, time and memory.

python benchmarks/reliability/fuzz_images.py --count 10000 --out results/malformed-inputs/images

Each file is a small valid image, damaged in a way determined by its number (tests/helpers/fuzz_images.py).
Decompression bombs come last.
"""

import argparse
import json
import re
import resource
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.fuzz_images import BOMBS, FORMAT, outcome
from tools.claims import write_claim

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import read_normalized


def summarise(message: str) -> str:
    """The start of a message, without parts that differ between files."""
    return " ".join(re.sub(r"\d[\d,]*", "…", message).split()[1:9])


def bomb(name: str) -> tuple[str, str]:
    """Kind and message of a decompression bomb."""
    content = BOMBS[name]()
    try:
        return "bomb", f"works: {'; '.join(page.preprocessing for page in read_normalized(content, FORMAT, name))}"
    except UserError as error:
        return "bomb", str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("error")
    messages: dict[str, Counter[str]] = defaultdict(Counter)
    crashes, unclear, slowest = [], [], (0.0, "")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in [*range(options.count), *BOMBS]:
        start = time.process_time()
        try:
            kind, message = outcome(file) if isinstance(file, int) else bomb(file)
        except Exception as error:  # any other exception is a finding
            crashes.append({"file": file, "error": repr(error)[:300]})
            continue
        slowest = max(slowest, (round(time.process_time() - start, 3), str(file)))
        if not message.isprintable() or len(message) > 500:
            unclear.append(file)
        messages[kind]["works" if message.startswith("works") else summarise(message)] += 1
    summary = {
        "files": options.count,
        "bombs": len(BOMBS),
        "crashes_and_warnings": crashes,
        "unclear_messages": unclear,
        "works": {kind: count["works"] for kind, count in messages.items()},
        "refused": {kind: count.total() - count["works"] for kind, count in messages.items()},
        "slowest_processor_seconds": slowest,
        "memory_MiB": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024),
        "most_frequent_messages": {kind: dict(count.most_common(12)) for kind, count in messages.items()},
    }
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
