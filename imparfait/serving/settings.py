"""What a server may be told when it is started."""

from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from imparfait.core.errors import UserError


class ServingSettings(BaseModel, frozen=True, extra="forbid"):
    """Where a server listens, and the most that a request may take."""

    host: str = Field("127.0.0.1", description="the address to listen at; 0.0.0.0 lets other computers in")
    name: str = Field("", description="the name by which a proxy in front of it is known, such as digits.example.org")
    port: int = Field(8000, ge=0, le=65_535, description="the port; 0 takes a free one")
    megabytes: PositiveInt = Field(20, le=1000, description="the most an image's file may have")
    megapixels: PositiveInt = Field(50, description="the most a page of it may have")
    pages: PositiveInt = Field(10, description="the most pages that it may have")
    receive_seconds: PositiveFloat = Field(10.0, description="the time a client has to send a request")
    answer_seconds: PositiveFloat = Field(10.0, description="the time an answer may take")
    waiting: PositiveInt = Field(32, description="images worked on or waiting; one more is told 503 at once")
    connections: PositiveInt = Field(512, description="connections open at once; one more is told 503 and closed")
    each_client: NonNegativeInt = Field(0, description="requests of one address at once, then 429; 0: any number")
    drain_seconds: PositiveFloat = Field(15.0, description="the time for what was begun, after SIGTERM or Ctrl-C")

    @property
    def bytes(self) -> int:
        """The most a request's body may have."""
        return self.megabytes * 10**6


def settings_from(flags: dict[str, Any]) -> ServingSettings:
    """The settings that flags of the command line say; raises UserError when a value is not what its flag wants."""
    try:
        return ServingSettings.model_validate(flags)
    except ValidationError as error:
        first = error.errors()[0]
        flag = f"--{str(first['loc'][0]).replace('_', '-')}"
        raise UserError(
            f"{flag} was given as {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}"
        ) from error
