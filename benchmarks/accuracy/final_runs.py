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
from imparfait.core.storage import atomic_directory
from imparfait.evaluation.calibration import calibrate
from imparfait.models.classifier import as_classifier
from imparfait.training.loop import checkpointed, resume
from imparfait.training.run import prepare_run
from imparfait.training.run_folder import finished_folder, work_folder, write_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=imparfait.RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--augmentation", help="replaces the recipe's augmentation")
    parser.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="RUN", help="runs to distil from")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    dataset = imparfait.load_data("mnist")
    for seed in options.seeds:
        changes = {"augmentation": options.augmentation} if options.augmentation else {}
        settings = imparfait.RECIPES[options.recipe].settings.model_copy(update=changes | {"seed": seed})
        run, model = prepare_run(dataset, settings, options.recipe, final=True, teachers=options.teacher)
        if folder := finished_folder(run, options.out):
            print(folder, "exists already")
            continue
        with work_folder(run, options.out) as unfinished:
            training = run.training(model)
            resume(training, unfinished, run.hash)
            for _ in checkpointed(training, unfinished, run.hash):
                pass
            epochs, folder = training.progress.epochs, options.out / run.name
            calibration = calibrate(as_classifier(model, run.compute), run.calibration) if run.calibration else None
            with atomic_directory(folder) as new:
                write_run(new, run, model, epochs, calibration)
        print(folder, f"{epochs[-1].seconds:.0f} s")


if __name__ == "__main__":
    main()
