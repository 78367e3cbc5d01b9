"""`imparfait serve`: an HTTP API, and a page to draw on."""

import importlib.util
import os
import webbrowser

import click

from imparfait.cli.options import Command
from imparfait.core.errors import UserError
from imparfait.serving.settings import ServingSettings, settings_from


def limits(command: Command) -> Command:
    """A flag for each setting of a server."""
    for name, field in reversed(ServingSettings.model_fields.items()):
        told = field.description or ""
        command = click.option(
            f"--{name.replace('_', '-')}", name, metavar="VALUE", default=str(field.default), show_default=True,
            help=f"{told[:1].upper()}{told[1:]}.",
        )(command)  # fmt: skip
    return command


@click.command()
@click.argument("model", default="digits")
@limits
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
def serve(model: str, show: bool, **flags: str) -> None:
    """Answer over HTTP what is on images, and show a page to draw on.

    MODEL is digits (the default) or digits-clean, an .onnx file that imparfait exported, or a run folder. POST the
    bytes of an image's file to /v1/predict; /openapi.json describes the rest. There is no password and no TLS: who
    can reach the address can ask.
    """
    for name in ("fastapi", "uvicorn", "httptools"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"serve needs {name}, which is not installed; write: pip install 'imparfait[serve]'")
    from imparfait.serving.server import listen, make_server, run, tune_process
    from imparfait.serving.service import Service, models_for

    settings = settings_from(flags)
    tune_process(settings)
    server = make_server(Service(models_for(model), settings))
    with listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

        def started() -> None:
            click.echo(f"{model} answers at {url} (Ctrl-C ends it)")
            if show:
                webbrowser.open(url)

        run(server, listener, started)
        if server.service.busy:  # at an image nobody waits for any more; Python would
            os._exit(0)
