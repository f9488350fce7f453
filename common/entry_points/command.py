"""The command ``jobsource``: prints its help without an import, and else runs `common.cli`.

Where another package called ``common`` stands in the place of ours, it says so in one sentence.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

PROVIDERS = ("bluexp_jobs", "cfjobs", "ontapjobs")
"""Those of this distribution: to look for their entry points takes a tenth of a short command."""
HELP: tuple[list[str], ...] = ([], ["-h"], ["--help"], ["help"])
"""The command lines that ask for the help of all commands."""


def main() -> int:
    """Run the command, and return its exit status; Ctrl-C while it is imported prints nothing."""
    gc.set_threshold(200_000)  # while modules are imported, nothing that is searched is garbage
    try:
        return _main()
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()  # to search all modules for garbage once more takes as long as a request


def _main() -> int:
    if sys.argv[1:] in HELP:
        try:
            with open(os.path.join(_installed_in(), "common", "cli", "overview.txt"), "rb") as file:
                os.write(1, file.read())
        except BrokenPipeError:
            return 141  # as a shell has it for SIGPIPE
        except OSError as error:
            if sys.stderr is not None:
                sys.stderr.write(f"jobsource: {error.strerror}\n")
            return 1
        return 0
    try:
        from common.cli import main as ours

        if os.path.dirname(os.path.abspath(ours.__file__)) != os.path.join(_installed_in(), "common", "cli"):
            raise ImportError(f"{ours.__file__} was imported instead of the module of jobsource")
        for package in PROVIDERS:
            import_module(package)
    except ImportError as error:
        sys.stderr.write(f"jobsource: {_explained(error)}\n")
        return 2
    return ours.main()


def _installed_in() -> str:
    """Return the folder of the providers' packages; in an editable install it is another than this file's."""
    for folder in sys.path:
        if os.path.isfile(os.path.join(folder, "ontapjobs", "provider.py")):
            return os.path.abspath(folder)
    return ""


def _explained(error: ImportError) -> str:
    """Return what is wrong with ``common`` where it is not ours, else the error's own text."""
    from runpy import run_path

    try:
        run_path(os.path.join(_installed_in(), "common", "exports", "conflicts.py"))["explain"](
            "the command", error
        )
    except ImportError as explained:
        return str(explained)
    return str(error)


if __name__ == "__main__":
    raise SystemExit(main())
