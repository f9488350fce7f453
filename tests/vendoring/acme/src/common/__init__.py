"""The host's own package of this name."""

HELP: int = 42
