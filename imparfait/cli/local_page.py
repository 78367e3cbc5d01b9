"""Local pages of commands: their options, and serving them until Ctrl-C."""

import importlib.util
import os
import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from imparfait.cli.options import Command
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint

if TYPE_CHECKING:
    from fastapi import FastAPI


def options(command: Command) -> Command:
    """The options of each command that serves a local page."""
    port = click.option(
        "--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="Port; 0 chooses a free one."
    )
    no_open = click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
    return port(no_open(command))


def check_installed(command: str) -> None:
    """Raise UserError where a package that serves pages is missing."""
    for name in ("fastapi", "uvicorn", "httptools"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{command} needs {name}, which is not installed", hint=install_hint("serve"))


def show(app: "FastAPI", token: str, port: int, no_open: bool, title: str) -> None:
    """Serve a page until Ctrl-C; prints its address after `title`, and opens the browser unless `no_open`."""
    from imparfait.serving.local_app import run_local

    def started(url: str) -> None:
        click.echo(f"{title}: {url} (Ctrl-C stops)")
        if not no_open and _has_screen():
            webbrowser.open(url)

    run_local(app, token, port, started)


def _has_screen() -> bool:
    """Whether a browser would open in a window, not in this terminal."""
    windowed = sys.platform in ("darwin", "win32")
    return windowed or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
