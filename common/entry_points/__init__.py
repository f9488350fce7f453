"""What other programs load when they start: the command, Airflow's metadata, and Prefect's blocks.

It is installed as the package ``jobsource``, for it has to work where another package called ``common``
stands in the place of ours. So it imports nothing of the SDK until that is known to be ours.
"""
