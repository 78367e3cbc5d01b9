"""Counts in sentences: "1 image", "2,000 images"."""


# Ten words in this file save an "if" in some twenty sentences of several packages.
def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun, in the plural unless it is one: `plural`, or the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
