"""ONTAP's keys: a user, a token or a certificate, and what ONTAP's users have in their environment."""

from __future__ import annotations

import pytest

from common import UsageError, connect
from ontapjobs import OntapJobs, PollPolicy
from tests.profiles import PASSWORD, UserEnv, auth_in, auth_of, words


def test_a_user_and_a_password(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "ontap://cluster1"\nuser = "admin"\npassword = { env = "SECRET" }')
    source = connect(profile="prod")
    assert isinstance(source, OntapJobs)
    assert auth_of(source) == "Basic('admin', ****)"


def test_a_token(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }')
    assert auth_of(connect(profile="prod")) == "Bearer(****)"


OAUTH = """
endpoint = "ontap://cluster1"
token_url = "https://login.example.com/oauth/token"
client_id = "jobs"
client_secret = { env = "SECRET" }
"""


def test_the_credentials_of_a_client(user_env: UserEnv) -> None:
    user_env.profile(f'{OAUTH}scope = "ontap"\naudience = "cluster1"')
    auth = auth_in(connect(profile="prod"))
    assert repr(auth) == "ClientCredentials('https://login.example.com/oauth/token', 'jobs', ****)"
    assert PASSWORD in auth.credential_secrets()
    user_env.profile(f'{OAUTH}send = "body"')
    assert auth_in(connect(profile="prod"))._send == "body"
    user_env.profile(f'{OAUTH}send = "post"')
    with pytest.raises(UsageError, match="send= must be 'header'"):
        connect(profile="prod")
    user_env.profile(OAUTH.replace("token_url", "# token_url"))
    with pytest.raises(UsageError, match="are not enough to sign in: token_url is missing"):
        connect(profile="prod")
    user_env.profile(OAUTH.replace("login.example.com", f"jobs:{PASSWORD}@login.example.com"))
    with pytest.raises(UsageError, match="the token URL must be one") as caught:
        connect(profile="prod")
    assert PASSWORD not in words(caught.value)


def test_no_reference_says_where_a_token_is_fetched(user_env: UserEnv) -> None:
    user_env.profile(OAUTH)
    with pytest.raises(UsageError, match=r"has a scope that ontap does not have \(it has none"):
        connect("ontap://cluster1/j1?token_url=https://evil/token")


def test_a_certificate_signs_in_by_itself(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "ontap://cluster1"\ncert = "client.pem"\nkey = "client.key"')
    with pytest.raises(UsageError, match=r"cert='.*/client\.pem' cannot be loaded"):
        connect(profile="prod")


def test_nothing_to_sign_in_with_is_an_error(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "ontap://cluster1"')
    with pytest.raises(UsageError, match="no credentials for https://cluster1: pass auth=, or"):
        connect(profile="prod")


def test_a_policy_keeps_to_what_ontap_bears(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }\npolicy = { initial = 2 }')
    assert connect(profile="prod").policy == PollPolicy(initial=2, maximum=60)
    user_env.profile('endpoint = "ontap://cluster1"\ntoken = { env = "SECRET" }\npolicy = { maximum = 299 }')
    with pytest.raises(UsageError, match="ONTAP deletes a finished job"):
        connect(profile="prod")


@pytest.mark.parametrize("host", ["cluster1", "https://CLUSTER1", "ontap://cluster1", "cluster1:443"])
def test_ontap_host_in_the_forms_that_people_have(host: str, user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST=host, ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD)
    source = connect()
    assert isinstance(source, OntapJobs)
    assert (source.endpoint, auth_of(source)) == ("https://cluster1", "Basic('admin', ****)")


def test_ontap_host_of_another_system_is_refused(user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cf://cluster1", ONTAP_PASSWORD=PASSWORD)
    with pytest.raises(UsageError, match="ONTAP_HOST: the endpoint is for 'cf'") as caught:
        connect()
    assert PASSWORD not in words(caught.value)
