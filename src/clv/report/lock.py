"""Only one run at a time writes a report, and what the system says about writing becomes one clear message."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clv.errors import RunError


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
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have removed the file between our two calls: then we hold a lock on nothing.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
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
        path.unlink(missing_ok=True)
        os.close(handle)


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
