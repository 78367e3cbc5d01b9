"""Where a report comes from: its date, command, author and version, for its head and for print."""

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from shlex import join

from imparfait.core.storage import printable

PACKAGE = "imparfait"
GUIDE = "docs/metrics.md"  # explains every number of a report
MAX_AUTHOR = 80  # characters
MAX_COMMAND = 2000  # characters
PASSWORD = re.compile(r"://[^/@\s]+@")  # in an address
GIT_SECONDS = 2.0  # after which there is no author


@dataclass(frozen=True)
class Origin:
    """Who made a report, when, and with what."""

    date: str
    """In UTC, to the minute."""
    version: str
    command: str
    """As typed in a shell; empty from Python."""
    author: str
    """Of git's settings; empty without them."""
    documentation: str
    """The address of GUIDE; empty for a package that declares none."""

    @property
    def parts(self) -> list[str]:
        """Date, version and author in words."""
        parts = (self.date, f"{PACKAGE} {self.version}".strip(), self.author and f"by {self.author}")
        return list(filter(None, parts))


def origin() -> Origin:
    """That of a report written now, by this process."""
    now = datetime.now(UTC)
    date = f"{now.day} {now:%B %Y, %H:%M} UTC"
    return Origin(date, _version(), command_line(sys.argv), _author(), _documentation())


def command_line(argv: list[str]) -> str:
    """The command of a process with these arguments; empty for a process that is not the command `imparfait`."""
    program = Path(argv[0]) if argv and argv[0] else Path()
    is_module = program.name == "__main__.py" and program.parent.name == PACKAGE
    is_script = program.name.removesuffix(".exe") == PACKAGE
    if not (is_module or is_script):
        return ""
    return PASSWORD.sub("://…@", printable(join([PACKAGE, *argv[1:]]), MAX_COMMAND))


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:  # a folder on the path, not installed
        return ""


@cache
def _author() -> str:
    """The name in git's settings, as `git commit` would write it."""
    try:
        found = subprocess.run(
            ["git", "config", "--get", "user.name"], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return printable(found.stdout.strip(), MAX_AUTHOR)


@cache
def _documentation() -> str:
    """The address of GUIDE from the package's metadata: of its documentation, else in its repository."""
    try:
        urls: list[str] = metadata(PACKAGE).get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    by_name = {name.strip().lower(): url.strip() for name, _, url in (each.partition(",") for each in urls)}
    if "documentation" in by_name:
        return str(by_name["documentation"])
    repository = by_name.get("repository") or by_name.get("source")
    return f"{str(repository).removesuffix('/')}/blob/main/{GUIDE}" if repository else ""
