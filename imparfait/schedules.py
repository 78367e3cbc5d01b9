"""How large a step is, from the first to the last; `losses` are those of the epochs before."""

import math
from collections.abc import Callable, Sequence

WARM_UP = 0.25  # share of the steps in which the step size rises; then it falls to zero
PATIENCE, FACTOR, LEAST = 3, 0.5, 1e-4  # of `plateau`: epochs, share of the step size, fall of the loss that counts


def one_cycle(progress: float, losses: Sequence[float] = ()) -> float:
    """The step size at `progress` (0..1) of the run, as a share of its peak: up in a line, down in a line."""
    return min((progress + 1e-3) / WARM_UP, (1 - progress) / (1 - WARM_UP), 1.0)


def constant(progress: float, losses: Sequence[float] = ()) -> float:
    """The same step size from the first step to the last."""
    return 1.0


def plateau(progress: float, losses: Sequence[float]) -> float:
    """Half the step size whenever the loss has not fallen for three epochs.

    Source: Keras's ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3, min_delta=1e-4). It watches the
    training loss: where all training pictures are fitted on, there is no other.
    """
    share, best, waited = 1.0, math.inf, 0
    for loss in losses:
        fell = loss < best - LEAST
        best, waited = (loss, 0) if fell else (best, waited + 1)
        if waited == PATIENCE:
            share, waited = share * FACTOR, 0
    return share


SCHEDULES: dict[str, Callable[[float, Sequence[float]], float]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    "plateau": plateau,
}
