"""Prints the test files of what has changed since the last commit, or in it where nothing has: for `make check`."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALWAYS = ("tests/test_layout.py", "tests/test_public_api.py", "tests/test_vocabulary.py")
SLOW = {"tests/test_readme.py", "tests/test_docs.py", "tests/test_notebooks.py", "tests/test_end_to_end.py"}
"""Whole-program tests, which `make test` runs."""


def changed_files() -> list[str]:
    """Paths from the root: edited, new and renamed ones, else those of the last commit."""

    def listed(*command: str) -> list[str]:
        result = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True)
        return result.stdout.splitlines()

    edited = listed("diff", "--name-only", "HEAD") + listed("ls-files", "--others", "--exclude-standard")
    return edited or listed("diff", "--name-only", "HEAD~1", "HEAD")


def tests_of(path: str) -> set[str]:
    """The test file that mirrors a module; its package's test folder where none does; a test file itself."""
    file = Path(path)
    if file.suffix != ".py" or file.parts[0] not in ("imparfait", "tests"):
        return set()
    if file.parts[0] == "tests":
        return {path} if file.name.startswith("test_") and (ROOT / path).exists() else set()
    folder = Path("tests", *file.parts[1:-1])
    mirror = folder / f"test_{file.name}"
    while folder.parts and not (ROOT / folder).is_dir():
        folder = folder.parent
    return {str(mirror if (ROOT / mirror).exists() else folder)} if folder != Path("tests") else set()


if __name__ == "__main__":
    found = set[str]().union(*map(tests_of, changed_files()), [path for path in ALWAYS if (ROOT / path).exists()])
    print(*sorted(found - SLOW))
