"""What autodoc does not find by itself: the docstrings of fields, and which signatures tell nobody anything.

A public class says that it is from the package that exports it, but the text behind its fields, and the
order in which they come, is in the module that it is written in.
"""

from __future__ import annotations

import enum
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

from common.exports.api import MODULES

NEVER_CALLED = {"common.JobSource", "common.Portal", "common.PortalFuture"}
"""Classes, beside enumerations, that users get and never make."""


def read_fields(app: Sphinx) -> None:
    """Let Sphinx know the fields of the classes of ``common`` as if they were written in its ``__init__``."""
    package = ModuleAnalyzer.for_module("common")
    package.analyze()
    for name in MODULES:
        module = ModuleAnalyzer.for_module(f"common.{name}")
        module.analyze()
        package.attr_docs.update(module.attr_docs)
        package.tagorder.update(module.tagorder)
        if name == "hosts.portal":
            # They differ in whether what the function returns is awaited, which the docstrings say.
            module.overloads.clear()


def leave_out(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Leave out the signature of a class that nobody calls."""
    never_called = name in NEVER_CALLED or (isinstance(obj, type) and issubclass(obj, enum.Enum))
    return ("", None) if never_called else (signature, returns)


def setup(app: Sphinx) -> dict[str, Any]:
    """Read the fields before the pages."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("builder-inited", read_fields)
    app.connect("autodoc-process-signature", leave_out)
    return {"parallel_read_safe": True}
