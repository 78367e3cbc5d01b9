"""Every public function has an example in its docstring, and every example in a public docstring runs."""

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import imparfait

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FUNCTIONS = [name for name in imparfait.__all__ if inspect.isfunction(getattr(imparfait, name))]


def examples() -> Iterator[tuple[str, str]]:
    """The docstrings with examples of the public functions, classes, and the methods of these."""
    for name in imparfait.__all__:
        value = getattr(imparfait, name)
        texts = {name: value.__doc__}
        if inspect.isclass(value):
            texts |= {f"{name}.{key}": getattr(part, "__doc__", None) for key, part in vars(value).items()}
        yield from ((key, text) for key, text in texts.items() if isinstance(text, str) and ">>>" in text)


EXAMPLES = dict(examples())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_has_an_example(name: str) -> None:
    assert name in EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_gives_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], {"imparfait": imparfait}, name, None, None)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert result.attempted
    assert not result.failed, "".join(said)


def test_a_wrong_example_is_found() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
