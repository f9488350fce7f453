"""Which modules are mutated, and which tests are the nearest to each."""

from __future__ import annotations

import attrs


@attrs.frozen
class Target:
    """Modules that the same tests are nearest to, so that they share one collection of them."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = (
    Target(
        "response",
        ("common/response/failures.py", "common/response/redaction.py", "common/response/repair.py"),
        (
            "tests/common/response/test_failures.py",
            "tests/common/response/test_repair.py",
            "tests/common/http/test_log.py",
        ),
    ),
    Target(
        "limits",
        ("common/polling/schedule.py", "common/polling/throttle.py"),
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
            "tests/ontapjobs/test_sweeping.py",
            "tests/ontapjobs/test_results.py",
            "tests/ontapjobs/test_started.py",
        ),
    ),
    Target(
        "auth",
        ("common/auth/token_auth.py", "common/auth/token_cache.py"),
        ("tests/common/auth", "tests/faults/test_token_ledger.py"),
    ),
    Target(
        "ontap",
        (
            *("ontapjobs/wire.py", "ontapjobs/driver.py", "ontapjobs/started.py", "ontapjobs/results.py"),
            "ontapjobs/bulk.py",
        ),
        (
            "tests/ontapjobs/test_bulk.py",
            "tests/ontapjobs/test_wire.py",
            "tests/ontapjobs/test_started.py",
            "tests/ontapjobs/test_results.py",
            "tests/ontapjobs/test_fast_path.py",
            "tests/ontapjobs/test_source.py",
            "tests/ontapjobs/test_faults.py",
            "tests/ontapjobs/test_sweeping.py",
        ),
    ),
    Target(
        "bluexp",
        ("bluexp_jobs/wire.py", "bluexp_jobs/driver.py"),
        (
            "tests/bluexp_jobs/test_wire.py",
            "tests/bluexp_jobs/test_driver.py",
            "tests/bluexp_jobs/test_source.py",
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
            "tests/cfjobs/test_faults.py",
            "tests/cfjobs/test_delay.py",
            "tests/cfjobs/test_polling.py",
        ),
    ),
)
