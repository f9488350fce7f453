"""Waits for jobs in Temporal; users import ``ontapjobs.temporal`` and its siblings."""
