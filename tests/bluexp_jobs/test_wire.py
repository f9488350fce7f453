"""Decoding of BlueXP's responses: jobs, volumes, batches and files, and the state that they give."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from bluexp_jobs.wire import STATES, NoJob, parse_error, parse_job, parse_jobs, parse_started
from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job, JobItem
from common.model.refs import JobRef
from common.model.states import JobState
from common.response.http_response import HttpResponse
from tests.examples import at_least
from tests.jsonvalues import (
    LEAF,
    TEXTS,
    WORD,
    Values,
    json_values,
    labelled,
    lost,
    many,
    mutated,
    shaped,
    written,
)
from tests.pickled import pickled

ID = "7a1c40de-1111-4a6b-8a53-3f6f4c2f0001"
OTHER = "7a1c40de-2222-4a6b-8a53-3f6f4c2f0002"
HOST = "https://api.example"
SCOPE = (("account", "account-T1"), ("agent", "agent-1"))
FULL: dict[str, Any] = {
    "id": ID,
    "working-environment-id": "VsaWorkingEnvironment-T1",
    "type": "restore-file",
    "status": "FAILED",
    "error": "one batch failed",
    "time": 1700000000000,
    "data": {
        "multi-volume-backup": {"volume": [{"id": "vol-1", "status": "SUCCESS", "error": ""}]},
        "restore": {
            "type": "file",
            "source": {
                "working-environment-id": "we-1",
                "working-environment-name": "from",
                "bucket": "bucket-1",
                "volume-id": "vol-1",
                "volume-name": "docs",
                "snapshot": "daily.1",
            },
            "target": {
                "working-environment-id": "we-2",
                "working-environment-name": "to",
                "svm": "svm_to",
                "volume-name": "docs_restored",
                "volume-size": 107374182400,
                "path": "/restored",
            },
            "batch": [
                {
                    "id": "batch-1",
                    "status": "FAILED",
                    "error": "no space left",
                    "time": 1700000001000,
                    "file": [{"inode": 96, "path": "/a", "type": "file", "size": 10, "mtime": 1700000002}],
                }
            ],
        },
    },
}
KEYS = [*FULL, "job", "restore", "batch", "file", "volume", "multi-volume-backup", "mtime", "size", "inode"]


def job(id: str = "", **fields: Any) -> Job:
    return parse_job({"job": [{"id": ID, **fields}]}, id=id)


def backup(*volumes: Any, status: str = "COMPLETED") -> Job:
    return job(status=status, data={"multi-volume-backup": {"volume": list(volumes)}})


def restore(*batches: Any, status: str = "COMPLETED", **fields: Any) -> Job:
    return job(status=status, data={"restore": {"batch": list(batches), **fields}})


def response(status: int, body: Any = None, **headers: str) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(
        status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), raw
    )


# --- the job's own state


@pytest.mark.parametrize(("word", "state"), STATES.items())
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_each_status_is_read_in_any_letter_case_and_kept_as_written(
    word: str, state: JobState, case: Any
) -> None:
    parsed = job(status=case(word))
    assert (parsed.state, parsed.native_state) == (state, case(word))


def test_the_statuses_of_the_api_and_of_its_sister_are_known() -> None:
    assert STATES == {
        "pending": JobState.QUEUED,
        "queued": JobState.QUEUED,
        "in_progress": JobState.RUNNING,
        "running": JobState.RUNNING,
        "paused": JobState.PAUSED,
        "completed": JobState.SUCCEEDED,
        "success": JobState.SUCCEEDED,
        "succeeded": JobState.SUCCEEDED,
        "warning": JobState.PARTIAL,
        "failed": JobState.FAILED,
        "timed_out": JobState.FAILED,
        "canceling": JobState.RUNNING,
        "cancelled": JobState.CANCELLED,
        "canceled": JobState.CANCELLED,
    }


@pytest.mark.parametrize("word", ["TIMED OUT", "timed-out", "Timed_Out"])
def test_space_hyphen_and_underscore_are_one_in_a_status(word: str) -> None:
    assert job(status=word).state is JobState.FAILED


def test_a_success_with_an_error_text_of_its_own_is_partial() -> None:
    parsed = job(status="COMPLETED", error="3 files were skipped")
    assert parsed.state is JobState.PARTIAL
    assert [error.message for error in parsed.errors] == ["3 files were skipped"]


@pytest.mark.parametrize(
    "fields", [{}, {"status": None}, {"status": ""}, {"status": "string"}, {"status": "DONE"}]
)
def test_no_status_or_a_word_of_no_table_is_unknown(fields: dict[str, Any]) -> None:
    parsed = job(
        **fields, error="", data={"multi-volume-backup": {"volume": {"id": "v", "status": "SUCCESS"}}}
    )
    assert parsed.state is JobState.UNKNOWN
    assert not parsed.done


@pytest.mark.slow
@given(
    word=TEXTS | st.none(), data=json_values(["restore", "multi-volume-backup", "batch", "volume", "status"])
)
def test_an_unknown_word_never_ends_a_job(word: str | None, data: Any) -> None:
    if word is not None and word.casefold() in STATES:
        reject()
    try:
        parsed = job(status=word, data=data)
    except DecodeError:
        return
    assert parsed.state is JobState.UNKNOWN


@pytest.mark.parametrize("word", ["partially_done", "PARTIALLY_DONE"])
def test_states_extends_the_table_for_jobs_and_items_in_any_letter_case(word: str) -> None:
    data = {"multi-volume-backup": {"volume": {"id": "v", "status": word}}}
    parsed = parse_job(
        {"job": {"id": ID, "status": word, "data": data}}, states={"PARTIALLY_DONE": JobState.PARTIAL}
    )
    assert (parsed.state, parsed.items[0].state) == (JobState.PARTIAL, JobState.PARTIAL)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"status": 7}, "$.job[0].status"),
        (
            {"data": {"multi-volume-backup": {"volume": [{"status": "SUCCESS"}, {"status": False}]}}},
            "$.job[0].data.multi-volume-backup.volume[1].status",
        ),
        ({"data": {"restore": {"batch": [{"status": []}]}}}, "$.job[0].data.restore.batch[0].status"),
        ({"data": {"restore": {"batch": ["x"]}}}, "$.job[0].data.restore.batch"),
        ({"data": {"restore": "x"}}, "$.job[0].data.restore"),
        ({"data": {"multi-volume-backup": [{}, {}]}}, "$.job[0].data.multi-volume-backup"),
        ({"data": 5}, "$.job[0].data"),
        ({"data": {"multi-volume-backup": {"volume": "x"}}}, "$.job[0].data.multi-volume-backup.volume"),
    ],
)
def test_what_decides_a_state_and_cannot_be_read_is_refused_with_its_path(
    fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        job(**fields)
    assert caught.value.path == path
    assert not caught.value.transient


def test_an_error_is_the_message_and_the_first_error() -> None:
    parsed = job(status="FAILED", error="bucket exists already")
    assert parsed.message == "bucket exists already"
    assert parsed.errors == (ErrorDetail("bucket exists already"),)


@pytest.mark.parametrize("fields", [{}, {"error": ""}, {"error": None}])
def test_an_empty_error_means_none(fields: dict[str, Any]) -> None:
    parsed = job(status="FAILED", **fields)
    assert (parsed.message, parsed.errors, parsed.state) == (None, (), JobState.FAILED)


def test_an_error_on_a_running_job_does_not_end_it() -> None:
    assert job(status="IN_PROGRESS", error="retrying").state is JobState.RUNNING


# --- volumes, batches and files


def test_a_completed_job_with_a_failed_volume_is_a_partial_success() -> None:
    parsed = backup(
        {"id": "vol-1", "status": "SUCCESS", "error": ""},
        {"id": "vol-2", "status": "FAILED", "error": "volume is offline"},
    )
    assert (parsed.state, parsed.native_state) == (JobState.PARTIAL, "COMPLETED")
    assert parsed.errors == (ErrorDetail("volume is offline", target="vol-2"),)
    assert [(item.id, item.kind, item.state, item.native_state) for item in parsed.items] == [
        ("vol-1", "volume", JobState.SUCCEEDED, "SUCCESS"),
        ("vol-2", "volume", JobState.FAILED, "FAILED"),
    ]


@pytest.mark.parametrize("word", ["FAILED", "failed", "CANCELLED", "WARNING"])
@pytest.mark.parametrize("job_word", ["COMPLETED", "SUCCESS", "success"])
def test_a_success_with_an_item_that_did_not_succeed_is_partial(word: str, job_word: str) -> None:
    assert restore({"id": "b", "status": word}, status=job_word).state is JobState.PARTIAL


@pytest.mark.parametrize("word", ["FAILED", "CANCELLED", "IN_PROGRESS", "PENDING", "NEVER_HEARD_OF"])
def test_items_never_soften_or_end_a_job_that_is_no_success(word: str) -> None:
    parsed = backup({"id": "v", "status": "SUCCESS"}, {"id": "w", "status": "FAILED"}, status=word)
    assert parsed.state is STATES.get(word.lower(), JobState.UNKNOWN)
    assert parsed.warnings == ()


@pytest.mark.parametrize(
    "item", [{"id": "b9", "status": "IN_PROGRESS"}, {"id": "b9", "status": "ODD"}, {"id": "b9"}]
)
def test_a_success_with_an_item_that_has_not_ended_warns(item: dict[str, Any]) -> None:
    parsed = restore({"id": "b1", "status": "SUCCESS"}, item)
    assert parsed.state is JobState.SUCCEEDED
    (warning,) = parsed.warnings
    assert "b9" in warning
    assert "b1" not in warning


def test_all_errors_are_kept_the_jobs_first() -> None:
    parsed = job(
        status="FAILED",
        error="2 parts failed",
        data={
            "multi-volume-backup": {"volume": [{"id": "v", "status": "FAILED", "error": "volume"}]},
            "restore": {"batch": [{"id": "b", "status": "FAILED", "error": "batch"}]},
        },
    )
    assert parsed.errors == (
        ErrorDetail("2 parts failed"),
        ErrorDetail("volume", target="v"),
        ErrorDetail("batch", target="b"),
    )


@pytest.mark.parametrize("word", ["SUCCESS", "FAILED", "IN_PROGRESS", None])
def test_files_take_the_state_of_their_batch(word: str | None) -> None:
    parsed = restore({"id": "b", "status": word, "file": [{"path": "/a"}, {"inode": 7}, {"size": 1}]})
    (batch,) = parsed.items
    assert batch.items == (
        JobItem("/a", "file", batch.state),
        JobItem("7", "file", batch.state),
        JobItem("3", "file", batch.state),
    )
    assert all(file.native_state is None for file in batch.items)


def test_an_item_without_an_id_is_named_by_its_place() -> None:
    parsed = backup({"status": "SUCCESS"}, {"status": "FAILED", "error": "e"})
    assert [item.id for item in parsed.items] == ["1", "2"]
    assert parsed.errors[0].target == "2"


def test_only_batches_tell_progress() -> None:
    batches = [{"status": "SUCCESS"}, {"status": "FAILED"}, {"status": "IN_PROGRESS"}, {"status": "PENDING"}]
    assert restore(*batches, status="IN_PROGRESS").progress == 0.5
    assert restore(status="IN_PROGRESS").progress is None
    assert backup({"id": "v", "status": "SUCCESS"}, status="IN_PROGRESS").progress is None


@pytest.mark.parametrize("wrap", [lambda item: item, lambda item: [item]], ids=["object", "array"])
def test_an_object_stands_for_an_array_of_one_everywhere(wrap: Any) -> None:
    data = {
        "multi-volume-backup": {"volume": wrap({"id": "v", "status": "SUCCESS"})},
        "restore": {"batch": wrap({"id": "b", "status": "SUCCESS", "file": wrap({"path": "/a"})})},
    }
    parsed = parse_job({"job": wrap({"id": ID, "status": "COMPLETED", "data": data})})
    assert [item.id for item in parsed.items] == ["v", "b"]
    assert [file.id for file in parsed.items[1].items] == ["/a"]


@pytest.mark.parametrize("nothing", [{}, {"volume": None, "batch": None}, {"volume": [], "batch": []}])
def test_lists_may_be_null_empty_or_absent(nothing: dict[str, Any]) -> None:
    parsed = job(status="COMPLETED", data={"multi-volume-backup": nothing, "restore": nothing})
    assert (parsed.state, parsed.items, parsed.warnings) == (JobState.SUCCEEDED, (), ())


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}, {"data": {"restore": None}}])
def test_a_job_may_come_without_data(data: dict[str, Any]) -> None:
    assert job(status="COMPLETED", **data).succeeded


@pytest.mark.parametrize("files", [{}, [{}], None, []])
def test_an_empty_object_is_no_file(files: Any) -> None:
    assert restore({"id": "b", "status": "SUCCESS", "file": files}).items[0].items == ()


@pytest.mark.parametrize(
    "data",
    [
        [{"multi-volume-backup": {"volume": [{"id": "v", "status": "FAILED"}]}}, {"restore": {}}],
        {"multi-volume-backup": [{"volume": [{"id": "v", "status": "FAILED"}]}, {"volume": []}]},
        {"restore": [{"batch": [{"id": "b", "status": "FAILED"}]}, {"batch": []}]},
    ],
    ids=["data", "multi-volume-backup", "restore"],
)
def test_a_failed_item_is_never_hidden_behind_a_success(data: Any) -> None:
    try:
        parsed = job(status="COMPLETED", data=data)
    except DecodeError:
        return
    assert parsed.state is JobState.PARTIAL


# --- the record


def test_a_whole_record_is_read() -> None:
    parsed = parse_job({"job": [FULL]}, endpoint=HOST, scope=SCOPE)
    assert parsed.ref == JobRef("bluexp", HOST, ID, SCOPE)
    assert parsed.operation == "restore-file"
    assert parsed.record.working_environment_id == "VsaWorkingEnvironment-T1"
    restored = parsed.record.restore
    assert (restored.type, restored.source.snapshot, restored.target.svm) == ("file", "daily.1", "svm_to")
    assert restored.target.volume_size == 107374182400
    assert (restored.source.bucket, restored.source.volume_id, restored.source.volume_name) == (
        "bucket-1",
        "vol-1",
        "docs",
    )
    assert (restored.source.working_environment_id, restored.target.working_environment_name) == (
        "we-1",
        "to",
    )
    assert (restored.target.volume_name, restored.target.path) == ("docs_restored", "/restored")
    (batch,) = restored.batches
    assert (batch.id, batch.status, batch.error) == ("batch-1", "FAILED", "no space left")
    assert batch.time == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    (file,) = batch.files
    assert (file.inode, file.path, file.type, file.size) == (96, "/a", "file", 10)
    assert file.mtime == datetime(2023, 11, 14, 22, 13, 22, tzinfo=UTC)
    assert parsed.record.extra == {}


def test_bytes_text_and_decoded_json_give_the_same_job() -> None:
    text = json.dumps({"job": [FULL]})
    assert parse_job(text) == parse_job(text.encode()) == parse_job({"job": [FULL]})


@pytest.mark.parametrize(
    "sent", [1700000000000, 1700000000000.0, "1700000000000", 1700000000, 1700000000.0, "1700000000"]
)
def test_time_is_the_creation_in_seconds_or_milliseconds(sent: object) -> None:
    parsed = job(status="COMPLETED", time=sent)
    assert parsed.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (parsed.started_at, parsed.updated_at, parsed.finished_at) == (None, None, None)


def test_seconds_end_below_ten_to_the_eleven() -> None:
    assert job(time=99_999_999_999).created_at == datetime.fromtimestamp(99_999_999_999, UTC)
    assert job(time=100_000_000_000).created_at == datetime.fromtimestamp(100_000_000, UTC)


@pytest.mark.parametrize("sent", [True, "yesterday", 1e300, float("nan"), float("inf"), [1], -1e300, 10**400])
def test_a_time_that_is_none_stays_in_extra(sent: object) -> None:
    parsed = job(time=sent)
    assert parsed.created_at is None
    assert parsed.record.extra["time"] is sent


@pytest.mark.parametrize(
    ("sent", "read"), [(10, 10), (10.0, 10), ("10", 10), (2**60 + 1, 2**60 + 1), (None, None)]
)
def test_sizes_are_whole_numbers_however_they_were_sent(sent: object, read: int | None) -> None:
    record = restore(
        {"file": {"path": "/a", "size": sent, "inode": sent}}, target={"volume-size": sent}
    ).record
    (file,) = record.batches[0].files
    assert (file.size, file.inode, record.restore.target.volume_size) == (read, read, read)


@pytest.mark.parametrize(
    "field",
    [
        {"new": {"a": [1, "b"]}},
        {"error": {"text": "odd"}},
        {"type": ["a"]},
        {"time": "yesterday"},
        {"data": {"new-kind": {"a": 1}}},
        {"data": {"restore": {"new": 1, "source": "s3", "target": {"new": 2}}}},
        {"data": {"restore": {"source": {"new": 3, "bucket": ["b"]}}}},
        {"data": {"restore": {"source": [{"bucket": "b"}, "beside"]}}},
        {"data": {"restore": {"target": {"volume-size": "big", "path": ["/a"]}}}},
        {"data": {"restore": {"target": {"volume-size": 10.75}}}},
        {"data": {"restore": {"batch": {"new": 1, "error": ["e"], "time": "noon", "file": "/a"}}}},
        {"data": {"restore": {"batch": {"file": [{"path": "/a"}, "/b"]}}}},
        {"data": {"restore": {"batch": {"file": {"new": 1, "size": 10.5, "inode": 9.5, "mtime": "noon"}}}}},
        {"data": {"multi-volume-backup": {"new": 1, "volume": {"new": 2, "error": {"a": "b"}}}}},
    ],
    ids=str,
)
def test_what_is_unknown_or_unreadable_stays_in_extra(field: dict[str, Any]) -> None:
    assert lost(field, job(**field).record) == []


PLACE = {"working-environment-id": LEAF, "working-environment-name": LEAF, "volume-name": LEAF}
RECORD: Values = shaped(
    {
        "id": LEAF,
        "working-environment-id": LEAF,
        "type": LEAF,
        "status": WORD,
        "error": LEAF,
        "time": LEAF,
        "data": shaped(
            {
                "multi-volume-backup": shaped(
                    {"volume": many(shaped({"id": LEAF, "status": WORD, "error": LEAF}))}
                ),
                "restore": shaped(
                    {
                        "type": LEAF,
                        "source": shaped({**PLACE, "bucket": LEAF, "volume-id": LEAF, "snapshot": LEAF}),
                        "target": shaped({**PLACE, "svm": LEAF, "volume-size": LEAF, "path": LEAF}),
                        "batch": many(
                            shaped(
                                {
                                    "id": LEAF,
                                    "status": WORD,
                                    "error": LEAF,
                                    "time": LEAF,
                                    "file": many(
                                        shaped(
                                            dict.fromkeys(["inode", "path", "type", "size", "mtime"], LEAF)
                                        )
                                    ),
                                }
                            )
                        ),
                    }
                ),
            }
        ),
    }
)


@pytest.mark.slow
@at_least(200)
@given(labelled(RECORD))
def test_nothing_that_the_server_sent_is_lost(sent: Any) -> None:
    try:
        parsed = parse_job({"job": sent}, id="asked")
    except DecodeError:
        return
    assert lost(sent, parsed.record) == []


# --- which job, and what is none


def test_the_requested_id_selects_one_of_several_jobs() -> None:
    data = {"job": [{"id": OTHER, "status": "FAILED"}, {"id": ID, "status": "COMPLETED"}]}
    assert parse_job(data, id=ID).succeeded
    assert parse_job(data, id=OTHER).state is JobState.FAILED


@pytest.mark.parametrize(
    ("ids", "asked", "found"),
    [
        (["a-1", "b-2"], "A-1", "a-1"),
        (["A-1", "b-2"], "a-1", "A-1"),
        (["A-1", "a-1"], "a-1", "a-1"),
        (["A-1", "a-1"], "A-1", "A-1"),
        (["A-1", "a-1"], "a-1 ", None),
        (["XY", "xY"], "xy", None),
        (["\u0130", "b"], "i\u0307", "\u0130"),
    ],
)
def test_of_several_records_letter_case_selects_only_what_differs_in_it_alone(
    ids: list[str], asked: str, found: str | None
) -> None:
    data = {"job": [{"id": id, "status": "FAILED", "error": id} for id in ids]}
    if found is None:
        with pytest.raises(DecodeError, match="none with the requested id"):
            parse_job(data, id=asked)
    else:
        assert parse_job(data, id=asked).ref.id == found


def test_among_several_the_one_without_an_id_is_not_the_requested_one() -> None:
    nameless = {"status": "COMPLETED"}
    assert parse_job({"job": [nameless, {"id": ID, "status": "FAILED"}]}, id=ID).state is JobState.FAILED
    with pytest.raises(DecodeError, match="none with the requested id"):
        parse_job({"job": [nameless, {"id": OTHER, "status": "FAILED"}]}, id=ID)


@pytest.mark.parametrize("id", ["", "another"])
def test_among_several_none_is_guessed(id: str) -> None:
    with pytest.raises(DecodeError, match="2 jobs") as caught:
        parse_job({"job": [{"id": OTHER}, {"id": ID}]}, id=id)
    assert (caught.value.path, caught.value.transient) == ("$.job", True)


def test_of_two_records_with_the_requested_id_the_first_counts() -> None:
    same = [{"id": ID, "status": "FAILED"}, {"id": ID, "status": "COMPLETED"}]
    assert parse_job({"job": [{"id": OTHER}, *same]}, id=ID).state is JobState.FAILED
    with pytest.raises(DecodeError) as caught:
        parse_job({"job": [{"id": ID, "status": 5}, same[0]]}, id=ID)
    assert caught.value.path == "$.job[0].status"


@pytest.mark.parametrize("key", ["status", "type", "data"])
def test_one_key_of_a_job_makes_a_job(key: str) -> None:
    assert parse_job({"job": {key: {} if key == "data" else "RESTORE"}}, id=ID).id == ID


def test_the_path_names_the_job_that_was_picked() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job({"job": [{"id": OTHER}, {"id": ID, "status": 5}]}, id=ID)
    assert caught.value.path == "$.job[1].status"


def test_the_requested_id_replaces_a_missing_one() -> None:
    assert parse_job({"job": {"status": "PENDING"}}, id=ID).id == ID


def test_a_job_without_any_id_is_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job({"job": {"status": "PENDING"}})
    assert caught.value.path == "$.job[0].id"


@pytest.mark.parametrize("id", ["", ID])
def test_an_id_with_a_byte_that_json_forbids_is_refused_with_its_path(id: str) -> None:
    with pytest.raises(DecodeError, match="cannot be read") as caught:
        parse_job(b'{"job": {"id": "caf\xe9", "status": "COMPLETED"}}', id=id)
    assert (caught.value.path, caught.value.transient) == ("$.job[0].id", True)


@pytest.mark.parametrize("nothing", [[], None])
def test_an_empty_or_null_job_is_the_word_that_there_is_none(nothing: object) -> None:
    with pytest.raises(NoJob) as caught:
        parse_job({"job": nothing}, id=ID)
    assert caught.value.transient
    again = pickled(caught.value)
    assert (type(again), again.path, str(again)) == (NoJob, "$.job", str(caught.value))


@pytest.mark.parametrize("nothing", [{}, [{}], {"message": "no such job"}])
def test_an_object_with_no_key_of_a_job_is_no_job(nothing: object) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job({"job": nothing}, id=ID)
    assert caught.value.transient


@pytest.mark.parametrize(("sent", "path"), [("text", "$.job"), (5, "$.job"), ([None], "$.job[0]")])
def test_what_is_no_job_is_named_by_its_key(sent: object, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job({"job": sent}, id=ID)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>504 Gateway Time-out</html>",
        "Action not allowed for user",
        "null",
        "[]",
        [FULL],
        FULL,
        {},
        {"job-id": ID},
        {"statusCode": 400, "error": "Bad Request", "message": "no"},
        {"job": "text"},
        {"job": 5},
        {"job": [None]},
        {"job": [FULL, "x"]},
        '{"job": ' + "[" * 100_000,
    ],
    ids=lambda data: str(data)[:24],
)
def test_what_cannot_be_a_job_is_refused_as_not_the_apis(data: Any) -> None:
    for parse in (parse_job, parse_jobs):
        with pytest.raises(DecodeError) as caught:
            parse(data)
        assert caught.value.transient


def test_a_list_gives_all_its_jobs_bound_to_their_scope() -> None:
    parsed = parse_jobs({"job": [FULL, {"id": OTHER, "status": "SUCCESS"}]}, endpoint=HOST, scope=SCOPE)
    assert [item.state for item in parsed] == [JobState.FAILED, JobState.SUCCEEDED]
    assert parsed[1].ref == JobRef("bluexp", HOST, OTHER, SCOPE)


@pytest.mark.parametrize(("sent", "count"), [([], 0), (None, 0), (FULL, 1)])
def test_a_list_may_be_empty_null_or_one_object(sent: Any, count: int) -> None:
    assert len(parse_jobs({"job": sent})) == count


def test_a_bad_record_in_a_list_is_named_by_its_path() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_jobs({"job": [FULL, {"status": "PENDING"}]})
    assert caught.value.path == "$.job[1].id"
    with pytest.raises(DecodeError) as caught:
        parse_jobs({"job": [FULL, "no record"]})
    assert caught.value.path == "$.job[1]"


@pytest.mark.slow
@at_least(200)
@given(
    written(json_values(KEYS, ["COMPLETED", "FAILED", ID]).map(lambda value: {"job": value}) | json_values())
)
def test_any_json_gives_a_job_or_a_decode_error(data: Any) -> None:
    parsers: list[Callable[[], list[Job]]] = [
        lambda: [parse_job(data)],
        lambda: [parse_job(data, id=ID)],
        lambda: parse_jobs(data),
    ]
    for parse in parsers:
        try:
            parsed = parse()
        except DecodeError:
            continue
        assert all(type(item) is Job for item in parsed)


@pytest.mark.slow
@given(st.binary() | TEXTS)
def test_any_bytes_and_text_give_a_job_or_a_decode_error(data: bytes | str) -> None:
    for parse in (parse_job, parse_jobs):
        with pytest.raises(DecodeError):
            parse(data)


@pytest.mark.slow
@at_least(200)
@given(mutated({"job": [{**FULL, "status": "IN_PROGRESS"}]}))
def test_a_damaged_job_gives_a_job_or_a_decode_error(data: Any) -> None:
    try:
        parsed = parse_job(data, id=ID)
    except DecodeError:
        return
    assert not parsed.done


# --- the jobs that a write started


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("key", ["job-id", "jobId", "job_id"])
def test_a_started_job_is_read_under_three_keys_whatever_the_status(status: int, key: str) -> None:
    parsed = parse_started(response(status, {key: ID, "other": 1}))
    assert (parsed.ids, parsed.jobs, parsed.warnings) == ((ID,), (), ())


def test_two_names_of_one_job_are_one_job() -> None:
    assert parse_started(response(202, {"jobId": ID, "job-id": ID})).ids == (ID,)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", {}, [], None, {"job-id": None}, {"job-id": ""}, {"job-id": {}}], ids=str
)
def test_a_write_without_a_job_hands_over_nothing(body: Any) -> None:
    assert parse_started(response(202, body)).ids == ()


def test_a_location_is_not_looked_at() -> None:
    assert parse_started(response(202, {}, location=f"/job/{ID}")).ids == ()


# --- error bodies


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"statusCode": 400, "error": "Bad Request", "message": "type is wrong"}, "type is wrong"),
        ({"type": "about:blank", "title": "Invalid", "status": "400", "detail": "bad query"}, "bad query"),
        ({"title": "Invalid", "status": "400"}, "Invalid"),
        ({"error": "Bad Request"}, "Bad Request"),
        ({}, None),
    ],
)
def test_errors_in_json_are_read_in_each_shape(body: Any, message: str | None) -> None:
    error_body = parse_error(response(400, body))
    assert (error_body.message, error_body.from_api, error_body.not_found) == (message, True, False)


def test_the_code_of_an_error_is_kept() -> None:
    assert parse_error(response(400, {"message": "no", "code": "BXP-7"})).code == "BXP-7"


def test_a_404_in_json_is_the_word_that_the_job_is_gone() -> None:
    assert parse_error(response(404, {"message": "not found"})).not_found
    assert not parse_error(response(400, {"message": "not found"})).not_found


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no Route matched with those values"},
        {"statusCode": 404, "error": "Not Found", "message": "Cannot GET /account/x/job/y"},
        {"message": "Route GET:/job/y not found", "error": "Not Found", "statusCode": 404},
        {"title": "Not Found", "detail": "the upstream service was not found"},
    ],
    ids=["Kong", "Express", "Fastify", "upstream"],
)
def test_a_404_in_json_that_speaks_of_a_route_is_a_gateways(body: dict[str, Any]) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.not_found, error_body.from_api) == (False, False)


@pytest.mark.parametrize("body", [b"", b"<html>404</html>", b"not found", b"[]", b"null"])
def test_any_other_404_says_nothing_of_the_job(body: bytes) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.not_found, error_body.from_api) == (False, False)


@pytest.mark.parametrize("end", ["", ".", "\n", " . "])
@pytest.mark.parametrize(
    ("text", "keyword"),
    [("Action not allowed for user", "account="), ("User is not allowed to do operation", "agent=")],
)
def test_the_plain_refusals_of_the_platform_hint_at_their_usual_cause(
    text: str, keyword: str, end: str
) -> None:
    plain = parse_error(response(403, (text + end).encode()))
    assert keyword in (plain.hint or "")
    assert plain.from_api
    assert keyword in (parse_error(response(403, {"message": text.upper()})).hint or "")


def test_a_gateways_page_is_not_the_apis_and_is_not_quoted_as_its_message() -> None:
    error_body = parse_error(response(504, b"\n <html><h1>504</h1></html>"))
    assert (error_body.from_api, error_body.message, error_body.hint) == (False, None, None)


@pytest.mark.parametrize("status", [409, 420])
def test_the_platforms_not_now_passes(status: int) -> None:
    assert parse_error(response(status, {"message": "busy"})).transient
    assert not parse_error(response(400, {"message": "busy"})).transient


@pytest.mark.parametrize("name", ["oncloud_request_id", "x_response_id"])
def test_the_request_id_is_kept(name: str) -> None:
    header = {"oncloud_request_id": "oncloud-request-id", "x_response_id": "x-response_id"}[name]
    for body in (b"{}", b"", b"<html>"):
        assert parse_error(HttpResponse(500, ((header, "r-1"),), body)).request_id == "r-1"


@pytest.mark.slow
@given(
    st.sampled_from([400, 401, 403, 404, 420, 500]),
    st.binary() | json_values(["message", "error"]).map(json.dumps),
)
def test_any_error_body_is_read_without_an_error(status: int, body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    assert parse_error(HttpResponse(status, (), raw)).not_found <= (status == 404)
