"""What is known of an alteration beside its function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from imparfait.alterations.severity import Severity
from imparfait.randomness import Draw
from imparfait.tensors import Images

Alteration = Callable[[Images, Severity, Draw], Images]
Family = Literal["geometry", "pen", "noise", "blur", "light", "strokes", "edges"]
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
ONCE = (1.0,)


@dataclass(frozen=True)
class Listed:
    """An alteration of the table; called like its function."""

    alter: Alteration
    family: Family | None
    """None for one that is not of the table."""
    mnist_c: float | None = None
    """The severity at which MNIST-C's published parameters lie, where the alteration is one of its 15."""
    in_kind: bool = False
    """Whether it agrees with MNIST-C's only in kind: reports then write its name with "-like"."""
    protocol: float | None = None
    """The severity of the protocol's three."""
    levels: tuple[float, ...] = LEVELS
    """The severities the suite scores; one that has no degrees has one level."""

    @property
    def summary(self) -> str:
        """What it does, its family, and where MNIST-C's and the protocol's parameters lie, in one line."""
        does = (self.alter.__doc__ or "yours").strip().splitlines()[0].rstrip(".:")
        told: list[str] = [self.family or "yours"]
        if self.mnist_c is not None:
            told.append(f"MNIST-C's {'in kind ' if self.in_kind else ''}at {self.mnist_c:.2g}")
        if self.protocol is not None:
            told.append(f"the protocol's at {self.protocol:g}")
        return f"{does} ({', '.join(told)})"

    def __call__(self, images: Images, severity: Severity, draw: Draw) -> Images:
        """The altered pictures."""
        return self.alter(images, severity, draw)
