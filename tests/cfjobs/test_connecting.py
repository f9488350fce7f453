"""Cloud Foundry's keys."""

from __future__ import annotations

from cfjobs import CFJobs
from common import connect
from tests.profiles import Desk
from tests.profiles import auth_of


def test_a_token(desk: Desk) -> None:
    desk.profile('endpoint = "cf://api.example.org"\ntoken = { env = "SECRET" }')
    source = connect("cf://api.example.org/space.delete~cf-space-1")
    assert isinstance(source, CFJobs)
    assert auth_of(source) == "Bearer(****)"
