"""Decides what a job is: its states, its reference, its errors, and its form as plain data. Does no I/O."""
