"""`Fleet.connect`: one source for each system that some refs or targets need, built without a request."""

from __future__ import annotations

from typing import Any

import pytest

from common import Bearer, EventKind, Fleet, Job, JobRef, JobState, UsageError
from common.sources.base import BaseSource
from ontapjobs.simulator import OntapSimulator
from tests.profiles import BACKUP_AND_DEV, PASSWORD, TOKEN, UserEnv

FILE = (
    BACKUP_AND_DEV
    + """
[profiles.prod]
endpoint = "ontap://cluster1"
user = "admin"
password = { env = "PROD_PW" }
aliases = ["10.0.0.1"]
"""
)


@pytest.fixture(autouse=True)
def _profiles(user_env: UserEnv) -> None:
    user_env.profiles(FILE)
    user_env.set(PROD_PW=PASSWORD, LAB_TOKEN=TOKEN)


def systems(fleet: Fleet) -> list[str]:
    return [repr(source) for source in fleet.sources]


def test_each_system_gets_one_source_in_the_order_of_the_refs() -> None:
    refs: list[Any] = [
        "ontap://cluster1/job-1",
        JobRef.parse("cf+http://127.0.0.1:8080/job-2"),
        "ontap://CLUSTER1:443/job-3?results=/api/storage/luns",
        Job(JobRef.parse("ontap://cluster1/job-4"), JobState.RUNNING),
        "bluexp://api.bluexp.netapp.com/account-x1/job-5?agent=a1",
        "bluexp://api.bluexp.netapp.com/account-x1/?agent=a1clients",
        "ontap://cluster1",
    ]
    fleet = Fleet.connect(refs)
    assert systems(fleet) == [
        "<OntapJobs 'https://cluster1'>",
        "<CFJobs 'http://127.0.0.1:8080'>",
        "<BlueXPJobs 'https://api.bluexp.netapp.com', account='account-x1', agent='a1'>",
    ]
    assert [fleet.ref(ref).id for ref in refs[:5]] == [f"job-{number}" for number in range(1, 6)]


@pytest.mark.parametrize("names", [["10.0.0.1", "cluster1"], ["cluster1", "10.0.0.1"]])
def test_an_alias_in_a_profile_is_the_same_system(names: list[str]) -> None:
    fleet = Fleet.connect(f"ontap://{name}/job-1" for name in names)
    assert systems(fleet) == ["<OntapJobs 'https://cluster1'>"]
    assert fleet.ref("ontap://10.0.0.1/job-1") == JobRef.parse("ontap://cluster1/job-1")


def test_a_ref_of_which_parts_are_missing_takes_them_from_its_profile() -> None:
    fleet = Fleet.connect([JobRef("cf", "", "job-1"), "bluexp://api.bluexp.netapp.com/account-x1/job-2"])
    assert [source.endpoint for source in fleet.sources if isinstance(source, BaseSource)] == [
        "http://127.0.0.1:8080",
        "https://api.bluexp.netapp.com",
    ]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_what_is_passed_on_reaches_every_source() -> None:
    simulator, seen = OntapSimulator(), list[Any]()
    id = simulator.add_job([("success", None)])
    refs = [f"ontap://host-{number}/{id}" for number in range(3)]
    fleet = Fleet.connect(
        refs, auth=Bearer(TOKEN), transport=simulator.transport(), concurrency=3, observer=seen.append
    )
    async with fleet:
        assert [(await fleet.wait(ref)).succeeded for ref in refs] == [True] * 3
    assert [str(event.ref) for event in seen if event.kind is EventKind.ENDED] == refs
    assert {source._throttle.max_in_flight for source in fleet.sources if isinstance(source, BaseSource)} == {
        3
    }


@pytest.mark.parametrize("targets", ["ontap://cluster1", None, 7])
def test_one_target_is_no_list(targets: Any) -> None:
    with pytest.raises(UsageError, match=r"\[target\]"):
        Fleet.connect(targets)


def test_nothing_to_connect_to_makes_no_fleet() -> None:
    with pytest.raises(UsageError, match="at least one"):
        Fleet.connect([])


@pytest.mark.parametrize("target", ["ontap://nobody/job-1", "job-1", "jenkins://ci/7", None, 7])
def test_a_target_that_names_no_system_with_credentials_is_refused(target: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Fleet.connect(["ontap://cluster1/job-1", target])
    assert PASSWORD not in str(caught.value)
