"""The SDK's own package of this name."""

NAME = "acme"
