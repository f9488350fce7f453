"""One request over httpx or aiohttp: the client, its limits and TLS, and what is logged of it."""
