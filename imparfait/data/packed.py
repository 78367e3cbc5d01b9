"""Files from strangers, read no further and into no more memory than what they hold allows."""

import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from imparfait.core.errors import UserError

PIECE = 1 << 20
MOST_DENSE = {".gz": 1032, ".xz": 10_000, "": 1}
"""How many bytes one byte of such a file can hold: deflate's limit, a little over LZMA's (zeros: 7,100)."""
LZMA_MEMORY = 256 << 20  # a header may ask for 4 GiB


class Packed:
    """A file's content, unpacked (.gz, .xz) as far as it is asked for. Errors are UserErrors that name the file."""

    def __init__(self, path: Path):
        self.path = path
        self.size = path.stat().st_size
        self._rest = bytearray()
        unpack = {".gz": _gz, ".xz": _xz}.get(path.suffix, _plain)
        self._pieces = unpack(path)

    def take(self, count: int) -> bytearray:
        """The next `count` bytes, or fewer where the file ends."""
        while len(self._rest) < count:
            try:
                piece = next(self._pieces, b"")
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise UserError(f"{self.path}: cannot be read: {error}") from error
            if not piece:
                break
            self._rest += piece
        if count >= len(self._rest):
            taken, self._rest = self._rest, bytearray()
        else:
            taken = self._rest[:count]
            del self._rest[:count]
        return taken

    def check(self, expected: int, said: str) -> None:
        """Raises UserError when a file of this size cannot hold `expected` bytes, or this computer cannot."""
        dense = MOST_DENSE.get(self.path.suffix, 1)
        check_size(self.path, expected, said, self.size * dense)


def check_size(path: Path, expected: int, said: str, most: int) -> None:
    """Raises UserError when `expected` bytes, of which the header `said`, are over `most` or half of the memory."""
    if expected > most:
        raise UserError(f"{path}: the header says {said} = {expected} bytes, a file of this size holds {most} at most")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 34
    if expected > memory // 2:
        raise UserError(f"{path}: the header says {said} = {expected} bytes, more than half of this computer's memory")


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _gz(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        packed, unpacker = b"", zlib.decompressobj(wbits=31)
        while packed := unpacker.unconsumed_tail or unpacker.unused_data or file.read(PIECE):
            if unpacker.eof:  # another member follows, as when .gz files are joined
                unpacker = zlib.decompressobj(wbits=31)
            yield from filter(None, (unpacker.decompress(packed, PIECE),))
        yield from filter(None, (unpacker.flush(),))
        if not unpacker.eof:
            raise EOFError("it ends in the middle")


def _xz(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        unpacker = lzma.LZMADecompressor(memlimit=LZMA_MEMORY)
        while not unpacker.eof:
            packed = file.read(PIECE) if unpacker.needs_input else b""
            if unpacker.needs_input and not packed:
                raise EOFError("it ends in the middle")
            yield from filter(None, (unpacker.decompress(packed, PIECE),))
        if unpacker.unused_data or file.read(1):
            raise EOFError("there are bytes after its end")
