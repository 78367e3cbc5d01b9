"""Compare training settings on the fresh validation set, and count every comparison.

python benchmarks/accuracy/choose.py default wider.toml --seeds 0 1 2

Candidates are recipes or TOML files of settings; the first is what the others are measured against. The fresh set is
one of six folds of MNIST's 60,000 training images, of a partition that no choice was made on; each candidate is trained
on the other 50,000. Each candidate is a line of results/FRESH_VALIDATION.csv, written before it is trained, so that
everyone sees how often the set was used. The interval of a lead is for other seeds and other images.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from peers_fair_analysis import crossed_mean

import imparfait
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.errors import UserError
from imparfait.core.hardware import has_bf16_units
from imparfait.core.storage import atomic_write
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import score_conditions
from imparfait.training.loop import network_for
from imparfait.training.recipes import choose_settings
from imparfait.training.settings import TrainingSettings

USES = Path(__file__).parents[2] / "results" / "FRESH_VALIDATION.csv"
COLUMNS = ("date", "candidate", "settings", "seed")
FOLDS, PARTITION = 6, 58


def fresh_split(images: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
    """Training images, and the fresh validation set."""
    return imparfait.fold(images, FOLDS, 0, PARTITION)


def settings_of(candidate: str) -> TrainingSettings:
    """A recipe's settings, or those of a TOML file. Raises UserError where there is none."""
    is_file = candidate.endswith(".toml")
    return choose_settings(file=Path(candidate))[1] if is_file else choose_settings(recipe=candidate)[1]


def record(uses: Path, candidate: str, settings: TrainingSettings) -> int:
    """Add a line for a training that will be scored; how many there are then."""
    rows = list(csv.reader(uses.read_text(encoding="utf-8").splitlines())) if uses.exists() else [list(COLUMNS)]
    when = datetime.now(UTC).isoformat(timespec="seconds")
    rows.append([when, Path(candidate).name, settings.model_dump_json(exclude={"seed"}), str(settings.seed)])
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    atomic_write(uses, content.getvalue().encode())
    return len(rows) - 1


def score(settings: TrainingSettings, fitted: LabelledImages, held_out: LabelledImages) -> np.ndarray:
    """Of each held-out image, the share of the core suite's conditions in which it is classified correctly."""
    compute = ComputeConfig(threads=usable_cores(), precision="bfloat16" if has_bf16_units() else "float32")
    model = network_for(settings, fitted)
    for _ in imparfait.train(model, fitted, settings, compute):
        pass
    scores = score_conditions(imparfait.as_classifier(model, compute), imparfait.core_suite(held_out))
    return np.asarray(np.mean([each.correct for each in scores.conditions], axis=0))


def table(found: dict[str, np.ndarray]) -> Iterator[str]:
    """A line for each candidate, from shares of [seeds, images]: its core mean, and its lead over the first."""
    first = next(iter(found.values()))
    for name, shares in found.items():
        line = f"{name}: core mean {100 * shares.mean():.3f} % ({len(shares)} seeds)"
        if shares is not first and len(shares) > 1:
            lead = crossed_mean(shares - first)
            low, high = lead.interval()
            verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
            line += f"; lead {100 * lead.mean:+.3f} points ({100 * low:.3f} to {100 * high:.3f}): {verdict}"
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", nargs="+", metavar="RECIPE|TOML")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--uses", type=Path, default=USES, help="the CSV file of all comparisons")
    options = parser.parse_args()
    try:
        candidates = {candidate: settings_of(candidate) for candidate in options.candidates}
    except UserError as error:
        sys.exit(str(error))
    fitted, held_out = fresh_split(imparfait.load_data("mnist").train)
    found: dict[str, list[np.ndarray]] = {candidate: [] for candidate in candidates}
    uses = 0
    for seed in options.seeds:
        for candidate, settings in candidates.items():
            seeded = settings.model_copy(update={"seed": seed})
            uses = record(options.uses, candidate, seeded)
            found[candidate].append(score(seeded, fitted, held_out))
            print(f"{candidate}, seed {seed}: {100 * found[candidate][-1].mean():.3f} %", flush=True)
    for line in table({candidate: np.stack(each) for candidate, each in found.items()}):
        print(line)
    print(f"{options.uses.name} has {uses} lines: the best of so many candidates leads by chance alone")


if __name__ == "__main__":
    main()
