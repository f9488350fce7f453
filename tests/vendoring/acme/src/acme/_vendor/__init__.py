"""Copies of other packages, made by `vendoring sync`."""
