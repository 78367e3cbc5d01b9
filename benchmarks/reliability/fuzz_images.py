"""Image files that are broken in endless ways: how many end in one sentence, how many still work, and what else.

python benchmarks/malformed_pictures.py --count 10000 --out results/2026-12-05-malformed-images

Each is a small good file, damaged in a way that its number decides (tests/malformed_pictures.py); bombs come last.
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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims import leave
from helpers.fuzz_images import BOMBS, FRAME, outcome

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import decode


def gist(sentence: str) -> str:
    """The start of a sentence without what differs from file to file."""
    return " ".join(re.sub(r"\d[\d,]*", "…", sentence).split()[1:9])


def bomb(name: str) -> tuple[str, str]:
    """What became of a bomb."""
    content = BOMBS[name]()
    try:
        return "bomb", f"works: {'; '.join(page.said for page in decode(content, FRAME, name))}"
    except UserError as error:
        return "bomb", str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("error")
    said: dict[str, Counter[str]] = defaultdict(Counter)
    crashes, not_one_sentence, slowest = [], [], (0.0, "")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for which in [*range(options.count), *BOMBS]:
        start = time.process_time()
        try:
            kind, sentence = outcome(which) if isinstance(which, int) else bomb(which)
        except Exception as error:  # whatever it is, it is what is looked for
            crashes.append({"file": which, "error": repr(error)[:300]})
            continue
        slowest = max(slowest, (round(time.process_time() - start, 3), str(which)))
        if not sentence.isprintable() or len(sentence) > 500:
            not_one_sentence.append(which)
        said[kind]["works" if sentence.startswith("works") else gist(sentence)] += 1
    summary = {
        "files": options.count,
        "bombs": len(BOMBS),
        "crashes_and_warnings": crashes,
        "not_one_sentence": not_one_sentence,
        "works": {kind: count["works"] for kind, count in said.items()},
        "refused": {kind: count.total() - count["works"] for kind, count in said.items()},
        "slowest_processor_seconds": slowest,
        "memory_MiB": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024),
        "most_often": {kind: dict(count.most_common(12)) for kind, count in said.items()},
    }
    if options.out:
        leave(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
