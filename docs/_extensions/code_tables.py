"""A directive for tables that are made from the code's own: ``{code-table} states ontap``.

So the documentation cannot say anything else than the code does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import attrs
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

import common
from common import JobsError, JobState, PollPolicy
from common.config.source_options import KINDS
from common.providers import get_provider
from common.response.failures import FATAL, GATEWAY_ERRORS, TRANSIENT
from common.simulator import faults

Rows = Iterable[tuple[str, ...]]

AGAIN: dict[type[JobsError], str] = {
    common.UsageError: "no: correct the call",
    common.AuthenticationError: "with correct credentials",
    common.PermissionDenied: "with the permission",
    common.Unsupported: "no",
    common.ActionRefused: "if `error.retryable`",
    common.AlreadyFinished: "no",
    common.ActionUncertain: "only after a check: it may have been carried out",
    common.UnexpectedState: "unless `error.final`",
}
"""What to do about errors that are not a wait's, or need somebody; the others follow from ``final``."""


def states(provider: str) -> Iterator[tuple[str, ...]]:
    """Each state of the model, and the provider's words for it."""
    yield "State", "Words of the server"
    table: dict[str, JobState] = _module(provider, "wire").STATES
    for state in JobState:
        words = [f"`{word}`" for word, meaning in table.items() if meaning is state]
        if state is JobState.UNKNOWN:
            words = ["any other word, or none"]
        if words:
            yield f"`{state.name}`", ", ".join(words)


def refusals() -> Iterator[tuple[str, ...]]:
    """ONTAP's codes for an action that it refuses."""
    yield "Code", "Meaning", "Exception", "Try again?"
    for code, refusal in _module("ontap", "actions.single").REFUSALS.items():
        name = "AlreadyFinished" if refusal.finished else "ActionRefused"
        yield f"`{code}`", refusal.sentence, f"`{name}`", "yes" if refusal.retryable else "no"


def retries() -> Iterator[tuple[str, ...]]:
    """Which responses pass, and which end a wait."""
    yield "Response", "What a wait does"
    for status, hint in FATAL.items():
        yield str(status), f"ends: {hint}"
    yield ", ".join(map(str, sorted(TRANSIENT))) + ", 5xx", "retries with backoff"
    for name, title in (("ontap", "ONTAP"), ("cf", "Cloud Foundry")):
        codes = ", ".join(f"`{code}`" for code in sorted(_module(name, "wire").TRANSIENT_CODES, key=int))
        yield f"{title}: codes {codes}", "retries, whatever the status"
    statuses = ", ".join(map(str, sorted(_module("bluexp", "wire").TRANSIENT_STATUSES)))
    yield f"BlueXP: {statuses}", "retries with backoff"
    gateways = " or ".join(map(str, sorted(GATEWAY_ERRORS)))
    yield f"{gateways} to a write", "raises `ActionUncertain`: it may have been carried out"


def errors() -> Iterator[tuple[str, ...]]:
    """Every exception: what it is, whether the outcome is final, whether a retry makes sense."""
    yield "Exception", "Meaning", "Is the outcome final?", "Retry?"
    for cls in _errors(JobsError):
        first = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
        final = cls._final
        special = next((AGAIN[base] for base in cls.__mro__ if base in AGAIN), None)
        again = special or ("no" if final else "yes")
        words = "yes" if final else "if the job has ended" if "final" in vars(cls) else "no"
        yield f"`{cls.__name__}`", first, words, again


def policy() -> Iterator[tuple[str, ...]]:
    """The fields of `PollPolicy`."""
    yield "Field", "Default", "Meaning"
    comments = ModuleAnalyzer.for_module("common.polling.policy").find_attr_docs()
    for field in attrs.fields(PollPolicy):
        lines = comments["PollPolicy", field.name]
        yield f"`{field.name}`", f"{field.default:g}", " ".join(lines[: lines.index("")])


def settings(provider: str) -> Iterator[tuple[str, ...]]:
    """The ways to sign in that a profile or the environment can name."""
    yield "Keys", "Optional keys"
    for method in _module(provider, "config").AUTH_METHODS:
        yield _words(method.required), _words(method.optional)


def source_keys() -> Iterator[tuple[str, ...]]:
    """The keys that every profile may have."""
    yield "Key", "Kind of value"
    for name, kind in KINDS.items():
        yield f"`{name}`", kind


def fault_kinds() -> Iterator[tuple[str, ...]]:
    """The faults that a simulator can be told to have."""
    yield "Fault", "What it does"
    for name, kind in faults.KINDS.items():
        first = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        yield f"`{name}`", first


TABLES: dict[str, Callable[..., Rows]] = {
    "errors": errors,
    "fault-kinds": fault_kinds,
    "policy": policy,
    "refusals": refusals,
    "retries": retries,
    "settings": settings,
    "source-keys": source_keys,
    "states": states,
}


class CodeTable(SphinxDirective):
    """``{code-table} name [argument]``: one of `TABLES`, with its first row as the heading."""

    required_arguments: ClassVar[int] = 1
    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        name, *arguments = self.arguments
        head, *rows = TABLES[name](*arguments)
        lines = [head, tuple("---" for _ in head), *rows]
        text = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in lines)
        return self.parse_text_to_nodes(text)


def find_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: Any) -> nodes.Node | None:
    """Resolve a name as docstrings write it, such as `JobGone` or `common.Job`: wherever it is documented."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    matches = domain.find_obj(env, "", "", node["reftarget"].rpartition(".")[2], "obj", 1)
    if not matches or app.builder is None:
        return None
    name, entry = matches[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contents, name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("code-table", CodeTable)
    app.connect("missing-reference", find_name)
    return {"parallel_read_safe": True}


def _module(provider: str, name: str) -> Any:
    """Return a module of a provider's package, where its class for sources is defined."""
    package = get_provider(provider).source().__module__.partition(".")[0]
    return __import__(f"{package}.{name}", fromlist=["*"])


def _errors(base: type[JobsError]) -> Iterator[type[JobsError]]:
    for cls in base.__subclasses__():
        if cls.__name__ in common.__all__:
            yield cls
            yield from _errors(cls)


def _words(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
