"""Bytes of a connection as requests: their heads, parts of their bodies, and their ends."""

from enum import Enum
from typing import Protocol, runtime_checkable

import httptools

from imparfait.serving.errors import ApiError
from imparfait.serving.request_head import HEAD_TOO_LARGE, MALFORMED, MAX_HEAD_BYTES, RequestHead

MAX_UNSEEN_BYTES = MAX_HEAD_BYTES + 1024  # of a head whose last line has no end yet; the rest is spaces


class Stage(Enum):
    """What of a request has arrived."""

    BETWEEN = "nothing"
    HEAD = "a part of its head"
    BODY = "its head, and perhaps a part of its body"


@runtime_checkable
class Handler(Protocol):
    """What a parser tells of requests. An ApiError that a method raises is raised by `feed`."""

    def begin_request(self) -> None:
        """The first byte of a request."""

    def take_head(self, head: RequestHead, keep_alive: bool) -> None:
        """A head; `keep_alive`: whether the client may send a further request."""

    def take_body(self, part: bytes) -> None:
        """A part of the body."""

    def end_request(self) -> None:
        """The last byte of the request."""


class RequestParser:
    """httptools' parser with limits of the head. No split of the bytes into packets changes the requests."""

    def __init__(self, handler: Handler):
        self.handler = handler
        self.stage = Stage.BETWEEN
        self.complete_heads = 0
        self._complete_messages = self._unseen_bytes = 0
        self._head = RequestHead()
        self._upgrading = False
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Parse bytes; raises ApiError for what is no HTTP, and then takes no further bytes."""
        before = self.complete_heads, self._complete_messages
        try:
            self._feed(memoryview(data))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, ApiError):
                raise  # a fault of ours
            raise cause or MALFORMED.fresh() from None
        except httptools.HttpParserError:
            raise MALFORMED.fresh() from None
        # Of bytes that end a head or a body it is not known how many belong to the next head.
        same = before == (self.complete_heads, self._complete_messages) and self.stage is not Stage.BODY
        self._unseen_bytes = self._unseen_bytes + len(data) if same else 0
        if self._unseen_bytes > MAX_UNSEEN_BYTES:
            raise HEAD_TOO_LARGE.fresh()

    def _feed(self, data: memoryview) -> None:
        """Parse; a client that offers another protocol is answered in this one, also where its request has a body.

        httptools stops after the head of such a request, so that the head is parsed again without the offer.
        """
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._upgrading = False
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(self._head.without_upgrade())

    def on_message_begin(self) -> None:
        """Called by httptools, as the other methods named so."""
        self.handler.begin_request()
        self.stage = Stage.HEAD
        self._head = RequestHead()

    def on_url(self, part: bytes) -> None:
        """A part of the request target."""
        self._head.add_target(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self.stage is Stage.HEAD:
            self._head.add_header(name, value)
        else:
            self._head.add_trailer(name, value)

    def on_headers_complete(self) -> None:
        """End of a head."""
        self._head.complete(self._parser.get_method(), self._parser.get_http_version())
        self._upgrading = self._parser.should_upgrade()
        if not self._upgrading:
            self.complete_heads += 1
            self.handler.take_head(self._head, self._parser.should_keep_alive())
            self.stage = Stage.BODY

    def on_body(self, part: bytes) -> None:
        """A part of a body, without the framing of chunks."""
        self.handler.take_body(part)

    def on_message_complete(self) -> None:
        """End of a request."""
        if not self._upgrading:
            self._complete_messages += 1
            self.stage = Stage.BETWEEN
            self.handler.end_request()
