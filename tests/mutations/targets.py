"""Which modules are mutated, and which tests are the nearest to each."""

from __future__ import annotations

import attrs


@attrs.frozen
class Target:
    """Modules that the same tests are nearest to, so that they share one collection of them.

    ``slow``: whether those that are marked as slow count, too.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    slow: bool = True

    @property
    def arguments(self) -> tuple[str, ...]:
        """What pytest is to collect."""
        return self.tests if self.slow else ("-m", "not slow", *self.tests)


KEPT = (
    "tests/contract/test_waits.py::test_a_job_seen_longer_ago_than_the_system_keeps_jobs_is_gone_at_once",
)
"""How long each system keeps its jobs."""
TARGETS = (
    Target("states", ("common/model/states.py",), ("tests/common/model/test_states.py",)),
    Target("refs", ("common/model/refs.py",), ("tests/common/model/test_refs.py",)),
    Target(
        "serialize",
        ("common/model/serialize.py",),
        (
            "tests/common/model/test_serialize.py",
            "tests/common/model/test_stored_errors.py",
            "tests/common/model/test_errors.py",
        ),
        slow=False,
    ),
    Target(
        "response",
        ("common/response/failures.py", "common/response/repair.py"),
        ("tests/common/response/test_failures.py", "tests/common/response/test_repair.py"),
    ),
    Target(
        "redaction",
        ("common/response/redaction.py", "common/response/redactor.py"),
        (
            "tests/common/response/test_redaction.py",
            "tests/common/response/test_redactor.py",
            "tests/common/http/test_log.py",
        ),
    ),
    Target(
        "client",
        ("common/http/client.py",),
        (
            "tests/common/http/test_api_client.py",
            "tests/common/http/test_client.py",
            "tests/common/http/test_log.py",
            "tests/common/telemetry/test_requests.py",
            "tests/contract/test_cancellation.py",
        ),
    ),
    Target(
        "connection",
        ("common/http/direct/connection.py", "common/http/direct/tls_records.py"),
        ("tests/common/http/test_connection.py", "tests/common/http/test_tls_records.py"),
    ),
    Target(
        "h11",
        ("common/http/direct/h11_backend.py",),
        ("tests/common/http/test_h11_exchanges.py",),
    ),
    Target(
        "concurrency",
        ("common/concurrency.py",),
        ("tests/common/test_concurrency.py", "tests/contract/test_cancellation.py"),
    ),
    Target(
        "policy",
        ("common/polling/policy.py",),
        ("tests/common/polling/test_policy.py", "tests/common/sources/test_wait_keywords.py"),
    ),
    Target(
        "limits",
        ("common/polling/deadlines.py", "common/polling/schedule.py", "common/polling/throttle.py"),
        (
            "tests/common/polling/test_schedule.py",
            "tests/common/polling/test_recovery_spread.py",
            "tests/common/polling/test_throttle.py",
            "tests/common/polling/test_poller.py",
        ),
    ),
    Target(
        "waits",
        ("common/polling/wait_progress.py",),
        ("tests/common/polling/test_wait_progress.py", "tests/common/polling/test_wait.py"),
    ),
    Target(
        "poller",
        ("common/polling/executor.py", "common/polling/poller.py"),
        (
            "tests/common/polling",
            "tests/common/sources/test_job_set.py",
            "tests/common/telemetry/test_events.py",
            "tests/common/telemetry/test_log.py",
            "tests/ontapjobs/test_sweeping.py",
            "tests/ontapjobs/test_results.py",
            "tests/ontapjobs/test_started.py",
            "tests/cfjobs/test_budget.py",
        ),
    ),
    Target(
        "auth",
        (
            "common/auth/client_credentials.py",
            "common/auth/oauth2.py",
            "common/auth/rotation.py",
            "common/auth/token_auth.py",
            "common/auth/token_cache.py",
        ),
        (
            "tests/common/auth/test_client_credentials.py",
            "tests/common/auth/test_oauth2.py",
            "tests/common/auth/test_token_auth.py",
            "tests/common/auth/test_token_cache.py",
        ),
        slow=False,
    ),
    Target(
        "sign-ins",
        ("bluexp_jobs/auth.py", "cfjobs/auth/assertion.py", "cfjobs/auth/uaa.py"),
        (
            "tests/bluexp_jobs/test_auth.py",
            "tests/cfjobs/test_assertion.py",
            "tests/cfjobs/test_auth.py",
        ),
        slow=False,
    ),
    Target(
        "ontap",
        (
            *(
                "ontapjobs/wire.py",
                "ontapjobs/driver.py",
                "ontapjobs/writes/started.py",
                "ontapjobs/writes/results.py",
            ),
            "ontapjobs/actions/bulk.py",
        ),
        (
            "tests/ontapjobs/test_batch_page.py",
            "tests/ontapjobs/test_bulk.py",
            "tests/ontapjobs/test_gateway.py",
            "tests/ontapjobs/test_wire.py",
            "tests/ontapjobs/test_started.py",
            "tests/ontapjobs/test_results.py",
            "tests/ontapjobs/test_fast_path.py",
            "tests/ontapjobs/test_source.py",
            "tests/contract/test_identity.py",
            "tests/contract/test_records.py",
            *KEPT,
            "tests/ontapjobs/test_faults.py",
            "tests/ontapjobs/test_sweeping.py",
        ),
    ),
    Target(
        "bluexp",
        ("bluexp_jobs/wire.py", "bluexp_jobs/driver.py"),
        (
            "tests/bluexp_jobs/test_wire.py",
            "tests/bluexp_jobs/test_config.py",
            "tests/bluexp_jobs/test_driver.py",
            "tests/bluexp_jobs/test_source.py",
            "tests/contract/test_identity.py",
            "tests/contract/test_records.py",
            *KEPT,
            "tests/bluexp_jobs/test_faults.py",
        ),
    ),
    Target(
        "cf",
        ("cfjobs/wire.py", "cfjobs/driver.py", "cfjobs/router.py"),
        (
            "tests/cfjobs/test_router.py",
            "tests/cfjobs/test_wire.py",
            "tests/cfjobs/test_budget.py",
            "tests/cfjobs/test_source.py",
            "tests/contract/test_identity.py",
            "tests/contract/test_records.py",
            *KEPT,
            "tests/cfjobs/test_faults.py",
            "tests/cfjobs/test_delay.py",
            "tests/cfjobs/test_polling.py",
        ),
    ),
)
