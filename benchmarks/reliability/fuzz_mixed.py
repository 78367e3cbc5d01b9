"""Valid requests among damaged ones on the same connections: does every response belong to its request?

python benchmarks/reliability/fuzz_mixed.py --requests 100000 --out results/malformed-inputs/mixed

Connections carry several requests, pipelined or one after the other, in pieces of any size. Some end early, and some
end with a damaged request. Each valid request has an id and an expected answer. Faults: another answer or none to a
valid request, a response that nobody asked for, an undocumented 5xx, a damaged request without a response.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fuzz_http import running_server
from helpers.fuzz_connections import conversation, play
from tools.claims import write_claim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first connection [default: 0]")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600, help="stop earlier after this time [default: 600]")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--waiting", type=int, default=4, help="image places of the server: some requests get 503")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    faults: list[dict[str, object]] = []
    start, number = time.perf_counter(), options.first
    flags = ("--workers", str(options.workers), "--waiting", str(options.waiting), "--megabytes", "1")
    with running_server(*flags) as (process, port), ThreadPoolExecutor(options.at_once) as pool:

        def run(each: int) -> tuple[int, Counter[str], list[str]]:
            return each, *play(port, conversation(random.Random(each), str(each)))

        while counts["requests"] < options.requests and time.perf_counter() - start < options.seconds:
            numbers = range(number, number + 200)
            number += 200
            for each, counted, found in pool.map(run, numbers):
                counts.update(counted)
                counts["connections"] += 1
                faults += [{"connection": each, "fault": fault} for fault in found]
        process.terminate()
        code = process.wait(30)
    summary = {
        "seconds": round(time.perf_counter() - start, 1),
        **dict(sorted(counts.items())),
        "faults": len(faults),
        "first_faults": faults[:10],
        "exit_code": code,
    }
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
