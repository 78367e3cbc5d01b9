"""Image workers: the same pages and digits as in this process, within limits of memory and time that end the work."""

import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import refused
from PIL import Image, ImageDraw, ImageFont

from imparfait.core.errors import UserError
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.limits import MAX_WEBP_PIXELS, Limits
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.evaluation.external.sandbox.protocol import ProtocolError
from imparfait.inference.image_workers import transfer
from imparfait.inference.image_workers.client import SMALL, ImageWorkers, small_normalized
from imparfait.inference.image_workers.worker import WorkerLimits, WorkLimitError
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import read_file
from imparfait.inference.ocr.constraints import Length
from imparfait.serving.settings import ServingSettings

FORM = InputFormat(channels=1, height=28, width=28, normalization="digit")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="on Windows images are decoded in the calling process")


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def square(side: int = 700) -> Image.Image:
    pixels = np.full((side, side), 255, np.uint8)
    pixels[side // 3 : side // 2, side // 3 : side // 2] = 0
    return Image.fromarray(pixels)


def written(text: str) -> bytes:
    """A page with digits in type."""
    page = Image.new("L", (400, 120), 255)
    ImageDraw.Draw(page).text((40, 30), text, 0, ImageFont.load_default(60))
    return stored(page, "PNG")


def pages() -> bytes:
    return stored(square(), "TIFF", save_all=True, append_images=[square(900), square(640)])


@pytest.fixture(scope="module")
def workers() -> Iterator[ImageWorkers]:
    with ImageWorkers() as started:
        yield started


def same(left: object, right: object) -> bool:
    """Whether two results are equal, arrays by their values."""
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and bool((left == right).all())
    if isinstance(left, list | tuple):
        return (
            type(left) is type(right)
            and len(left) == len(right)
            and all(same(*pair) for pair in zip(left, right, strict=True))
        )
    if hasattr(left, "__dataclass_fields__"):
        names = left.__dataclass_fields__
        return type(left) is type(right) and all(same(getattr(left, name), getattr(right, name)) for name in names)
    return left == right


FILES = {
    "a photo": stored(square(1500), "JPEG"),
    "a page of a scan": stored(square(), "TIFF"),
    "several pages": pages(),
    "a GIF": stored(square(), "GIF"),
    "a small PNG": stored(square(100), "PNG"),
    "a large PNG": stored(square(), "PNG"),
    "WebP": stored(square(), "WEBP"),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_worker_gives_the_same_images_as_this_process(content: bytes, workers: ImageWorkers) -> None:
    assert same(list(workers.normalized(content, FORM)), list(read_normalized(content, FORM)))


def test_a_worker_reads_the_same_digits_as_this_process(workers: ImageWorkers) -> None:
    content = written("31415")
    predictor = load_predictor("digits")
    for constraints in ([], [Length(5)]):
        found = list(workers.readings(content, predictor, constraints=constraints))
        assert same(found, list(read_file(content, predictor, constraints=constraints)))
        assert found[0][1].lines


BROKEN = {
    "empty": b"",
    "no image": b"hello, world" * 9,
    "half a photo": FILES["a photo"][:3000],
    "a truncated scan": FILES["a page of a scan"][:-200],
    "a PDF without a page": b"%PDF-1.4\n%%EOF",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_worker_refuses_with_the_same_sentence(content: bytes, workers: ImageWorkers) -> None:
    with pytest.raises(UserError) as here:
        list(read_normalized(content, FORM, "x.png"))
    with pytest.raises(UserError) as there:
        list(workers.normalized(content, FORM, "x.png"))
    assert str(here.value) == str(there.value)


def webp_of_50_megapixels() -> bytes:
    return stored(Image.new("L", (7000, 7000)), "WEBP", lossless=True)


def test_a_tiny_webp_of_many_pixels_is_refused_by_its_header(workers: ImageWorkers) -> None:
    content = webp_of_50_megapixels()
    assert len(content) < 4000
    with pytest.raises(UserError, match=f"7000×7000 pixels; expected at most {MAX_WEBP_PIXELS:,} in WebP"):
        list(workers.normalized(content, FORM))


@pytest.mark.parametrize("kind", ["lossy", "lossless", "extended"])
def test_the_size_in_a_webp_header_is_understood(kind: str) -> None:
    options = {"lossless": kind == "lossless"} | (
        {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"} if kind == "extended" else {}
    )
    (image,) = read_normalized(stored(square(123), "WEBP", **options), FORM)
    assert image.box[2] <= 123
    with pytest.raises(UserError, match="5000×4000 pixels"):
        list(read_normalized(stored(Image.new("RGB", (5000, 4000)), "WEBP", **options), FORM))


def test_an_image_that_needs_too_much_memory_is_refused_and_the_next_is_read() -> None:
    limits = WorkerLimits(memory_bytes=60 << 20)
    with ImageWorkers(1, limits) as workers:
        for kind in ("PNG", "TIFF"):
            with pytest.raises(WorkLimitError, match="needs more than 60 MiB of memory; give a smaller image"):
                list(workers.normalized(stored(Image.new("RGB", (6000, 6000)), kind), FORM))
        assert len(list(workers.normalized(FILES["a large PNG"], FORM))) == 1


def test_a_photo_of_48_megapixels_fits_into_the_servers_memory() -> None:
    limits = WorkerLimits(memory_bytes=ServingSettings().image_mebibytes << 20)
    with ImageWorkers(1, limits) as workers:
        for mode in ("RGB", "L"):
            (image,) = workers.normalized(stored(Image.new(mode, (8000, 6000), 9), "PNG", compress_level=1), FORM)
            assert image.empty


def test_work_ends_at_its_limit_of_processor_time() -> None:
    with ImageWorkers(1, WorkerLimits(cpu_seconds=0.05)) as workers:
        start = time.monotonic()
        with pytest.raises(WorkLimitError, match=r"takes more than 0\.05 s of processor time; give a smaller image"):
            list(workers.normalized(stored(Image.new("L", (7000, 7000)), "TIFF"), FORM))
        assert time.monotonic() - start < 20
        assert len(list(workers.normalized(stored(square(100), "GIF"), FORM))) == 1


def test_work_ends_at_its_limit_of_wall_clock_time() -> None:
    with ImageWorkers(1, WorkerLimits(seconds=0.01)) as workers:
        workers.start()
        with pytest.raises(WorkLimitError, match=r"takes longer than 0\.01 s"):
            list(workers.normalized(stored(Image.new("L", (7000, 7000)), "TIFF"), FORM))


def test_the_classifiers_time_counts() -> None:
    def slow(pixels: np.ndarray) -> np.ndarray:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        return np.full((len(pixels), 10), 0.1, np.float32)

    predictor = load_predictor("digits")
    predictor = type(predictor)("slow", predictor.classes, predictor.input_format, None, slow)
    with (
        ImageWorkers(1, WorkerLimits(cpu_seconds=0.2)) as workers,
        pytest.raises(WorkLimitError, match="of processor time"),
    ):
        list(workers.readings(written("12"), predictor))


def test_leaving_a_file_early_ends_its_worker(workers: ImageWorkers) -> None:
    first = next(workers.normalized(pages(), FORM))
    assert isinstance(first, NormalizedImage)
    assert len(list(workers.normalized(pages(), FORM))) == 3


def test_closing_ends_workers_that_are_at_work() -> None:
    workers = ImageWorkers()
    workers.start()
    errors: list[UserError] = []

    def work() -> None:
        try:
            list(workers.normalized(stored(Image.new("L", (7000, 7000)), "TIFF"), FORM))
        except UserError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    workers.close()
    thread.join(10)
    assert not thread.is_alive()
    assert errors


def test_only_small_files_of_bounded_formats_are_decoded_in_this_process() -> None:
    inside = int(SMALL.pixels**0.5)
    in_process = {
        "PNG": stored(square(inside), "PNG"),
        "JPEG": stored(square(200), "JPEG"),
        "BMP": stored(square(200), "BMP"),
    }
    for content in in_process.values():
        assert same(small_normalized(content, FORM, "x", Limits()), next(read_normalized(content, FORM)))
    in_worker = {
        "more pixels": stored(square(inside + 1), "PNG"),
        "more bytes": stored(square(500), "BMP"),
        "GIF": stored(square(100), "GIF"),
        "TIFF": stored(square(100), "TIFF"),
        "WebP": stored(square(100), "WEBP"),
        "many scans": stored(square(500).convert("RGB"), "JPEG", progressive=True),
    }
    for name, content in in_worker.items():
        assert small_normalized(content, FORM, "x", Limits()) is None, name


NONSENSE = (
    b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x02[]", b"\0\0\0\x0d[1,{\"q\":1},[]",
    b'\0\0\0\x2f["part",{"d":["Popen",["ls"]]},[["uint8",[1]]]]  ' + b"\0",
    b'\0\0\0\x32["part",{"a":0},[["float64",[1000000000,1000]]]]   ',
    b'\0\0\0\x23["part",{"a":0},[["object",[1]]]]   ', b'\0\0\0\x1d["part",{"a":7},[["int8",[]]]',
)  # fmt: skip


@pytest.mark.parametrize("sent", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_from_a_worker_is_an_error_and_makes_no_object(sent: bytes) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(sent)
        there.close()
        with pytest.raises((ProtocolError, EOFError)):
            transfer.receive(here, time.monotonic() + 5)


def test_predict_and_read_refuse_what_needs_too_much(tmp_path: Path) -> None:
    file = tmp_path / "bomb.webp"
    file.write_bytes(webp_of_50_megapixels())
    for command in ("predict", "read"):
        assert "in WebP" in refused(command, file)


def test_a_reader_without_memory_is_refused_in_the_same_words() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 2, (1500, 1500)).astype(np.uint8) * 255)
    with (
        ImageWorkers(1, WorkerLimits(memory_bytes=110 << 20)) as workers,
        pytest.raises(WorkLimitError, match="needs more than 110 MiB of memory"),
    ):
        list(workers.readings(stored(noise, "PNG"), load_predictor("digits")))


@pytest.mark.parametrize("white", [1e-30, 1.0, 3e38])
def test_float_samples_of_extreme_range_are_read(white: float, workers: ImageWorkers) -> None:
    samples = np.zeros((40, 60), np.float32)
    samples[10:30, 20:26] = white
    content = stored(Image.fromarray(samples), "TIFF")
    assert len(list(workers.readings(content, load_predictor("digits")))) == 1
    assert len(list(workers.normalized(content, FORM))) == 1
