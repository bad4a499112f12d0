"""Everything this library raises.

    CallsheetError
    ├── ConfigurationError (ValueError)       settings, environment, or which provider is meant
    │   └── MissingCredentials                the account has no key; the message names the variable
    ├── PluginError                           a plugin is absent or broken
    │   ├── UnknownProvider (LookupError)     nothing installed has this name
    │   ├── ProviderConflict                  two distributions have this name
    │   └── ProviderLoadError (ImportError)   installed, but does not import or does not fit the contract
    ├── UnsupportedOperation (NotImplementedError)   this provider does not do this; status 501
    ├── VideoFailedError                      `wait` saw the job end as failed; carries the video
    ├── WaitTimeoutError (TimeoutError)       `wait` ran out of time; the job goes on
    ├── WebhookVerificationError              a webhook's delivery is not genuine, too old, or no event; status 400
    └── APIError                              a provider answered with an error, or not at all
        ├── APIConnectionError (ConnectionError)
        │   └── APITimeoutError (TimeoutError)
        ├── APIResponseValidationError        the answer could not be understood
        └── APIStatusError
            ├── BadRequestError 400           ├── ConflictError 409
            ├── AuthenticationError 401       ├── UnprocessableEntityError 422
            ├── PermissionDeniedError 403     ├── RateLimitError 429
            └── NotFoundError 404             └── InternalServerError 500 and above

Names below `APIError` are those of the OpenAI SDK, so that code which catches them reads the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from callsheet.models.video import Video

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "CallsheetError",
    "ConfigurationError",
    "ConflictError",
    "InternalServerError",
    "MissingCredentials",
    "NotFoundError",
    "PermissionDeniedError",
    "PluginError",
    "ProviderConflict",
    "ProviderLoadError",
    "RateLimitError",
    "UnknownProvider",
    "UnprocessableEntityError",
    "UnsupportedOperation",
    "VideoFailedError",
    "WaitTimeoutError",
    "WebhookVerificationError",
    "status_error",
]


LONG_ENOUGH_TO_TELL = 14
"""Characters of a secret's beginning that may not be shown either: kinds of keys begin alike, and are no secret."""


class CallsheetError(Exception):
    """Base of everything this library raises.

    Attributes: `message`; `status_code` (the HTTP status that a gateway answers with, or None); `code` and `param`
    (OpenAI's: what went wrong, and in which field); `request_id` (the provider's); `provider` (its name);
    `retry_after` (seconds, or None).
    """

    status_code: int | None = None
    video: Video | None = None
    """The job that the error is about, where there is one."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        provider: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if status_code is not None:
            self.status_code = status_code
        self.code = code
        self.param = param
        self.request_id = request_id
        self.provider = provider
        self.retry_after = retry_after

    def hide(self, secrets: Iterable[str]) -> None:
        """Take secrets out of all that this error says, and cut off causes that hold some: upstreams quote what they get."""
        secrets = list(secrets)
        for name, value in self.__dict__.items():
            self.__dict__[name] = without_secrets(value, secrets)
        self.args = without_secrets(self.args, secrets)
        for link in ("__cause__", "__context__"):
            other = getattr(self, link)
            if isinstance(other, CallsheetError):
                other.hide(secrets)
            elif _tells(other, secrets):
                setattr(self, link, None)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling would call the subclass with `args` alone and lose the keywords.
        return _rebuilt, (type(self), self.args, self.__dict__)


def without_secrets(value: Any, secrets: list[str], levels: int = 100) -> Any:
    """A text, or the texts in a document, with "[secret]" in the place of each secret."""
    if not levels and isinstance(value, dict | list | tuple):
        return "[too deep]"
    match value:
        case str():
            for secret in secrets:
                value = _struck_out(value, secret)
            return value
        case dict():
            return {without_secrets(k, secrets): without_secrets(v, secrets, levels - 1) for k, v in value.items()}
        case list() | tuple():
            return type(value)(without_secrets(inner, secrets, levels - 1) for inner in value)
    return value


def _struck_out(text: str, secret: str) -> str:
    """A text without a secret, and without the beginning of one that was cut off."""
    text = text.replace(secret, "[secret]")
    head = secret[:LONG_ENOUGH_TO_TELL]
    while len(secret) > LONG_ENOUGH_TO_TELL and (start := text.find(head)) >= 0:
        end = start + len(head)
        while end < len(text) and end - start < len(secret) and text[end] == secret[end - start]:
            end += 1
        text = f"{text[:start]}[secret]{text[end:]}"
    return text


def _tells(error: BaseException | None, secrets: list[str]) -> bool:
    """Whether another library's error, or one that it came of, would show a secret in a traceback."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = f"{error!s} {error!r}"
        if any(secret in text for secret in secrets):
            return True
        error = error.__cause__ or error.__context__
    return False


def _rebuilt(kind: type[CallsheetError], args: tuple[Any, ...], state: dict[str, Any]) -> CallsheetError:
    error = kind.__new__(kind, *args)
    error.args = args  # OSError, a base of some, leaves this to __init__
    error.__dict__.update(state)
    return error


