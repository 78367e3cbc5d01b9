"""Choosing between settings: what is compared, what it costs, and what its outcomes show."""
