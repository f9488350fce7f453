"""The command ``jobsource``: prints its help without an import, and else runs `common.cli`.

It is no part of ``common``, for it says what is wrong where another package of that name stands in the place
of ours.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HELP: tuple[list[str], ...] = ([], ["-h"], ["--help"], ["help"])
"""The first words of a command line that asks for the help."""


def main() -> int:
    """Run the command, and return its exit status."""
    if sys.argv[1:2] in HELP:
        try:
            with open(os.path.join(HERE, "common", "cli", "overview.txt"), "rb") as file:
                os.write(1, file.read())
        except BrokenPipeError:
            return 141  # as a shell has it for SIGPIPE
        return 0
    try:
        from common.cli import main as ours

        if os.path.dirname(os.path.abspath(ours.__file__)) != os.path.join(HERE, "common", "cli"):
            raise ImportError(f"{ours.__file__} stands in the place of the module of jobsource")
    except ImportError as error:
        sys.stderr.write(f"jobsource: {_sentence() or error}\n")
        return 2
    return ours.main()


def _sentence() -> str:
    """Return what a provider says of its ``common`` where that is not ours, else ""."""
    try:
        import ontapjobs
    except ImportError as error:
        return str(error)
    del ontapjobs
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
