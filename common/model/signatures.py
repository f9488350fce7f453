"""Signatures that show the keywords which ``**options`` stands for, to ``help()`` and to editors at run time.

Type checkers read ``Unpack[…]``; `inspect.signature` shows no more of it than its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


def shows_keywords(options: type, *, and_others: bool = False) -> Callable[[_F], _F]:
    """Return a decorator of a function whose ``**`` argument takes the keywords of a TypedDict.

    Each is shown with the default None, which is as if it were left out. With ``and_others`` the function
    takes more than these, and shows its ``**`` argument too.
    """

    def show(function: _F) -> _F:
        signature = inspect.signature(function)
        *own, others = signature.parameters.values()
        keywords = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=None,
                annotation=getattr(hint, "__forward_arg__", hint),  # as it was written
            )
            for name, hint in options.__annotations__.items()
            if name not in signature.parameters
        ]
        parameters = [*own, *keywords, *([others] if and_others else [])]
        cast("Any", function).__signature__ = signature.replace(parameters=parameters)
        return function

    return show
