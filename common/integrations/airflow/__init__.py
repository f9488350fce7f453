"""Waits for jobs in Apache Airflow 3.1 and later; users import ``ontapjobs.airflow`` and its siblings."""
