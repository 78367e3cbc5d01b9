"""Train the final networks of a recipe, one per seed, on all training images without touching the test set.

python benchmarks/accuracy/final_runs.py best --seeds 0 1 2 3 4
python benchmarks/accuracy/final_runs.py best --seeds 0 --teacher runs/best-s0-… runs/best-s1-…
taskset -c 0 python benchmarks/accuracy/final_runs.py best --seeds 0 2 &
taskset -c 1 python benchmarks/accuracy/final_runs.py best --seeds 1 3

`imparfait train --final` evaluates each network on the test set. These runs wait for one common test access, by
ensemble.py or affnist.py with --final. An interrupted training resumes; a finished one is skipped.
"""

import argparse
from pathlib import Path

import imparfait
from imparfait.cli.learning import at_work, learn
from imparfait.core.storage import atomic_directory
from imparfait.data.splits import split_calibration
from imparfait.evaluation.calibration import calibrate
from imparfait.models.classifier import as_classifier
from imparfait.training import run as runs
from imparfait.training.distillation import load_teachers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=imparfait.RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--augmentation", help="replaces the recipe's augmentation")
    parser.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="RUN", help="runs to distil from")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    train, calibration = split_calibration(imparfait.load_data("mnist").train)
    teachers = load_teachers(options.teacher, train)
    for seed in options.seeds:
        settings = imparfait.RECIPES[options.recipe].settings.model_copy(update={"seed": seed})
        if options.augmentation:
            settings = settings.model_copy(update={"augmentation": options.augmentation})
        run, model = runs.start(options.recipe, settings, train, final=True, teachers=teachers)
        folder = options.out / run.name
        if folder.exists():
            print(folder, "exists already")
            continue
        with at_work(run, options.out) as unfinished:
            result = learn(run, model, [], unfinished)
            calibrated = calibrate(as_classifier(model, run.compute), calibration) if calibration else None
            with atomic_directory(folder) as new:
                runs.write_run(new, run, model, result.epochs, result.course, calibrated)
        print(folder, f"{result.epochs[-1].seconds:.0f} s")


if __name__ == "__main__":
    main()
