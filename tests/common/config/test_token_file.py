"""A token in a file that is replaced while it is in use."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import anyio
import pytest

from common import UsageError, connect
from common.config.secrets import TokenFile
from ontapjobs.simulator import OntapSimulator
from tests.profiles import TOKEN, UserEnv, words

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

OTHER = "0ther-t0ken"


def put(path: Path, text: str) -> None:
    """As secret stores do it: all at once."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o600)
    new.replace(path)


async def test_another_file_in_its_place_is_read_again(tmp_path: Path) -> None:
    put(tmp_path / "token", f"{TOKEN}\n")
    token = TokenFile("token", tmp_path / "token")
    assert await token() == TOKEN
    put(tmp_path / "token", f"Bearer {OTHER}\n")
    assert [await token(), await token()] == [OTHER, OTHER]


async def test_a_folder_that_is_replaced_as_a_whole_is_followed(tmp_path: Path) -> None:
    for name, text in (("one", TOKEN), ("two", OTHER)):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "token", text)
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "one")
    token = TokenFile("token", link / "token")
    assert await token() == TOKEN
    (tmp_path / "new").symlink_to(tmp_path / "two")
    (tmp_path / "new").replace(link)
    assert await token() == OTHER


@pytest.mark.parametrize("text", [None, "", "\n", "two\nlines", "\0"])
async def test_what_cannot_be_read_leaves_the_token_before_in_use(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "token"
    put(path, TOKEN)
    token = TokenFile("token", path)
    if text is None:
        path.unlink()
    else:
        put(path, text)
    assert await token() == TOKEN
    put(path, OTHER)
    assert await token() == OTHER


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read: No such file"), ("", "is empty"), (f"{TOKEN}\n{TOKEN}", "a line break")],
)
def test_the_first_one_is_read_at_once(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        put(tmp_path / "token", text)
    with pytest.raises(UsageError, match=message) as caught:
        TokenFile("profile 'prod': token", tmp_path / "token")
    assert TOKEN not in words(caught.value)


def test_it_is_in_no_repr_and_no_pickle(tmp_path: Path) -> None:
    put(tmp_path / "token", TOKEN)
    token = TokenFile("token", tmp_path / "token")
    assert TOKEN not in repr(token)
    assert copy.deepcopy(token) is token
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(token)


async def test_a_wait_outlives_the_token_that_it_began_with(user_env: UserEnv) -> None:
    simulator = OntapSimulator(tokens=[TOKEN])
    uuid = simulator.add_job([("running", 3_600), ("success", None)])
    put(user_env.folder / "token", TOKEN)
    user_env.profile('endpoint = "ontap://cluster1"\ntoken = { file = "token" }')
    source = connect(profile="prod", transport=simulator.transport())
    async with source, anyio.create_task_group() as group:
        group.start_soon(source.wait, uuid)
        await anyio.sleep(1_800)
        put(user_env.folder / "token", OTHER)
        simulator.tokens = [OTHER]
    sent = [request.headers["authorization"] for request in simulator.journal]
    assert sent == sorted(sent, reverse=True)
    assert set(sent) == {f"Bearer {TOKEN}", f"Bearer {OTHER}"}
