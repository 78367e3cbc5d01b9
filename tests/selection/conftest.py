"""What several tests of searches share."""

from collections.abc import Iterator

import pytest

from imparfait.selection import profiling


@pytest.fixture(scope="module")
def quick_profiles() -> Iterator[None]:
    """Throughput is measured in a moment: its value does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "TURN_SECONDS", 0.02)
        yield
