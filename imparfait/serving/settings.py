"""Settings of the server, which are also the flags of `imparfait serve`."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.setting_errors import setting_error
from imparfait.core.storage import read_regular

MIN_TOKEN, MAX_TOKEN_BYTES = 16, 4096


class ServingSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """The address of the server and its limits per request."""

    host: str = Field("127.0.0.1", description="address to bind to; 0.0.0.0 accepts other computers")
    name: str = Field(
        "", pattern=r"^[^*]*$", description="host names of this server, separated by commas, such as digits.example.org"
    )
    unix: str = Field("", description="Unix socket to listen on, instead of host and port")
    root_path: str = Field(
        "", pattern=r"^(/[^?#]*[^/?#])?$", examples=["/digits"], description="path prefix that a reverse proxy forwards"
    )
    token_file: str = Field("", description="file with a token that every request but health checks must send")
    log: str = Field("", description="file for a line of JSON per request, without images; - for stderr")
    collect: str = Field(
        "", description="folder for images whose label a visitor of the page corrects; without it, none is saved"
    )
    workers: PositiveInt = Field(1, le=256, description="server processes, each with the model")
    threads: PositiveInt = Field(
        1, le=1024, description="threads of a worker to predict; one is fastest for small images"
    )
    port: int = Field(8000, ge=0, le=65_535, description="port; 0 chooses a free one")
    megabytes: PositiveInt = Field(20, le=1000, description="maximum size of an image file in MB")
    megapixels: PositiveInt = Field(50, description="maximum size of a page in megapixels")
    pages: PositiveInt = Field(10, description="maximum number of pages in a file")
    receive_seconds: PositiveFloat = Field(10.0, description="time limit for a client to send its request")
    answer_seconds: PositiveFloat = Field(10.0, description="time limit for a response")
    image_seconds: PositiveFloat = Field(1.8, description="processor time limit to decode or read an image file")
    image_mebibytes: PositiveInt = Field(
        300, le=1_000_000, description="memory limit to decode or read an image file, in MiB"
    )
    image_workers: PositiveInt = Field(2, description="processes for images that are not small, and for pages")
    waiting: PositiveInt = Field(32, description="maximum number of images in progress or queued; above it, 503")
    connections: PositiveInt = Field(512, description="maximum number of open connections; above it, 503")
    each_address: NonNegativeInt = Field(
        64, description="open connections per address other than this computer's; above it, 429; 0: no limit"
    )
    each_client: NonNegativeInt = Field(0, description="concurrent requests per client address, then 429; 0: no limit")
    drain_seconds: PositiveFloat = Field(
        15.0, description="grace period for requests in progress after SIGTERM or Ctrl-C"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The host names of this server."""
        return tuple(filter(None, (name.strip().lower() for name in self.name.split(","))))

    @property
    def max_body_bytes(self) -> int:
        """Maximum size of a request body."""
        return self.megabytes * 10**6


def read_token(file: str) -> str:
    """The token in a file; empty without one. Raises UserError for a file without a token that fits into a header."""
    if not file:
        return ""
    token = read_regular(Path(file), MAX_TOKEN_BYTES, "a file with a token").decode("utf-8", "replace").strip()
    if not re.fullmatch(rf"[!-~]{{{MIN_TOKEN},}}", token):
        expected = f"one word of at least {MIN_TOKEN} ASCII characters"
        raise UserError(f"--token-file {file}: holds no token", expected=expected, hint="write: openssl rand -hex 32")
    return token


def settings_from(flags: dict[str, Any]) -> ServingSettings:
    """The settings given as command-line flags; raises UserError for an invalid value."""
    try:
        return ServingSettings.model_validate(flags)
    except ValidationError as error:
        raise setting_error(ServingSettings, error, "--") from error
