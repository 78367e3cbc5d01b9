"""Heads and bodies of HTTP requests: what is refused, what the app gets, and that packets do not matter."""

from itertools import pairwise

import pytest
from helpers.http_connection import echo, statuses, talk, told
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.serving.request_head import MAX_HEAD_BYTES, MAX_HEADERS

HOST = b"Host: a\r\n"
START = b"POST / HTTP/1.1\r\n" + HOST
REFUSED = {
    "Transfer-Encoding with Content-Length": START + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "Content-Length with Transfer-Encoding": START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": START + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": START + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": START + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": START + b"Content-Length: +3\r\n\r\nabc",
    "another coding": START + b"Transfer-Encoding: gzip\r\n\r\n",
    "a coding before chunked": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a hidden chunked": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n",
    "lines that end in LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "a NUL": b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc",
    "a space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\n: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a relative target": b"GET a HTTP/1.1\r\n" + HOST + b"\r\n",
    "another scheme": b"GET ftp://a/b HTTP/1.1\r\n" + HOST + b"\r\n",
    "* with GET": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of other bytes": "GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_another_server_could_read_otherwise_is_refused_and_ends_the_connection(content: bytes) -> None:
    wire = talk(echo, content + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert statuses(wire.sent) == [400]
    assert b"\r\nconnection: close\r\n" in wire.sent
    assert wire.closing or wire.ended


def test_a_head_at_its_limits_is_taken_and_one_above_them_refused() -> None:
    for count, status in ((MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)):
        content = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * count + b"\r\n"
        assert statuses(talk(echo, content).sent) == [status]
    for size, status in ((MAX_HEAD_BYTES - 200, 200), (MAX_HEAD_BYTES, 431)):
        for content in (
            b"GET /%b HTTP/1.1\r\n\r\n" % (b"y" * size),
            b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"y" * size),
        ):
            halves = [content[:1000], content[1000:20_000], content[20_000:]]
            assert statuses(talk(echo, content).sent) == statuses(talk(echo, *halves).sent) == [status]


TARGETS = {
    b"/": ("/", "/", ""),
    b"/a%20b%C3%A9%2Fc?d=%26#e": ("/a bé/c", "/a%20b%C3%A9%2Fc", "d=%26"),
    b"/%ff": ("/\ufffd", "/%ff", ""),
    b"//evil/a": ("//evil/a", "//evil/a", ""),
    b"/a?b?c": ("/a", "/a", "b?c"),
    b"http://name:80/a?b": ("/a", "/a", "b"),
    b"http://name:80?b": ("/", "/", "b"),
    b"HTTPS://name:80": ("/", "/", ""),
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_app_gets_the_path_decoded_and_as_it_came(target: bytes) -> None:
    got = told(talk(echo, b"GET %b HTTP/1.1\r\nHost: other\r\nX: \xe9 \t\r\nY:\r\n\r\n" % target).sent)
    assert (got["path"], got["raw_path"], got["query_string"]) == TARGETS[target]
    headers = dict(got["headers"])
    assert headers["host"] == ("other" if target.startswith(b"/") else "name:80")
    assert len([name for name, _ in got["headers"] if name == "host"]) == 1
    assert (headers["x"], headers["y"]) == ("é", "")


def test_options_of_the_server_as_a_whole_reach_the_app() -> None:
    assert told(talk(echo, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").sent)["path"] == "*"


def test_chunks_are_joined_and_trailers_are_dropped() -> None:
    chunks = b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nAuthorization: forged\r\n\r\n"
    content = START + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    wire = talk(echo, content + content)
    assert statuses(wire.sent) == [200, 200]
    assert wire.sent.count(b'"body": "abcd"') == 2
    assert b"forged" not in wire.sent
    many = b"X: y\r\n" * (MAX_HEADERS + 1)
    assert statuses(talk(echo, START + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + many + b"\r\n").sent) == [431]


UPGRADES = {"h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n"}  # fmt: skip


@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 4\r\n\r\nabcd", b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"]
)
def test_a_request_that_offers_another_protocol_is_answered_with_its_body(offer: bytes, framing: bytes) -> None:
    content = START + offer + framing
    for pieces in ([content * 3], [bytes([byte]) for byte in content * 3]):
        wire = talk(echo, *pieces)
        assert statuses(wire.sent) == [200, 200, 200]
        assert wire.sent.count(b'"body": "abcd"') == 3


POSSIBLE = [
    START + b"Content-Length: 5\r\n\r\nhello",
    START + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;e\r\nc\r\n0\r\nT: u\r\n\r\n",
    b"GET /a?b HTTP/1.1\r\n" + HOST + b"X: y\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    START + UPGRADES["h2c"] + b"Content-Length: 2\r\n\r\nxy",
    START + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
]  # fmt: skip
LAST = [
    b"", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.1\r\nHos",
    START + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabX", *REFUSED.values(),
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(POSSIBLE), max_size=6),
    st.sampled_from(LAST),
    st.lists(st.floats(0, 1), max_size=12) | st.just(list[float]()),
    st.booleans(),
)
def test_any_split_of_the_same_bytes_gives_the_same_responses(
    requests: list[bytes], last: bytes, cuts: list[float], ends: bool
) -> None:
    content = b"".join(requests) + last + (b"GET /after HTTP/1.1\r\n\r\n" if last and ends else b"")
    places = sorted({0, len(content), *(int(cut * len(content)) for cut in cuts)})
    pieces = [content[a:b] for a, b in pairwise(places)]
    whole, split = talk(echo, content), talk(echo, *pieces)
    assert split.sent == whole.sent
    assert (split.closing or split.ended) == (whole.closing or whole.ended)
    assert len(statuses(whole.sent)) >= len(requests)
