"""Commands run in the test process."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from imparfait.cli.main import commands
from imparfait.core.errors import UserError

SMALL = ["--recipe", "default", "--augmentation", "core", "--ood-fraction", "0"]
"""The recipe `default` without what takes longest, for tests of what does not depend on it."""
SHORT = ["--epochs", "2", "--batch-size", "20", "--learning-rate", "0.003", *SMALL]
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from imparfait.cli.main import main; main()"
"""The program `imparfait` where PyTorch is not installed."""


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(commands, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str | Path) -> str:
    """What is said of a mistake."""
    with pytest.raises(UserError) as error:
        commands.main([str(word) for word in words], standalone_mode=False)
    assert "\n" not in str(error.value)
    return str(error.value)
