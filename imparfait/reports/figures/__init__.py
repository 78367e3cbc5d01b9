"""Figures of results from plain arrays, each for a light and a dark page."""
