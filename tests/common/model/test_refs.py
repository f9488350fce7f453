"""References of jobs: URIs that are parsed to the same reference again."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any
from urllib.parse import quote_from_bytes

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import UsageError
from common.model.refs import JobRef, decode_segment, encode_segment
from tests.costs import lines
from tests.jobvalues import IDS, REFS
from tests.pickled import pickled

SCOPE = (("account", "account-x1"), ("agent", "agent 1/2"))


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (JobRef("ontap", "https://cluster1.example.com", "b5-1"), "ontap://cluster1.example.com/b5-1"),
        (JobRef("ontap", "https://h:8443", "b5-1"), "ontap://h:8443/b5-1"),
        (JobRef("ontap", "http://10.0.0.1", "b5-1"), "ontap+http://10.0.0.1/b5-1"),
        (JobRef("ontap", "https://[2001:db8::1]:444", "x"), "ontap://[2001:db8::1]:444/x"),
        (JobRef("ontap", "", "b5-1"), "ontap:///b5-1"),
        (
            JobRef("cf", "https://api.example.org", "space.delete~cf-1"),
            "cf://api.example.org/space.delete~cf-1",
        ),
        (JobRef("cf", "https://api.example.org", "a/b?c#d e%"), "cf://api.example.org/a%2Fb%3Fc%23d%20e%25"),
        (JobRef("bluexp", "https://h", "6f", SCOPE), "bluexp://h/account-x1/6f?agent=agent%201%2F2"),
        (JobRef("bluexp", "", "6f", {"agent": "a"}), "bluexp:///6f?agent=a"),
        (JobRef("ontap", "https://um/api/gateways/1c-d8", "b5"), "ontap://um/api/gateways/1c-d8//b5"),
        (JobRef("cf", "http://h:8080/cf/", "a/b"), "cf+http://h:8080/cf//a%2Fb"),
        (JobRef("bluexp", "https://h/p", "6f", SCOPE), "bluexp://h/p//account-x1/6f?agent=agent%201%2F2"),
        (JobRef("bluexp", "https://h/p", "6f", {"account": ""}), "bluexp://h/p///6f"),
    ],
)
def test_a_ref_reads_as_a_uri_and_back(ref: JobRef, text: str) -> None:
    assert str(ref) == text
    assert JobRef.parse(text) == ref


def test_what_is_no_unicode_text_goes_through_a_ref_too() -> None:
    ref = JobRef("bluexp", "https://h", "half \udcff", {"agent": "half \ud800"})
    assert str(ref) == "bluexp://h/half%20%ED%B3%BF?agent=half%20%ED%A0%80"
    assert JobRef.parse(str(ref)) == ref


def test_a_text_may_have_characters_that_need_no_escape() -> None:
    assert JobRef.parse("cf://h/!a$b'(c)*,;:@").id == "!a$b'(c)*,;:@"


@pytest.mark.slow
@given(REFS)
def test_any_ref_survives_the_trip_through_text(ref: JobRef) -> None:
    text = str(ref)
    assert text.isascii()
    assert text.isprintable()
    assert JobRef.parse(text) == ref
    assert JobRef.parse(text).hints == ref.hints
    assert str(JobRef.parse(text)) == text


@pytest.mark.slow
@given(REFS)
def test_any_ref_pickles_copies_and_hashes(ref: JobRef) -> None:
    for again in (pickled(ref), copy.deepcopy(ref), attrs.evolve(ref)):
        assert again == ref
        assert hash(again) == hash(ref)


@given(IDS)
def test_a_segment_holds_any_text(text: str) -> None:
    encoded = encode_segment(text)
    assert not set(encoded) & set("/?#& ")
    assert decode_segment(encoded) == text


def test_tilde_and_dot_stay_as_they_are() -> None:
    assert encode_segment("space.delete~cf-space-1_2") == "space.delete~cf-space-1_2"


@pytest.mark.parametrize(
    "scope",
    [
        {"agent": "a1", "account": "x1"},
        (("agent", "a1"), ("account", "x1")),
        [["account", "x1"], ["agent", "a1"]],
    ],
)
def test_a_scope_has_one_order_however_it_was_given(scope: Any) -> None:
    ref = JobRef("bluexp", "", "6f", scope)
    assert ref.scope == (("account", "x1"), ("agent", "a1"))


def test_the_account_is_the_first_part_of_a_scope_and_the_others_are_sorted() -> None:
    scope = {"zone": "account", "a": "1", "account": "x1", "b": "0"}
    ref = JobRef("bluexp", "", "6f", scope)
    assert [name for name, _ in ref.scope] == ["account", "a", "b", "zone"]


def test_a_sibling_is_another_job_of_the_same_server_and_scope() -> None:
    ref = JobRef("bluexp", "https://h", "6f", SCOPE)
    sibling = ref.sibling("7a")
    assert type(sibling) is JobRef
    assert sibling == JobRef("bluexp", "https://h", "7a", SCOPE)
    assert (hash(sibling), str(sibling)) == (
        hash(attrs.evolve(ref, id="7a")),
        str(attrs.evolve(ref, id="7a")),
    )
    frozen: Any = sibling
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        frozen.id = "x"


@pytest.mark.parametrize(
    "endpoint", ["HTTPS://Cluster1.Example.com:443/", "cluster1.example.com", "https://cluster1.example.com"]
)
def test_an_endpoint_has_one_form_however_it_was_given(endpoint: str) -> None:
    assert JobRef("ontap", endpoint, "1").endpoint == "https://cluster1.example.com"


def test_the_text_of_a_ref_may_have_upper_case_and_a_default_port() -> None:
    assert JobRef.parse("ontap://CLUSTER1.example.com:443/1") == JobRef(
        "ontap", "https://cluster1.example.com", "1"
    )


@pytest.mark.parametrize("id", ["", None, 5, b"x"])
def test_an_id_that_is_empty_or_no_text_is_refused(id: Any) -> None:
    with pytest.raises(UsageError, match="id"):
        JobRef("ontap", "", id)


@pytest.mark.parametrize("provider", ["", "ONTAP", "on-tap", "1ontap", "ontap+http", "ontap\n"])
def test_a_provider_that_is_no_name_is_refused(provider: str) -> None:
    with pytest.raises(UsageError, match="provider"):
        JobRef(provider, "", "x")


@pytest.mark.parametrize("scope", [None, 5, "account", ["abc"], [("a",)], [("a", "b", "c")]])
def test_a_scope_that_is_no_pairs_is_refused(scope: Any) -> None:
    with pytest.raises(UsageError, match="scope"):
        JobRef("bluexp", "", "x", scope)


@pytest.mark.parametrize(
    "endpoint", ["https://user:pw@h", "https://h/path?q=1", "https://h/a//b", "ftp://h", " ", None]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: Any) -> None:
    with pytest.raises(UsageError, match="endpoint"):
        JobRef("ontap", endpoint, "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b5145e1d-0000",
        "ontap:b5",
        "ontap://",
        "ontap://h",
        "ontap://h/",
        "ontap://h/a/",
        "ontap://h/a/b/c",
        "ontap://h/a//",
        "ontap://h///a",
        "ontap:///a//b",
        "ontap://h/..//b",
        "ontap://h/a%2Fb//c",
        "ontap://h/a//b//c/d",
        "ontap://h/a#b",
        "ontap://h/a b",
        "ontap://h/a\n",
        "ontap://user:pw@h/a",
        "ontap+https://h/a",
        "Ontap://h/a",
        "https://h:99999/a",
        "ontap://[::1/a",
        "ontap://[::g]/a",
        "ontap://h\N{ACCOUNT OF}/a",
        "ontap://h/%FF",
        "bluexp://h/%C3%28/b",
        "bluexp://h/a/b?agent=%FF",
        "bluexp://h/a/b?agent=1&agent=2",
        "bluexp://h/a/b?agent=1&agent=1",
    ],
)
def test_a_text_that_is_no_ref_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        JobRef.parse(text)


HINTED = JobRef("ontap", "https://h", "1", (("path", "/api/x/jobs"),), {"results": "/api/storage/luns"})


def test_hints_are_in_the_text_and_in_no_comparison() -> None:
    plain = JobRef("ontap", "https://h", "1", HINTED.scope)
    assert (HINTED, hash(HINTED)) == (plain, hash(plain))
    assert str(HINTED) == "ontap://h/1?path=%2Fapi%2Fx%2Fjobs&results=/api/storage/luns"
    for again in (JobRef.parse(str(HINTED)), pickled(HINTED), copy.copy(HINTED), attrs.evolve(HINTED)):
        assert (again, again.hints) == (HINTED, HINTED.hints)
    assert (HINTED.hint("results"), HINTED.hint("done")) == ("/api/storage/luns", None)
    assert HINTED.sibling("2").hints == ()


def test_hints_are_added_but_never_replaced() -> None:
    more = HINTED.with_hints((("results", "/api/other"), ("done", "200")))
    assert more == HINTED
    assert dict(more.hints) == {"results": "/api/storage/luns", "done": "200"}
    assert HINTED.with_hints(()) is HINTED
    assert HINTED.with_hints((("results", "/api/other"),)) is HINTED


@pytest.mark.parametrize("hints", [None, 5, "done", [("done",)], {"agent": "a1"}, (("secret", "x"),)])
def test_hints_that_are_none_are_refused(hints: Any) -> None:
    with pytest.raises(UsageError, match="hints"):
        JobRef("ontap", "", "1", (), hints)


@pytest.mark.parametrize("name", ["done", "results"])
def test_no_part_of_a_scope_is_called_as_a_hint(name: str) -> None:
    with pytest.raises(UsageError, match="they are hints"):
        JobRef("ontap", "", "1", {name: "x"})


def test_a_ref_names_its_account_once() -> None:
    with pytest.raises(UsageError):
        JobRef.parse("bluexp://h/account-1/6f?account=account-2")


HEADS = st.sampled_from(["", "ontap://", "cf+http://h/", "bluexp://h/a/b?", "bluexp://h/a/b?agent="])


@given(st.builds("{}{}".format, HEADS, IDS | st.binary(min_size=1).map(quote_from_bytes)))
def test_any_text_is_a_ref_or_refused(text: str) -> None:
    try:
        ref = JobRef.parse(text)
    except UsageError:
        return
    assert JobRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", ["ontap://user:geheim@h/a", "ontap://h:geheim/a"])
def test_a_refusal_quotes_nothing_of_what_may_be_a_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        JobRef.parse(text)
    assert "geheim" not in str(caught.value)


def test_to_read_a_ref_costs_the_same_for_ids_of_any_length() -> None:
    def cost(length: int) -> int:
        return lines(partial(JobRef.parse, f"ontap://cluster1/{'a' * length}"))

    JobRef.parse("ontap://cluster1/1")  # the endpoint is read once
    assert cost(5) == cost(500)
