"""Run whenever a SnapMirror job of the cluster ends, whoever started it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from ontapjobs.airflow import JobsEndedTrigger

trigger = JobsEndedTrigger(conn_id="ontap_default", filters={"description": "*SnapMirror*"}, interval=60)
mirrored = Asset("snapmirror_jobs", watchers=[AssetWatcher(name="ended", trigger=trigger)])

with DAG("after_any_snapmirror", schedule=[mirrored]) as dag:

    @task
    def report(triggering_asset_events: Any = None) -> int:
        """Count the jobs that ended since the last run."""
        return sum(map(len, triggering_asset_events.values()))

    report()
