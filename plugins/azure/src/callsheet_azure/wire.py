"""The fake upstream in Azure's profile: its paths, credentials, headers, errors and content filters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from callsheet.testing import FakeUpstream, Refusal, Route, Seen, Violation
from callsheet.testing.answers import Step

__all__ = ["BLOCKED", "FILTERS", "KEY", "AzureWire", "prompt_error"]

KEY = "az-canary-51c0ffee0123456789"
BLOCKED = "BLOCK ME"
"""A prompt with this in it is filtered."""
SAFE = {"filtered": False, "severity": "safe"}
FILTERS = {"hate": SAFE, "self_harm": SAFE, "sexual": SAFE, "violence": SAFE}
FOUND = {
    "hate": {"filtered": True, "severity": "high"},
    "jailbreak": {"filtered": False, "detected": False},
    "self_harm": SAFE,
    "sexual": SAFE,
    "violence": {"filtered": False, "severity": "medium"},
}
CODE = {"detected": False, "filtered": False, "citation": {"URL": "https://example.com/a", "license": "MIT"}}
PROMPT_RESULTS = [
    {"prompt_index": 0, "content_filter_results": {**FILTERS, "jailbreak": {"filtered": False, "detected": False}}}
]
HEAD = {"id": "", "object": "", "created": 0, "model": ""}
DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active"
    " subscription and use a correct regional API endpoint for your resource."
)
NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please"
    " wait a moment and try again."
)
DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/chat/completions)")
VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")


def prompt_error(results: str = "content_filter_result") -> dict[str, Any]:
    """What is answered when the prompt was filtered. Some spell the name of the results another way."""
    return {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
            " Please modify your prompt and retry.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", results: FOUND},
        }
    }


class Filtered(Refusal):
    """The prompt was filtered."""


class AzureWire(FakeUpstream):
    """One Azure resource. Entra tokens that it takes are made known by `admit`."""

    prefix = "/openai/v1"
    keys: Collection[str] = frozenset({KEY})
    deployments: Collection[str] | None = None
    """The deployments that there are; None: whichever is asked for."""
    asynchronous: bool = False
    """Whether the filters annotate a stream afterwards, in chunks without delta."""
    management: bool = False
    """Whether errors come from API Management in front of it, without an envelope."""
    results: str = "content_filter_result"
    """How the error of a filtered prompt spells it."""
    _legacy: str | None = None
    """What a legacy path was, if the request that is looked at came by one; and its deployment."""
    _deployment: str | None = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._tokens: set[str] = set()

    def admit(self, token: str) -> str:
        """Take an Entra token from now on."""
        self._tokens.add(token)
        self.keys = {*self.keys, token}
        return token

    def expel(self, token: str) -> None:
        """Take it no longer."""
        self._tokens.discard(token)
        self.keys = {key for key in self.keys if key != token}

    def offers(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, scheme: str = "http"
    ) -> Iterator[Step]:
        path, mark, query = target.partition("?")
        with self._lock:
            self._deployment, rest = None, None
            if found := DEPLOYMENT.fullmatch(path):
                self._deployment, rest = found.groups()
            elif path == "/openai/responses" or path.startswith("/openai/responses/"):
                rest = path.removeprefix("/openai")
            self._legacy = path if rest else None
            steps = super().offers(method, (self.prefix + rest if rest else path) + mark + query, headers, body, scheme)
            self.seen[-1].path = path
            return steps

    def key_of(self, seen: Seen) -> str:
        keys, bearers = seen.all("api-key"), seen.all("authorization")
        if len(keys) + len(bearers) != 1:
            raise Violation("One credential is wanted, as api-key or as bearer.", 401, code="401")
        if keys:
            if keys[0] in self._tokens or self.is_ephemeral(keys[0]):
                raise Violation("Tokens and ephemeral keys go as bearers.", 401, code="401")
            return keys[0]
        kind, _, key = bearers[0].partition(" ")
        if kind != "Bearer" or not key or " " in key:
            raise Violation("That is no bearer.", 401, code="401")
        return key

    def query_allowed(self, route: Route) -> Collection[str]:
        seen = self.seen[-1]
        said = dict(seen.query).get("api-version")
        versioned = route.template.startswith(("/chat", "/responses"))
        if self._legacy and (said is None or not VERSION.fullmatch(said)):
            raise Violation("Resource not found", 404, code="404")
        if not self._legacy and said not in {None, "v1", "preview"}:
            raise Violation("API version not supported", 400, code="BadRequest")
        if "openai-organization" in seen.headers or "openai-project" in seen.headers:
            raise Violation("There are no organisations here.")
        if dict(seen.query).get("webrtcfilter", "on") != "on":
            raise Violation("webrtcfilter is on or absent.", param="webrtcfilter")
        if BLOCKED.encode() in seen.body:
            raise Filtered(str(prompt_error()["error"]["message"]), 400, code="content_filter", param="prompt")
        more = ("webrtcfilter",) if route.template == "/realtime/calls" else ()
        return (*route.query, *(("api-version",) if versioned else ()), *more)

    def begin(self, seen: Seen, kind: str, id: str, model: str | None = None) -> None:
        if self._deployment is not None and self._deployment != model:
            self.problem("the path and the body name different deployments", seen)
        if self.deployments is not None and kind in {"video", "chat", "response"} and model not in self.deployments:
            raise Refusal(NO_DEPLOYMENT, 404, code="DeploymentNotFound")
        super().begin(seen, kind, id, model)

    def location(self, call_id: str) -> str:
        return f"/v1/realtime/calls/{call_id}"

    def extra_headers(self, seen: Seen) -> Mapping[str, str]:
        return {
            "apim-request-id": f"apim-{seen.number:032x}",
            "x-ms-region": "East US 2",
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-remaining-tokens": "29976",
            "x-ratelimit-reset-requests": "10",
            "x-ratelimit-reset-tokens": "300",
        }

    def error_document(self, error: Refusal) -> object:
        if self.management:
            return {"statusCode": error.status, "message": error.message}
        if isinstance(error, Filtered):
            return prompt_error(self.results)
        if error.status == 401:
            return {"error": {"code": "401", "message": DENIED}}
        if error.status == 429:
            return {"error": {"code": "429", "message": f"{error.message} Please retry after 6 seconds."}}
        return {"error": {"code": error.code, "message": error.message}}

    def annotate(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        match kind:
            case "video":
                del value["prompt"]
                return {**value, "expires_at": value["expires_at"] and value["created_at"] + 24 * 3600}
            case "chat":
                choices = [{**choice, "content_filter_results": FILTERS} for choice in value["choices"]]
                return {**value, "choices": choices, "prompt_filter_results": PROMPT_RESULTS}
            case "response":
                del value["usage"]["input_tokens_details"]["cache_write_tokens"]
                entries = [
                    {"blocked": False, "source_type": "prompt", "content_filter_results": FILTERS},
                    {
                        "blocked": False,
                        "source_type": "completion",
                        "content_filter_raw": [],
                        "content_filter_results": {"hate": SAFE, "protected_material_code": CODE},
                        "content_filter_offsets": {"start_offset": 0, "end_offset": 1042, "check_offset": 0},
                    },
                ]
                more = {"frequency_penalty": 0.0, "presence_penalty": 0.0, "moderation": None}
                return {**value, **more, "content_filters": entries}
        return value

    def annotate_events(self, kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if kind != "chat":
            return events
        told = [{**HEAD, "prompt_filter_results": PROMPT_RESULTS, "choices": []}]
        for event in events:
            results = {} if self.asynchronous else {"content_filter_results": FILTERS}
            told.append({**event, "choices": [{**choice, **results} for choice in event["choices"]]})
        if self.asynchronous:
            offsets = {"check_offset": 44, "start_offset": 44, "end_offset": 198}
            verdict = {"content_filter_results": FILTERS, "content_filter_offsets": offsets}
            told.append({**HEAD, "choices": [{"index": 0, "finish_reason": None, **verdict}]})
        return told
