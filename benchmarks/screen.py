"""Try ideas in short paired runs on development pictures; all are kept, and each idea becomes a line in results/LOG.md.

python benchmarks/screen.py --list
python benchmarks/screen.py base erring_more muon --seeds 0 1 2 --regime all --out results/<date>-screening
python benchmarks/screen.py --out results/<date>-screening      # no run, the table of what there is

A run is one training of `petit` on one thread, as `default` has it but shorter (regime `all`: 3 epochs of 50,000
pictures; regime `few`: 25 epochs of 5,000, where what helps long trainings shows) or as `quick` has it (regime
`quick`: an epoch of 50,000), then the mean of the three of the 10,000 development pictures. Idea and base are given
the same pixels and seeds. What is done is not done again, and only runs of equal code are set beside each other.
`muon`, `soap` and `schedule_free` are pytorch-optimizer's, which must be importable.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from claims import command
from ideas import IDEAS, ONE_THREAD, REGIMES, mark_of, run
from joblib import Parallel, delayed

from imparfait.core.hardware import environment
from imparfait.core.storage import write_json


def table(rows: list[dict[str, Any]]) -> str:
    """Each idea's paired difference to the base, with its 95 % interval and what it costs."""
    lines = ["| regime | idea | seeds | mean of the three | against base | processor time |", "| --- " * 6 + "|"]
    for regime, mark in dict.fromkeys((row["regime"], row.get("mark")) for row in rows):
        alike = [row for row in rows if (row["regime"], row.get("mark")) == (regime, mark)]
        of = {name: {row["seed"]: row for row in alike if row["idea"] == name} for name in IDEAS}
        for name, runs in of.items():
            seeds = sorted(set(runs) & set(of["base"]))
            if not seeds:
                continue
            mean = np.mean([runs[seed]["mean"] for seed in seeds])
            apart = np.array([runs[seed]["mean"] - of["base"][seed]["mean"] for seed in seeds])
            cost = np.median([runs[s]["processor_seconds"] / of["base"][s]["processor_seconds"] for s in seeds])
            effect = "—" if name == "base" else f"{apart.mean():+.3f}"
            if name != "base" and len(seeds) > 1:
                half = scipy.stats.t.ppf(0.975, len(seeds) - 1) * apart.std(ddof=1) / len(seeds) ** 0.5
                effect += f" ± {half:.3f}"
            lines.append(f"| {regime} | {IDEAS[name].summary} | {len(seeds)} | {mean:.3f} | {effect} | {cost:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ideas", nargs="*", choices=[*IDEAS, []])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--regime", choices=REGIMES, nargs="+", default=["all"])
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("screening"))
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:14} {idea.summary}" for name, idea in IDEAS.items()))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "runs.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["idea"], row["regime"], row["seed"]) for row in rows if row.get("mark") == mark_of(row["regime"])}
    wanted = [
        key
        for regime in options.regime
        for name in options.ideas
        for seed in options.seeds
        if (key := (name, regime, seed)) not in done
    ]
    work = Parallel(n_jobs=options.at_once, return_as="generator_unordered")(delayed(run)(*key) for key in wanted)
    for row in work:
        rows.append(row)
        with kept.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
    if wanted:
        write_json(options.out / "environment.json", environment(ONE_THREAD))
        with (options.out / "command.txt").open("a", encoding="utf-8") as file:
            file.write(command(options.out))
    print(table(rows))


if __name__ == "__main__":
    main()
