"""The attackers where the kernel offers no wall at all, as on other systems: the audit hook stands alone."""

from attackers import load

from imparfait.fence import kernel


def prepare() -> None:
    kernel.only_read = lambda paths: False
    kernel.forbid_calls = lambda: False
    kernel.give_up_rights = lambda: None


__all__ = ["load", "prepare"]
