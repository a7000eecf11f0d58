"""What peers are made of: programs and libraries that may not be there."""

import importlib
import shutil
import subprocess
from importlib import metadata
from typing import Any, Final

from testing.bench.figure import NotThere

_HOW: Final = "scripts/setup.sh --bench gets it"


def program(name: str) -> str:
    """The path of a program. Raises NotThere."""
    path = shutil.which(name)
    if path is None:
        raise NotThere(f"{name} is not there: {_HOW}")
    return path


def library(name: str) -> Any:
    """A module of a library. Raises NotThere."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotThere(f"{name} is not there: {_HOW}") from error


def program_version(name: str) -> str:
    """What a program says of itself, in one line; or that it is not there."""
    try:
        path = program(name)
    except NotThere as error:
        return str(error)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("\n")[0]


def library_version(name: str) -> str:
    """The version of a package; or that it is not there."""
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name} is not there: {_HOW}"
