"""Waits for jobs in Prefect; users import ``ontapjobs.prefect`` and its siblings."""
