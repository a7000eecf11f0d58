"""Where what ships with this installation lies."""

from pathlib import Path

from hookline.model.errors import CannotCreate


def shipped_scripts() -> Path:
    """The scripts of the checkout, or those that were installed with the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "scripts", package / "tree" / "scripts"):
        if (folder / "events" / "lib" / "event-logger.sh").is_file():
            return folder
    raise CannotCreate(f"the scripts are not where they should be, beside {package}: install again")
