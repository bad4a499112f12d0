"""Write docs/hooks.md, the reference of the contract, out of the contract itself.

python docs/generate_hooks.py          write it
python docs/generate_hooks.py --check  fail if it is not what would be written
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from generated import whole
from in_words import alias_docs, fields, line, listed, prose, signature, type_words
from pydantic import BaseModel

import callsheet
from callsheet import errors, models
from callsheet.operations import OPERATIONS, Operation
from callsheet.spec import HOOKS, Provider

PAGE = Path(__file__).with_name("hooks.md")
HELPERS = (
    callsheet.Request,
    callsheet.Reply,
    callsheet.Body,
    callsheet.Upload,
    callsheet.ByteStream,
    callsheet.Stream,
    callsheet.Event,
    callsheet.SSEEvents,
    callsheet.Download,
    models.Meta,
    callsheet.Bearer,
    callsheet.ApiKey,
)
INSIDE = frozenset({"operation", "outcome", "provider", "secrets", "sent", "transport"})
"""Of IO: what the router works with. An adapter has no use for it."""

INTRODUCTION = """\
<!-- Written by docs/generate_hooks.py out of the contract (callsheet.spec). Change that, and run the script again. -->

# Hook reference

What a provider may implement, and what it has to work with. [Write a provider](write-a-provider.md) is the way in; this
page is to look things up. Everything here is imported from `callsheet`.

A provider is a class derived from `Provider`. Each operation that it offers is one hook, and every hook has the same two
arguments for ever: `request`, a model with the fields below, and `io`, the way to the vendor.

```python
from callsheet import IO, GenerateVideo, Provider, Video, hookimpl


class Acme(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        reply = await io.post_json("/videos", request.wire())
        return Video.model_validate(reply.json())
```