class ConfigurationError(CallsheetError, ValueError):
    """Settings, environment variables or arguments do not say which provider to use, or say it wrongly."""

    status_code = 400
    at: tuple[str | int, ...] = ()
    """Where in a configuration: its keys and positions, from outside in. So that a reader of files can tell the line."""


class MissingCredentials(ConfigurationError):
    """The account has no key. The message names the variable to set."""

    status_code = 401


class PluginError(CallsheetError):
    """A plugin is absent or broken. Other plugins are not affected."""

    status_code = 500


class UnknownProvider(PluginError, LookupError):
    """No installed distribution offers a provider of this name."""

    status_code = 400


class ProviderConflict(PluginError):
    """Two installed distributions offer a provider of this name."""


class ProviderLoadError(PluginError, ImportError):
    """The plugin is installed but does not import, or does not fit the contract."""


class UnsupportedOperation(CallsheetError, NotImplementedError):
    """The provider does not implement this operation. Raised before any request leaves.

    `operation` is the hook's name; `available_from` the loaded providers that do implement it.
    """

    status_code = 501

    def __init__(self, provider: str, operation: str, available_from: Iterable[str] = (), reason: str = "") -> None:
        self.operation = operation
        self.available_from = tuple(sorted(available_from))
        why = f" ({reason})" if reason else ""
        others = f" Loaded providers that do: {', '.join(self.available_from)}." if self.available_from else ""
        message = f"provider '{provider}' does not implement {operation}{why}.{others}"
        message += f" `callsheet providers --operation {operation}` lists all that do."
        super().__init__(message, code="unsupported_operation", provider=provider)


class VideoFailedError(CallsheetError):
    """A video job ended as `failed`, or in a state that will never complete. `video` holds the job."""

    video: Video

    def __init__(self, video: Video, provider: str | None = None) -> None:
        self.video = video
        reason = f"{video.error.code}: {video.error.message}" if video.error else f"status '{video.status}'"
        code = video.error.code if video.error else None
        super().__init__(f"video {video.id} failed: {reason}", code=code, provider=provider)


class WaitTimeoutError(CallsheetError, TimeoutError):
    """`wait` ran out of time. The job goes on: call `wait` again with the same id. `video` is the last state seen."""

    video: Video

    def __init__(self, video: Video, seconds: float) -> None:
        self.video = video
        super().__init__(
            f"video {video.id} is still {video.status} ({video.progress or 0} %) after {seconds:g} s."
            " The job goes on: wait for the same id again, with a longer timeout."
        )


class WebhookVerificationError(CallsheetError):
    """A webhook's delivery is refused. `code` says why: see `callsheet.webhooks.verify`. `param` names the header."""

    status_code = 400


class APIError(CallsheetError):
    """A provider answered with an error, or not at all.

    `body` is the decoded error body, if there was one; `should_retry` the upstream's own word on retrying, or, after a
    request that may have started paid work, ours: False.
    """

    def __init__(
        self, message: str, *, body: object | None = None, should_retry: bool | None = None, **keywords: Any
    ) -> None:
        super().__init__(message, **keywords)
        self.body = body
        self.should_retry = should_retry


class APIConnectionError(APIError, ConnectionError):
    """The provider could not be reached, or the connection broke.

    `sent` is False when the request provably did not arrive, so that asking again can't do anything twice.
    """

    status_code = 502

    def __init__(self, message: str, *, sent: bool = True, **keywords: Any) -> None:
        super().__init__(message, **keywords)
        self.sent = sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """The provider did not answer before the deadline."""

    status_code = 504


class APIResponseValidationError(APIError):
    """The provider answered, but not in a form that can be understood."""

    status_code = 502


class APIStatusError(APIError):
    """The provider answered with an error status."""


class BadRequestError(APIStatusError):
    """400: something in the request is wrong. `param` names the field where it is known."""

    status_code = 400


class AuthenticationError(APIStatusError):
    """401: the key is missing or wrong."""

    status_code = 401


class PermissionDeniedError(APIStatusError):
    """403: the key is not allowed to do this."""

    status_code = 403


class NotFoundError(APIStatusError):
    """404: no such resource, model or deployment; or an id that was not issued here."""

    status_code = 404


class ConflictError(APIStatusError):
    """409: the resource is in a state that does not allow this."""

    status_code = 409


class UnprocessableEntityError(APIStatusError):
    """422: well-formed, but it makes no sense."""

    status_code = 422


class RateLimitError(APIStatusError):
    """429: too many requests, or no quota left. `retry_after` says when to come back, where it is known."""

    status_code = 429


class InternalServerError(APIStatusError):
    """500 and above: the provider failed."""

    status_code = 500


_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(status: int, message: str, **keywords: Any) -> APIStatusError:
    """The exception for an HTTP error status. The status decides, never the words of the message."""
    kind = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
    return kind(message, status_code=status, **keywords)
