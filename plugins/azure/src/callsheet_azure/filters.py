"""What Azure's content filters say: of prompts and answers, in documents, events and errors.

Wire: Azure's documents on content filtering. Everything stays in the raw documents; these are typed reads of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import frozen

from callsheet import BadRequestError, Document, Event

__all__ = ["ContentFilter", "ContentFilterError", "FilterReport", "filter_reports", "read_filters"]


@frozen
class ContentFilter:
    """One category's verdict. `severity` is safe, low, medium or high; `detected` is for what has no severity."""

    filtered: bool
    severity: str | None = None
    detected: bool | None = None
    raw: Mapping[str, Any] = {}
    """All that was said, such as the citation of protected material."""


@frozen
class FilterReport:
    """What the filters say of one prompt or one answer.

    `index` is the prompt's, the choice's, or the entry's; `filters` has the verdicts by category; `error` tells that the
    filters themselves failed; `offsets` which part of the text is meant.
    """

    source: Literal["prompt", "completion"]
    index: int
    filters: Mapping[str, ContentFilter]
    error: Mapping[str, Any] | None = None
    offsets: Mapping[str, Any] | None = None

    @property
    def blocked(self) -> bool:
        """Whether any category was filtered."""
        return any(verdict.filtered for verdict in self.filters.values())


class ContentFilterError(BadRequestError):
    """400: the prompt was filtered, and nothing was generated. `filters` has the verdicts by category."""

    filters: Mapping[str, ContentFilter] = {}


def filter_reports(answer: Document | Event | Mapping[str, Any]) -> list[FilterReport]:
    """The reports in a chat completion or one of its chunks, in a response or one of its events."""
    document = answer.data if isinstance(answer, Event) else answer.wire() if isinstance(answer, Document) else answer
    if not isinstance(document, Mapping):
        return []
    inner = document.get("response")
    document = inner if isinstance(inner, Mapping) else document
    reports = [_report("prompt", entry) for entry in _entries(document, "prompt_filter_results", "prompt_annotations")]
    reports += [_report("completion", c) for c in _entries(document, "choices") if "content_filter_results" in c]
    for number, entry in enumerate(_entries(document, "content_filters")):
        reports.append(_report("prompt" if entry.get("source_type") == "prompt" else "completion", entry, number))
    return reports


def read_filters(results: object) -> dict[str, ContentFilter]:
    """The verdicts by category out of `content_filter_results`."""
    if not isinstance(results, Mapping):
        return {}
    return {
        category: ContentFilter(
            verdict.get("filtered") is True, verdict.get("severity"), verdict.get("detected"), verdict
        )
        for category, verdict in results.items()
        if isinstance(verdict, Mapping) and category not in _FAILURES
    }


_FAILURES = ("error", "content_filter_error")


def _entries(document: Mapping[str, Any], *names: str) -> Iterable[Mapping[str, Any]]:
    for name in names:
        if isinstance(entries := document.get(name), list):
            yield from (entry for entry in entries if isinstance(entry, Mapping))


def _report(source: Literal["prompt", "completion"], entry: Mapping[str, Any], number: int = 0) -> FilterReport:
    results = entry.get("content_filter_results")
    failures = [results[name] for name in _FAILURES if name in results] if isinstance(results, Mapping) else []
    index = entry.get("prompt_index", entry.get("index", number))
    return FilterReport(
        source,
        index if isinstance(index, int) else number,
        read_filters(results),
        failures[0] if failures else None,
        entry.get("content_filter_offsets"),
    )
