"""What stands in the place of ``common``, or of files of it, where a provider cannot be imported.

Providers run this module by its path, since ``common`` itself may be what cannot be imported. So it imports
nothing from there.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path

COMMON = Path(__file__).resolve().parents[1]
ADVICE = (
    "give each a virtual environment of its own, have the other package extend its path by "
    "pkgutil.extend_path, or vendor jobsource"
)


def explain(provider: str, error: Exception) -> None:
    """Raise `ImportError` where a provider cannot be imported because of another package named as ours.

    What was imported of the provider is forgotten in any case: no half of it is left behind.
    """
    for name in [name for name in sys.modules if name.startswith(f"{provider}.")]:
        del sys.modules[name]
    common = ".".join([*provider.split(".")[:-1], COMMON.name])
    other = overwriting_distribution() or _foreign_package(common, error)
    if other is not None:
        raise ImportError(
            f"{provider} needs the package '{COMMON.name}' of jobsource, but {other} was imported instead: "
            f"{ADVICE}",
            name=provider,
        ) from error


def overwriting_distribution() -> str | None:
    """Return the distribution that has replaced files of ours (pip does that without a word), and which."""
    ours: dict[Path, metadata.PackagePath] = {}
    others: list[tuple[str, dict[Path, metadata.PackagePath]]] = []
    for distribution in metadata.distributions():
        files = {
            Path(file.locate()).resolve(): file
            for file in distribution.files or ()
            if file.parts[0] == COMMON.name and file.suffix == ".py"
        }
        if Path(__file__).resolve() in files:
            ours = files
        else:
            others.append((distribution.name, files))
    replaced = [path for path, file in ours.items() if _differs(path, file)]
    for name, files in others:
        if taken := sorted(str(files[path]) for path in replaced if path in files):
            more = f" and {len(taken) - 1} more of its files" if len(taken) > 1 else ""
            return f"the distribution {name!r}, which has overwritten {taken[0]}{more},"
    return None


def _differs(path: Path, file: metadata.PackagePath) -> bool:
    """Whether a file is no longer the one that was installed."""
    if file.hash is None or not path.is_file():
        return False
    digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, path.read_bytes()).digest())
    return digest.decode().rstrip("=") != file.hash.value


def _foreign_package(common: str, error: Exception) -> str | None:
    """Return where the package is that was found instead of ours, if that is why the import failed."""
    if isinstance(error, ImportError) and not f"{error.name}.".startswith(f"{common}."):
        return None  # something else is missing
    found = sys.modules.get(common)
    if found is not None:
        place = getattr(found, "__file__", None) or list(getattr(found, "__path__", ()))
        ours = type(getattr(found, "__path__", None)).__name__ == "PackagePath"
    else:
        spec = importlib.util.find_spec(common)
        place = spec.origin if spec is not None else None
        ours = place is None or Path(place).resolve().parent == COMMON
    return None if ours else str(place)
