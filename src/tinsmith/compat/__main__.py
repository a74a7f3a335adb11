"""``python -m tinsmith.compat script.py …``: runs a script written for esp-ppq as it is."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from tinsmith.compat import install
from tinsmith.errors import TinsmithError

_USAGE = "usage: python -m tinsmith.compat SCRIPT [ARGUMENTS…]\n"


def main() -> None:
    """Runs the script named on the command line, with `esp_ppq` and `ppq` registered."""
    if len(sys.argv) < 2:
        sys.exit(_USAGE)
    if sys.argv[1] in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return
    script = Path(sys.argv[1])
    if not script.is_file():
        sys.exit(f"{script}: there is no such file.")
    try:
        install()
    except TinsmithError as error:
        sys.exit(str(error))
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
