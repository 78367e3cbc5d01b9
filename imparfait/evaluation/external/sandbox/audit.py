"""A Python audit hook that blocks whatever loading and running a model does not need."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

BLOCKED_EVENTS = {
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
"""For each blocked action the prefixes of its audit events (Python's table of audit events)."""

READ_EVENTS = {"open", "os.listdir", "os.scandir", "os.walk", "os.chdir"}
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def installation() -> list[str]:
    """The folders that hold Python and its packages."""
    folders = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()]
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return [str(Path(path).absolute()) for path in dict.fromkeys(folders + packages)]


def _is_import() -> bool:
    """Whether the event comes from an import, which unmarshals code from files that may be read."""
    return sys._getframe(2).f_code.co_filename == "<frozen importlib._bootstrap_external>"


class AuditHook:
    """Blocks events once installed; `blocked` is the first blocked action, even if its exception was caught."""

    def __init__(self, model: str) -> None:
        self.blocked: str | None = None
        self._model = model
        self._installation = tuple(f"{path}{os.sep}" for path in installation())

    def install(self) -> None:
        """Install the hook for the rest of the process; Python cannot remove one."""
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in READ_EVENTS:
            path, mode, flags = (*arguments, None, None)[:3]
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITE_FLAGS):
                self._block("change files")
            if not self._is_readable(path):
                raise PermissionError("a model may not open other files")  # not recorded: many libraries probe files
            return
        for action, prefixes in BLOCKED_EVENTS.items():
            if event.startswith(prefixes) and not (event == "marshal.loads" and _is_import()):
                self._block(action)

    def _is_readable(self, path: Any) -> bool:
        if isinstance(path, int):  # open already
            return True
        full = os.path.abspath(os.fsdecode(path or "."))  # noqa: PTH100  without '..', and without following links
        return full == self._model or f"{full}{os.sep}".startswith(self._installation)

    def _block(self, action: str) -> None:
        self.blocked = self.blocked or action
        raise PermissionError(f"a model may not {action}")
