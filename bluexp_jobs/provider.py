"""This package's `Provider`: what `common.providers` finds by entry point."""

from __future__ import annotations

from common.providers import Provider, lazy, lazy_call

_HERE = __name__.rpartition(".")[0]

ENDPOINT = "https://api.bluexp.netapp.com"
"""The current host; ``https://cloudmanager.cloud.netapp.com`` is the older one."""

PUBLIC_HOSTS = frozenset({"api.bluexp.netapp.com", "cloudmanager.cloud.netapp.com"})
"""NetApp's hosts; any other is an agent in private mode."""

PROVIDER = Provider(
    name="bluexp",
    title="NetApp BlueXP backup and recovery",
    source=lazy(_HERE, "source:BlueXPJobs"),
    driver=lazy(_HERE, "driver:BlueXPDriver"),
    demo=lazy(_HERE, "demo:scenario"),
    simulator=lazy(_HERE, "simulator:BlueXPSimulator"),
    connect=lazy_call(_HERE, "config:connect"),
    state_filter="status",
    endpoint=ENDPOINT,
)
