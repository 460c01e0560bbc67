"""The kernel that notebooks run in: this interpreter, a clean profile, one thread a library."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

# Two thread pools on one core cost 10-25 times the work, and sums over threads are not reproducible.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# What would let a user's own set-up into a report.
_DROPPED = ("MPLBACKEND", "MATPLOTLIBRC", "PYTHONSTARTUP", "PYTHONBREAKPOINT", "PYTHONINSPECT")


def kernel_environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a kernel.

    Parameters
    ----------
    scratch : pathlib.Path
        A folder of this run for IPython's profile: the user's own start-up files stay out of reports.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    for variable in _ONE_THREAD:
        environment.setdefault(variable, "1")
    return environment | {
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


@contextmanager
def kernel_class(*, debug: bool = False) -> Iterator[type[AsyncKernelManager]]:
    """Give a kernel manager class for one notebook; its scratch folder is removed afterwards.

    Parameters
    ----------
    debug : bool
        Let the kernel write to this process's stderr.
    """
    with tempfile.TemporaryDirectory(prefix="clv-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)

        class OwnKernel(AsyncKernelManager):
            """Starts `sys.executable`, whatever the user has registered as ``python3``."""

            @property
            def kernel_spec(self) -> KernelSpec:
                return KernelSpec(
                    argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                    display_name="Python 3",
                    language="python",
                )

            async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
                # Sockets in our own folder: no port to collide with another study's kernel.
                if os.name == "posix":
                    self.transport = "ipc"
                self.connection_file = str(scratch / "kernel.json")
                options["env"] = kernel_environment(scratch)
                if not debug:
                    options["stdout"] = options["stderr"] = subprocess.DEVNULL
                await super().start_kernel(**options)

        yield OwnKernel
