"""What was measured of models over a suite, as JSON: numbers only."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from imparfait.evaluation.model_comparison import ModelGroup, Verdict
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.uncertainty import CalibrationReport, OodReport


def as_json(
    models: Sequence[ModelGroup],
    verdicts: Sequence[Verdict],
    trust: Mapping[str, Sequence[CalibrationReport]],
    refusals: Mapping[str, Sequence[OodReport]],
    corruption_error: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """What scores.json holds; the mappings are by the models' names."""
    told = []
    for model in models:
        errors = corruption_error[model.name]
        told.append(
            {
                "name": model.name,
                "mean": model.mean,
                "mean_error": 1 - model.mean,
                "spread_over_seeds": model.spread,
                "corruption_error": errors,
                "mean_corruption_error": float(np.mean(list(errors.values()))) if errors else None,
                "seeds": [_suite(suite) for suite in model.seeds],
                "trust": [asdict(each) for each in trust[model.name]],
                "refusals": [asdict(each) for each in refusals[model.name]],
            }
        )
    pairs = [
        {"sentence": each.sentence, "first": each.first, "second": each.second, "p": each.p} | asdict(each.difference)
        for each in verdicts
    ]
    return {"models": told, "verdicts": pairs}


def _suite(suite: SuiteResult) -> dict[str, Any]:
    counts = suite.scores.to_json()
    return {
        "mean": suite.mean,
        "mean_interval": suite.mean_interval,
        "clean": suite.clean.score.accuracy,
        "core_mean": suite.core_mean,
        "mnist_c_mean": suite.mnist_c_mean,
        "worst": suite.worst,
        "corruptions": [asdict(row) | {"accuracy": row.accuracy} for row in suite.rows],
        "classes": counts["classes"],
        "parts": counts["parts"],
    }
