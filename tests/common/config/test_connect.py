"""From a URL, a reference, a profile or the environment to a source, and credentials to nobody else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bluexp_jobs.provider
import cfjobs.provider
import ontapjobs.provider
from common import InsecureConnectionWarning, JobRef, UsageError, WrongSource, connect
from common import providers as registry
from common.providers import Provider, register_provider
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.test_embedding import ROOT, printed, write
from tests.costs import lines
from tests.profiles import BACKUP_AND_DEV, PASSWORD, TOKEN, UserEnv, auth_of, words

ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
FILE = (
    BACKUP_AND_DEV
    + """
[profiles.prod]
endpoint = "ontap://Cluster1.Example.com"
user = "admin"
password = { env = "PROD_PW" }
aliases = ["10.0.0.1"]

[profiles.lab]
provider = "ontap"
endpoint = "https://[2001:DB8::1]:8443"
token = { env = "LAB_TOKEN" }

[profiles.nas]
provider = "nas"
endpoint = "nas://cluster9"
"""
)


@pytest.fixture(autouse=True)
def _three_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three of this project, whatever else other tests made known."""
    ours = {
        one.name: one
        for one in (bluexp_jobs.provider.PROVIDER, cfjobs.provider.PROVIDER, ontapjobs.provider.PROVIDER)
    }
    monkeypatch.setattr(registry, "_registered", ours)
    monkeypatch.setattr(registry, "_installed", dict)


@pytest.fixture
def filed(user_env: UserEnv) -> UserEnv:
    """A user with the profiles above."""
    user_env.profiles(FILE)
    user_env.set(PROD_PW=PASSWORD, LAB_TOKEN=TOKEN)
    return user_env


