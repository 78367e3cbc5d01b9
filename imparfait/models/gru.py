"""GRUs with Keras's semantics, fast to train on a CPU."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Candidate = Literal["tanh", "relu"]
Sequences = Float[Tensor, "n steps features"]
States = Float[Tensor, "directions steps n units"]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
SLOPES: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": lambda c: 1 - c * c, "relu": lambda c: (c > 0).to(c.dtype)}
"""The derivative of the activation, as a function of its value."""


class Gru(nn.Module):
    """A GRU over sequences, bidirectional if `directions` is 2.

    Weights have Keras's shapes and order (gates: update, reset, candidate; `reset_after=True`), one layer per
    direction: kernel [inputs, 3 units], recurrent [units, 3 units], bias [2, 3 units]. `candidate` is what Keras calls
    `activation`. Initial weights are Keras's: Glorot uniform, orthogonal, zero.
    Source: Cho et al. 2014; keras.layers.GRU 3.15.
    """

    def __init__(self, inputs: int, units: int, *, directions: int = 1, candidate: Candidate = "tanh"):
        super().__init__()
        self.candidate: Candidate = candidate
        self.kernel = nn.Parameter(torch.empty(directions, inputs, 3 * units))
        self.recurrent = nn.Parameter(torch.empty(directions, units, 3 * units))
        self.bias = nn.Parameter(torch.zeros(directions, 2, 3 * units))
        for direction in range(directions):
            nn.init.xavier_uniform_(self.kernel.data[direction])
            nn.init.orthogonal_(self.recurrent.data[direction])

    def forward(self, sequences: Sequences) -> States:
        """The state after each step, per direction; the backward states are in processing order."""
        steps = sequences.transpose(0, 1)
        directed = torch.stack([steps, steps.flip(0)][: len(self.kernel)])  # directions, steps, n, features
        weights = (self.kernel, self.recurrent, self.bias)
        if torch.is_grad_enabled():
            states: Tensor = _Scan.apply(directed, *weights, self.candidate)  # type: ignore[no-untyped-call]
            return states
        return _scan(directed, *weights, self.candidate)[-1]


def side_by_side(states: States) -> Sequences:
    """The states of both directions for each step of the sequence (Keras's `return_sequences`)."""
    return torch.cat([states[0], *(back.flip(0) for back in states[1:])], 2).transpose(0, 1)


def at_the_end(states: States) -> Float[Tensor, "n features"]:
    """The final state of each direction, concatenated."""
    return torch.cat(list(states[:, -1]), 1)


def _scan(steps: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, candidate: str) -> tuple[Tensor, ...]:
    """Gates, candidates, reset gate inputs and states: each [directions, steps, n, …]."""
    directions, count, n, _ = steps.shape
    units = recurrent.shape[1]
    activate, kernel, recurrent = ACTIVATIONS[candidate], rounded(kernel), rounded(recurrent)
    # The input part of the gates for all steps at once: one large matrix product instead of many small ones.
    projected = product(steps.flatten(1, 2), kernel).add_(bias[:, :1]).view(directions, count, n, -1)
    state = torch.zeros_like(projected[:, 0, :, :units])
    history: tuple[list[Tensor], ...] = ([], [], [], [])  # gates, candidates, inners, states
    for step in range(count):
        hidden = product(state, recurrent).add_(bias[:, 1:])
        gate = hidden[..., : 2 * units].add(projected[:, step, :, : 2 * units]).sigmoid_()
        update, reset = gate.chunk(2, -1)
        inner = hidden[..., 2 * units :]
        proposed = activate(torch.addcmul(projected[:, step, :, 2 * units :], reset, inner))
        state = torch.lerp(proposed, state, update)
        for values, value in zip(history, (gate, proposed, inner, state), strict=True):
            values.append(value)
    return tuple(torch.stack(values, 1) for values in history)


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product per direction, accumulated in float32 (float64 for float64 operands)."""
    out = torch.empty(*a.shape[:2], b.shape[2], dtype=torch.promote_types(a.dtype, torch.float32), device=a.device)
    for x, y, result in zip(a, b, out, strict=True):
        if y.dtype == out.dtype:
            torch.mm(x, y, out=result)
        else:
            result.copy_(x.to(y.dtype) @ y)
    return out


def rounded(weights: Tensor) -> Tensor:
    """The weights in the precision of matrix products: bfloat16 under autocast."""
    kind = weights.device.type
    return weights.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else weights


class _Scan(torch.autograd.Function):
    """`_read` with an explicit derivative.

    Autograd would compute one weight gradient per step and add them; this computes one large matrix product.
    """

    @staticmethod
    def forward(ctx: Any, steps: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, candidate: str) -> Tensor:
        gates, candidates, inners, states = _scan(steps, kernel, recurrent, bias, candidate)
        ctx.save_for_backward(steps, kernel, recurrent, gates, candidates, inners, states)
        ctx.candidate = candidate
        ctx.autocast = (torch.is_autocast_enabled(steps.device.type), torch.get_autocast_dtype(steps.device.type))
        return states

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        enabled, low = ctx.autocast
        with torch.autocast(grad_states.device.type, low, enabled=enabled):
            return (*_derivative(grad_states, ctx.candidate, *ctx.saved_tensors), None)


def _derivative(
    grad_states: Tensor,
    candidate: str,
    steps: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    gates: Tensor,
    candidates: Tensor,
    inners: Tensor,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The derivatives by steps, kernel, recurrent and bias."""
    directions, count, n, units = states.shape
    before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], 1)
    update, reset = gates.chunk(2, -1)
    # Everything independent of the gradient through time, for all steps at once.
    grad_update = (before - candidates) * update * (1 - update)
    grad_candidate = (1 - update) * SLOPES[candidate](candidates)
    grad_reset = inners * reset * (1 - reset)
    grad_hidden = torch.empty(directions, count, n, 3 * units, dtype=states.dtype, device=states.device)
    grad_proposed = torch.empty_like(states)
    back = rounded(recurrent).transpose(1, 2)
    grad_through_time = torch.zeros_like(states[:, 0])
    for step in reversed(range(count)):
        grad_state = grad_states[:, step] + grad_through_time
        step_proposed = torch.mul(grad_state, grad_candidate[:, step], out=grad_proposed[:, step])
        step_hidden = grad_hidden[:, step]
        torch.mul(grad_state, grad_update[:, step], out=step_hidden[..., :units])
        torch.mul(step_proposed, grad_reset[:, step], out=step_hidden[..., units : 2 * units])
        torch.mul(step_proposed, reset[:, step], out=step_hidden[..., 2 * units :])
        if step:
            grad_through_time = product(step_hidden, back).addcmul_(grad_state, update[:, step])
    grad_projected = torch.cat([grad_hidden[..., : 2 * units], grad_proposed], -1).flatten(1, 2)
    grad_recurrent = product(before.flatten(1, 2).transpose(1, 2), rounded(grad_hidden.flatten(1, 2)))
    grad_kernel = product(steps.flatten(1, 2).transpose(1, 2), rounded(grad_projected))
    grad_bias = torch.stack([grad_projected.sum(1), grad_hidden.flatten(1, 2).sum(1)], 1)
    grad_steps = product(grad_projected, rounded(kernel).transpose(1, 2)).view(steps.shape)
    return grad_steps, grad_kernel, grad_recurrent, grad_bias
