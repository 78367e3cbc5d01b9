"""Settings are validated where they enter, and near misses of names are recognised."""

import re

import pytest
from pydantic import BaseModel, ValidationError

from imparfait.cli.options import changed
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError, lookup
from imparfait.core.setting_errors import setting_error
from imparfait.core.storage import fingerprint
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.models.registry import MODELS
from imparfait.serving.settings import ServingSettings
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import (
    FEW_PHOTOGRAPHS,
    MIN_STEPS,
    NARROW,
    NARROW_BELOW,
    PHOTOGRAPH_STEPS,
    TrainingSettings,
    enough_steps,
)


def test_a_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no recipe is called 'defualt'; did you mean 'default'\?"):
        lookup("recipe", "defualt", RECIPES)
    with pytest.raises(UserError, match="no recipe is called 'xyz'; choose from quick, default"):
        lookup("recipe", "xyz", RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_things_that_exist(name: str) -> None:
    settings = RECIPES[name].settings
    assert settings.model in MODELS
    assert settings.augmentation in AUGMENTATIONS


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        (
            "learning_rate",
            "-1",
            "--learning-rate was given as '-1'; expected a number above 0; such as --learning-rate 0.012",
        ),
        ("epochs", "many", "--epochs was given as 'many'; expected a whole number of 1 or more"),
        ("label_smoothing", "1", "--label-smoothing was given as '1'; expected a number from 0 and below 1"),
        ("seed", "-3", "--seed was given as '-3'; expected a whole number of 0 or more"),
        ("class_balance", "2", "--class-balance was given as '2'; expected a number from 0 to 1; such as"),
        ("class_balance", "nan", "--class-balance was given as 'nan'; expected a number from 0 to 1"),
        ("learning_rate", "inf", "--learning-rate was given as 'inf'; expected a number above 0"),
        ("weight_decay", "nan", "--weight-decay was given as 'nan'; expected a number of 0 or more"),
        ("batch_size", "1.5", "--batch-size was given as '1.5'; expected a whole number of 1 or more"),
        ("optimizer", "sgd", "--optimizer was given as 'sgd'; expected adamw or keras; such as --optimizer adamw"),
        ("model_args", {"filters": 0}, "--model-args.filters was given as 0; expected a whole number of 1 or more"),
    ],
)
def test_a_value_out_of_range_names_its_flag(flag: str, value: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        changed(TrainingSettings(), {flag: value})
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("model", [TrainingSettings, ServingSettings])
def test_no_setting_shows_the_words_of_the_library_that_checks_it(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for value in ("nan", "inf", "-1e99", "", [], {"filters": "x"}):
            try:
                model.model_validate({name: value})
            except ValidationError as error:
                sentence = str(setting_error(model, error, "--"))
                assert name == "name" or re.search(r"expected (a |text|\w+ or )", sentence), (name, value, sentence)
                assert "nput should" not in sentence or field.metadata[-1:] == [], sentence


def test_flags_change_only_what_was_given() -> None:
    assert changed(RECIPES["quick"].settings, {"seed": "4", "epochs": None}) == RECIPES["quick"].settings.model_copy(
        update={"seed": 4}
    )


def test_another_network_takes_no_model_arguments_of_the_recipe() -> None:
    assert changed(RECIPES["quick"].settings, {"model": "petit"}).model_args == RECIPES["quick"].settings.model_args
    assert changed(RECIPES["quick"].settings, {"model": "cnn"}).model_args == {}


def test_fingerprints_differ_when_anything_does() -> None:
    settings = [TrainingSettings(), TrainingSettings(seed=1), TrainingSettings(epochs=1)]
    prints = {fingerprint(s, m) for s in settings for m in (ComputeConfig(), ComputeConfig(threads=2))}
    assert len(prints) == 6
    assert fingerprint(TrainingSettings(), "a") != fingerprint(TrainingSettings(), "b")


def test_small_data_sets_get_more_epochs_and_smaller_batches_by_default() -> None:
    settings = RECIPES["default"].settings
    assert enough_steps(settings, 50_000) == settings
    few = enough_steps(settings, 160)
    assert few.batch_size == 20
    assert abs(few.epochs * 160 / 20 - MIN_STEPS) <= 8
    assert enough_steps(settings, 160, {"epochs"}).epochs == settings.epochs
    assert enough_steps(settings, 160, {"epochs", "batch_size"}) == settings


def test_few_photographs_get_a_narrower_network_and_more_steps() -> None:
    settings = RECIPES["photo"].settings
    assert enough_steps(settings, FEW_PHOTOGRAPHS) == settings
    some = enough_steps(settings, NARROW_BELOW)
    assert some.model_args == {}
    assert abs(some.epochs * NARROW_BELOW / some.batch_size - PHOTOGRAPH_STEPS) <= 32
    few = enough_steps(settings, 1000)
    assert few.model_args == NARROW
    assert abs(few.epochs * 1000 / few.batch_size - PHOTOGRAPH_STEPS) <= 16
    own = settings.model_copy(update={"model_args": {"filters": 24}})
    assert enough_steps(own, 1000).model_args == {"filters": 24}
    assert enough_steps(settings, 1000, {"model_args", "epochs"}).model_args == {}
