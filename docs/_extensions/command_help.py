"""A directive for what ``--help`` says of every command: ``{command-help}``.

The page and the help are the same text, made from what the functions of the commands declare.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from common.cli.main import overview
from common.cli.parsing.app import help_of
from common.cli.table import COMMANDS

WIDTH = 88
"""Characters in a line of the help, which fit on a page."""


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield each command's name, and what its help says; first ``jobsource`` itself."""
    yield "jobsource", overview()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        yield from ((f"jobsource {command.name}", help_of(command)) for command in COMMANDS)
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


class CommandHelp(SphinxDirective):
    """``{command-help}``: a section for each command, with its help."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        sections: list[nodes.Node] = []
        for name, text in help_texts():
            section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
            section += nodes.title(text=name)
            section += nodes.literal_block(text.strip(), text.strip(), language="text")
            self.state.document.note_explicit_target(section)
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
