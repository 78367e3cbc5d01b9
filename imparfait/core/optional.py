"""Tables and plots of results: pandas and matplotlib, imported when they are first wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imparfait.core.install import install_hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes


def frame_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A pandas table with a row for each of `rows`. Raises ModuleNotFoundError, in a sentence, without pandas."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise missing("to_frame()", "pandas", error) from error
    return pd.DataFrame(list(rows), columns=None if columns is None else list(columns))


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.0) -> Axes:
    """The axes `ax`, or those of a new figure of pyplot, which notebooks and `plt.show()` display; sizes in inches.

    Raises ModuleNotFoundError, in a sentence, without matplotlib.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise missing("plot()", "matplotlib", error) from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def missing(what: str, package: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error that says what needs the package; `error` itself where another one is missing."""
    if error.name != package:
        return error
    said = f"{what} needs {package}, which is not installed; {install_hint('train')}"
    return ModuleNotFoundError(said, name=package)
