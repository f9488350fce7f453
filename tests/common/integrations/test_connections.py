"""From the fields of an Airflow connection to a target and settings. Airflow itself is not needed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from common import UsageError, connect
from common.integrations.airflow.connections import system_of
from common.integrations.systems import System


@attrs.define
class Connection:
    """What an Airflow connection holds."""

    conn_type: str | None
    conn_id: str = "one"
    host: str | None = None
    schema: str | None = None
    login: str | None = None
    password: str | None = None
    port: int | None = None
    extra: str | None = None


def system(provider: str = "ontap", **fields: Any) -> System:
    return system_of(Connection(provider, **fields), provider)


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"host": "cluster1"}, "ontap://cluster1/"),
        ({"host": "cluster1", "port": 8443}, "ontap://cluster1:8443/"),
        ({"host": "cluster1:8443", "port": 443}, "ontap://cluster1:8443/"),
        ({"host": "[::1]", "port": 8443}, "ontap://[::1]:8443/"),
        ({"host": " https://cluster1/ "}, "ontap://cluster1/"),
        ({"host": "http://127.0.0.1:80"}, "ontap+http://127.0.0.1:80/"),
        ({"host": "127.0.0.1", "schema": "HTTP"}, "ontap+http://127.0.0.1/"),
        ({"host": "um/api/gateways/1cd8a442"}, "ontap://um/api/gateways/1cd8a442//"),
        ({"host": "https://um/proxy"}, "ontap://um/proxy//"),
        ({}, "ontap:///"),
    ],
)
def test_the_target_is_of_host_port_and_schema(fields: dict[str, Any], target: str) -> None:
    assert system(**fields).target == target


@pytest.mark.parametrize("host", ["cluster1", "https://um/api/gateways/1cd8a442", "http://127.0.0.1:8080"])
def test_the_target_is_one_that_connect_takes(host: str) -> None:
    named = system(host=host, login="admin", password="secret")
    source = connect(named.target, settings=named.settings)
    assert source.endpoint.endswith(host.removeprefix("https://"))


def test_a_system_with_one_address_needs_no_host() -> None:
    extra = '{"account": "account-x1", "agent": "a1", "token": "secret"}'
    named = system("bluexp", extra=extra)
    assert connect(named.target, settings=named.settings).endpoint == "https://api.bluexp.netapp.com"


def test_the_settings_are_login_password_and_each_key_of_the_extra_as_text() -> None:
    extra = '{"verify": false, "concurrency": 4, "aliases": ["a", "b"], "token": null, "cert": ""}'
    assert system(login="admin", password="secret", extra=extra).settings == {
        "user": "admin",
        "password": "secret",
        "verify": "false",
        "concurrency": "4",
        "aliases": "a,b",
    }


@pytest.mark.parametrize("extra", ["no json: secret", '["secret"]', '{"policy": {"initial": "secret"}}'])
def test_an_extra_that_cannot_be_read_is_refused_without_a_word_of_it(extra: str) -> None:
    with pytest.raises(UsageError, match="connection 'one'") as caught:
        system(extra=extra)
    assert "secret" not in str(caught.value)


def test_a_connection_to_another_kind_of_system_is_refused() -> None:
    with pytest.raises(UsageError, match="connection 'one' is of type 'cf': name one of type 'ontap'"):
        system_of(Connection("cf", host="api.example.org", password="secret"), "ontap")


def test_no_setting_is_in_the_repr() -> None:
    assert "secret" not in repr(system(host="cluster1", password="secret", extra='{"token": "secret"}'))
