"""Our GRU equals Keras's: tested against its formulas step by step, and against PyTorch's for tanh."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imparfait.models.gru import Gru, at_the_end, side_by_side

EXACT = {"atol": 1e-5, "rtol": 1e-5}


def with_random_weights(gru: Gru, seed: int = 0) -> Gru:
    random = torch.Generator().manual_seed(seed)
    for parameter in gru.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random, dtype=parameter.dtype) / 3
    return gru


def slow(gru: Gru, sequences: Tensor) -> Tensor:
    """keras.layers.GRU with reset_after=True, step by step: states [directions, steps, n, units]."""
    activate = {"tanh": torch.tanh, "relu": torch.relu}[gru.candidate]
    directions = []
    for direction, (kernel, recurrent, bias) in enumerate(zip(gru.kernel, gru.recurrent, gru.bias, strict=True)):
        state = torch.zeros(len(sequences), len(recurrent), dtype=sequences.dtype)
        states = []
        for step in sequences.flip(1).unbind(1) if direction else sequences.unbind(1):
            x_update, x_reset, x_candidate = (step @ kernel + bias[0]).chunk(3, 1)
            h_update, h_reset, h_candidate = (state @ recurrent + bias[1]).chunk(3, 1)
            update, reset = torch.sigmoid(x_update + h_update), torch.sigmoid(x_reset + h_reset)
            state = update * state + (1 - update) * activate(x_candidate + reset * h_candidate)
            states.append(state)
        directions.append(torch.stack(states))
    return torch.stack(directions)


@given(
    st.integers(1, 5), st.integers(1, 6), st.integers(1, 7), st.integers(1, 8), st.integers(1, 2),
    st.sampled_from(["tanh", "relu"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_states_and_gradients_equal_the_slow_reference(
    n: int, steps: int, features: int, units: int, directions: int, candidate
) -> None:
    gru = with_random_weights(Gru(features, units, directions=directions, candidate=candidate))
    sequences = torch.randn(n, steps, features, generator=torch.Generator().manual_seed(1), requires_grad=True)
    leaves = [sequences, *gru.parameters()]
    fast, plain = gru(sequences), slow(gru, sequences)
    torch.testing.assert_close(fast, plain, **EXACT)
    weighting = torch.randn(fast.shape, generator=torch.Generator().manual_seed(2))
    for ours, theirs in zip(
        torch.autograd.grad((fast * weighting).sum(), leaves),
        torch.autograd.grad((plain * weighting).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(gru(sequences), plain.detach(), **EXACT)


def test_with_tanh_it_equals_pytorchs_gru() -> None:
    gru = with_random_weights(Gru(11, 13, directions=2))
    theirs = nn.GRU(11, 13, batch_first=True, bidirectional=True)
    for direction, suffix in enumerate(("l0", "l0_reverse")):
        for name, value in (
            ("weight_ih", gru.kernel[direction].T),
            ("weight_hh", gru.recurrent[direction].T),
            ("bias_ih", gru.bias[direction, 0]),
            ("bias_hh", gru.bias[direction, 1]),
        ):
            update, reset, candidate = value.detach().chunk(3)
            getattr(theirs, f"{name}_{suffix}").data = torch.cat([reset, update, candidate])  # PyTorch's order
    sequences = torch.randn(6, 9, 11, generator=torch.Generator().manual_seed(0))
    states = gru(sequences)
    sequence, last = theirs(sequences)
    torch.testing.assert_close(side_by_side(states), sequence, **EXACT)
    torch.testing.assert_close(at_the_end(states), torch.cat(list(last), 1), **EXACT)


def test_its_gradient_is_exact_in_float64() -> None:
    gru = with_random_weights(Gru(3, 4, directions=2, candidate="tanh").double())
    sequences = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gru, (sequences,))


@pytest.mark.parametrize("candidate", ["tanh", "relu"])
def test_in_bfloat16_it_agrees_up_to_rounding(candidate) -> None:
    torch.manual_seed(0)
    gru = Gru(32, 64, directions=2, candidate=candidate)
    sequences = torch.randn(16, 9, 32, generator=torch.Generator().manual_seed(0))
    exact = gru(sequences)
    exact_gradients = torch.autograd.grad(exact.square().mean(), list(gru.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gru(sequences)
    gradients = torch.autograd.grad(rounded.square().mean(), list(gru.parameters()))
    for ours, theirs in zip((rounded, *gradients), (exact, *exact_gradients), strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.03 * theirs.norm()
