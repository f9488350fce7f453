"""The text of ``--help``: two columns of plain text, with examples that can be pasted."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

WIDEST = 100
"""Characters in a line, on a terminal that has more."""
COLUMN = 26
"""Where the descriptions begin."""
UNWRAPPED = 100_000
"""The width of the console that the text is printed on: it is wrapped here, and examples not at all."""


class HelpFormatter:
    """Renders one part of a help at a time, as cyclopts asks for it."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print the arguments or options of one group."""
        del options
        entries = [entry for entry in panel.entries if entry.display_labels]
        if entries:
            lines = [line for entry in entries for line in _entry(entry, _plain(console, entry.description))]
            _print(console, "\n".join([f"\n{panel.title}:", *lines]))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the first line."""
        del options
        _print(console, f"usage: {_plain(console, usage)}")

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the command does, each paragraph wrapped for the terminal."""
        del options
        paragraphs = _plain(console, description).split("\n\n")
        for each in paragraphs:
            _print(console, "\n" + textwrap.fill(" ".join(each.split()), _width()))


def _plain(console: Console, renderable: Any) -> str:
    with console.capture() as captured:
        console.print(renderable or "", highlight=False, markup=False, soft_wrap=True)
    return captured.get().strip()


def _entry(entry: HelpEntry, description: str) -> list[str]:
    labels = ", ".join(entry.display_labels_with_metavar)
    if entry.choices:
        description += f" One of {', '.join(entry.choices)}."
    if entry.default is not None:
        description += f" Default: {entry.default}."
    head = f"  {labels:<{COLUMN - 4}}  "
    lines = textwrap.wrap(
        " ".join(description.split()),
        _width(),
        initial_indent=head if len(head) <= COLUMN else " " * COLUMN,
        subsequent_indent=" " * COLUMN,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines if len(head) <= COLUMN else [head.rstrip(), *lines]


def _width() -> int:
    return max(40, min(WIDEST, shutil.get_terminal_size().columns))


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
