"""Which words for states a simulated system has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
import pytest

from bluexp_jobs import wire as bluexp
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import wire as cf
from cfjobs.simulator import CFSimulator
from common import JobState
from common.simulator import NewJob, Simulator
from common.simulator.script import fold
from ontapjobs import wire as ontap
from ontapjobs.simulator import OntapSimulator
from tests.common.simulator.echoing import Echo

SYSTEMS: list[type[Simulator]] = [OntapSimulator, BlueXPSimulator, CFSimulator]
every_system = pytest.mark.parametrize("system", SYSTEMS)


@every_system
def test_a_word_that_the_system_does_not_have_is_refused_with_those_it_has(
    system: Callable[..., Simulator],
) -> None:
    simulator = system()
    words = ", ".join(simulator.vocabulary)
    expected = f"{system.__name__} has no state 'DONE'; it has {words} \\(states= adds others\\)"
    with pytest.raises(ValueError, match=expected):
        simulator.add_job([(simulator.vocabulary[0], 1), ("DONE", None)])
    assert simulator.jobs == {}
    with pytest.raises(ValueError, match=expected):
        simulator.on_write = NewJob([("DONE", None)])
    with pytest.raises(ValueError, match=expected):
        system(on_write=NewJob([("DONE", None)]))


@pytest.mark.parametrize(
    ("system", "table"),
    [(OntapSimulator, ontap.STATES), (BlueXPSimulator, bluexp.STATES), (CFSimulator, cf.STATES)],
)
def test_every_word_that_a_source_knows_can_be_played(
    system: type[Simulator], table: Mapping[str, JobState]
) -> None:
    assert {fold(word) for word in table} <= {fold(word) for word in system.vocabulary}


@every_system
def test_letter_case_and_separators_make_no_other_word(system: Callable[..., Simulator]) -> None:
    simulator = system()
    for word in simulator.vocabulary:
        simulator.add_job([(word.swapcase().replace("_", " "), None)])
    assert len(simulator.jobs) == len(simulator.vocabulary)


@every_system
def test_a_test_can_add_words_and_leave_the_word_out(system: Callable[..., Simulator]) -> None:
    simulator = system(states=["FLORBING"])
    simulator.states.add("zombie")
    for word in ("FLORBING", "zombie", None):
        simulator.add_job([(word, None)])
    assert len(simulator.jobs) == 3


def test_a_system_that_names_no_words_takes_any() -> None:
    Echo().add_job([("anything", None)])


@pytest.mark.anyio
async def test_a_word_is_refused_over_http_as_well() -> None:
    simulator = CFSimulator()
    async with httpx.AsyncClient(transport=simulator.transport(), base_url="http://sim") as http:
        for what in ("jobs", "writes"):
            reply = await http.post(f"/_sim/{what}", json={"script": [["success", None]]})
            assert reply.status_code == 400
            words = "PROCESSING, POLLING, COMPLETE, FAILED (states= adds others)"
            assert reply.json() == {"error": f"CFSimulator has no state 'success'; it has {words}"}
