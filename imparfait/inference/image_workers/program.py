"""The program of an image worker: answers jobs on untrusted images in a restricted child process."""

import importlib.util
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.decode import page_of, read_pages
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.limits import Limits, TooLargeError
from imparfait.data.images.normalize import read_normalized
from imparfait.data.images.pdf import read_document
from imparfait.evaluation.external.sandbox.server import OUT_OF_MEMORY
from imparfait.inference.image_workers import transfer
from imparfait.inference.image_workers.tensors import parse_request
from imparfait.inference.ocr import Reading, read_page
from imparfait.inference.predictor import Predictor

Job = dict[str, Any]
MAX_ERROR_CHARACTERS = 1000
NICENESS = 10  # so that a hard image leaves the processor to easy ones


def prepare() -> None:
    """Import what decoding and reading need, and read an empty page, so that each child starts with it."""
    Image.init()
    if importlib.util.find_spec("pypdfium2"):
        importlib.import_module("pypdfium2")
    form = InputFormat(channels=1, height=28, width=28, normalization="digit")
    predictor = Predictor("none", tuple("0123456789"), form, None, lambda pixels: np.full((len(pixels), 10), 0.1, "f4"))
    read_page(page_of(np.full((64, 64), 255, np.uint8)), predictor)


def converse(channel: socket.socket) -> None:
    """Answer one job; if it takes too much processor time, the system ends this process."""
    os.nice(NICENESS)
    kind, job = transfer.receive(channel)
    signal.setitimer(signal.ITIMER_PROF, job["cpu_seconds"])
    try:
        for part in JOBS[kind](job, channel):
            transfer.send(channel, transfer.PART, part)
            if job["of_each_page"]:
                signal.setitimer(signal.ITIMER_PROF, job["cpu_seconds"])
        answer: tuple[str, Any] = (transfer.DONE, None)
    except UserError as error:
        too_large = isinstance(error.__cause__, TooLargeError)
        words = [text[:MAX_ERROR_CHARACTERS] for text in (error.received, error.expected, error.hint)]
        no_memory = isinstance(error.__cause__, MemoryError)
        answer = (transfer.OUT_OF_MEMORY, None) if no_memory else (transfer.REFUSED, [*words, too_large])
    except MemoryError:
        answer = (transfer.OUT_OF_MEMORY, None)
    except Exception as error:
        answer = (
            (transfer.OUT_OF_MEMORY, None)
            if OUT_OF_MEMORY.search(str(error))
            else (transfer.FAILED, f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS])
        )
    transfer.send(channel, *answer)


def _normalized(job: Job, channel: socket.socket) -> Iterator[Any]:
    form = InputFormat.model_validate(job["form"])
    yield from read_normalized(_content(job), form, job["name"], Limits(**job["limits"]))


def _pages(job: Job, channel: socket.socket) -> Iterator[Any]:
    yield from _document(job)


def _readings(job: Job, channel: socket.socket) -> Iterator[Any]:
    """Each page's digits, with the page where it is wanted."""
    predictor = _remote_predictor(job, channel)
    for page in _document(job):
        reading = read_page(page, predictor, join_separators=job["join_separators"])
        yield (
            (page, reading)
            if job["with_pages"]
            else (reading.to_json(), inputs_of(reading) if job["with_inputs"] else [])
        )


def _tensor(job: Job, channel: socket.socket) -> Iterator[Any]:
    """The id and the images of a request of the Open Inference Protocol."""
    channels, height, width = job["shape"]
    yield parse_request(_content(job), (channels, height, width))


def inputs_of(reading: Reading) -> list[Pixels]:
    """The model's input for each digit, in the order of `Reading.to_json`."""
    return [digit.pixels for field in reading.fields for digit in field.digits]


def _document(job: Job) -> Iterator[Any]:
    reader = read_document if job["pdf"] else read_pages
    return reader(_content(job), job["name"], Limits(**job["limits"]))


def _content(job: Job) -> bytes:
    content: np.ndarray = job.pop("content")  # so that it is in memory once
    return content.tobytes()


def _remote_predictor(job: Job, channel: socket.socket) -> Predictor:
    """The classifier, which stays in the process that sent the job."""

    def run(pixels: Pixels) -> Probabilities:
        transfer.send(channel, transfer.PREDICT, pixels)
        _, probabilities = transfer.receive(channel)
        return np.asarray(probabilities)

    return Predictor(job["model"], tuple(job["classes"]), InputFormat.model_validate(job["form"]), None, run)


JOBS: dict[str, Callable[[Job, socket.socket], Iterator[Any]]] = {
    "normalize": _normalized,
    "pages": _pages,
    "read": _readings,
    "tensor": _tensor,
}
