"""How a source signs in: credentials, OAuth 2.0 token requests, and one refresh shared by all requests."""
