"""This package's `Provider`: what `common.providers` finds by entry point."""

from __future__ import annotations

from common.providers import Provider, lazy, lazy_call

_HERE = __name__.rpartition(".")[0]

PROVIDER = Provider(
    name="cf",
    title="Cloud Foundry v3",
    source=lazy(_HERE, "source:CFJobs"),
    driver=lazy(_HERE, "driver:CFDriver"),
    demo=lazy(_HERE, "demo:scenario"),
    simulator=lazy(_HERE, "simulator:CFSimulator"),
    connect=lazy_call(_HERE, "config:connect"),
)
