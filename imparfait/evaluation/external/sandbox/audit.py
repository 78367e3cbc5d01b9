"""An audit hook that refuses what no reader of a model has to do."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

REFUSED = {
    "start a program": ("subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "pty."),
    "use the network": ("socket.",),
    "run code from the file": ("marshal.", "pickle.", "code.__new__", "function.__new__", "cpython."),
    "load native code": ("ctypes.",),
    "signal a process": ("os.kill", "signal."),
    "lift its limits": ("resource.", "sys.addaudithook"),
    "change files": (
        "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
        "os.chown", "os.lchown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "shutil.", "tempfile.",
    ),
}  # fmt: skip
"""What is refused, and the start of the names of the audit events that tell of it (Python's audit events table)."""

READING = {"open", "os.listdir", "os.scandir", "os.walk", "os.chdir"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def installation() -> list[str]:
    """The folders that hold Python and its packages."""
    told = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()]
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return [str(Path(path).absolute()) for path in dict.fromkeys(told + packages)]


def _is_import() -> bool:
    """Whether an import asked for what happens: each loads its code by marshal, from files it may open."""
    return sys._getframe(2).f_code.co_filename == "<frozen importlib._bootstrap_external>"


class Watch:
    """Stands over this process once begun; `tried` is the first attempt it refused, however the attempt was hidden."""

    def __init__(self, model: str) -> None:
        self.tried: str | None = None
        self._model = model
        self._installation = tuple(f"{path}{os.sep}" for path in installation())

    def begin(self) -> None:
        """From now on, for good; an audit hook cannot be taken away."""
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in READING:
            path, mode, flags = (*arguments, None, None)[:3]
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITES):
                self._refuse("change files")
            if not self._is_readable(path):
                raise PermissionError("a model may not open other files")  # not told at once: many programs do without
            return
        for what, starts in REFUSED.items():
            if event.startswith(starts) and not (event == "marshal.loads" and _is_import()):
                self._refuse(what)

    def _is_readable(self, path: Any) -> bool:
        if isinstance(path, int):  # open already
            return True
        full = os.path.abspath(os.fsdecode(path or "."))  # noqa: PTH100  without '..', and without following links
        return full == self._model or f"{full}{os.sep}".startswith(self._installation)

    def _refuse(self, what: str) -> None:
        self.tried = self.tried or what
        raise PermissionError(f"a model may not {what}")
