"""UserError: its fields, its sentence, and suggestions for misspelt names."""

import pickle

import pytest

from imparfait.core.errors import UserError, lookup


def test_an_error_joins_its_fields_into_one_sentence() -> None:
    error = UserError("--epochs: 'ten'", expected="a whole number of 1 or more", hint="write --epochs 10")
    assert str(error) == "--epochs: 'ten'; expected a whole number of 1 or more; write --epochs 10"
    assert (error.expected, error.hint) == ("a whole number of 1 or more", "write --epochs 10")


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UserError("1.5", expected="a whole number", hint="write 2")))
    assert (str(error), error.hint) == ("1.5; expected a whole number; write 2", "write 2")


@pytest.mark.parametrize(
    ("name", "hint"), [("defualt", "did you mean 'default'?"), ("zzz", "choose from default, quick")]
)
def test_an_unknown_name_suggests_the_nearest_or_lists_all(name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        lookup("recipe", name, {"default": 1, "quick": 2})
    assert (caught.value.received, caught.value.hint) == (f"no recipe is called {name!r}", hint)
