"""The servers that a simulator runs behind: in-process transport, ASGI, and real sockets."""
