"""What a check is: its stable id, its group, for which operations it is asked, and where it is explained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, TypeVar

import pytest
from attrs import frozen

__all__ = ["GROUPS", "PAGE", "Check", "Group", "check", "checks_of", "has_lasting_id", "streams", "takes_body"]

Test = TypeVar("Test", bound=Callable[..., Any])
Group: TypeAlias = Literal["shape", "wire", "streams", "errors", "leaks"]
GROUPS: dict[str, Group] = {"S": "shape", "W": "wire", "T": "streams", "E": "errors", "L": "leaks"}
"""The groups by the first letter of their checks."""
PAGE = "docs/conformance.md"
"""Where each check has an anchor of its id."""


@frozen
class Check:
    """One check. `over` says which of the offered operations it is asked of, one by one; None: of the provider as a whole.

    `vendor`: it is about what goes to a vendor, and so not asked of embedded providers. (Without a wire nothing but the
    group S is asked.)
    """

    id: str
    over: Callable[[str], bool] | None
    vendor: bool
    text: str

    @property
    def group(self) -> Group:
        return GROUPS[self.id[0]]

    @property
    def title(self) -> str:
        """What must be so, in a sentence."""
        return " ".join(self.text.partition("If this fails:")[0].split())

    @property
    def remedy(self) -> str:
        """What to look at when it is not so."""
        return " ".join(self.text.partition("If this fails:")[2].split())

    @property
    def anchor(self) -> str:
        return f"{PAGE}#{self.id.lower()}"


def check(id: str, *, over: Callable[[str], bool] | None = None, vendor: bool = True) -> Callable[[Test], Test]:
    """Make a test of `ProviderTests` a check. Its docstring says what must be so, and after "If this fails:" what to do."""

    def mark(test: Test) -> Test:
        made = Check(id, over, vendor, inspect.getdoc(test) or "")
        test.callsheet_check = made  # type: ignore[attr-defined]  # a function may carry what it is
        marked: Test = getattr(pytest.mark, f"callsheet_{made.group}")(test)
        return marked

    return mark


def checks_of(kind: type[Any]) -> dict[str, Check]:
    """The checks of a class of tests, by the names of their methods."""
    named = ((name, getattr(kind, name)) for name in dir(kind) if name.startswith("test_"))
    return {name: test.callsheet_check for name, test in named if hasattr(test, "callsheet_check")}


def one_of(names: Iterable[str]) -> Callable[[str], bool]:
    known = frozenset(names)
    return lambda operation: operation in known


def any_operation(_operation: str) -> bool:
    """All that are offered."""
    return True


streams = one_of({"responses", "chat_completions"})
"""Those that answer by events, if they are asked to."""
comes_in_pieces = one_of({"responses", "chat_completions", "download_video"})
"""Those whose answer is read bit by bit."""
has_text = one_of({"create_character", "generate_video", "edit", "extend", "remix", "responses", "chat_completions"})
"""Those that are told something in words."""
takes_body = one_of(
    {
        "create_character", "generate_video", "edit", "extend", "remix", "mint_realtime_secret", "responses",
        "chat_completions",
    }
)  # fmt: skip
"""Those that send a document or a form."""
has_lasting_id = one_of({"generate_video", "edit", "extend", "remix"})
"""Those that begin a job."""
