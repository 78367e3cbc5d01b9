"""Mistakes of users in Python: one sentence with what came and what to write instead.

They are made in a process of their own: in the tests' process types are checked before the package sees them.
"""

import json
import subprocess
import sys

import pytest

MISTAKES = [
    ("evaluate('digits', data)", "'digits'", "load_classifier('digits')"),
    ("evaluate(network, data)", "Petit", "as_classifier(model)"),
    ("evaluate({'a': network}, data)", "Petit", "as_classifier(model)"),
    ("evaluate(3, data)", "int", "a function from arrays"),
    ("list(train(network, 'mnist', settings))", "'mnist'", "load_data('mnist').train"),
    ("list(train(network, data, 'quick'))", "'quick'", "RECIPES['quick'].settings"),
    ("list(train(network, data, None))", "NoneType", "TrainingSettings(…)"),
    ("build('petit', channels=1, classes=0)", "classes=0", "1 or more"),
    ("build('petit', channels=-1, classes=2)", "channels=-1", "1 or more"),
]
PROGRAM = """
import json, sys
from imparfait import *
data = load_data("mnist").train.select(range(64))
network, settings = build("petit", channels=1, classes=10), TrainingSettings(epochs=1)
said = []
for line in json.load(sys.stdin):
    try:
        eval(line)
        said.append("nothing")
    except UserError as error:
        said.append(str(error))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    lines = [line for line, *_ in MISTAKES]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(lines), capture_output=True, text=True, check=True
    )
    return dict(zip(lines, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("line", "came", "following"), MISTAKES)
def test_a_mistake_is_one_sentence_with_what_to_write(
    line: str, came: str, following: str, said: dict[str, str]
) -> None:
    assert came in said[line]
    assert following in said[line]
    assert "\n" not in said[line]
