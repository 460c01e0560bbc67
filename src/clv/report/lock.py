"""Only one run at a time writes a report, and what the system says about writing becomes one clear message."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clv.errors import RunError

# A lock is taken without waiting (BlockingIOError: somebody else has it); False says that it is on a file that is gone.
if sys.platform == "win32":
    import msvcrt

    def _take(handle: int, path: Path) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        return True  # nobody can remove a file that is open

    def _let_go(handle: int, path: Path) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        with suppress(PermissionError):  # whoever has opened it since will remove it
            path.unlink(missing_ok=True)
else:
    import fcntl

    def _take(handle: int, path: Path) -> bool:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us may have removed the file between our two calls: then we hold a lock on nothing.
        return path.exists() and os.path.samestat(os.fstat(handle), path.stat())

    def _let_go(handle: int, path: Path) -> None:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def lock(path: Path, *, busy: str) -> Iterator[None]:
    """Hold an advisory lock; the system lets go of it when its holder dies.

    Raises
    ------
    RunError
        Somebody else holds it.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _take(handle, path):
                break
        except BlockingIOError:
            os.close(handle)
            raise RunError(busy, mend="Wait until it has finished, or give another folder with --out.") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        yield
    finally:
        _let_go(handle, path)


@contextmanager
def clear_write_errors(out: Path) -> Iterator[None]:
    """Turn what the system says about writing into one clear message.

    Raises
    ------
    RunError
    """
    try:
        yield
    except OSError as error:
        where = f"the folder of reports, {str(out)!r}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message, mend = (
                f"No space is left on the disk of {where}.",
                "Free some space, or give another folder with --out.",
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message, mend = (
                f"There is no right to write to {where}.",
                "Give another folder with --out, or change its rights.",
            )
        else:
            raise
        raise RunError(f"{message} What was published before is untouched.", mend=mend) from error
