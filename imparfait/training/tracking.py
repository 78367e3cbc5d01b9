"""Trackers of experiments: settings, loss and accuracy of a training to MLflow, TensorBoard or Weights & Biases."""

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.errors import UserError, lookup
from imparfait.core.install import install_hint
from imparfait.evaluation.scores import Scores
from imparfait.training.checkpoints import Epoch
from imparfait.training.run import Run

PROJECT = "imparfait"  # MLflow's experiment, and the project of Weights & Biases
Log = Callable[[Mapping[str, float], int], None]
"""Takes metrics by name, and the epoch that they are after."""


@dataclass(frozen=True)
class Tracked:
    """An open tracker: `log` takes metrics, `where` says what to do to see them."""

    log: Log
    where: str

    def epoch(self, epoch: Epoch) -> None:
        """Log one epoch."""
        accuracies = {f"validation_{score.corruption}": score.accuracy for score in epoch.validation}
        self.log({"loss": epoch.loss, "accuracy": epoch.accuracy, "seconds": epoch.seconds} | accuracies, epoch.number)

    def scores(self, scores: Scores, epochs: int) -> None:
        """Log the accuracies of the finished run, after its last epoch."""
        final = {f"final_{score.corruption}": score.accuracy for score in scores.scores}
        self.log(final | {"final_mean": scores.mean}, epochs)


@contextmanager
def _mlflow(name: str, settings: Mapping[str, str], out: Path) -> Iterator[Tracked]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would send statistics over the internet
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)  # a new database is 30 lines of migrations
    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.resolve() / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=place)
    known = client.get_experiment_by_name(PROJECT)
    files = None if "MLFLOW_TRACKING_URI" in os.environ else (out.resolve() / "mlflow-artifacts").as_uri()
    experiment = known.experiment_id if known else client.create_experiment(PROJECT, artifact_location=files)
    run = client.create_run(experiment, run_name=name).info.run_id
    for key, value in settings.items():
        client.log_param(run, key, value)

    def log(metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            client.log_metric(run, key, value, step=step)

    status = "FAILED"
    try:
        yield Tracked(log, f"mlflow ui --backend-store-uri {place}")
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run, status)


@contextmanager
def _tensorboard(name: str, settings: Mapping[str, str], out: Path) -> Iterator[Tracked]:
    from torch.utils.tensorboard import SummaryWriter

    logs = out / "tensorboard"
    with SummaryWriter(str(logs / name), purge_step=0) as writer:
        writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in settings.items()), 0)

        def log(metrics: Mapping[str, float], step: int) -> None:
            for key, value in metrics.items():
                writer.add_scalar(key, value, step)
            writer.flush()

        yield Tracked(log, f"tensorboard --logdir {logs}")


@contextmanager
def _wandb(name: str, settings: Mapping[str, str], out: Path) -> Iterator[Tracked]:
    import wandb

    quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
    mode = os.environ.setdefault("WANDB_MODE", "offline")  # read by init; nothing is sent unless the user says so
    out.mkdir(parents=True, exist_ok=True)
    with wandb.init(project=PROJECT, name=name, config=dict(settings), dir=out, settings=quiet) as run:
        folder = Path(run.dir).parent  # its files are in a folder of this
        yield Tracked(
            lambda metrics, step: run.log(dict(metrics), step=step),
            f"wandb sync {folder}" if mode == "offline" else "in Weights & Biases",
        )


@dataclass(frozen=True)
class Tracker:
    """A tracker, and the packages that it needs."""

    open: Callable[[str, Mapping[str, str], Path], AbstractContextManager[Tracked]]
    """Takes the run's name, its settings and the folder of runs."""
    packages: tuple[str, ...]


TRACKERS = {
    "mlflow": Tracker(_mlflow, ("mlflow", "sqlalchemy", "alembic")),
    "tensorboard": Tracker(_tensorboard, ("tensorboard",)),
    "wandb": Tracker(_wandb, ("wandb",)),
}


def settings_of(run: Run) -> dict[str, str]:
    """What decides a run's weights, for a tracker: one text each."""
    compute = {f"compute_{name}": value for name, value in run.compute.model_dump().items()}
    facts = {"recipe": run.recipe, "data": run.data.name, "images": len(run.data), "final": run.final, "hash": run.hash}
    return {name: str(value) for name, value in (run.settings.model_dump() | compute | facts).items()}


def check_tracker(name: str) -> None:
    """Raise UserError where a package is missing that the tracker `name` needs."""
    for package in lookup("tracker", name, TRACKERS).packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--track {name}: {package} is not installed", hint=install_hint(name))
