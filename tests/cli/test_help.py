"""The help of each command, the program's own options, and values from the environment."""

import re
import shlex
import signal
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers.commands import run
from helpers.photos import a_seven
from PIL import Image

from imparfait.cli.examples import EXAMPLES
from imparfait.cli.general import NEVER_FROM_ENVIRONMENT, variable_of
from imparfait.cli.main import COMMANDS, GROUPS, commands, main

SHELL = {">", "|"}


def command_named(name: str) -> click.Command:
    command = commands.get_command(click.Context(commands), name)
    assert command
    return command


def test_help_has_each_command_once_in_groups_with_two_examples() -> None:
    said = run("--help")
    for name, line in COMMANDS.items():
        assert len(line) <= 60
        assert said.count(f"\n  {name} ") == 1
    for heading, (_, examples) in GROUPS.items():
        assert f"\n{heading}:\n" in said
        for example in examples:
            assert f"  $ {example}\n" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_with_two_examples(name: str) -> None:
    said = run(name, "--help")
    assert said == run("help", name)
    assert [line.strip() for line in said.splitlines()[-2:]] == [f"$ {example}" for example in EXAMPLES[name]]
    assert "--quiet" not in said


@pytest.mark.parametrize(
    "example",
    [*(each for both in EXAMPLES.values() for each in both), *(e for _, both in GROUPS.values() for e in both)],
)
def test_an_example_is_a_command_with_options_that_exist(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, name, *words = shlex.split(example)
    assert program == "imparfait"
    words = words[: next((place for place, word in enumerate(words) if word in SHELL), len(words))]
    for word in words:  # files that an option wants to exist
        if re.fullmatch(r"[a-z_]+(\.[a-z0-9]+)+", word):
            (tmp_path / word).touch()
        elif word.startswith("my_"):
            (tmp_path / word).mkdir()
    command = command_named(name)
    context = command.make_context(name, words, parent=click.Context(commands))
    assert context.args == []


def test_help_and_version_are_commands_too() -> None:
    assert run("help") == run("--help")
    assert run("version") == run("--version").replace("commands ", "imparfait ")
    assert re.fullmatch(r"imparfait \S+, torch .*; Python 3\.\d+\.\d+, \S+\n", run("-v", "version"))


@pytest.mark.parametrize("place", ["before", "after"])
def test_verbose_shows_versions_the_preprocessing_and_times(place: str, tmp_path: Path) -> None:
    Image.fromarray(255 - a_seven()).resize((90, 90)).save(tmp_path / "seven.png")
    words = ["predict", str(tmp_path / "seven.png")]
    shown = CliRunner().invoke(commands, words, catch_exceptions=False)
    verbose = ["-v", *words] if place == "before" else [*words, "--verbose"]
    more = CliRunner().invoke(commands, verbose, catch_exceptions=False)
    assert "cropped to" not in shown.stdout
    assert "cropped to" in more.stdout
    assert more.stdout.startswith(shown.stdout.splitlines()[0])
    assert "onnxruntime " in more.stderr
    assert re.search(r"^time: [\d.]+ s, [\d.]+ s of it on a processor", more.stderr, re.M)
    assert shown.stderr == ""


def test_verbose_shows_where_an_error_arose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, traced in ((["predict", "nope.png"], False), (["-v", "predict", "nope.png"], True)):
        monkeypatch.setattr(sys, "argv", ["imparfait", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert ("Traceback" in capsys.readouterr().err) == traced


def test_an_error_of_the_program_itself_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object, **options: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(commands, "main", fail)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert "RuntimeError: unforeseen" in said
    assert said.splitlines()[-1].startswith("imparfait: an error of its own, RuntimeError; please report it")


def test_a_second_ctrl_c_while_the_first_is_answered_gives_the_same_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    ignored = []
    monkeypatch.setattr(signal, "signal", lambda *given: ignored.append(given))
    monkeypatch.setattr(commands, "main", interrupt)
    monkeypatch.setattr("multiprocessing.active_children", interrupt)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert ignored == [(signal.SIGINT, signal.SIG_IGN)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve"], "stopped"),
        (["-v", "serve", "digits"], "stopped"),
        (["predict", "serve"], "stopped at once; what was written before is kept"),
    ],
)
def test_ctrl_c_speaks_of_written_results_only_where_a_command_writes_some(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "main", interrupt)
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    monkeypatch.setattr(sys, "argv", ["imparfait", *words])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.splitlines()[-1] == f"imparfait: {said}"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_an_environment_variable_but_those_that_are_to_be_typed(name: str) -> None:
    for option in command_named(name).params:
        if isinstance(option, click.Option) and not option.hidden:
            wanted = None if option.name in NEVER_FROM_ENVIRONMENT else variable_of(name, option)
            assert option.envvar == wanted


def test_what_a_variable_sets_is_said_also_of_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMPARFAIT_LIST_JSON", "1")
    result = CliRunner().invoke(commands, ["list", "suites"], catch_exceptions=False)
    assert result.stdout.startswith('{"suites"')
    assert result.stderr == "IMPARFAIT_LIST_JSON sets --json: 1\n"
    result = CliRunner().invoke(commands, ["-q", "list", "suites"], catch_exceptions=False)
    assert result.stderr == ""
    monkeypatch.setenv("IMPARFAIT_EVALUATE_SAMPLE", "3")
    monkeypatch.setenv("IMPARFAIT_TRAIN_OUT", "elsewhere")
    monkeypatch.setattr(sys, "argv", ["imparfait", "evaluate", "digits"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "'3'; expected 20 or more, or all" in said
    assert said.endswith("; the environment sets IMPARFAIT_EVALUATE_SAMPLE\n")


def test_what_is_to_be_typed_each_time_is_not_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPARFAIT_EVALUATE_SPLIT", "test")
    context = command_named("evaluate").make_context("evaluate", ["digits"], parent=click.Context(commands))
    assert context.params["split"] == "validation"
