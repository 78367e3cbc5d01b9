"""The attackers where the kernel offers no wall at all, as on other systems: the audit hook stands alone."""

from helpers.sandbox_attacks import load
from imparfait.evaluation.external.sandbox import linux


def prepare() -> None:
    linux.only_read = lambda paths: False
    linux.forbid_calls = lambda: False
    linux.give_up_rights = lambda: None


__all__ = ["load", "prepare"]