# --- what a target may be


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("ontap://cluster1", "https://cluster1"),
        ("ontap://CLUSTER1/", "https://cluster1"),
        ("ontap://cluster1:8443", "https://cluster1:8443"),
        ("ontap+http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("ontap://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("ontap+http://[::1]:8080/", "http://[::1]:8080"),
        (f"ontap://cluster1/{ID}", "https://cluster1"),
        (JobRef("ontap", "cluster1", ID), "https://cluster1"),
        (f"ontap://cluster1/{ID}?results=/api/storage/luns", "https://cluster1"),
        (JobRef("ontap", "cluster1", ID, {"path": "/api/data-engine/jobs"}), "https://cluster1"),
    ],
)
def test_a_url_or_a_ref_names_the_source(target: Any, endpoint: str, user_env: UserEnv) -> None:
    del user_env
    source = connect(target, auth=("admin", PASSWORD))
    assert isinstance(source, OntapJobs)
    assert source.endpoint == endpoint


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "neither a source's URL nor a job's reference"),
        ("prod", "use profile='name'"),
        ("cluster1.example.com", "write it as 'ontap://host'"),
        (f" ontap://h/{ID}", "neither"),
        ("nas://h", "belongs to no installed provider: use one of bluexp://, cf://, ontap://"),
        ("ONTAP://h", "belongs to no installed provider"),
        ("ontap:h", "neither"),
        (f"ontap://admin:{PASSWORD}@h", "holds a user name or password"),
        (f"https://admin:{PASSWORD}@h", "holds a user name or password"),
        (f"https://h/a?{PASSWORD}", "no query"),
        ("https://h", "which provider https://h belongs to: use one of bluexp://h, cf://h, ontap://h, or"),
        ("https://", "no valid host"),
        (f"ontap://h/a//b/c/{PASSWORD}", "not a job reference"),
        ("ontap://h#x", "not a job reference"),
        ("ontap://h/x y", "not a job reference"),
        ("ontap://[::1", "not a URL"),
        ("ontap://", "the endpoint is missing: use 'ontap://host' with a host"),
        ("ontap:///", "the endpoint is missing: use 'ontap://host' with a host"),
        (7, "not int:"),
        (b"ontap://h", "not bytes:"),
        (PASSWORD, "neither"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(target: Any, message: str, user_env: UserEnv) -> None:
    del user_env
    with pytest.raises(UsageError, match=message) as caught:
        connect(target)
    assert PASSWORD not in words(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@given(st.text() | st.from_regex(r"(ontap|bluexp|cf|https?)(\+http)?://.{0,20}", fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_system_or_an_error(user_env: UserEnv, text: str) -> None:
    del user_env
    source, refused = None, ""
    try:
        source = connect(text, auth=("admin", PASSWORD))
    except UsageError as error:
        refused = words(error)
    except InsecureConnectionWarning:
        refused = "plain http"
        assert "http://" in text
    assert PASSWORD not in refused
    assert refused if source is None else source.endpoint.startswith("http")


# --- profiles


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("ontap://cluster1.example.com", "https://cluster1.example.com"),
        ("https://CLUSTER1.example.com:443/", "https://cluster1.example.com"),
        (f"ontap://10.0.0.1/{ID}", "https://cluster1.example.com"),
        ("https://10.0.0.1", "https://cluster1.example.com"),
        ("https://[2001:db8:0::1]:8443", "https://[2001:db8::1]:8443"),
        (JobRef("ontap", "10.0.0.1", ID), "https://cluster1.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (f"cf+http://127.0.0.1:8080/{ID}", "http://127.0.0.1:8080"),
        (f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=a1", "https://api.bluexp.netapp.com"),
        ("bluexp://api.bluexp.netapp.com/account-x1/?agent=a1clients", "https://api.bluexp.netapp.com"),
        ("bluexp://", "https://api.bluexp.netapp.com"),
        ("https://api.bluexp.netapp.com", "https://api.bluexp.netapp.com"),
        ("cf:///", "http://127.0.0.1:8080"),
    ],
)
def test_the_one_profile_that_matches_is_used(target: Any, expected: str, filed: UserEnv) -> None:
    del filed
    source = connect(target)
    assert source.endpoint == expected
    assert PASSWORD not in repr(source) + auth_of(source)


def test_a_profile_by_name(filed: UserEnv) -> None:
    source = connect(profile="prod")
    assert (source.endpoint, auth_of(source)) == ("https://cluster1.example.com", "Basic('admin', ****)")
    assert connect("ontap://10.0.0.1", profile="prod").resolver.aliases == {"https://10.0.0.1"}
    filed.set(JOBSOURCE_PROFILE="lab")
    assert connect().endpoint == "https://[2001:db8::1]:8443"
    assert connect(profile="prod").endpoint == "https://cluster1.example.com"


@pytest.mark.anyio
async def test_a_profile_signs_in_and_waits(filed: UserEnv) -> None:
    del filed
    simulator = OntapSimulator()
    uuid = simulator.add_job([("success", None)])
    async with connect(f"ontap://10.0.0.1/{uuid}", transport=simulator.transport()) as source:
        assert (await source.wait(f"ontap://10.0.0.1/{uuid}")).succeeded
    # PASSWORD, as HTTP Basic has it.
    assert simulator.journal[0].headers["authorization"] == "Basic YWRtaW46UGE1NXcwcmQtb2YtbWluZQ=="


@pytest.mark.parametrize(
    ("target", "profile", "message"),
    [
        ("ontap://other", "prod", "is for https://cluster1.example.com, but the target names https://other"),
        ("ontap+http://cluster1.example.com", "prod", "names http://cluster1.example.com"),
        ("https://other", "prod", "the target names https://other"),
        ("cf://cluster1.example.com", "prod", "is for ontap, but the target is for cf"),
        (f"bluexp://api.bluexp.netapp.com/account-x2/{ID}", "backup", "is for another account than the"),
        (f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=b2", "backup", "is for another agent than"),
        ("bluexp://elsewhere", "backup", "is for https://api.bluexp.netapp.com"),
        (None, "none", "there is no profile 'none' in .*; there are: backup, dev, lab, nas, prod"),
        (None, "nas", "no provider 'nas' is installed"),
        (None, "", "profile= must be the name of a profile"),
        (None, "https://cluster1.example.com", "profile= must be the name of a profile"),
        (None, 7, "profile= must be the name of a profile"),
    ],
)
def test_a_profile_is_for_its_own_system(target: Any, profile: Any, message: str, filed: UserEnv) -> None:
    filed.set(PROD_PW="", LAB_TOKEN="")  # no secret is looked at before that is clear
    with pytest.raises(UsageError, match=message):
        connect(target, profile=profile)


def test_the_caller_may_say_that_two_names_are_one_system(filed: UserEnv) -> None:
    del filed
    source = connect("ontap://cluster1", profile="prod", aliases=["cluster1"])
    assert source.resolver.aliases == {"https://cluster1", "https://10.0.0.1"}
    assert source.endpoint == "https://cluster1.example.com"


def test_a_callers_alias_lets_no_stored_reference_pick_a_profile(filed: UserEnv) -> None:
    filed.set(ONTAP_HOST="cluster1.example.com", ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD)
    with pytest.raises(UsageError, match="no credentials for https://evil"):
        connect(f"ontap://evil/{ID}", aliases=["cluster1.example.com", "evil"])


def test_several_profiles_of_one_system_are_named(filed: UserEnv) -> None:
    second = '[profiles.second]\nendpoint = "ontap://cluster2"\naliases = ["10.0.0.1"]'
    filed.profiles(FILE + second)
    with pytest.raises(
        UsageError, match=r"match https://10\.0\.0\.1: use profile= with one of prod, second$"
    ):
        connect("https://10.0.0.1")
    connect("https://10.0.0.1", profile="prod")


def test_a_profile_without_endpoint_sends_nothing_anywhere(filed: UserEnv) -> None:
    filed.profiles('[profiles.any]\nprovider = "ontap"\nuser = "a"\npassword = { env = "PROD_PW" }')
    for target in (None, "ontap://evil"):
        with pytest.raises(UsageError, match="profile 'any' has no endpoint: add endpoint = "):
            connect(target, profile="any")
    with pytest.raises(UsageError, match="no credentials for"):
        connect("ontap://evil")
    filed.set(JOBSOURCE_ENDPOINT="ontap://cluster1")
    assert connect(profile="any").endpoint == "https://cluster1"
    with pytest.raises(UsageError, match="is for https://cluster1, but the target names https://evil"):
        connect("ontap://evil", profile="any")
    filed.set(JOBSOURCE_PROFILE="other")
    with pytest.raises(UsageError, match="profile 'any' has no endpoint"):
        connect(profile="any")


def test_a_switched_off_verification_warns_as_ever(filed: UserEnv) -> None:
    filed.profiles(FILE.replace('user = "admin"', 'user = "admin"\nverify = false'))
    with pytest.warns(InsecureConnectionWarning, match="verify=False"):
        connect(profile="prod")


def test_the_callers_own_options_beat_the_profile(filed: UserEnv) -> None:
    filed.profiles(FILE.replace('user = "admin"', 'user = "admin"\nconcurrency = 2'))
    filed.set(JOBSOURCE_ENDPOINT="ontap://cluster1.example.com", JOBSOURCE_USER="bob")
    assert connect(profile="prod")._throttle.max_in_flight == 2
    assert auth_of(connect(profile="prod")) == "Basic('bob', ****)"
    assert connect(profile="prod", concurrency=3)._throttle.max_in_flight == 3
    assert auth_of(connect(profile="prod", user="eve")) == "Basic('eve', ****)"
    assert auth_of(connect(profile="prod", auth=("joe", "x"))) == "Basic('joe', ****)"
    with pytest.raises(UsageError, match="unknown keyword 'usr'"):
        connect(profile="prod", usr="eve")
    with pytest.raises(UsageError, match="concurrency= must be"):
        connect(profile="prod", concurrency="3")


# --- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"password = '{PASSWORD}", "is not valid TOML: see "),
        (f"[profiles.prod]\n{PASSWORD} {PASSWORD}", "is not valid TOML: see line 2, column"),
        (f"[profiles.prod]\nuser = {'9' * 5000}", "is not valid TOML: "),
        ("a = " + "[" * 100_000, "is not valid TOML: "),
        (
            f"[prod]\npassword = '{PASSWORD}'",
            r"unknown table or key 'prod': the file has only tables \[profiles.<name>\]",
        ),
        ("profiles = 7", "each profile must be a table"),
        ("[profiles]\nprod = 7", "each profile must be a table"),
        ("[[profiles]]\nprovider = 'ontap'", "each profile must be a table"),
        ("[profiles.'ontap://h']\nprovider = 'ontap'", "a profile's name must be letters, digits"),
        ("[profiles.'']\nprovider = 'ontap'", "a profile's name must be letters, digits"),
        ("[profiles.prod]", "profile 'prod': the provider is missing: add provider ="),
        (
            "[profiles.prod]\nendpoint = 'https://h'",
            "profile 'prod': the provider is missing: add provider =",
        ),
        ("[profiles.prod]\nprovider = 7", "profile 'prod': provider must be"),
        ("[profiles.prod]\nprovider = 'ON TAP'", "profile 'prod': provider must be"),
        (
            "[profiles.prod]\nprovider = 'cf'\nendpoint = 'ontap://h'",
            "is for 'ontap', but the provider is 'cf'",
        ),
        ("[profiles.prod]\nprovider = 'cf'\nendpoint = 7", "profile 'prod': the endpoint must be text"),
        (f"[profiles.prod]\nendpoint = 'ontap://a:{PASSWORD}@h'", "holds a user name or password"),
        (f"[profiles.prod]\nprovider = 'cf'\nendpoint = 'https://h/#{PASSWORD}'", "no fragment"),
        ("[profiles.prod]\nprovider = 'cf'\nendpoint = '/h'", "profile 'prod': the endpoint"),
        ("[profiles.prod]\nendpoint = 'on tap://h'", "must begin with https://, http:// or a provider's"),
        ("[profiles.prod]\nendpoint = 'ontap://h'\naliases = 'h2'", "profile 'prod': aliases= must be"),
        ("[profiles.prod]\nendpoint = 'ontap://h'\naliases = [7]", "profile 'prod': the endpoint"),
        (f"[profiles.prod]\nendpoint = 'ontap://h'\npassword = '{PASSWORD}'", "is in the file as plain text"),
        (f"[profiles.prod]\nendpoint = 'ontap://h'\npasswd = '{PASSWORD}'", "unknown key 'passwd'"),
    ],
)
def test_an_invalid_file_is_refused_and_not_quoted(text: str, message: str, user_env: UserEnv) -> None:
    user_env.profiles(text)
    with pytest.raises(UsageError, match=message) as caught:
        connect(profile="prod")
    assert PASSWORD not in words(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_refused(user_env: UserEnv) -> None:
    user_env.profiles("")
    user_env.file.write_bytes("[profiles.prod]".encode("utf-16"))
    with pytest.raises(UsageError, match="it is not text in UTF-8"):
        connect(profile="prod")
    user_env.file.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    with pytest.raises(
        UsageError, match="profile 'prod': password: the variable PROD_PW is empty or not set"
    ):
        connect(profile="prod")


def test_another_profiles_mistakes_are_no_matter(filed: UserEnv) -> None:
    filed.profiles(FILE + '[profiles.odd]\nprovider = "cf"\nendpoint = "cf://odd"\nsecret = 7')
    connect(profile="prod")
    with pytest.raises(UsageError, match="profile 'odd': unknown key 'secret'"):
        connect("cf://odd")


def test_a_file_that_is_named_must_be_there(user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_CONFIG=str(user_env.folder / "none.toml"))
    with pytest.raises(UsageError, match=r"JOBSOURCE_CONFIG names .*none\.toml, which does not exist"):
        connect("ontap://h", auth=("a", "b"))
    user_env.set(JOBSOURCE_CONFIG=str(user_env.folder))
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        connect("ontap://h", auth=("a", "b"))


def test_the_platforms_folder_is_the_default(user_env: UserEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    platformdirs: Any = ModuleType("platformdirs")
    platformdirs.user_config_path = lambda name: user_env.folder / "config" / name
    monkeypatch.setitem(sys.modules, "platformdirs", platformdirs)
    with pytest.raises(UsageError, match=r"no profile 'prod' in .*config/jobsource/profiles.toml; .*: none"):
        connect(profile="prod")
    connect("ontap://h", auth=("a", "b"))
    (user_env.folder / "config/jobsource").mkdir(parents=True)
    (user_env.folder / "config/jobsource/profiles.toml").write_text(FILE)
    user_env.set(PROD_PW=PASSWORD)
    connect(profile="prod")


def test_without_platformdirs_the_package_is_named(
    user_env: UserEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    del user_env
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(UsageError, match=r'set JOBSOURCE_CONFIG .* pip install "jobsource\[profiles\]"'):
        connect(profile="prod")
    connect("ontap://h", auth=("a", "b"))


# --- the environment


def test_ontap_host_states_the_endpoint_and_the_provider(user_env: UserEnv) -> None:
    with pytest.raises(UsageError, match="set JOBSOURCE_PROFILE, JOBSOURCE_ENDPOINT or ONTAP_HOST"):
        connect()
    user_env.set(ONTAP_HOST="Cluster1", ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD)
    for target in (None, "ontap://cluster1", "https://cluster1", f"ontap://cluster1/{ID}", "ontap://"):
        source = connect(target)
        assert (source.endpoint, auth_of(source)) == ("https://cluster1", "Basic('admin', ****)")


@pytest.mark.parametrize("target", ["ontap://other", f"ontap://other/{ID}", "ontap+http://cluster1"])
def test_the_environments_credentials_go_to_its_own_endpoint_alone(target: str, user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cluster1", ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD, JOBSOURCE_TOKEN=TOKEN)
    with pytest.raises(UsageError) as caught:
        connect(target)
    message = str(caught.value)
    assert "ONTAP_USER and ONTAP_PASSWORD are only for https://cluster1 (ONTAP_HOST)" in message
    assert "to use JOBSOURCE_TOKEN, set JOBSOURCE_ENDPOINT or name a profile" in message
    assert PASSWORD not in words(caught.value)
    assert TOKEN not in words(caught.value)
    with pytest.raises(UsageError, match="no credentials for https://foundation"):
        connect("cf://foundation")


def test_variables_without_an_endpoint_are_for_the_profile_that_was_named(filed: UserEnv) -> None:
    filed.set(ONTAP_USER="bob", JOBSOURCE_CONCURRENCY="2")
    assert auth_of(connect(profile="prod")) == "Basic('bob', ****)"
    assert connect(profile="prod")._throttle.max_in_flight == 2
    # Picked by a stored reference, a profile gets no more than its own.
    assert auth_of(connect(f"ontap://10.0.0.1/{ID}")) == "Basic('admin', ****)"
    assert connect("ontap://10.0.0.1")._throttle.max_in_flight == 8
    filed.set(JOBSOURCE_PROFILE="lab")
    assert connect(profile="prod")._throttle.max_in_flight == 8
    assert connect()._throttle.max_in_flight == 2


def test_variables_of_another_endpoint_leave_a_profile_alone(filed: UserEnv) -> None:
    filed.set(ONTAP_HOST="cluster2", ONTAP_USER="bob", ONTAP_PASSWORD="other")
    assert auth_of(connect(profile="prod")) == "Basic('admin', ****)"
    assert auth_of(connect("ontap://10.0.0.1")) == "Basic('admin', ****)"
    filed.set(ONTAP_HOST="10.0.0.1")
    assert auth_of(connect("ontap://10.0.0.1")) == "Basic('bob', ****)"


def test_jobsource_endpoint_states_the_endpoint_and_the_provider(user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_ENDPOINT="cf://api.example.org", JOBSOURCE_TOKEN=TOKEN, ONTAP_HOST="cluster1")
    assert repr(connect()) == "<CFJobs 'https://api.example.org'>"
    assert repr(connect("https://api.example.org")) == "<CFJobs 'https://api.example.org'>"
    user_env.set(JOBSOURCE_ENDPOINT="api.example.org")
    with pytest.raises(UsageError, match=r"cannot tell which provider https://api\.example\.org belongs to"):
        connect()
    user_env.set(JOBSOURCE_PROVIDER="cf")
    assert repr(connect()) == "<CFJobs 'https://api.example.org'>"
    user_env.set(JOBSOURCE_PROVIDER="bluexp", JOBSOURCE_ACCOUNT="account-1", JOBSOURCE_AGENT="a1")
    assert repr(connect()) == "<BlueXPJobs 'https://api.example.org', account='account-1', agent='a1'>"
    user_env.set(JOBSOURCE_ENDPOINT="cf://api.example.org")
    with pytest.raises(UsageError, match=r"JOBSOURCE_ENDPOINT: the endpoint is for 'cf'"):
        connect()


@pytest.mark.parametrize("name", ["JOBSOURCE_ENDPOINT", "ONTAP_HOST"])
def test_an_endpoint_in_a_variable_that_is_none_is_refused_by_name(name: str, user_env: UserEnv) -> None:
    user_env.set(**{name: f"https://admin:{PASSWORD}@cluster1"})
    with pytest.raises(UsageError, match=f"{name}: the endpoint holds a user name or password") as caught:
        connect()
    assert PASSWORD not in words(caught.value)


def test_a_profile_and_an_endpoint_of_the_environment_must_fit(filed: UserEnv) -> None:
    filed.set(JOBSOURCE_PROFILE="prod", JOBSOURCE_ENDPOINT="ontap://other")
    with pytest.raises(
        UsageError, match="JOBSOURCE_PROFILE and JOBSOURCE_ENDPOINT do not match: profile 'prod'"
    ):
        connect()
    filed.set(JOBSOURCE_ENDPOINT="ontap://10.0.0.1")
    assert connect().endpoint == "https://cluster1.example.com"
    with pytest.raises(UsageError, match=r"^JOBSOURCE_PROFILE: profile 'prod' is for https://cluster1\."):
        connect("ontap://other")
    for name, message in (("none", "there is no profile 'none'"), ("a b", "must be the name of a profile")):
        filed.set(JOBSOURCE_PROFILE=name)
        with pytest.raises(UsageError, match=f"^JOBSOURCE_PROFILE: {message}"):
            connect()


def test_an_endpoint_of_the_environment_moves_no_profile_that_a_reference_picks(filed: UserEnv) -> None:
    filed.set(JOBSOURCE_ENDPOINT="bluexp://agent.internal")
    target = f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=a1"
    assert connect(target).endpoint == "https://api.bluexp.netapp.com"
    # Named, it is the environment's to say where a profile that has no endpoint is.
    assert connect(profile="backup").endpoint == "https://agent.internal"


def test_half_of_the_environments_login_is_named(user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cluster1", ONTAP_USER="admin")
    with pytest.raises(UsageError, match="ONTAP_USER is not enough to sign in: password is missing"):
        connect()


def test_a_password_with_a_line_break_is_refused_and_not_quoted(user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cluster1", ONTAP_USER="admin", ONTAP_PASSWORD=f"{PASSWORD}\n")
    with pytest.raises(UsageError, match="a control character") as caught:
        connect()
    assert PASSWORD not in words(caught.value)


# --- providers


def test_a_provider_that_cannot_connect_says_so(user_env: UserEnv) -> None:
    del user_env
    register_provider(Provider(name="toy", title="A toy", source=lambda: OntapJobs))
    with pytest.raises(UsageError, match="toy supports neither profiles nor URLs: create its source"):
        connect("toy://h")


def test_a_source_that_is_not_the_targets_is_refused(user_env: UserEnv) -> None:
    del user_env

    def astray(_: object) -> OntapJobs:
        return OntapJobs("elsewhere", auth=("a", "b"))

    register_provider(Provider(name="ontap", title="A wrong one", source=lambda: OntapJobs, connect=astray))
    with pytest.raises(
        WrongSource, match="this job is of https://h, but the source is for https://elsewhere"
    ):
        connect(f"ontap://h/{ID}")


TOY_PACKAGE = {
    "toy_jobs/__init__.py": """
from functools import partial
from common.sources.http import HttpSource
from toy_jobs.driver import ToyDriver

class ToyJobs(HttpSource):
    def __init__(self, endpoint, *, box, room="", auth, **options):
        super().__init__(partial(ToyDriver, box=box, room=room), endpoint, auth=auth, options=options)
""",
    "toy_jobs/driver.py": """
import json
import httpx
from common.model.job import Job
from common.model.states import JobState
from common.response.failures import ErrorBody
from common.response.writes import StartedJobs
from common.sources.driver import Driver

class ToyDriver(Driver):
    provider = "toy"

    def __init__(self, endpoint, *, states, box, room):
        super().__init__(endpoint, scope=(("box", box),), states=states)
        self.room = room

    def job_path(self, ref):
        return f"/toys/{ref.id}"

    def parse_job(self, body, ref):
        return Job(ref, JobState.SUCCEEDED, message=json.loads(body)["message"] + self.room)

    def parse_error(self, response):
        return ErrorBody(message=response.text)

    def parse_started(self, response):
        return StartedJobs()

def play(request):
    return httpx.Response(200, json={"message": request.headers["Authorization"]})
""",
    "toy_jobs/provider.py": """
from common.providers import Provider, lazy

def connect(settings):
    import httpx
    from common.auth.credentials import Bearer
    from common.config.auth_methods import AuthMethod
    from toy_jobs import ToyJobs
    from toy_jobs.driver import play
    given = settings.read(text=["room"], secret=["token"], scope=["box"])
    return ToyJobs(
        settings.endpoint,
        auth=given.sign_in(AuthMethod(("token",), Bearer)),
        box=given.text("box"),
        room=given.text("room"),
        transport=httpx.MockTransport(play),
        **given.options,
    )

PROVIDER = Provider(
    name="toy",
    title="Toys",
    source=lazy("toy_jobs", "ToyJobs"),
    driver=lazy("toy_jobs", "driver:ToyDriver"),
    connect=connect,
    environment={"TOY_URL": "endpoint", "TOY_TOKEN": "token"},
)
""",
    "toy_jobs-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy-jobs\nVersion: 1.0\n",
    "toy_jobs-1.0.dist-info/entry_points.txt": "[jobsource.providers]\ntoy = toy_jobs.provider:PROVIDER\n",
    "profiles.toml": """
[profiles.attic]
endpoint = "toy://attic"
aliases = ["cellar"]
box = "b1"
room = " in the attic"
token = { file = "token" }
""",
}


@pytest.mark.slow
def test_a_fourth_provider_plugs_in_without_a_change_here(tmp_path: Path) -> None:
    write(tmp_path, TOY_PACKAGE)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    code = f"""
import json, os, sys, anyio
os.environ |= {{"JOBSOURCE_CONFIG": {str(tmp_path / "profiles.toml")!r}}}
for name in [name for name in os.environ if name.startswith(("TOY_", "JOBSOURCE_P", "JOBSOURCE_E"))]:
    del os.environ[name]
from common import Bearer, Fleet, JobRef, UsageError, connect, wait_all
from common.providers import provider_names
lines = []
assert "toy" in provider_names() and "toy_jobs" not in sys.modules

async def main():
    ref = JobRef.parse("toy://cellar/j1?box=b1")
    third = connect("toy://third", auth=Bearer("third"), box="b2", room="r")
    async with connect(ref) as one, third as two:
        lines.append([repr(one), repr(two), (await one.wait(ref)).message])
        fleet = Fleet([one, two])
        jobs = await wait_all(fleet, [ref, "toy://third/j2?box=b2"])
        lines.append([str(job.ref) for job in jobs] + [repr(fleet.of(ref))])
    for target in ("toy://evil/j1?box=b1", "toy://attic/j1?box=b9", "toy://attic/j1?room=evil"):
        try:
            connect(target)
        except UsageError as error:
            lines.append(str(error))
    os.environ |= {{"TOY_URL": "toy://shelf", "TOY_TOKEN": "other"}}
    lines.append(repr(connect(box="b3", room="r")))

anyio.run(main)
print(json.dumps(lines))
"""
    waited, fleet, *refused, shelf = json.loads(printed(code, tmp_path, ROOT))
    assert waited == [
        "<ToyJobs 'https://attic', box='b1'>",
        "<ToyJobs 'https://third', box='b2'>",
        f"Bearer {TOKEN} in the attic",
    ]
    assert fleet == ["toy://attic/j1?box=b1", "toy://third/j2?box=b2", "<ToyJobs 'https://attic', box='b1'>"]
    how = "no credentials for https://{}: pass auth=, or name a profile with token"
    assert refused[:2] == [how.format("evil"), how.format("attic")]
    assert "has a scope that toy does not have (it has only box" in refused[2]
    assert shelf == "<ToyJobs 'https://shelf', box='b3'>"
    assert TOKEN not in str(refused)


def test_a_system_costs_the_same_among_the_profiles_of_any_number_of_others(user_env: UserEnv) -> None:
    def cost(others: int) -> int:
        names = ["wanted", *map(str, range(others))]
        tables = [
            f'[profiles.{name}]\nendpoint = "ontap://{name}"\naliases = ["{name}.lan"]' for name in names
        ]
        user_env.profiles("\n".join(tables))
        connect("ontap://wanted", auth=("a", "b"))
        return lines(lambda: connect("ontap://wanted.lan", auth=("a", "b")))

    assert cost(5) == cost(50)


def test_a_profile_with_an_alias_and_no_endpoint_matches_once(user_env: UserEnv) -> None:
    host = "api.bluexp.netapp.com"
    user_env.profiles(f"{BACKUP_AND_DEV}\n".replace("agent =", f'aliases = ["{host}", "lan"]\nagent ='))
    user_env.set(LAB_TOKEN=TOKEN)
    for name in (host, "lan"):
        assert repr(connect(f"bluexp://{name}")).count("account-x1") == 1


def test_an_error_names_some_of_many_profiles(user_env: UserEnv) -> None:
    user_env.profiles("\n".join(f'[profiles.p{number}]\nprovider = "ontap"' for number in range(1000)))
    with pytest.raises(UsageError, match=r"there are: p0, p1, .* and 980 more$") as raised:
        connect(profile="none")
    assert len(str(raised.value)) < 500
