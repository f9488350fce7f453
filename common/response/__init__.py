"""Bytes in, values out: decoding, error bodies, redaction, and the jobs that a write started. Pure."""
