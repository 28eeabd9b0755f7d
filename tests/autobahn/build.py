"""Build the Autobahn testsuite into a folder: ``python tests/autobahn/build.py FOLDER [--python PYTHON2.7]``.

The suite is written in Python 2, of which pip still has all that it needs. The exit status is 2 where the machine lacks
something (which is told), so that who calls can go on without.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

SUITE = "autobahntestsuite==25.10.1"  # which pins most of what it needs

PACKAGES = "packages"
"""In the folder: where the suite and what it needs is."""

PYTHON = "python"
"""In the folder: the Python 2.7 that runs it."""


def candidates() -> Iterator[Path]:
    """Where a Python 2.7 may be. A name on the PATH may lead to nothing that runs, as pyenv's do."""
    for name in ("python2.7", "python2"):
        if found := shutil.which(name):
            yield Path(found)
    yield from sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"), reverse=True)


def complaint(python: Path) -> str | None:
    """Say why an interpreter can't be used, if it can't."""
    code = "import sys, ssl, zlib, pip; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 asked for
    except OSError as error:
        return f"{python} does not run: {error}"
    if done.returncode:
        return f"{python} does not do, it must be a Python 2.7 with ssl and pip: {done.stderr.strip()}"
    return None


def find_python(asked: Path | None) -> Path:
    found = {python: complaint(python) for python in ([asked] if asked else candidates())}
    usable = [python for python, problem in found.items() if problem is None]
    if not usable:
        lack("; ".join(map(str, found.values())) or "there is no Python 2.7: pyenv install 2.7.18, say, makes one")
    return usable[0].resolve()


def lack(what: str) -> NoReturn:
    sys.stderr.write(f"the Autobahn testsuite can't be built: {what}\n")
    raise SystemExit(2)


def build(folder: Path, python: Path) -> None:
    """Install the suite. What another version, or an interrupted run, left is replaced."""
    done = folder / "built"
    is_ready = f"{SUITE}\n{python}\n"
    if done.is_file() and done.read_text() == is_ready:
        return
    folder.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(  # noqa: S603 our own words
        [python, "-W", "ignore", "-m", "pip", "install", "-q", "--upgrade", "--target", folder / PACKAGES, SUITE],
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"},
        check=True,
    )
    (folder / PYTHON).unlink(missing_ok=True)
    (folder / PYTHON).symlink_to(python)
    done.write_text(is_ready)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", type=Path, help="the Python 2.7 to use; else the machine is searched for one")
    arguments = parser.parse_args()
    python = find_python(arguments.python)
    if not shutil.which("gcc"):
        lack("there is no gcc, to compile the package wsaccel with")
    build(arguments.folder, python)


if __name__ == "__main__":
    main()
