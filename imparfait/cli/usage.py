"""Wrong options, arguments and values, in one sentence: what came, what was expected, what to write."""

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import click

FROM_ELSEWHERE = {
    "--lr": "--learning-rate", "--learning_rate": "--learning-rate", "--batch": "--batch-size", "--epoch": "--epochs",
    "--bs": "--batch-size", "--optimiser": "--optimizer", "--dataset": "--data", "--output": "--out", "-o": "--out",
    "--gpu": "--device cuda", "--imgsz": "--size", "--image-size": "--size", "--weights": "--init-from",
    "--pretrained": "--init-from", "--from": "--init-from", "--mixture": "--augmentation",
    "--augment": "--augmentation", "--wd": "--weight-decay",
    "--test": "--split test", "--normalise": "--normalize", "--workers": "--executor processes",
    "--images": "--sample",
    "--config": "--settings", "--format": "--to", "--network": "--model",
}  # fmt: skip
"""Options of other programs and of earlier versions, and what they are called here."""
NOT_NEEDED = {"--resume": "the same command resumes by itself; leave --resume out"}
COMMANDS_ELSEWHERE = {"alter": "corrupt", "test": "evaluate", "eval": "evaluate", "fit": "train", "ocr": "read",
                      "infer": "predict", "classify": "predict", "tune": "search", "validate": "evaluate"}  # fmt: skip
NEAR = 0.65  # similarity of an option that is probably meant; at 0.3, as in click, --lr is near to --help
RANGE = re.compile(r"(?P<value>\S+) is not in the range (?P<range>[^.;]*\S)")
LIMITS = re.compile(r"(?:(?P<low>[-\d.]+)(?P<above><=?))?x(?:(?P<below><=?|>=?)(?P<high>[-\d.]+))?")
CHOICE = re.compile(r"'(?P<value>[^']*)' is not one of (?P<known>'.*')")


def usage_sentence(error: click.UsageError, commands: Iterable[str]) -> str:
    """What click says of a mistake, with what was probably meant or where to find it; `commands` are all there are."""
    unknown = isinstance(error, click.NoSuchOption) or hasattr(error, "command_name")
    said = (error.message if unknown else error.format_message()).rstrip(".").replace(". ", "; ")
    said = RANGE.sub(_in_words, said)
    if choice := CHOICE.search(said):
        known = re.findall(r"'([^']*)'", choice["known"])
        meant = get_close_matches(choice["value"], known, n=1)
        expected = " or ".join([", ".join(known[:-1]), known[-1]])
        hint = f"; did you mean {meant[0]!r}?" if meant else ""
        said = f"{said[: choice.start()]}{choice['value']!r}; expected {expected}{hint}"
        return _lower(said)
    if isinstance(error, click.BadOptionUsage) and "requires an argument" in said:
        return f"{_lower(said)}; write {error.option_name} VALUE"
    path = error.ctx.command_path if error.ctx else "imparfait"
    if isinstance(error, click.NoSuchOption):
        if error.option_name in NOT_NEEDED:
            return f"{_lower(said)}; {NOT_NEEDED[error.option_name]}"
        if file := next((word for word in sys.argv[1:] if word.startswith("-") and Path(word).is_file()), None):
            return f"{_lower(said)}; for the file write ./{file}"
    near = _near(error, commands)
    return f"{_lower(said)}; {f'did you mean {near}?' if near else f'see {path} --help'}"


def _near(error: click.UsageError, commands: Iterable[str]) -> str:
    """What was probably meant by an option or a command that does not exist; empty where nothing is near."""
    if isinstance(error, click.NoSuchOption):
        known = [option for each in (error.ctx.command.params if error.ctx else ()) for option in each.opts]
        elsewhere = FROM_ELSEWHERE.get(error.option_name, "")
        if elsewhere.split(" ")[0] in known:
            return elsewhere
        return "".join(get_close_matches(error.option_name, known, n=1, cutoff=NEAR))
    name = getattr(error, "command_name", "")
    return COMMANDS_ELSEWHERE.get(name) or "".join(get_close_matches(name, commands, n=1))


def _in_words(found: re.Match[str]) -> str:
    """What a number may be: click writes 0<=x<=1."""
    limits = LIMITS.fullmatch(found["range"])
    if not limits:
        return found[0]
    low, high, below = limits["low"], limits["high"], limits["below"] or ""
    if below.startswith(">"):
        low, high, above = high, None, below == ">"
    else:
        above = limits["above"] == "<"
    parts = [f"{'above' if above else 'from'} {low}"] if low else []
    parts += [f"{'and below' if below == '<' else 'to'} {high}"] if high else []
    words = " ".join(parts) if high else f"above {low}" if above else f"{low} or more"
    return f"{found['value']}; expected {words}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
