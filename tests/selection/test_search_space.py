"""Search spaces, from the settings and model arguments and from a file."""

from pathlib import Path

import pytest

from imparfait.core.errors import UserError
from imparfait.selection.candidates import candidate_named
from imparfait.selection.search_space import Choice, Range, check, read_space, space_of, values_of, with_values
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings


@pytest.mark.parametrize("name", [*RECIPES, "petit", "cnn", "cnn_gru", "rnn"])
def test_the_space_of_a_recipe_or_model_holds_what_it_starts_from_and_only_what_can_be(name: str) -> None:
    settings = candidate_named(name).settings
    space = space_of(settings)
    check(space, settings)
    own = values_of(settings, space)
    assert own.keys() == space.keys()
    for setting, value in own.items():
        assert value in space[setting], setting
    assert with_values(settings, own) == settings.model_copy(
        update={"model_args": with_values(settings, own).model_args}
    )


def test_a_space_file_changes_adds_and_fixes(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(
        'learning_rate = {low = 0.001, high = 0.1, log = true}\nepochs = [1, 2]\naugmentation = ["core", "study"]\n'
        "label_smoothing = 0.0\n[model_args]\nfilters = {low = 8, high = 24, step = 8}\nframe = 12\n"
    )
    settings = TrainingSettings()
    space, start = read_space(tmp_path / "space.toml", settings)
    assert space["learning_rate"] == Range(low=0.001, high=0.1, log=True)
    assert space["epochs"] == Choice(of=(1, 2))
    assert space["augmentation"] == Choice(of=("core", "study"))
    assert space["model_args.filters"] == Range(low=8, high=24, step=8)
    assert "label_smoothing" not in space
    assert "model_args.frame" not in space
    assert start.label_smoothing == 0
    assert start.model_args == {"frame": 12}
    assert "weight_decay" in space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "learning_rat = [0.1]",
            "setting that can be searched is called 'learning_rat'; did you mean 'learning_rate'?",
        ),
        ("seed = [1, 2]", "no setting that can be searched is called 'seed'"),
        ("[model_args]\nfilter = [8]", "no argument of petit is called 'filter'; did you mean 'filters'?"),
        ("model_args = 3", "model_args was given as 3"),
        ("learning_rate = {low = 1, high = 0.1}", "low must not be over high"),
        ("learning_rate = {low = 0, high = 0.1, log = true}", "low must be over 0"),
        ("batch_size = {low = 16, high = 40, step = 16}", "high must be a whole number of steps above low"),
        (
            "batch_size = {low = 1, high = 4, step = 0}",
            "'step': 0}: step: input should be greater than 0; expected {low",
        ),
        ("batch_size = {low = 1, high = 4, step = -1}", "'step': -1}: step: input should be greater than 0; expected"),
        ("learning_rate = {least = 1}", "expected {low = 0.001"),
        ("batch_size = []", "expected {low = 0.001"),
        ("batch_size = [32, 0]", "batch_size was given as 0; expected a whole number of 1 or more"),
        (
            "label_smoothing = {low = 0.0, high = 2.0}",
            "label_smoothing was given as 2.0; expected a number from 0 and below 1",
        ),
        ("batch_size = 'many'", "batch_size was given as 'many'"),
    ],
)
def test_an_impossible_search_space_is_a_user_error(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(UserError) as refused:
        read_space(tmp_path / "space.toml", TrainingSettings())
    assert expected in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "space.toml"))


@pytest.mark.parametrize("size", range(1, 41))
def test_every_size_is_among_the_steps_around_it(size: int) -> None:
    settings = RECIPES["default"].settings.model_copy(update={"model_args": {"filters": size}})
    assert size in space_of(settings)["model_args.filters"]
