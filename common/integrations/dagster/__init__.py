"""Waits in assets, ops and sensors of Dagster; users import them from a provider's package."""
