"""A process that serves: its models, its image workers and its server."""

import os
import socket
import threading
from collections.abc import Callable

from imparfait.serving.image_work import make_workers
from imparfait.serving.models import models_for
from imparfait.serving.scoreboard import Scoreboard
from imparfait.serving.server import Server, make_server, run, tune_process
from imparfait.serving.service import Service
from imparfait.serving.settings import ServingSettings


def serve_model(
    model: str,
    trust: bool,
    settings: ServingSettings,
    listener: socket.socket,
    on_started: Callable[[Server], None],
    scoreboard: Scoreboard | None = None,
    number: int = 0,
) -> None:
    """Serve a model until SIGTERM; raises UserError if it cannot be loaded.

    `scoreboard` and `number`: those of a worker, which also raises UserError for a model that fails its self-test.
    """
    tune_process(settings)
    with make_workers(settings) as workers:
        starting = threading.Thread(target=workers.start)  # while the model is loaded
        starting.start()
        try:
            models = models_for(model, trust, settings.threads)
        finally:
            starting.join()
        server = make_server(Service(models, settings, workers, scoreboard, number))
        server.load = lambda: models_for(model, trust, settings.threads)
        server.supervised = scoreboard is not None
        run(server, listener, lambda: on_started(server))
    if server.service.jobs.busy:  # with an image nobody waits for any more, for which Python would wait
        os._exit(0)
