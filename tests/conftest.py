"""Rules that hold for every test: nobody draws from a global random generator, and pictures need no screen."""

from __future__ import annotations

import os
import random
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_global_randomness():
    """Fail a test during which anything, ours or borrowed, drew from numpy's or Python's global generator."""
    before = (random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2])  # noqa: NPY002
    yield
    after = (random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2])  # noqa: NPY002
    assert before[1:] == after[1:], "a global numpy random generator was used: pass a seeded Generator instead"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of the real data sets, which the project does not carry."""
    home = os.environ.get("CLV_DATA_HOME")
    if not home or not Path(home).is_dir():
        pytest.skip("CLV_DATA_HOME is not set to a folder with the real data sets (see data/README.md)")
    return Path(home)
