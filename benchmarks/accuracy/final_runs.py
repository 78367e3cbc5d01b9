"""Final networks of a recipe, a seed each, fitted on all training pictures; the test stays sealed.

python benchmarks/finals.py best --seeds 0 1 2 3 4
python benchmarks/finals.py best --seeds 0 --taught-by runs/best-s0-… runs/best-s1-…
taskset -c 0 python benchmarks/finals.py best --seeds 0 2 &  taskset -c 1 python benchmarks/finals.py best --seeds 1 3

`imparfait train --final` opens the test for each; here they are kept for one opening of them all, by ensemble.py or
affnist.py with --final. A training that is stopped goes on from there; what is finished is not done again.
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
    parser.add_argument("--mixture", help="instead of the recipe's")
    parser.add_argument("--taught-by", type=Path, nargs="+", default=[], metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    fit, calibration = split_calibration(imparfait.load_data("mnist").train)
    teachers = load_teachers(options.taught_by, fit)
    for seed in options.seeds:
        settings = imparfait.RECIPES[options.recipe].settings.model_copy(update={"seed": seed})
        if options.mixture:
            settings = settings.model_copy(update={"mixture": options.mixture})
        run, model = runs.start(options.recipe, settings, fit, final=True, teachers=teachers)
        folder = options.out / run.name
        if folder.exists():
            print(folder, "is there")
            continue
        with at_work(run, options.out) as unfinished:
            learned = learn(run, model, [], unfinished)
            found = calibrate(as_classifier(model, run.machine), calibration) if calibration else None
            with atomic_directory(folder) as new:
                runs.write_run(new, run, model, learned.epochs, learned.course, found)
        print(folder, f"{learned.epochs[-1].seconds:.0f} s")


if __name__ == "__main__":
    main()
