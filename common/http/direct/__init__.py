"""Requests over connections of our own, read by h11."""
