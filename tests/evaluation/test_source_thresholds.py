"""Thresholds over several sources: each source counts alike."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.evaluation.calibration import threshold_over_sources

seeds = st.integers(0, 2**32 - 1)


def ties(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences with many ties, and which predictions are correct."""
    random = np.random.default_rng(seed)
    return random.integers(0, max(2, n // 2), n) / n, random.random(n) < 0.7


@given(seeds, st.integers(1, 6), st.sampled_from([0.02, 0.1, 0.3]))
@settings(max_examples=60, deadline=None)
def test_a_threshold_over_sources_keeps_the_mean_error_of_the_sources(seed: int, many: int, rate: float) -> None:
    confidence, _ = ties(120, seed)
    random = np.random.default_rng(seed)
    sources = random.integers(0, many, 120).astype(str)
    correct = random.random(120) < 0.6 + 0.4 * confidence

    def mean_error(threshold: float) -> float:
        accepted = confidence >= threshold
        each = [(accepted & (sources == source)) for source in np.unique(sources)]
        return float(np.mean([(~correct[rows]).mean() if rows.any() else 0.0 for rows in each]))

    allowed = [t for t in np.unique(confidence) if (confidence >= t).mean() >= 0.5]
    passing = []
    for threshold in sorted(allowed, reverse=True):
        if mean_error(threshold) > rate + 1e-12:
            break
        passing.append(threshold)
    found = threshold_over_sources(confidence, correct, sources, rate)
    assert (found.confidence if found else None) == (passing[-1] if passing else None)
    if found:
        accepted = confidence >= found.confidence
        assert (found.accepted, found.wrong) == (accepted.sum(), (~correct[accepted]).sum())


def test_a_large_source_counts_as_much_as_a_small_one() -> None:
    confidence = np.linspace(1, 0, 1000)
    sources = np.where(np.arange(1000) % 50 == 0, "small", "large")
    correct = (sources == "large") | (np.arange(1000) < 300)
    found = threshold_over_sources(confidence, correct, sources, 0.2)
    assert found is not None
    accepted = confidence >= found.confidence
    assert (~correct[accepted & (sources == "small")]).mean() <= 0.4 < (~correct[sources == "small"]).mean()
