"""What a run of the kit found, for people and for machines: conformance.json, conformance.md, badge.json."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # written, never read

from callsheet import OPERATIONS, __version__
from callsheet.installed import entry_points, owner_of
from callsheet.registry import PROVIDERS, ProviderInfo
from callsheet.testing.kit.catalogue import GROUPS, PAGE, Check, checks_of

__all__ = ["result_of", "state_of", "table", "write_report"]

Row = dict[str, Any]
WORKS, CANNOT, NOT_YET, RETIRED, EMULATED, FAILS = "works", "vendor cannot", "not yet", "retired", "emulated", "fails"


def write_report(folder: str | Path, outcomes: Sequence[Row]) -> Path:
    """Write what became of the checks into a folder, which is made if need be."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    names = sorted({str(row["callsheet_provider"]) for row in outcomes})
    providers = [_of_provider(name, [row for row in outcomes if row["callsheet_provider"] == name]) for name in names]
    document = {
        "kit": __version__,
        "python": platform.python_version(),
        "providers": providers,
    }
    (place / "conformance.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (place / "conformance.md").write_text("\n".join(_page(one) for one in providers), encoding="utf-8")
    (place / "badge.json").write_text(json.dumps(_badge(providers)) + "\n", encoding="utf-8")
    ElementTree.ElementTree(_junit(providers)).write(place / "junit.xml", "utf-8", xml_declaration=True)
    return place


def state_of(operation: str, info: ProviderInfo, rows: Sequence[Row]) -> str:
    """What can be said of one operation: from the hooks, the notes and what the checks found."""
    note = info.notes.get(operation, "")
    if operation not in info.operations:
        return note or NOT_YET
    mine = [row for row in rows if row["callsheet_operation"] == operation]
    if any(row["outcome"] == "failed" for row in mine):
        return FAILS
    if known := sorted({row["callsheet_check"] for row in mine if row["outcome"] == "known failure"}):
        return f"known failures: {', '.join(known)}"
    if note.lower().startswith((EMULATED, RETIRED)):
        return note
    return WORKS


def result_of(operation: str, info: ProviderInfo, rows: Sequence[Row]) -> str:
    """The same after a run: what no check has called is not said to work."""
    state = state_of(operation, info, rows)
    passed = [row for row in rows if row["callsheet_operation"] == operation and row["outcome"] == "passed"]
    if operation not in info.operations or state == FAILS or any(row["callsheet_check"][0] != "S" for row in passed):
        return state
    return "only its shape was checked" if passed else "not checked"


def table(info: ProviderInfo, rows: Sequence[Row]) -> str:
    """The markdown table of all operations."""
    lines = [f"| operation | {info.name} |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {result_of(name, info, rows)} |" for name in OPERATIONS)])


def _about(name: str, rows: Sequence[Row]) -> ProviderInfo:
    """What is known of a provider: of one that is only a class, what the checks saw."""
    owners = [owner_of(point) for point in entry_points(PROVIDERS) if point.name == name]
    owner, version = owners[0] if owners else ("(not installed)", "")
    seen = rows[0]["callsheet_about"]
    return ProviderInfo(name, owner, version, operations=tuple(seen["operations"]), notes=seen["notes"])


def _of_provider(name: str, rows: Sequence[Row]) -> Row:
    info = _about(name, rows)
    counted = {
        outcome: sum(row["outcome"] == outcome for row in rows)
        for outcome in ("passed", "failed", "skipped", "known failure")
    }
    run = {row["callsheet_check"] for row in rows}
    missing = sorted(set(_ids()) - run)
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "operations": {name: result_of(name, info, rows) for name in OPERATIONS},
        "counted": counted,
        "not_run": missing,
        "checks": [
            {
                "id": row["callsheet_check"],
                "group": GROUPS[row["callsheet_check"][0]],
                "operation": row["callsheet_operation"] or None,
                "outcome": row["outcome"],
                "reason": row["reason"] or None,
                "seconds": row["seconds"],
                "see": f"{PAGE}#{row['callsheet_check'].lower()}",
            }
            for row in rows
        ],
        "table": table(info, rows),
    }


def _ids() -> list[str]:
    from callsheet.testing.kit.provider_tests import ProviderTests

    checks: dict[str, Check] = checks_of(ProviderTests)
    return sorted(check.id for check in checks.values())


def _page(one: Row) -> str:
    counted = ", ".join(f"{number} {outcome}" for outcome, number in one["counted"].items() if number)
    failed = [row for row in one["checks"] if row["outcome"] in {"failed", "known failure"}]
    lines = [f"# {one['name']} {one['version']}", "", f"callsheet {__version__}: {counted}.", "", one["table"], ""]
    if one["not_run"]:
        lines += [f"Not run: {', '.join(one['not_run'])}.", ""]
    for row in failed:
        lines.append(f"- **{row['id']}** {row['operation'] or ''} ({row['outcome']}): {row['reason']}")
    return "\n".join(lines) + "\n"


def _badge(providers: Sequence[Row]) -> Row:
    """A badge as shields.io's endpoints have it."""
    states = [state for one in providers for state in one["operations"].values()]
    good = sum(state == WORKS or state.startswith((EMULATED, RETIRED)) for state in states)
    failed = sum(one["counted"]["failed"] for one in providers) + sum(len(one["not_run"]) for one in providers)
    passed = sum(one["counted"]["passed"] for one in providers)
    known = sum(one["counted"]["known failure"] for one in providers)
    words = f"{good} operations, {passed} passed" + (f", {failed} failed or not run" if failed else "")
    words += f", {known} known failures" if known else ""
    return {
        "schemaVersion": 1,
        "label": f"callsheet {__version__}",
        "message": words,
        "color": "red" if failed else "yellow" if known else "brightgreen",
    }


def _junit(providers: Sequence[Row]) -> ElementTree.Element:
    root = ElementTree.Element("testsuites")
    for one in providers:
        rows = one["checks"]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"callsheet.{one['name']}",
            tests=str(len(rows)),
            failures=str(one["counted"]["failed"]),
            skipped=str(one["counted"]["skipped"] + one["counted"]["known failure"]),
        )
        for row in rows:
            name = f"{row['id']}[{row['operation']}]" if row["operation"] else row["id"]
            case = ElementTree.SubElement(
                suite, "testcase", classname=row["group"], name=name, time=str(row["seconds"])
            )
            if row["outcome"] == "failed":
                ElementTree.SubElement(case, "failure", message=row["reason"] or "").text = row["see"]
            elif row["outcome"] != "passed":
                ElementTree.SubElement(case, "skipped", message=row["reason"] or "")
    return root
