"""Composed lines of handwritten digits, drawn by code that nothing was tuned on.

It shares no code with `tools/pages`, on which the reader is trained: one that has only learned how those draw lines
shows it here.
"""

from ocr.lines.composer import ComposedLine, compose
from ocr.lines.hands import Hands, held_out_hands

__all__ = ["ComposedLine", "Hands", "compose", "held_out_hands"]
