"""One word per concept: the words of the first design are in no help text, docstring, report template or page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from imparfait.cli.main import COMMANDS, commands

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "imparfait"
# The glossary of docs/design.md has one replacement for each: image, corruption, external model, sandbox, …
FORBIDDEN = re.compile(
    r"\b(pictures?|alter(?:ations?|ed|ing|s)?|mixtures?|strangers?|fence[sd]?|taught|contenders?|rivals?|"
    r"sure of|sureness|surely|opens? the test|wanted (?:is|are|was)|the three|told|asks|is asked|are asked|anew|"
    r"by turns|of nothing|development images)\b",
    re.IGNORECASE,
)
TEXTS = [*(PACKAGE / "reports" / "templates").glob("*.html"), *(PACKAGE / "serving" / "web").glob("*.html")]
MODULES = sorted(PACKAGE.rglob("*.py"))


def forbidden(text: str, where: str, first_line: int = 1) -> Iterator[str]:
    """`file:line: word` for each forbidden word."""
    for number, line in enumerate(text.splitlines(), first_line):
        for word in FORBIDDEN.finditer(line):
            yield f"{where}:{number}: {word[0]!r} in {line.strip()!r}"


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of a module, its classes, functions, fields and constants, with their first lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_use_the_words_of_the_field(path: Path) -> None:
    where = str(path.relative_to(ROOT))
    assert not [found for line, text in docstrings(path) for found in forbidden(text, where, line)]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_pages_use_the_words_of_the_field(path: Path) -> None:
    text = re.sub(r"</?picture>", "", path.read_text(encoding="utf-8"))  # an element of HTML
    assert not list(forbidden(text, str(path.relative_to(ROOT))))


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_uses_the_words_of_the_field(name: str) -> None:
    result = CliRunner().invoke(commands, [*([name] if name else []), "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert not list(forbidden(result.output, f"imparfait {name} --help"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_summary_in_the_table_of_commands(name: str) -> None:
    with commands.make_context("imparfait", [name], resilient_parsing=True) as context:
        command = commands.get_command(context, name)
    assert command is not None
    assert command.help
    assert len(COMMANDS[name]) <= 70


def test_the_test_finds_words_and_their_lines() -> None:
    assert list(forbidden("an image\na picture is taught", "file")) == [
        "file:2: 'picture' in 'a picture is taught'",
        "file:2: 'taught' in 'a picture is taught'",
    ]
    assert sum(len(list(docstrings(path))) for path in MODULES) > 1000
