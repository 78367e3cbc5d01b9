"""Zip archives of untrusted model files: checked for what unpacks to more than a model may have."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES

SLACK_BYTES = 1 << 16  # by which a small member may exceed the ratio


@contextmanager
def checked_archive(path: str, kind: str, max_compression: int) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`, none of whose members unpacks to more than `max_compression` times its stored bytes.

    Raises UserError for such members, for a broken archive, and where reading or parsing a member in the block fails.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                if member.file_size > max_compression * member.compress_size + SLACK_BYTES:
                    received = f"{member.filename} in it unpacks to {member.file_size:,} bytes"
                    raise UserError(received, hint="save the model again")
            if sum(member.file_size for member in members) > MAX_MODEL_BYTES:
                raise UserError("is too large when unpacked", expected=f"at most {MAX_MODEL_BYTES >> 20:,} MiB")
            if damaged := archive.testzip():  # not every library checks
                raise UserError(f"is a broken {kind}: {damaged} in it is damaged", hint="copy or save it again")
            yield archive
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, RecursionError) as error:
        raise UserError(f"is no {kind}, or a broken one: {error}") from error
