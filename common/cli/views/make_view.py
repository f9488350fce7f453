"""Choose the view that fits the standard error."""

from __future__ import annotations

import sys

from common.cli.console import is_terminal
from common.cli.views.plain import PlainView
from common.cli.views.view import View


def make_view(*, quiet: bool, streams_changes: bool) -> View:
    """Return the view for this standard error.

    ``quiet`` shows nothing. Where each change is written to standard output (``streams_changes``), only
    failed polls are shown.
    """
    if quiet:
        return View()
    if is_terminal(sys.stderr) and not streams_changes:
        from common.cli.views.live import LiveView  # lazily: it needs much of rich

        return LiveView()
    return PlainView(changes=not streams_changes)