A hook that is left out is refused for you. Ids in requests and results are the vendor's own, or [what you make of
them](write-a-provider.md#when-the-vendors-id-is-not-enough), in at most 350 bytes: callers see Callsheet's, which the
router makes of yours and turns back. `request.model` is the vendor's name of the model. Fields that the caller added
(`extra_body`) are kept in `request.wire()`, which holds what was set and nothing else.
"""


def page() -> str:
    """The whole page."""
    pieces = [
        "## Operations\n",
        _overview(),
        *(_hook(OPERATIONS[name]) for name in HOOKS),
        "## The provider class\n",
        prose(Provider),
        listed(Provider, frozenset(HOOKS)),
        "## Settings\n",
        "`Settings`, the class of an account's settings, derives from `ProviderSettings`.\n",
        prose(callsheet.ProviderSettings),
        _table(callsheet.ProviderSettings),
        "## io\n",
        prose(callsheet.IO),
        listed(callsheet.IO, INSIDE),
        "## What goes through io\n",
        "With `answer = await io.stream(request)`, a stream of events is `Stream(SSEEvents(answer))` and a file"
        " `await Download.of(answer)`.\n",
        *(f"### {kind.__name__}\n\n{prose(kind)}\n{listed(kind)}" for kind in HELPERS),
        "## Functions\n",
        *_functions(),
        "## Results\n",
        *(_model(kind) for kind in _results()),
        "## Types\n",
        "What callers may give. A hook sees a text, of `File` an [`Upload`](#upload), of `ResourceId` the id that it gave"
        " out itself.\n",
        "".join(f"- `{name}`: {line(doc)}\n" for name, doc in alias_docs().items()),
        *(f"### {kind.__name__}\n\n{prose(kind)}\n{_table(kind)}" for kind in _nested()),
        "## Errors\n",
        f"```text\n{_tree()}\n```\n",
        "[Errors](using.md#errors) says what callers make of them. `Provider.error` turns an error answer into one; a hook may\n"
        "raise any of them itself.\n",
    ]
    generated = re.sub(r"\n{3,}", "\n\n", "\n".join(pieces)).rstrip()
    return f"{INTRODUCTION}\n{generated}\n"


def _overview() -> str:
    rows = ["| hook | HTTP route | may cost money | new in |", "|---|---|---|---|"]
    for name in HOOKS:
        operation = OPERATIONS[name]
        paid = "yes" if operation.billable else "no"
        rows.append(f"| [`{name}`](#{name}) | `{operation.method} {operation.route}` | {paid} | {_since(name)} |")
    return "\n".join(rows) + "\n"


def _hook(operation: Operation) -> str:
    hook = getattr(Provider, operation.name)
    doc = inspect.getdoc(hook) or ""
    result = get_type_hints(hook)["return"]
    kinds = get_args(result) or (result,)
    request = operation.request
    return "\n".join(
        [
            f"### {operation.name}\n",
            f"`async def {operation.name}(self, request: {request.__name__}, io: IO) -> {' | '.join(map(_name, kinds))}`\n",
            line(doc) + "\n",
            f"- Returns {' or '.join(map(_link, kinds))}.",
            f"- OpenAI's route, and the gateway's: `{operation.method} /v1{operation.route}`.",
            f"- {_money(operation)}",
            "",
            f"**{request.__name__}**: {line(inspect.getdoc(request) or '')}\n",
            _table(request, frozenset() if operation.takes_model else frozenset({"model"})),
        ]
    )


def _money(operation: Operation) -> str:
    """What an operation may cost, and when it is sent again: the table as routing/retry.py reads it."""
    begins = "May start paid work." if operation.billable else "Costs nothing."
    if operation.after_ambiguity == "always":
        passing = "a failure that may pass (no answer, 408, 409, 429, 5xx)"
        return f"{begins} Sent again after {passing}: {operation.attempts} attempts in all."
    refused = {
        "always": "after 429" if operation.billable else "after 429 and 503",
        "if promised": "after an error by which the provider promises that nothing began (`refused`)",
        "never": "",
    }[operation.after_rejection]
    again = ", and ".join(filter(None, ["when the request provably did not arrive", refused]))
    unsure = {
        "once": "once more",
        "never": "never",
        "unstored": "again, where a lost answer leaves nothing behind but its price: with `store` false, and no"
        " `background`, `conversation` or remote `mcp` tool"
        if operation.stores_by_default
        else "again, unless `store` is true: a lost answer leaves nothing behind but its price",
    }[operation.after_ambiguity]
    return (
        f"{begins} Sent again {again}: {operation.attempts} attempts in all."
        f" When nobody knows whether it was accepted: {unsure}."
    )


def _since(name: str) -> str:
    found = re.search(r"New in (\d+\.\d+)\.", inspect.getdoc(getattr(Provider, name)) or "")
    if found is None:
        raise SystemExit(f"Provider.{name}: the docstring does not say 'New in X.Y.'")
    return found[1]


def _results() -> list[type]:
    named = {
        n: k for n, k in vars(models).items() if isinstance(k, type) and issubclass(k, (models.Result, models.Document))
    }
    used = {kind for name in HOOKS for kind in _returned(name)} | {models.Document}
    return [kind for kind in named.values() if kind in used]


def _returned(name: str) -> Iterable[Any]:
    result = get_type_hints(getattr(Provider, name))["return"]
    return get_args(result) or (result,)


def _nested() -> list[type[BaseModel]]:
    """The documents inside requests and results."""
    plain = {models.Model, models.OperationRequest, models.Result}
    kinds = [kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, models.Model)]
    return [k for k in kinds if k not in plain and not issubclass(k, (models.OperationRequest, models.Result))]


def _model(kind: type) -> str:
    table = _table(kind) if issubclass(kind, BaseModel) else listed(kind, frozenset({"managed"}))
    base = (
        "A [`Document`](#document): give it the JSON object that came, as `raw`.\n"
        if models.Document in kind.__bases__
        else ""
    )
    return f"### {kind.__name__}\n\n{prose(kind)}\n{base}\n{table}"


def _table(kind: type[BaseModel], leave_out: frozenset[str] = frozenset()) -> str:
    rows = [
        f"| `{field.name}` | {field.type} | {'required' if field.required else field.default} | {line(field.doc)} |"
        for field in fields(kind, leave_out)
    ]
    return "\n".join(["| field | type | default | |", "|---|---|---|---|", *rows, ""]) if rows else ""


def _functions() -> Iterator[str]:
    for name in callsheet.__all__:
        function = getattr(callsheet, name)
        if inspect.isfunction(function) and name not in {*OPERATIONS, "wait", "providers"}:
            yield f"- `{signature(function)}`: {line(inspect.getdoc(function) or '')}"
    yield ""


def _name(kind: type) -> str:
    return "None" if kind is type(None) else kind.__name__


def _link(kind: type) -> str:
    return "nothing" if kind is type(None) else type_words(kind)


def _tree() -> str:
    return inspect.cleandoc((errors.__doc__ or "").partition("\n\n")[2].partition("\n\nNames below")[0])


if __name__ == "__main__":
    whole(PAGE, page(), sys.argv[1:])
