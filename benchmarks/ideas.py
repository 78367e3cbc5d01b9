"""The ideas that `screen.py` tries, and one run of one of them: a module, so that processes know it by name."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import screened
import screened_learning
import torch

import imparfait
from imparfait.core.compute import Machine
from imparfait.core.storage import fingerprint
from imparfait.data.augmentation import MIXTURES, Mixture, Share
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import fewer
from imparfait.selection.jobs import code_digest
from imparfait.training import averaging
from imparfait.training.loop import Training
from imparfait.training.optim import HORIZON
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings

REGIMES = {
    "all": RECIPES["default"].settings.model_copy(update={"epochs": 3}),
    "few": RECIPES["default"].settings.model_copy(update={"epochs": 25}),
    "quick": RECIPES["quick"].settings.model_copy(update={"sizes": {"filters": 16, "depth": 1}}),
}
FEW = 5000
TEACHERS = (901, 902, 903)
ONE_THREAD = Machine(threads=1, precision="bfloat16")


@dataclass(frozen=True)
class Idea:
    """What is different from `default` as it was, with the `petit` of that time (screened.Former)."""

    summary: str
    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    optimiser: Callable[[torch.nn.Module], torch.optim.Optimizer] | None = None
    mixture: Mixture | None = None
    clean_last: float = -1.0
    """The share of the steps, the last ones, that show clean pictures only."""
    horizon: float | None = None
    frames: tuple[tuple[float, int], ...] = ()
    """Up to which share of the steps the look has which frame."""
    taught: float = 0.0
    """The share that three teachers, trained as the base, have in what is wanted; their training is not counted."""
    branches: int = 0
    """How many ends of one training, from seven tenths on, make a soup."""


MOVED = {"turn": 10.0, "stretch": 0.1, "slant": 0.1, "move": 1.0}  # as the look of the package errs
MORE = {k: 1.6 * value for k, value in MOVED.items()}


def fresh(*shares: Share) -> Mixture:
    return Mixture("tried", shares, anew=True, by_turns=True)


IDEAS: dict[str, Idea] = {
    "base": Idea("petit, as default had it"),
    "steady": Idea("the look does not err while it learns", network={"look": {"turn": 0.0}}),
    "erring_less": Idea("it errs half as much", network={"look": {name: value / 2 for name, value in MOVED.items()}}),
    "erring_more": Idea("it errs 1.6 times as much", network={"look": MORE}),
    "turned_only": Idea("it errs in angle only", network={"look": {"turn": 10.0}}),
    "bent_too": Idea("and bends what it sees (elastic), 0.7 of 24 pixels", network={"look": MOVED | {"bend": 0.7}}),
    "cutout": Idea("a square of 7 of 24 pixels blanked", network={"change": screened.cut(7)}),
    "squeeze": Idea("squeeze-excitation after each stage", network={"change": screened.squeezed}),
    "blurpool": Idea("blur before the stride", network={"change": screened.blurred}),
    "blur_first": Idea("blur to half the size, then a convolution", network={"change": screened.halved(screened.Blur)}),
    "mean_first": Idea(
        "means of four to half the size, then a convolution", network={"change": screened.mean_first}
    ),
    "mean_more_cut": Idea(
        "that, a look that errs 1.6 times as much, and a square blanked",
        network={"look": MORE, "change": screened.together(screened.mean_first, screened.cut(7))},
    ),
    "mean_third": Idea(
        "that, and a third stage", network={"change": screened.together(screened.mean_first, screened.third)}
    ),
    "mean_more": Idea(
        "means of four first, and a look that errs 1.6 times as much",
        network={"look": MORE, "change": screened.mean_first},
    ),
    "mean_cut": Idea(
        "means of four first, and a square blanked",
        network={"change": screened.together(screened.mean_first, screened.cut(7))},
    ),
    "largest_first": Idea(
        "largest of four to half the size, then a convolution",
        network={"change": screened.halved(lambda width: torch.nn.MaxPool2d(2))},
    ),
    "dropped_between": Idea(
        "a tenth of the channels dropped between the stages", network={"change": screened.dropped_between(0.1)}
    ),
    "more_and_cut": Idea(
        "errs 1.6 times as much, and a square of 7 of 24 pixels blanked",
        network={"look": MORE, "change": screened.cut(7)},
    ),
    "erring_2": Idea("it errs twice as much", network={"look": {k: 2 * value for k, value in MOVED.items()}}),
    "mean_only": Idea("head over means only", network={"change": screened.pooled("mean")}),
    "largest_only": Idea("head over maxima only", network={"change": screened.pooled("largest")}),
    "unnormalised": Idea("filters normalised instead of activations", network={"change": screened.unnormalised}),
    "whitened": Idea("a first layer that whitens and does not learn", network={"change": screened.whitened}),
    "dropout": Idea("dropout 0.2 before the head", network={"change": screened.dropped(0.2)}),
    "deep": Idea("three residual convolutions a stage", network={"depth": 3}),
    "wide": Idea("48 filters", network={"filters": 48}),
    "frame_28": Idea("frame of 28", network={"frame": 28}),
    "frame_32": Idea("frame of 32", network={"frame": 32}),
    "smoothing_0": Idea("no label smoothing", {"label_smoothing": 0.0}),
    "smoothing_10": Idea("label smoothing 0.1", {"label_smoothing": 0.1}),
    "decay_05": Idea("weight decay 0.05", {"weight_decay": 0.05}),
    "rate_18": Idea("step size 0.018", {"learning_rate": 0.018}),
    "rate_8": Idea("step size 0.008", {"learning_rate": 0.008}),
    "batch_64": Idea("batch 64, step size 0.0085", {"batch_size": 64, "learning_rate": 0.0085}),
    "muon": Idea("Muon for inner filters, twice the step size", optimiser=screened_learning.muon(2.0, 0.01)),
    "muon_less": Idea("Muon for inner filters, the same step size", optimiser=screened_learning.muon(1.0, 0.02)),
    "soap": Idea("SOAP", {"learning_rate": 0.006}, optimiser=screened_learning.soap),
    "average_long": Idea("weights averaged over a tenth of the steps", horizon=0.1),
    "clean_last": Idea("the last tenth on clean pictures", clean_last=0.1),
    "elastic_too": Idea(
        "a fifth of the pictures elastic",
        mixture=fresh(
            Share("clean", 0.0, 0.25), Share("geometric", 0.5, 0.3), Share("shrunk", 1.0, 0.25),
            Share("elastic", (0.2, 0.6), 0.2),
        ),
    ),
    "harder": Idea(
        "geometric at 0.3 to 0.8, shrunk at 0.6 to 1",
        mixture=fresh(
            Share("clean", 0.0, 1 / 3), Share("geometric", (0.3, 0.8), 1 / 3), Share("shrunk", (0.6, 1.0), 1 / 3)
        ),
    ),
    "pen_too": Idea(
        "a fifth of the pictures thin or thick",
        mixture=fresh(
            Share("clean", 0.0, 0.25), Share("geometric", 0.5, 0.3), Share("shrunk", 1.0, 0.25),
            Share("thin", (0.2, 0.6), 0.1), Share("thicken", (0.1, 0.4), 0.1),
        ),
    ),
    "growing": Idea("frame of 16 for the first half of the steps", frames=((0.5, 16), (1.1, 24))),
    "schedule_free": Idea(
        "schedule-free AdamW",
        {"schedule": "constant", "learning_rate": 0.01},
        optimiser=screened_learning.schedule_free,
    ),
    "taught": Idea("learns what three teachers, as one, say of each picture", taught=1.0),
    "taught_half": Idea("half of what is wanted is what they say", taught=0.5),
    "soup": Idea("three ends of one training, averaged (1.6 times the steps)", branches=3),
    "less_clean": Idea(
        "shares of 0.2, 0.4 and 0.4",
        mixture=fresh(Share("clean", 0.0, 0.2), Share("geometric", 0.5, 0.4), Share("shrunk", 1.0, 0.4)),
    ),
}  # fmt: skip


def network(idea: Idea, regime: str, seed: int) -> torch.nn.Module:
    """Untrained."""
    sizes = REGIMES[regime].sizes | idea.network
    return imparfait.build(partial(screened.candidate, **sizes), channels=1, classes=10, seed=seed)


def learn(
    idea: Idea, model: Any, fit: LabelledImages, settings: TrainingSettings, teachers: list[torch.nn.Module]
) -> None:
    """Train `model` as the idea has it."""
    if teachers:
        training: Training = screened_learning.PartlyTaught(idea.taught, teachers, model, fit, settings, ONE_THREAD)
    else:
        training = Training(model, fit, settings, ONE_THREAD)
    if idea.optimiser:
        training.optimiser = idea.optimiser(model)
    free = idea.optimiser is screened_learning.schedule_free
    if free:
        training.optimiser.train()  # type: ignore[attr-defined]
    for step in training:
        for until, frame in reversed(idea.frames):
            if step.number < until * step.of:
                model.look.frame = frame
        if step.number >= (1 - idea.clean_last) * step.of:
            training.mixture = replace(
                training.mixture, shares=tuple(Share("clean", 0.0, share.part) for share in training.mixture.shares)
            )
    if free:
        training.optimiser.eval()  # type: ignore[attr-defined]
        screened_learning.settle_norms(model, training)


@cache
def taught_by(regime: str) -> list[torch.nn.Module]:
    """Three networks trained as the base, with seeds of their own."""
    teachers = []
    for seed in TEACHERS:
        settings = REGIMES[regime].model_copy(update={"seed": seed})
        teachers.append(network(IDEAS["base"], regime, seed))
        learn(IDEAS["base"], teachers[-1], pictures(regime)[0], settings, [])
    return teachers


def pictures(regime: str) -> tuple[LabelledImages, LabelledImages]:
    """Learned from, and judged on."""
    fit, validation = imparfait.split(imparfait.load_data("mnist").train)
    return (fewer(fit, FEW) if regime == "few" else fit), validation


def mark_of(regime: str) -> str:
    """Of all that an idea and the base have in common: only runs that share it are set beside each other."""
    pieces = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (screened, screened_learning)]
    return fingerprint(code_digest(), *pieces, REGIMES[regime])[:12]


def run(name: str, regime: str, seed: int) -> dict[str, Any]:
    """One training, and what it reads."""
    idea = IDEAS[name]
    if idea.mixture:
        MIXTURES["tried"] = idea.mixture  # in this process only
    settings = REGIMES[regime].model_copy(
        update=idea.settings | {"seed": seed, "mixture": "tried" if idea.mixture else "fresh"}
    )
    averaging.HORIZON = idea.horizon or HORIZON
    fit, validation = pictures(regime)
    model = network(idea, regime, seed)
    started = time.process_time()
    if idea.branches:
        screened_learning.soup(model, fit, settings, ONE_THREAD, idea.branches, at=0.7)
    else:
        teachers = taught_by(regime) if idea.taught else []
        started = time.process_time()
        learn(idea, model, fit, settings, teachers)
    seconds = time.process_time() - started
    scores = imparfait.evaluate(imparfait.as_classifier(model, ONE_THREAD), imparfait.the_three(validation))
    return {
        "idea": name, "regime": regime, "mark": mark_of(regime), "seed": seed, "processor_seconds": round(seconds, 1),
        **{score.alteration: round(100 * score.accuracy, 2) for score in scores.each},
        "mean": round(100 * scores.mean, 3),
    }  # fmt: skip
