"""The commands of ``jobsource``: what each is for, and examples; its module is imported when it is used."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable

import attrs

_PACKAGE = __name__.rpartition(".")[0]
_CLUSTER = "ontap://cluster1.example.com"
_ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"


@attrs.frozen(eq=False, repr=False)
class Command:
    """One command. ``examples`` work as they are written for those who have such a system and profile."""

    name: str
    usage: str
    where: str
    """Its function, as "module:function" in the package of commands."""
    examples: tuple[str, ...]

    def function(self) -> Callable[..., int]:
        """Import and return its function."""
        function: Callable[..., int] = pkgutil.resolve_name(f"{_PACKAGE}.commands.{self.where}")
        return function


COMMANDS: tuple[Command, ...] = (
    Command(
        "get",
        "REF… [options]",
        "get:get",
        (
            f"jobsource get {_CLUSTER}/{_ID}",
            f"jobsource get {_ID} --profile prod -o json",
            "jobsource list prod --state failed | jobsource get - -o table",
        ),
    ),
    Command(
        "wait",
        "REF… [options]",
        "wait:wait",
        (
            f"jobsource wait {_CLUSTER}/{_ID} --timeout 1h30m",
            "jobsource list prod --state queued,running | jobsource wait - --first-failure",
            f"jobsource wait {_CLUSTER}/{_ID} --until paused -o jsonl",
        ),
    ),
    Command(
        "watch",
        "REF… [options]",
        "watch:watch",
        (
            f"jobsource watch {_CLUSTER}/{_ID}",
            f"jobsource watch {_CLUSTER}/{_ID} -o jsonl | head -1",
        ),
    ),
    Command(
        "list",
        "[TARGET] [options]",
        "list:list_jobs",
        (
            "jobsource list prod --state queued,running",
            f"jobsource list {_CLUSTER} --filter 'svm_name=vs*' --limit 10 -o table",
            "jobsource list prod -o csv > jobs.csv",
        ),
    ),
    Command(
        "count",
        "[TARGET] [options]",
        "count:count",
        ("jobsource count prod --state running", f"jobsource count {_CLUSTER}"),
    ),
    Command(
        "cancel",
        "REF… [options]",
        "act:cancel",
        (
            f"jobsource cancel {_CLUSTER}/{_ID}",
            "jobsource list prod --state queued | jobsource cancel - --wait",
        ),
    ),
    Command(
        "pause",
        "REF… [options]",
        "act:pause",
        (f"jobsource pause {_CLUSTER}/{_ID}", f"jobsource pause {_ID} --profile prod --wait --timeout 1m"),
    ),
    Command(
        "resume",
        "REF… [options]",
        "act:resume",
        (f"jobsource resume {_CLUSTER}/{_ID}", f"jobsource resume {_ID} --profile prod --wait"),
    ),
    Command(
        "start",
        "TARGET METHOD PATH [options]",
        "start:start",
        (
            "jobsource start prod PATCH /api/storage/volumes/vol1 -d '{\"size\": 107374182400}' --wait",
            "jobsource start prod DELETE /api/storage/volumes/vol2 --inline 15 | jobsource wait -",
        ),
    ),
    Command(
        "profiles",
        "[NAME…] [options]",
        "profiles:profiles",
        ("jobsource profiles", "jobsource profiles prod --check"),
    ),
    Command(
        "simulate",
        "PROVIDER [options]",
        "simulate:simulate",
        ("jobsource simulate ontap --port 8080", "jobsource simulate cf --clock scaled:60 --verbose"),
    ),
    Command("demo", "[options]", "demo:demo", ("jobsource demo", "jobsource demo --calm")),
    Command(
        "completion",
        "bash|zsh|fish",
        "completion:completion",
        ("source <(jobsource completion bash)", "jobsource completion fish > jobsource.fish"),
    ),
)
