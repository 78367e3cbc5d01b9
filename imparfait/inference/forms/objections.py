"""Why a text that a person enters does not meet the constraints of its field."""

from collections.abc import Mapping

from imparfait.inference.forms.fields_file import Form, FormField
from imparfait.inference.ocr.automaton import Automaton, accepts
from imparfait.inference.ocr.constraints import KINDS, Constraint, Pattern
from imparfait.inference.ocr.number_list import without_separators

MOST_SHOWN = 3  # numbers of a list, in a sentence
WORDS = {
    "length": "its length is not {}",
    "one_of": "it is not in {}",
    "check": "its check digits are wrong ({})",
    "pattern": "it does not have the form {}",
    "at_least": "it is smaller than {}, or has another number of digits",
}


def objection(form: Form, name: str, text: str, others: Mapping[str, str]) -> str | None:
    """Why a field's text is not allowed, as part of a sentence; None where it is.

    `others` has the texts of other fields of the page, as far as they are known.
    """
    field = _named(form, name)
    if text and not _is_number(text):
        return "it is not a number"
    if text:
        for key, constraint in _constraints(form, field):
            if not _meets(constraint, text):
                return WORDS[key].format(_shown(getattr(field, key)))
    elif field.required:
        return "it is required"
    for other in form.same_as(name):
        if other in others and without_separators(others[other]) != without_separators(text):
            return f"{other} has to be the same, and is {others[other] or 'empty'}"
    return None


def as_printed(form: Form, name: str, text: str) -> str:
    """A text of digits only with the separators of the field's pattern, if it meets that; any other as it is."""
    for _, constraint in _constraints(form, _named(form, name)):
        if isinstance(constraint, Pattern) and _is_number(text) and _accepts(constraint, text):
            return constraint.printed(text)
    return text


def _named(form: Form, name: str) -> FormField:
    return next(each for each in form.fields if each.name == name)


def _constraints(form: Form, field: FormField) -> list[tuple[str, Constraint]]:
    """The constraints of a field with their keys; none where the form was made without."""
    keys = [key for key in KINDS if getattr(field, key) is not None]
    constraints = form.constraints.get(field.name, ())
    return list(zip(keys, constraints, strict=True)) if constraints else []


def _is_number(text: str) -> bool:
    characters = without_separators(text)
    return characters.isascii() and characters.isdecimal()


def _meets(constraint: Constraint, text: str) -> bool:
    characters = without_separators(text)
    accepted = _accepts(constraint, characters)
    return accepted and not (isinstance(constraint, Pattern) and text != constraint.printed(characters))


def _accepts(constraint: Constraint, characters: str) -> bool:
    """Whether a constraint accepts a string, if it is an automaton; others are checked elsewhere."""
    return not isinstance(constraint, Automaton) or accepts(constraint, characters)


def _shown(value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(value[:MOST_SHOWN]) + (" …" if len(value) > MOST_SHOWN else "")
