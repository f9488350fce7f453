"""What Prefect loads when it looks for blocks: the blocks of the providers that are installed.

Prefect prints what an import raises as a warning, and goes on. Where another package called ``common`` stands
in the place of ours, that is the providers' one sentence.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec

for _package in sorted(
    {point.module.partition(".")[0] for point in entry_points(group="jobsource.providers")}
):
    import_module(_package)  # says what is wrong with ``common``
    if find_spec(f"{_package}.prefect"):
        import_module(f"{_package}.prefect")
