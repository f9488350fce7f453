"""Decides how one request is sent: by which HTTP library, within which limits, over which TLS, how logged."""
