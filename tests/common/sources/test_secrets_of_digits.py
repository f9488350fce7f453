"""A secret that is a number reaches no error where a server sends it back; a code that is one is shown."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import ApiError, Bearer, to_dict
from ontapjobs import OntapJobs

pytestmark = pytest.mark.anyio

Connect = Callable[..., Any]
CONNECT: dict[str, Connect] = {
    "ontap": lambda **options: OntapJobs("https://h", **options),
    "bluexp": lambda **options: BlueXPJobs(account="a", agent="g", endpoint="https://h", **options),
    "cf": lambda **options: CFJobs("https://h", **options),
}


def refusal(code: str, message: str) -> dict[str, Any]:
    """An error in the words of all three systems."""
    return {
        "error": {"code": code, "message": message},
        "errors": [{"code": int(code), "detail": message}],
        "code": code,
        "message": message,
    }


async def refused(connect: Connect, secret: str, body: dict[str, Any], request_id: str = "r1") -> ApiError:
    headers = {"X-VCAP-Request-Id": request_id, "OnCloud-Request-Id": request_id}
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json=body, headers=headers))
    async with connect(auth=Bearer(secret), transport=transport) as source:
        with pytest.raises(ApiError) as caught:
            await source.get("j1")
        return caught.value


@pytest.mark.parametrize("connect", CONNECT.values(), ids=CONNECT)
@pytest.mark.parametrize("digits", ["4815162342108", "48151623", "4815162342"])
async def test_a_secret_of_digits_is_masked_wherever_it_is_sent_back(connect: Connect, digits: str) -> None:
    for error in (
        await refused(connect, digits, refusal("6", digits)),
        await refused(connect, digits, refusal("6", f"{digits}0")),
        await refused(connect, digits, refusal(digits, "no")),
        await refused(connect, digits, refusal("6", "no"), digits),
    ):
        shown = f"{error!r} {error} {to_dict(error)} {pickle.dumps(error)!r} {vars(error)}"
        assert digits not in shown


@pytest.mark.parametrize("connect", CONNECT.values(), ids=CONNECT)
async def test_a_code_that_has_a_short_secret_in_it_is_shown(connect: Connect) -> None:
    assert (await refused(connect, "5878", refusal("458784", "no"))).code == "458784"
