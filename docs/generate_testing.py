"""Write docs/testing.md, the reference of callsheet.testing, out of its docstrings.

python docs/generate_testing.py          write it
python docs/generate_testing.py --check  fail if it is not what would be written
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from generated import whole
from in_words import assigned, constructor, line, listed, prose, signature

from callsheet import testing
from callsheet.testing import Wire, checks
from callsheet.testing.state import State

PAGE = Path(__file__).with_name("testing.md")
INSIDE = {
    "Wire": frozenset({"connected", "offers", "routes"}),
    "Route": frozenset({"match", "places", "takes_ephemeral"}),
    "Answer": frozenset({"head", "steps"}),
    "Fault": frozenset({"steps"}),
    "FakeUpstream": frozenset({"prefix", "table", "extra_headers", "is_ephemeral", "key_of"}),
}
"""What the machinery works with, and what only says again what the base says: no author of a wire has a use for it."""
REMEMBERED = {
    "seen": "every request that came, a list of [`Seen`](#seen)",
    "problems": "what no correct client sends, a list of [`Problem`](#problem). A test ends with `assert not wire.problems`",
    "book": "what was begun, the vendor's bill: [`Book`](#book)",
    "state": "jobs, and whatever else the wire keeps: [`State`](#state)",
    "connections": "how many connections to its servers are open",
    "clock": "what tells the Unix time in seconds",
}

INTRODUCTION = """\
<!-- Written by docs/generate_testing.py out of callsheet.testing. Change that, and run the script again. -->

# Testing reference

What a vendor's side is written with, and what tests ask of it. [Write a provider](write-a-provider.md) is the way in; this
page is to look things up. [The conformance kit](conformance.md), `ProviderTests`, has a page of its own. All of this is
imported from `callsheet.testing`, and the rules from `callsheet.testing.checks`.

A vendor is a class derived from `Wire`, with a method for each route. It is served on loopback, or reached without a socket:

```python
from callsheet import Client, Registry
from callsheet.testing import FAKE_KEY, Fault
from callsheet_acme import Acme
from callsheet_acme.wire import AcmeWire

registry, wire = Registry(), AcmeWire(polls_until_done=1)
registry.register("acme", Acme)
with Client("acme/film-1", registry=registry, api_key=FAKE_KEY, transport=wire.blocking_transport()) as client:
    wire.fail("GET /jobs/{id}", Fault.status(503))
    wire.fail_job("too_dark", "It is night.")
    video = client.generate_video(prompt="A fox")
    assert client.get_video(video_id=video).error.message == "It is night."  # it was asked for again
assert [seen.route for seen in wire.seen] == ["POST /jobs", "GET /jobs/{id}", "GET /jobs/{id}"]
assert not wire.problems
```
"""


def page() -> str:
    """The whole page."""
    pieces = [
        *_wire(),
        "## Routes\n",
        f"- {_function(testing.route)}\n",
        *_tables(),
        *map(_kind, (testing.Route,)),
        "## Requests\n",
        f"- {_function(testing.fields_of)}\n",
        *map(_kind, (testing.Seen, testing.Part)),
        "## Answers\n",
        *(f"- {_function(make)}" for make in (testing.document, testing.event_stream, testing.file_answer)),
        "",
        *map(_kind, (testing.Answer, testing.Refusal, testing.Violation)),
        *_rules(),
        "## State and book\n",
        *map(_kind, (State, testing.Job, testing.Book, testing.Entry, testing.Problem)),
        "## Faults\n",
        f"`FAULTS` has them by their names: {', '.join(f'`{name}`' for name in testing.FAULTS)}.\n",
        *map(_kind, (testing.Fault, testing.Happened)),
        "## OpenAI's wire\n",
        _kind(testing.FakeUpstream),
    ]
    generated = re.sub(r"\n{3,}", "\n\n", "\n".join(pieces)).rstrip()
    return f"{INTRODUCTION}\n{generated}\n"


def _wire() -> Iterator[str]:
    yield f"## Wire\n\n`{constructor(Wire)}`\n\n{prose(Wire)}"  # its members are listed by what they are for
    yield f"{line(inspect.getdoc(Wire.__init__) or '')}\n"
    functions = frozenset(name for name, value in vars(Wire).items() if inspect.isfunction(value))
    yield f"### Settings\n\n{listed(Wire, INSIDE['Wire'] | functions, shared=True)}"
    for heading, names in _sections():
        if names:
            yield f"### {heading}\n\n{listed(Wire, INSIDE['Wire'] | frozenset(vars(Wire)) - names)}"
    yield "### What a wire remembers\n"
    made = Wire()
    for name, words in REMEMBERED.items():
        assert hasattr(made, name), name
        yield f"- `{name}`: {words}."
    yield f"\nIts only key is `FAKE_KEY`, `{testing.FAKE_KEY}`, unless `keys` says otherwise.\n"


def _sections() -> Iterator[tuple[str, frozenset[str]]]:
    """The methods of Wire by the comments that stand above them; none that is of no use to others."""
    pieces = re.split(r"^    # ([A-Z][^\n]*)\n\n", inspect.getsource(Wire), flags=re.M)
    for heading, code in zip(pieces[1::2], pieces[2::2], strict=True):
        yield heading, frozenset(re.findall(r"^    def ([a-z]\w*)", code, re.M)) - INSIDE["Wire"]


def _kind(kind: type) -> str:
    made = constructor(kind)
    shown = f"`{made}`\n\n" if made else ""
    return f"### {kind.__name__}\n\n{shown}{prose(kind)}\n{listed(kind, INSIDE.get(kind.__name__, frozenset()))}"


def _tables() -> Iterator[str]:
    yield "Ready routes of OpenAI's wire, for a wire's `table`:\n"
    for name in ("CHAT", "RESPONSES", "REALTIME", "VIDEOS"):
        yield f"- `{name}`: {', '.join(f'`{one.name}`' for one in getattr(testing, name))}"
    yield "- `ROUTES`: all of them\n"
    spelled = ", ".join(f"`{name}` is `{getattr(testing, name)}`" for name in ("JSON", "FORM", "SDP"))
    yield f"What a route takes: {spelled}.\n"


def _rules() -> Iterator[str]:
    yield f"## Rules for fields\n\n{line(checks.__doc__ or '')} A function of your own is one, too.\n"
    for name in sorted(checks.__all__, key=lambda name: name != "check"):
        value = getattr(checks, name)
        if inspect.isfunction(value) and value.__name__ == name:
            yield f"- {_function(value)}"
        else:
            code, doc = assigned(checks, name)
            yield f"- `{code}`" + (f": {line(doc)}" if doc else "")
    yield ""


def _function(function: object) -> str:
    assert inspect.isfunction(function)
    doc = line(inspect.getdoc(function) or "")
    return f"`{signature(function)}`" + (f": {doc}" if doc else "")


if __name__ == "__main__":
    whole(PAGE, page(), sys.argv[1:])
