"""This package's `Provider`: what `common.providers` finds by entry point."""

from __future__ import annotations

from common.providers import Provider, lazy, lazy_call

_HERE = __name__.rpartition(".")[0]

PROVIDER = Provider(
    name="ontap",
    title="NetApp ONTAP",
    source=lazy(_HERE, "source:OntapJobs"),
    driver=lazy(_HERE, "driver:OntapDriver"),
    demo=lazy(_HERE, "demo:scenario"),
    simulator=lazy(_HERE, "simulator:OntapSimulator"),
    connect=lazy_call(_HERE, "config:connect"),
    state_filter="state",
    environment={"ONTAP_HOST": "endpoint", "ONTAP_USER": "user", "ONTAP_PASSWORD": "password"},
)
