"""The same malicious loader without kernel restrictions, as on other systems: the audit hook alone."""

from helpers.sandbox_attacks import load
from imparfait.evaluation.external.sandbox import linux


def prepare() -> None:
    linux.restrict_files = lambda paths: False
    linux.filter_system_calls = lambda: False
    linux.drop_privileges = lambda: None


__all__ = ["load", "prepare"]
