"""Lengths that mean the same in pictures of every size."""

from imparfait.tensors import Images

SIDE = 28
"""Lengths are given in pixels of a picture with this (shorter) side, MNIST's; in others they are in proportion."""


def pixel(images: Images) -> float:
    """How many of these pictures' pixels make one of a picture with side `SIDE`."""
    return min(images.shape[-2:]) / SIDE
