"""Counter-based random numbers: a pure function of seed, purpose, epoch, source and name."""

import pytest
import torch
from helpers.devices import DEVICES
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core import tensors
from imparfait.core.rng import WORDS_AT_ONCE, CounterRng, seed_of

SOURCES = torch.arange(1000)


def splitmix64(state: int) -> int:
    """The published algorithm, on Python integers."""
    mask = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_vectorised_hash_is_splitmix64(state: int) -> None:
    from imparfait.core.rng import _mix

    assert int(_mix(torch.tensor(state))) % 2**64 == splitmix64(state % 2**64)


@given(st.permutations(list(range(20))), st.integers(1, 20))
@settings(max_examples=30)
def test_a_source_gets_the_same_numbers_whatever_its_neighbours(order: list[int], size: int) -> None:
    whole = CounterRng(3, "train", 5, SOURCES[:20]).uniform("angle", 2)
    part = CounterRng(3, "train", 5, torch.tensor(order[:size])).uniform("angle", 2)
    assert torch.equal(part, whole[order[:size]])


def test_numbers_are_uniform_and_uncorrelated_between_streams() -> None:
    draws = [
        CounterRng(seed, purpose, epoch, SOURCES).uniform(name)
        for seed, purpose, epoch, name in [
            (0, "a", 0, "x"),
            (1, "a", 0, "x"),
            (0, "b", 0, "x"),
            (0, "a", 1, "x"),
            (0, "a", 0, "y"),
        ]
    ]
    for numbers in draws:
        assert numbers.min() >= 0
        assert numbers.max() < 1
        assert torch.histc(numbers, 10, 0, 1).sub(100).abs().max() < 45  # 4.7 standard deviations
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(5)
    assert correlations.abs().max() < 0.15  # 4.7 standard deviations of 1000 pairs


def test_entries_of_one_source_differ() -> None:
    assert len(CounterRng(0, "a", 0, SOURCES).bits("x", 7).unique()) == 7000


def test_seeds_depend_on_every_part() -> None:
    assert len({seed_of(0, "step", 1), seed_of(0, "step", 2), seed_of(1, "step", 1), seed_of(0, "weights")}) == 4


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0,), (WORDS_AT_ONCE + 1,)])
def test_the_bits_are_the_same_on_every_device(shape: tuple[int, ...], device: str, monkeypatch) -> None:
    """NumPy on the CPU, PyTorch elsewhere, which is run here too."""
    rng = CounterRng(3, "train", 5, torch.tensor([0, 1, -1, 2**62, -(2**63), 2**63 - 1]))
    expected = rng.bits("angle", *shape)
    monkeypatch.setattr(tensors, "on_cpu", lambda values: False)
    bits = rng.to(torch.device(device)).bits("angle", *shape)
    assert bits.device.type == device
    assert torch.equal(bits.cpu(), expected)
