"""Where the notebooks and samples are: beside the package in a wheel, in the checkout of an editable install."""

from __future__ import annotations

from pathlib import Path

from clv.errors import RunError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]


def samples_folder() -> Path:
    """Return the folder that holds a folder for each sample."""
    return _shipped("samples", _CHECKOUT / "data" / "samples")


def notebooks_folder() -> Path:
    """Return the folder that holds the notebooks."""
    return _shipped("notebooks", _CHECKOUT / "notebooks")


def _shipped(name: str, in_checkout: Path) -> Path:
    in_wheel = _PACKAGE / "_shipped" / name
    for folder in (in_wheel, in_checkout):
        if folder.is_dir():
            return folder
    raise RunError(f"clv was installed without its {name}.", mend="Install the wheel, or use the checkout.")
