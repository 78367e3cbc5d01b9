"""`imparfait serve`: an HTTP API and a demo page."""

import importlib.util
import webbrowser
from pathlib import Path

import click

from imparfait.cli import options, parameters
from imparfait.cli.options import Command
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.serving.settings import ServingSettings, settings_from


def settings(command: Command) -> Command:
    """A flag for each setting of the server."""
    for name, field in reversed(ServingSettings.model_fields.items()):
        text = field.description or ""
        command = click.option(
            f"--{name.replace('_', '-')}", name, metavar="VALUE", default=str(field.default), show_default=True,
            help=f"{text[:1].upper()}{text[1:]}.",
        )(command)  # fmt: skip
    return command


@click.command()
@click.argument("model", type=parameters.Model(), default="digits")
@options.trust
@settings
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@click.option("--qr", is_flag=True, help="Print the address as a QR code, for phones; with --host 0.0.0.0.")
def serve(model: str, trust: bool, show: bool, qr: bool, **flags: str) -> None:
    """Serve predictions over HTTP, and a demo page.

    MODEL is a pretrained model (digits, digits-clean), an .onnx file that imparfait exported, or a run folder. POST an
    image file to /v1/predict; /openapi.json describes the other routes. There is no TLS, and without --token-file no
    password: everyone who reaches the address can use it. SIGHUP loads the model again, after its self-test.
    """
    for name in ("fastapi", "uvicorn", "httptools", *(["segno"] if qr else [])):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"serve needs {name}, which is not installed", hint=install_hint("serve"))
    from imparfait.serving.collection import Collection
    from imparfait.serving.invitation import check_reachable, invitation
    from imparfait.serving.listener import bind

    limits = settings_from(flags)
    if qr:
        check_reachable(limits)
    collection = Collection(Path(limits.collect)) if limits.collect else None
    with bind(limits) as listener:  # a port in use is refused now, and clients until the model is loaded
        url = limits.unix
        if not url:
            host, port = listener.getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}{limits.root_path}"

        def started() -> None:
            click.echo(f"{model} is served at {url} (Ctrl-C stops it)")
            for line in invitation(limits, url, qr):
                click.echo(line)
            if collection:
                click.echo(f"corrected images are saved in {collection.folder}; to train on them, write:")
                click.echo(f"  {collection.command(model)}")
            if show:
                webbrowser.open(url)

        if limits.workers > 1:  # the supervisor imports neither the server nor ONNX Runtime
            from imparfait.serving.supervisor import Supervisor

            Supervisor(model, trust, limits, listener).run(started)
        else:
            from imparfait.serving.process import serve_model

            serve_model(model, trust, limits, listener, lambda server: started())
