"""The same malicious loader where the kernel restricts nothing, as on other systems: only the audit hook is left."""

from helpers.sandbox_attacks import load
from imparfait.evaluation.external.sandbox import linux


def prepare() -> None:
    linux.restrict_files = lambda paths: False
    linux.filter_system_calls = lambda: False
    linux.drop_privileges = lambda: None


__all__ = ["load", "prepare"]
