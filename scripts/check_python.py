"""Stop with one clear sentence if this interpreter cannot carry the project's environment."""

import importlib.util
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one file that an older interpreter may run
    sys.exit(
        "clv needs Python 3.11 or newer; {} is {}.{}. Mend: make PYTHON=/path/to/python3.11 ...".format(
            sys.executable, *sys.version_info[:2]
        )
    )
missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(
        "{} lacks {}, which Debian and Ubuntu ship apart. Mend: apt-get install python3-venv".format(
            sys.executable, " and ".join(missing)
        )
    )
