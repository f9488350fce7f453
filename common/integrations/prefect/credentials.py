"""The credentials block: one system, and how to sign in to it, as a form of Prefect's has it."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, SecretStr

from common.config.connect import connect
from common.integrations.systems import System, target_of
from common.sources.base import BaseSource


class JobsCredentials(CredentialsBlock, ABC):
    """A system with jobs; each provider has its own subclass, whose fields are keywords of `connect`.

    Nothing else is read: no profile, no variable. The repr shows no secret.
    """

    _provider: ClassVar[str]
    """The provider's name, as in its refs."""

    endpoint: str = Field(description="Its host, or its URL: https://cluster1.example.com:8443")
    verify: str | None = Field(
        default=None, title="Verify TLS", description="true (the default), false, or the path of a CA file"
    )
    options: dict[str, str] = Field(
        default_factory=dict,
        title="More options",
        description="Further keywords of connect() that are not secret, such as request_timeout",
    )

    def system(self) -> System:
        """Return the target of the system, and the settings that sign in to it."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        target = target_of(self._provider, fields.pop("endpoint"))
        settings = {**fields.pop("options"), **{name: value for name, value in fields.items() if value}}
        return System(target, {name: _plain(value) for name, value in settings.items()})

    def get_client(self, *args: Any, **kwargs: Any) -> BaseSource:
        """Return a source of one's own, as `connect` does: ``async with credentials.get_client() as source``.

        Tasks share one instead. Raise `UsageError` for fields that do not fit together.
        """
        system = self.system()
        return connect(system.target, *args, settings=system.settings, **kwargs)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
