"""What pytest loads by entry point in every session where callsheet is installed: options and reports of its conformance kit.

It stands outside of the package, and imports nothing of it until a check of the kit is met: other people's sessions pay
nothing for it.
"""

from __future__ import annotations

from typing import Any

import pytest

GROUPS = {
    "shape": "what a provider is, without a vendor",
    "wire": "what is sent, and what is made of the answer",
    "streams": "events as they come",
    "errors": "what goes wrong",
    "leaks": "time, threads, connections",
}

ASKED_FOR = pytest.StashKey[bool]()
"""Whether the command line names the kit itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("callsheet").addoption(
        "--callsheet-report",
        metavar="FOLDER",
        help="callsheet's conformance kit: write conformance.json, conformance.md, badge.json and junit.xml there",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Options with short names, for those alone who ask for the kit: others may have a --provider of their own."""
    if any(word.startswith("callsheet.testing") for word in args):
        early_config.stash[ASKED_FOR] = True
        group = parser.getgroup("callsheet")
        group.addoption("--provider", metavar="NAME", help="the installed provider that is to be checked")
        group.addoption(
            "--wire", metavar="MODULE:CLASS", help="its vendor's side, if the distribution ships none (callsheet.wires)"
        )


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in GROUPS.items():
        config.addinivalue_line("markers", f"callsheet_{name}: callsheet's conformance kit: {meaning}")
    pytest.register_assert_rewrite("callsheet.testing.kit")
    if config.stash.get(ASKED_FOR, False) and (named := config.getoption("provider")) is not None:
        from callsheet.testing.kit.base import provider_under_test  # an error here is one line, and not a traceback

        provider_under_test(named, config.getoption("wire"))
    if config.getoption("callsheet_report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Report(config.getoption("callsheet_report")), "callsheet conformance")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (check := _check(item)) is not None:
            item.user_properties += _told(item, check)
            known = item.cls.failures(item.config)  # type: ignore[attr-defined]  # it is a check: its class has this
            for name in (check.id, f"{check.id} {_operation(item)}"):
                if name in known:
                    item.add_marker(pytest.mark.xfail(strict=True, reason=known[name]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    check = _check(item)
    if check is not None and report.failed and call.excinfo is not None:
        report.sections.append((f"{check.id}: if this fails", f"{check.remedy}\nSee {check.anchor}"))
    return report


def _check(item: pytest.Item) -> Any:
    return getattr(getattr(item, "function", None), "callsheet_check", None)


def _operation(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("operation", "")) if callspec is not None else ""


def _told(item: pytest.Item, check: Any) -> list[tuple[str, object]]:
    kind: Any = item.cls  # type: ignore[attr-defined]  # as above
    return [
        ("callsheet_check", check.id),
        ("callsheet_provider", kind.provider_name(item.config)),
        ("callsheet_operation", _operation(item)),
        ("callsheet_about", kind.bench_of(item.config).about()),
    ]


class _Report:
    """Gathers what became of each check, and writes it down at the end."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.outcomes: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = {str(name): value for name, value in report.user_properties}
        if "callsheet_check" not in told or (report.when != "call" and report.outcome == "passed"):
            return
        reason = ""
        if hasattr(report, "wasxfail"):
            reason = str(report.wasxfail).removeprefix("reason: ")
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = str(getattr(crash, "message", report.longrepr)).split("\n")[0]
        outcome = "known failure" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        self.outcomes.append({**told, "outcome": outcome, "reason": reason[:500], "seconds": round(report.duration, 4)})

    def pytest_sessionfinish(self) -> None:
        if self.outcomes:
            from callsheet.testing.kit.report import write_report

            write_report(self.folder, self.outcomes)
