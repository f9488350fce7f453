"""``python -m common demo``: the command ``jobsource``, also where the script is not on the path."""

from __future__ import annotations

from common.cli.main import main

raise SystemExit(main())
