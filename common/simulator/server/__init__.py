"""The ways to reach a simulator: an in-process transport, ASGI, and real sockets."""
