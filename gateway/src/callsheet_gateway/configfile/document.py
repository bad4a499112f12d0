"""YAML as plain data that knows its lines.

The file is composed from the parser's events, so that what is too deep, refers to too much or stands there twice is
refused before anything is built of it. No error quotes the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from attrs import define, field, frozen

from callsheet import ConfigurationError
from callsheet.config_values import Path

__all__ = ["MOST_BYTES", "Document", "parse"]

MOST_BYTES = 1024 * 1024
_MOST_DEPTH = 32
_MOST_ALIASES = 100
_MOST_VALUES = 100_000
"""Those of an alias are counted wherever it stands: aliases of aliases multiply."""
_LONGEST_NUMBER = 40
_TAG = "tag:yaml.org,2002:"
_TOKEN = re.compile(r"""(['"])(<[a-z ]+>|\\?\W{1,3})\1""")
"""What a parser may quote."""
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


@define(eq=False)
class _Node:
    """A value, where it stands, what is in it, and how much that is."""

    line: int
    data: Any
    children: dict[str | int, tuple[int, _Node]] = field(factory=dict, repr=False)
    size: int = 1
    height: int = 1


@frozen(eq=False)
class Document:
    """What a file says. `data` is of dicts with texts as keys, lists, texts, numbers, booleans and None; aliases share theirs."""

    data: Any = field(repr=False)
    _root: _Node | None = field(repr=False)

    def line_of(self, path: Path) -> int | None:
        """The line, from 1, where something stands; where there is no such thing, the one of what it would be in."""
        node, line = self._root, None
        for step in path:
            if node is None or step not in node.children:
                break
            line, node = node.children[step]
        return line


def parse(content: bytes) -> Document:
    """The document in a file. ConfigurationError begins with the line where it is wrong: "7: ..."."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(content[: error.start].count(b"\n") + 1, "this is not UTF-8") from None
    if (odd := yaml.reader.Reader.NON_PRINTABLE.search(text)) is not None:
        raise _wrong(text.count("\n", 0, odd.start()) + 1, "there is a control character here")
    loader = _PARSER(text)
    try:
        return _Composer(_events(loader)).document()
    except ConfigurationError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _wrong(mark.line + 1 if mark else 1, f"this is not YAML: {_unquoted(error.problem or '')}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _wrong(1, "this is not YAML") from None
    finally:
        loader.dispose()


def _events(loader: Any) -> Iterator[Any]:
    while loader.check_event():
        yield loader.get_event()


class _Composer:
    """Makes nodes of events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, _Node | None] = {}
        self._aliases = 0
        self._values = 0

    def document(self) -> Document:
        root: _Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _wrong(_line(event), "a second document begins here: one is wanted")
                root = self._node(next(self._events), 1)
        return Document(root.data if root else None, root)

    def _node(self, event: Any, depth: int) -> _Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(1, line)
        if depth > _MOST_DEPTH:
            raise _wrong(line, f"this is nested more than {_MOST_DEPTH} levels deep")
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise _wrong(line, "an anchor (&...) of this name is there already")
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(line, _scalar(event, line))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, line, depth)
        else:
            node = self._mapping(event, line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, depth: int) -> _Node:
        line = _line(event)
        self._aliases += 1
        if self._aliases > _MOST_ALIASES:
            raise _wrong(line, f"there are more than {_MOST_ALIASES} aliases (*...)")
        if event.anchor not in self._anchors:
            raise _wrong(line, "this alias (*...) has no anchor (&...) before it")
        if (node := self._anchors[event.anchor]) is None:
            raise _wrong(line, "this alias (*...) stands within what it refers to")
        self._count(node.size, line)
        if depth + node.height - 1 > _MOST_DEPTH:
            raise _wrong(line, f"this is nested more than {_MOST_DEPTH} levels deep")
        return node

    def _list(self, event: Any, line: int, depth: int) -> _Node:
        _plain(event, "seq", line)
        node = _Node(line, [])
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            child = self._node(inner, depth + 1)
            _put(node, len(node.data), child.line, child)
            node.data.append(child.data)
        return node

    def _mapping(self, event: Any, line: int, depth: int) -> _Node:
        _plain(event, "map", line)
        node, merged = _Node(line, {}), _Node(line, {})
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            where = _line(key)
            if not isinstance(key, yaml.ScalarEvent) or key.anchor or key.tag not in {None, "!", f"{_TAG}str"}:
                raise _wrong(where, "a key must be a plain text")
            _whole_characters(key.value, where)
            child = self._node(next(self._events), depth + 1)
            if key.value == "<<" and key.implicit[0]:
                self._merge(merged, child, where)
            elif key.value in node.children:
                raise _wrong(where, "this key is there twice")
            else:
                _put(node, key.value, where, child)
        for name, (where, child) in merged.children.items():
            if name not in node.children:
                _put(node, name, where, child)
                self._count(child.size, where)
        node.data = {name: child.data for name, (_, child) in node.children.items()}
        return node

    def _merge(self, merged: _Node, source: _Node, line: int) -> None:
        """The keys of `<<: *name` or `<<: [*name, *other]`. The mapping's own keys win, then the first to have a key."""
        sources = [child for _, child in source.children.values()] if isinstance(source.data, list) else [source]
        for one in sources:
            if not isinstance(one.data, dict):
                raise _wrong(line, "<< takes a mapping, or a list of mappings")
            for name, child in one.children.items():
                merged.children.setdefault(name, child)

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            raise _wrong(line, f"the file has more than {_MOST_VALUES:,} values, those of aliases counted each time")


def _put(node: _Node, step: str | int, line: int, child: _Node) -> None:
    node.children[step] = (line, child)
    node.size += child.size
    node.height = max(node.height, child.height + 1)


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    _whole_characters(text, line)
    if (event.tag is None and not event.implicit[0]) or event.tag in {"!", f"{_TAG}str"}:
        return text
    tag = _tag_of(text)
    if event.tag not in {None, f"{_TAG}{tag}"}:
        raise _wrong(line, "tags (!...) are not read: plain data is wanted")
    try:
        match tag:
            case "null":
                return None
            case "bool":
                return _CONSTRUCTOR.bool_values[text.lower()]
            case "int":
                return _CONSTRUCTOR.construct_yaml_int(yaml.ScalarNode(_TAG + tag, text))
            case "float":
                return _CONSTRUCTOR.construct_yaml_float(yaml.ScalarNode(_TAG + tag, text))
    except (ValueError, OverflowError):
        pass  # such as 0b_: what only looks like a number is a text
    return text


def _tag_of(text: str) -> str:
    """What a plain text is by YAML's rules. Dates stay texts: versions of APIs look like them."""
    if len(text) > _LONGEST_NUMBER:
        return "str"
    for tag, pattern in [*_RESOLVERS.get(text[:1], ()), *_RESOLVERS.get(None, ())]:  # None: for any beginning
        if pattern.match(text):
            return str(tag).removeprefix(_TAG)
    return "str"


def _plain(event: Any, kind: str, line: int) -> None:
    if event.tag not in {None, "!", _TAG + kind}:
        raise _wrong(line, "tags (!...) are not read: plain data is wanted")


def _whole_characters(text: str, line: int) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _wrong(line, "half a character stands here")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _wrong(line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{line}: {reason}")


def _unquoted(problem: str) -> str:
    """A parser's words, unless they quote more than punctuation or the name of a token."""
    rest = _TOKEN.sub("", problem)
    return " ".join(problem.split()) if problem and not {"'", '"'} & set(rest) else "it can't be read here"
