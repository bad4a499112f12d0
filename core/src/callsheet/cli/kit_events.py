"""A plugin of pytest for the process that `callsheet check` starts: it picks the checks, and tells what becomes of each.

What it tells goes to the standard output that there was before pytest took it: a line of JSON for each event, after MARK.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from callsheet.cli.kit_run import FOLDER, MARK, ONLY
from callsheet.operations import OPERATIONS

_out = os.fdopen(os.dup(1), "w", encoding="ascii")
if FOLDER in os.environ:  # where the module of --wire may be; last, so that nothing there hides what others import
    sys.path.append(os.environ[FOLDER])


def tell(**event: object) -> None:
    try:
        _out.write(f"\n{MARK}{json.dumps(event)}\n")
        _out.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more: whoever wanted to know is gone


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave only what --only names: checks by id, groups of them, or operations."""
    checks = {item: item.function.callsheet_check for item in items if hasattr(item, "function")}
    known = {word for check in checks.values() for word in (check.id.lower(), check.group)} | set(OPERATIONS)
    wanted = [word for word in os.environ.get(ONLY, "").split(",") if word]
    if unknown := [word for word in wanted if word.lower() not in known]:
        tell(event="unknown", words=unknown, groups=sorted({check.group for check in checks.values()}))
    left = [item for item, check in checks.items() if _is_wanted(wanted, check, _operation(item))]
    config.hook.pytest_deselected(items=[item for item in checks if item not in left])
    items[:] = sorted(left, key=lambda item: ("SWTEL".find(checks[item].id[0]), checks[item].id))  # what is quick first
    tell(event="checks", number=len(items), checks={c.id: _words_of(c) for c in checks.values()})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        tell(event="done")
    if report.failed:
        told: dict[str, Any] = {str(name): value for name, value in report.user_properties}
        crash = getattr(report.longrepr, "reprcrash", None)
        tell(
            event="failed",
            id=told.get("callsheet_check", ""),
            operation=told.get("callsheet_operation", ""),
            seen=str(getattr(crash, "message", report.longrepr)),
            trace=report.longreprtext,
        )


def _is_wanted(wanted: list[str], check: Any, operation: str) -> bool:
    """Of words of one kind, one must fit; of words of both kinds, one of each."""
    of_checks = [word.lower() for word in wanted if word not in OPERATIONS]
    of_operations = [word for word in wanted if word in OPERATIONS]
    fits = not of_checks or bool({check.id.lower(), check.group} & set(of_checks))
    return fits and (not of_operations or operation in of_operations)


def _operation(item: pytest.Item) -> str:
    params: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return str(params.get("operation", ""))


def _words_of(check: Any) -> dict[str, str]:
    return {"title": check.title, "remedy": check.remedy, "see": check.anchor, "group": check.group}
