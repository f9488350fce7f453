"""Decides how requests are authenticated: what ``auth=`` accepts, and how tokens are kept valid."""
