"""Training pages of a digit detector, composed at random: `compose(split, seed, sources)`."""

from pages.composer import Page, compose
from pages.sources import Sources

__all__ = ["Page", "Sources", "compose"]
