"""How a source signs in beside user and password, or a token: ``ClientCredentials``."""

from __future__ import annotations

from common.auth.client_credentials import ClientCredentials

__all__ = ["ClientCredentials"]
