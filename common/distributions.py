"""What installed distributions say of themselves: their entry points and versions, read from their folders.

``importlib.metadata`` says all that and more, but its import takes 20 ms, as long as a quarter of a short
command. It is used where distributions may be elsewhere than in folders of the path: in an archive, or where
an importer of its own finds them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path


def entry_points(group: str) -> dict[str, str]:
    """Return what each entry point of a group names, such as ``"package.module:NAME"``, by its name."""
    if _may_be_elsewhere():
        from importlib import metadata

        points = metadata.entry_points(group=group)
        return {point.name: f"{point.module}:{point.attr}" for point in points}
    found: dict[str, str] = {}
    for folder in _folders():
        for name, value in _read(folder / "entry_points.txt", group):
            found.setdefault(name, value)  # the first on the path is the one that is imported
    return found


def version(distribution: str) -> str | None:
    """Return the version of a distribution, None where it is not installed."""
    if _may_be_elsewhere():
        from importlib import metadata

        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None
    for folder in _folders():
        name, _, number = folder.stem.partition("-")  # "Each component is escaped" (PEP 427): it has no other
        if name == distribution and number:
            return number
    return None


def _may_be_elsewhere() -> bool:
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    return any(Path(entry).is_file() for entry in sys.path if entry)  # an archive


def _folders() -> Iterator[Path]:
    """Yield the folder with the metadata of each distribution, in the order of the path."""
    for entry in sys.path:
        try:
            folders = sorted(Path(entry).glob("*-info"))
        except OSError:
            continue
        yield from (folder for folder in folders if folder.suffix in (".dist-info", ".egg-info"))


def _read(file: Path, group: str) -> Iterator[tuple[str, str]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()
