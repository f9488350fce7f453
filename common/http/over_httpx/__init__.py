"""How a request is sent by httpx or httpx2, and what that library must be kept from doing."""
