"""Pausing, resuming and cancelling: one job by its id, or all that match a filter."""
