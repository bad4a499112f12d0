"""Classes of the contract in words: fields with their types, methods with their signatures, docstrings. Read, not run."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from callsheet.models import base

__all__ = [
    "ALIASES",
    "Field",
    "alias_docs",
    "assigned",
    "constructor",
    "fields",
    "line",
    "listed",
    "members",
    "prose",
    "signature",
    "type_words",
    "variables",
]

ALIASES = ("Prompt", "Seconds", "Size", "ResourceId", "File")
"""Names in models/base.py that stand for a type together with its check."""

_PLAIN: dict[Any, str] = {
    Any: "anything",
    bool: "true or false",
    bytes: "`bytes`",
    dict: "object",
    float: "number",
    int: "integer",
    list: "list",
    SecretStr: "`SecretStr`",
    str: "text",
}


class Field(NamedTuple):
    """A field of a model, in words."""

    name: str
    type: str
    required: bool
    default: str
    doc: str


def fields(model: type[BaseModel], leave_out: frozenset[str] = frozenset()) -> list[Field]:
    """A model's fields, with the docstrings that stand below them in the source."""
    hints = get_type_hints(model, include_extras=True)
    found = []
    for name, info in model.model_fields.items():
        if name in leave_out:
            continue
        default = "" if info.is_required() or info.default is None else _value(info.default)
        doc = next((d for kind in _lineage(model) if (d := variables(kind).get(name))), "")
        found.append(Field(name, _field_type(hints[name], info), info.is_required(), default, doc))
    return found


def _lineage(model: type[BaseModel]) -> list[type]:
    return [kind for kind in model.__mro__ if issubclass(kind, BaseModel) and kind is not BaseModel]


def _field_type(hint: Any, info: FieldInfo) -> str:
    if _alias(hint):
        return type_words(hint)
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint  # the rules stand in the field's own metadata
    return type_words(plain) + _rules(info.metadata)


def _alias(hint: Any) -> str | None:
    return next((alias for alias in ALIASES if hint == getattr(base, alias)), None)


def type_words(hint: Any) -> str:
    """A type as a reader of a table wants it. None is left out: a field that may be None is one that may be absent."""
    if alias := _alias(hint):
        return f"[`{alias}`](#types)"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(arguments[0]) + _rules([m for note in arguments[1:] for m in _metadata(note)])
    if origin in {Union, UnionType}:
        return " or ".join(type_words(kind) for kind in arguments if kind is not NoneType)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return "list" if arguments == (Any,) else f"list of {type_words(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "object" if arguments[1] is Any else f"object, each value {type_words(arguments[1])}"
    return _PLAIN.get(hint) or f"[`{hint.__name__}`](#{hint.__name__.lower()})"


def _metadata(note: Any) -> list[Any]:
    return list(note.metadata) if isinstance(note, FieldInfo) else [note]


def _rules(metadata: list[Any]) -> str:
    said = []
    for rule in metadata:
        match rule:
            case Ge(ge=bound):
                said.append(f"{bound} or more")
            case Le(le=bound):
                said.append(f"{bound} or less")
            case MinLen(min_length=length):
                said.append("not empty" if length == 1 else f"at least {length:,} characters")
            case MaxLen(max_length=length):
                said.append(f"at most {length:,} characters")
            case _ if pattern := getattr(rule, "pattern", None):
                said.append(f"like `{pattern}`".replace("|", "\\|"))
    return ", " + ", ".join(said) if said else ""


def _value(value: Any) -> str:
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value!r}`"


@cache
def _tree(kind: type) -> ast.ClassDef:
    [found] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(found, ast.ClassDef)
    return found


def _documented(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Each statement with the docstring that follows it, or an empty one."""
    for statement, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        match after:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield statement, inspect.cleandoc(text)
            case _:
                yield statement, ""


def variables(kind: type) -> dict[str, str]:
    """The annotated names of a class body, each with the docstring below it."""
    return {
        statement.target.id: doc
        for statement, doc in _documented(_tree(kind).body)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def alias_docs() -> dict[str, str]:
    """What models/base.py says of the aliases."""
    found = {}
    for statement, doc in _documented(ast.parse(inspect.getsource(base)).body):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) if name in ALIASES:
                found[name] = doc
    return found


def members(kind: type, leave_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """What a class offers: each public attribute, property and method as it is written, with its docstring."""
    for statement, doc in _documented(_tree(kind).body):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_") and name not in leave_out:
                yield _attribute(statement), doc
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("_") and name not in leave_out:
                    yield _signature(statement, kind.__name__), ast.get_docstring(statement) or ""


def signature(function: Callable[..., Any]) -> str:
    """A function as it is written."""
    [found] = ast.parse(inspect.getsource(function)).body
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    return _signature(found)


def constructor(kind: type) -> str:
    """How an object of a class is made, where the class says so itself; else an empty text."""
    for statement in _tree(kind).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _signature(statement).replace("__init__", kind.__name__, 1).removesuffix(" -> None")
    return ""


def assigned(module: ModuleType, name: str) -> tuple[str, str]:
    """What a module gives a name to, as it is written, with its docstring."""
    for statement, doc in _documented(ast.parse(inspect.getsource(module)).body):
        match statement:
            case ast.Assign(targets=[ast.Name(id=found)]) | ast.AnnAssign(target=ast.Name(id=found)) if found == name:
                return ast.unparse(statement), doc
    raise LookupError(name)


def listed(kind: type, leave_out: frozenset[str] = frozenset(), *, shared: bool = False) -> str:
    """The members as a list. With `shared`, those without a docstring share that of the next."""
    found, waiting = [], ""
    for said, doc in members(kind, leave_out):
        if shared and not doc:
            waiting += f"`{said}`, "
            continue
        found.append(f"- {waiting}`{said}`" + (f": {line(doc)}" if doc else ""))
        waiting = ""
    return "\n".join([*found, ""])


def prose(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "") + "\n"


def line(doc: str) -> str:
    """A docstring as one line, as a table's cell and a list's item want it."""
    return " ".join(doc.split()).replace("|", "\\|")


def _attribute(statement: ast.AnnAssign) -> str:
    """An attribute; of how attrs makes its default only that there is one."""
    text = f"{ast.unparse(statement.target)}: {ast.unparse(statement.annotation)}"
    match statement.value:
        case None:
            return text
        case ast.Call(func=ast.Name(id="field" | "Factory"), keywords=keywords, args=arguments):
            named = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords}
            made = arguments or {"factory", "default"} & set(named)
            return text + (" = ..." if made and named.get("init") != "False" else "")
        case value:
            return f"{text} = {ast.unparse(value)}"


def _signature(function: ast.FunctionDef | ast.AsyncFunctionDef, owner: str = "") -> str:
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    marks = {ast.unparse(mark) for mark in function.decorator_list}
    if "property" in marks:
        return f"{function.name}:{returns.removeprefix(' ->')}"
    arguments = ast.unparse(function.args).removeprefix("self").removeprefix("cls").removeprefix(", ")
    before = f"{owner}." if {"classmethod", "staticmethod"} & marks else ""
    generates = "Generator" in returns or "Iterator" in returns
    awaited = "await " if isinstance(function, ast.AsyncFunctionDef) and not generates else ""
    return f"{awaited}{before}{function.name}({arguments}){returns}"
