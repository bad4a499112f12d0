"""What Azure's content filters say: of prompts and answers, in documents, events and errors.

Wire: Azure's documents on content filtering. Everything stays in the raw documents; these are typed reads of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import frozen

from callsheet import APIError, BadRequestError, Document, Event

__all__ = ["ContentFilter", "ContentFilterError", "FilterReport", "filter_error", "filter_reports", "read_filters"]

_FAILURES = ("error", "content_filter_error")


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

    `index` is the prompt's, the choice's, or the entry's; `filters` has the verdicts by category; `blocked` says whether
    anything was filtered; `error` tells that the filters themselves failed; `offsets` which part of the text is meant.
    """

    source: Literal["prompt", "completion"]
    index: int
    filters: Mapping[str, ContentFilter]
    blocked: bool = False
    error: Mapping[str, Any] | None = None
    offsets: Mapping[str, Any] | None = None


class ContentFilterError(BadRequestError):
    """400: the prompt was filtered, and nothing was generated; or, in a stream, the answer was, and is broken off.

    `filters` has the verdicts by category.
    """

    filters: Mapping[str, ContentFilter] = {}


def filter_error(error: APIError) -> APIError:
    """The error as a ContentFilterError, if it is one; else as it is."""
    said = error.body.get("error", error.body) if isinstance(error.body, dict) else None
    inner = said.get("innererror") if isinstance(said, dict) else None
    inner = inner if isinstance(inner, dict) else {}
    if error.code != "content_filter" and inner.get("code") != "ResponsibleAIPolicyViolation":
        return error
    filtered = ContentFilterError(error.message)
    filtered.__dict__.update(error.__dict__)
    filtered.filters = read_filters(inner.get("content_filter_result") or inner.get("content_filter_results"))
    return filtered


def filter_reports(answer: Document | Event | Mapping[str, Any]) -> list[FilterReport]:
    """The reports in a chat completion or one of its chunks, in a response or one of its events."""
    document: Any = answer.document if isinstance(answer, Event) else answer
    if isinstance(answer, Document):
        document = answer.wire()
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
        category: _verdict(said)
        for category, said in results.items()
        if category not in _FAILURES and isinstance(said, Mapping | list)
    }


def _verdict(said: Mapping[str, Any] | list[Any]) -> ContentFilter:
    if isinstance(said, list):  # older versions: the hits of one's own blocklists, each by itself
        said = {
            "filtered": any(isinstance(hit, Mapping) and hit.get("filtered") is True for hit in said),
            "details": said,
        }
    severity, detected = said.get("severity"), said.get("detected")
    return ContentFilter(
        said.get("filtered") is True,
        severity if isinstance(severity, str) else None,
        detected if isinstance(detected, bool) else None,
        said,
    )


def _entries(document: Mapping[str, Any], *names: str) -> Iterable[Mapping[str, Any]]:
    for name in names:
        if isinstance(entries := document.get(name), list):
            yield from (entry for entry in entries if isinstance(entry, Mapping))


def _report(source: Literal["prompt", "completion"], entry: Mapping[str, Any], number: int = 0) -> FilterReport:
    results = entry.get("content_filter_results")
    filters = read_filters(results)
    failures = [results.get(name) for name in _FAILURES] if isinstance(results, Mapping) else []
    index = entry.get("prompt_index", entry.get("index", number))
    offsets = entry.get("content_filter_offsets")
    return FilterReport(
        source,
        index if isinstance(index, int) else number,
        filters,
        entry.get("blocked") is True or any(verdict.filtered for verdict in filters.values()),
        next((failure for failure in failures if isinstance(failure, Mapping)), None),
        offsets if isinstance(offsets, Mapping) else None,
    )
