"""ONTAP's keys: a user, a token or a certificate, and what ONTAP's users have in their environment."""

from __future__ import annotations

import pytest

from common import UsageError
from common import connect
from ontapjobs import OntapJobs
from ontapjobs import PollPolicy
from tests.profiles import PASSWORD
from tests.profiles import Desk
from tests.profiles import auth_of
from tests.profiles import words


def test_a_user_and_a_password(desk: Desk) -> None:
    desk.profile('endpoint = "ontap://cluster1"\nuser = "admin"\npassword = { env = "SECRET" }')
    source = connect(profile="prod")
    assert isinstance(source, OntapJobs)
    assert auth_of(source) == "Basic('admin', ****)"


def test_a_token(desk: Desk) -> None:
    desk.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }')
    assert auth_of(connect(profile="prod")) == "Bearer(****)"


def test_a_certificate_signs_in_by_itself(desk: Desk) -> None:
    desk.profile('endpoint = "ontap://cluster1"\ncert = "client.pem"\nkey = "client.key"')
    with pytest.raises(UsageError, match=r"cert='.*/client\.pem' cannot be loaded"):
        connect(profile="prod")


def test_nothing_to_sign_in_with_is_an_error(desk: Desk) -> None:
    desk.profile('endpoint = "ontap://cluster1"')
    with pytest.raises(UsageError, match="nothing says how to sign in to https://cluster1: pass auth=, or"):
        connect(profile="prod")


def test_a_policy_keeps_to_what_ontap_bears(desk: Desk) -> None:
    desk.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }\npolicy = { initial = 2 }')
    assert connect(profile="prod").policy == PollPolicy(initial=2, maximum=60)
    desk.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }\npolicy = { maximum = 299 }')
    with pytest.raises(UsageError, match="ONTAP forgets a finished job"):
        connect(profile="prod")


@pytest.mark.parametrize("host", ["cluster1", "https://CLUSTER1", "ontap://cluster1", "cluster1:443"])
def test_ontap_host_in_the_forms_that_people_have(host: str, desk: Desk) -> None:
    desk.set(ONTAP_HOST=host, ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD)
    source = connect()
    assert isinstance(source, OntapJobs)
    assert (source.endpoint, auth_of(source)) == ("https://cluster1", "Basic('admin', ****)")


def test_ontap_host_of_another_system_is_refused(desk: Desk) -> None:
    desk.set(ONTAP_HOST="cf://cluster1", ONTAP_PASSWORD=PASSWORD)
    with pytest.raises(UsageError, match="ONTAP_HOST: the endpoint is one of 'cf'") as caught:
        connect()
    assert PASSWORD not in words(caught.value)
