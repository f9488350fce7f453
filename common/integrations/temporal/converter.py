"""Jobs, refs and errors as arguments and results of workflows and activities, typed as what they are."""

from __future__ import annotations

import dataclasses
from typing import Any

from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
)

from common.integrations.temporal.errors import JobsFailureConverter
from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict, to_dict


class _Encoder(AdvancedJSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, JobRef):
            return str(o)
        return to_dict(o) if isinstance(o, Job | JobsError) else super().default(o)


class _TypeConverter(JSONTypeConverter):
    def to_typed_value(self, hint: type, value: Any) -> Any:
        if hint is JobRef:
            return JobRef.parse(value)
        if hint is Job or (isinstance(hint, type) and issubclass(hint, JobsError)):
            return from_dict(value)
        return JSONTypeConverter.Unhandled


class JobsPayloadConverter(CompositePayloadConverter):
    """Temporal's own converter, which takes `Job` (without its record), `JobRef` and `JobsError` too."""

    def __init__(self) -> None:
        json = JSONPlainPayloadConverter(encoder=_Encoder, custom_type_converters=[_TypeConverter()])
        super().__init__(
            *(
                json if isinstance(each, JSONPlainPayloadConverter) else each
                for each in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


def data_converter(existing: DataConverter | None) -> DataConverter:
    """Return a data converter with ours in place of Temporal's defaults; what an application chose stays."""
    found = existing or DataConverter.default
    if found.payload_converter_class is DefaultPayloadConverter:
        found = dataclasses.replace(found, payload_converter_class=JobsPayloadConverter)
    if found.failure_converter_class is DefaultFailureConverter:
        found = dataclasses.replace(found, failure_converter_class=JobsFailureConverter)
    return found
