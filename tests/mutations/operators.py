"""The small changes that are made to a module: one a mutant, each an edit of its syntax tree.

A mutant is addressed by numbers, not by nodes: the module is parsed again for each, since an edit is made in
place. Messages, annotations and docstrings are left alone, and so are statements that only bind a name in a
module or in a class: without them nothing could be imported.
"""

from __future__ import annotations

import ast
import collections
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import attrs

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
LONGEST = 200
"""Characters that are shown of a piece of code."""
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
OPTIONS = {"eq", "frozen", "hash", "init", "kw_only", "order", "repr", "slots", "weakref_slot"}
"""Of classes and of their fields: whoever turns one over changes no decision."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Edit = Callable[[], object]


@attrs.frozen
class Mutant:
    """A change of one module: where, what, and the function whose body it is in, if it is in one."""

    path: str
    node: int
    variant: int
    function: str | None
    first: int
    last: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.first} in {self.function or 'the module'}: {self.before} -> {self.after}"

    @property
    def key(self) -> str:
        """What names it in every version of the file in which the changed piece of code is the same."""
        return f"{self.path} {self.function or 'the module'}: {self.before} -> {self.after}"

    def tree(self, source: str) -> ast.Module:
        """Return the module with the change made."""
        tree = ast.parse(source)
        place = next(itertools.islice(_places(tree), self.node, None))
        list(_changes(place))[self.variant][1]()
        return ast.fix_missing_locations(tree)


@attrs.frozen
class Place:
    """Where a node is: in which function's body and statement, and its own place in a block, if it has one.

    Without a statement it is not to be changed.
    """

    node: ast.AST
    function: str | None
    statement: ast.AST | None
    names: tuple[str, ...] = ()
    parent: ast.AST | None = None
    block: list[Any] | None = None
    index: int = 0

    @property
    def last(self) -> bool:
        """Whether nothing follows in the same block."""
        return self.block is None or self.index == len(self.block) - 1


def mutants(path: str, source: str) -> list[Mutant]:
    """Return all mutants of a module."""
    found: list[Mutant] = []
    for number, place in enumerate(_places(ast.parse(source))):
        if place.statement is not None:
            for variant in range(len(list(_changes(place)))):
                mutant = Mutant(path, number, variant, place.function, *_lines(place.statement), "", "")
                before, after = _texts(mutant, source)
                found.append(attrs.evolve(mutant, before=before, after=after))
    return found


def _places(tree: ast.Module) -> Iterator[Place]:
    todo = collections.deque([Place(tree, None, tree)])
    while todo:
        place = todo.popleft()
        yield place
        node = place.node
        names = place.names
        if isinstance(node, ast.ClassDef | Function):
            names = (*names, getattr(node, "name", "<lambda>"))
        for field, value in ast.iter_fields(node):
            children = value if isinstance(value, list) else [value]
            for index, child in enumerate(children):
                if isinstance(child, ast.AST):
                    function = place.function
                    if function is None and isinstance(node, Function) and field == "body":
                        function = ".".join(names)
                    statement = child if isinstance(child, ast.stmt) else place.statement
                    if place.statement is None or _skips(node, field, child):
                        statement = None
                    block = children if isinstance(child, ast.stmt) else None
                    todo.append(Place(child, function, statement, names, node, block, index))


def _skips(parent: ast.AST, field: str, child: ast.AST) -> bool:
    if field in {"annotation", "returns", "type_params", "type_ignores"}:
        return True
    match child:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Call(func=ast.Name("set_module"))):
            return True  # only tests of whole packages see it
        case ast.keyword(arg=name) if name in OPTIONS:
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
        case ast.Constant(value=str(text)):
            # Texts for people, and what is said to type checkers.
            return isinstance(parent, ast.JoinedStr) or " " in text or _names_a_type(parent)
        case _:
            return False


def _names_a_type(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="cast" | "TypeVar")):
            return True
        case _:
            return False


def _lines(statement: ast.AST) -> tuple[int, int]:
    """Return the lines by which a statement is reached: of a compound one, those of its head."""
    first = getattr(statement, "lineno", 1)
    last = getattr(statement, "end_lineno", None) or first
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body and not isinstance(statement, ast.Module):
        last = max(first, body[0].lineno - 1)
    return first, last


def _texts(mutant: Mutant, source: str) -> tuple[str, str]:
    place = next(itertools.islice(_places(ast.parse(source)), mutant.node, None))
    shown, edit = list(_changes(place))[mutant.variant]
    before = _text(shown)
    result = edit()
    return before, _text(result if isinstance(result, ast.AST) else shown)


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 80]} […] {text[-75:]}"


def _fits(node: ast.AST) -> bool:
    return len(ast.unparse(node)) <= LONGEST


def _changes(place: Place) -> Iterator[tuple[ast.AST, Edit]]:
    """Yield what can be changed at a node: what to show of it, and the edit."""
    node = place.node
    if place.block is not None and _droppable(place):
        yield node, _put(place.block, place.index, ast.Pass())
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                yield node, _put(ops, index, COMPARISONS[type(op)]())
        case ast.BoolOp(op=op):
            yield node, _set(node, "op", ast.Or() if isinstance(op, ast.And) else ast.And())
            if len(node.values) > 2:
                for index in range(len(node.values)):
                    yield node, _set(node, "values", node.values[:index] + node.values[index + 1 :])
        case ast.UnaryOp(op=ast.Not()):
            yield node, _set(node, "operand", _negated(node.operand))
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield node, _set(node, "op", ARITHMETIC[type(op)]())
        case ast.Constant(value=value):
            # Shown with what is around it: there is more than one 0.
            around = place.parent if isinstance(place.parent, ast.expr | ast.keyword) else node
            for other in _others(value):
                yield (around if _fits(around) else node), _set(node, "value", other)
        case ast.Call(func=ast.Name(id=name) as func) if name in FUNCTIONS:
            yield node, _set(func, "id", FUNCTIONS[name])
        case ast.comprehension(ifs=ifs):
            for index, test in enumerate(ifs):
                yield test, _put(ifs, index, _negated(test))
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _worth_negating(test):
            yield test, _set(node, "test", _negated(test))
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant) or value.value:
            yield node, _set(node, "value", ast.Constant(None))
        case _:
            pass


def _droppable(place: Place) -> bool:
    match place.node:
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Delete(targets=targets):
            return not all(isinstance(target, ast.Name) for target in targets)
        case ast.Return(value=None | ast.Constant(value=None)):
            # At the end of a function nothing would change.
            return not (isinstance(place.parent, Function) and place.last)
        case ast.Assign() | ast.AugAssign():
            return place.function is not None
        case ast.Expr() | ast.Raise() | ast.Continue() | ast.Break() | ast.Assert():
            return True
        case _:
            return False


def _worth_negating(test: ast.expr) -> bool:
    """Whether the negation is not the mutant of the test itself already."""
    if isinstance(test, ast.Compare):
        return len(test.ops) > 1 or isinstance(test.ops[0], ORDERED)
    return not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _others(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    if isinstance(value, str | bytes) and value:
        return [value[:-1] or value * 2]
    return []


def _put(block: list[Any], index: int, new: ast.AST) -> Edit:
    def edit() -> object:
        block[index] = new
        return new if isinstance(new, ast.stmt | ast.expr) else None

    return edit


def _set(node: ast.AST, name: str, new: object) -> Edit:
    def edit() -> object:
        setattr(node, name, new)
        return new if name == "test" else None

    return edit
