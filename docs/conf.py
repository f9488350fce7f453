"""Sphinx's configuration: ``nox -s docs`` builds the pages, with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "jobsource"
author = "The jobsource authors"
project_copyright = "The jobsource authors"

extensions = [
    "code_tables",
    "command_help",
    "myst_parser",
    "public_names",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "examples/README.md"]
nitpicky = False
# A block that names no language is for a shell, or drawn.
highlight_language = "text"
html_theme = "furo"
html_title = "jobsource"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# What docstrings write in single backticks are names of this project.
default_role = "py:obj"
