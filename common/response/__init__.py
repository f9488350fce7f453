"""Decides what a response means: its body, its error, the jobs that it names. Does no I/O."""
