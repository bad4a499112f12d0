"""What all models share: unknown fields survive, ids are declared, results carry meta."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from attrs import Factory, define
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
)

from callsheet import headers
from callsheet.body import Upload
from callsheet.errors import BadRequestError

log = logging.getLogger("callsheet.models")

__all__ = [
    "PATHS_ARE_FILES",
    "File",
    "IdKind",
    "Meta",
    "Model",
    "OperationRequest",
    "Prompt",
    "ResourceId",
    "Result",
    "Seconds",
    "Size",
]

T = TypeVar("T")
IdKind: TypeAlias = Literal["character", "video", "resp", "rtc"]


class Model(BaseModel):
    """A document on the wire. Fields that are not declared here are kept and sent on as they came."""

    model_config = ConfigDict(
        extra="allow",
        arbitrary_types_allowed=True,
        defer_build=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )
    managed: ClassVar[Mapping[str, IdKind]] = {}
    """The fields that hold an id, and of what kind: the router turns managed ids into the provider's, and back."""

    constants: ClassVar[frozenset[str]] = frozenset()
    """Fields that always go over the wire, with their default where nobody set them."""

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002  pydantic's signature
        self.model_fields_set.update(self.constants)

    def wire(self) -> dict[str, Any]:
        """The document as it goes over the wire: what was set, and only that. Absent is not null."""
        try:
            return self.model_dump(exclude_unset=True)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the request can't be written: {error}", code="invalid_value") from None

    def parts(self) -> Iterator[Model]:
        """This document and the documents inside it."""
        yield self
        for value in self.__dict__.values():
            if value is None:  # as most fields of most requests are
                continue
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Model):
                    yield from item.parts()


class OperationRequest(Model):
    """What an operation is asked to do. `model` is the upstream's name by the time that a provider sees it."""

    model: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the caller said beyond this operation's fields (`extra_body`): a provider sends it on as it is."""
        return dict(self.model_extra or {})

    def only(self, *fields: str, options: bool = True) -> None:
        """Refuse what the provider can't take: BadRequestError that names a field which is set and not among these.

        What a later version adds to the request is refused, too, instead of lost. `model` is not looked at; `options` are
        only if they are refused: `request.only("prompt", options=False)`.
        """
        others = [name for name in type(self).model_fields if name not in {"model", *fields}]
        idle = {"stream"} if getattr(self, "stream", None) is False else set()  # asks for nothing
        refused = [name for name in others if name not in idle and getattr(self, name) is not None] + (
            [] if options else list(self.options)
        )
        if refused:
            raise BadRequestError(
                f"{refused[0]}: this provider can't do that here; it takes {', '.join(fields) or 'nothing'}",
                param=refused[0],
                code="unsupported_parameter",
            )

    def choice(self, field: str, words: Mapping[Any, T]) -> T | None:
        """The provider's word for what a field says; None if it is not set. BadRequestError that lists what there is."""
        value = getattr(self, field)
        if value is None:
            return None
        spelled = {
            str(word): theirs for word, theirs in words.items()
        }  # seconds are a text, and easily written as numbers
        if str(value) in spelled:
            return spelled[str(value)]
        raise BadRequestError(
            f"{field}: this provider has no {value!r:.60}; it has {', '.join(spelled)}",
            param=field,
            code="invalid_value",
        )

    def uploads(self) -> list[Upload]:
        """The files in this request."""
        return [value for part in self.parts() for value in part.__dict__.values() if isinstance(value, Upload)]


@define
class Meta:
    """What is known about how a result came about. It is not part of the document.

    `poll_after` is in seconds: how long the provider asks to wait before the next look at a job.
    `limits` holds the rate-limit headers as the provider spelled them.
    """

    provider: str | None = None
    account: str | None = None
    request_id: str | None = None
    poll_after: float | None = None
    attempts: int = 1
    limits: dict[str, str] = Factory(dict)

    @property
    def reset_after(self) -> dict[str, float]:
        """Seconds until each of the limits ("requests", "tokens") is whole again."""
        return headers.reset_after(self.limits)


class Result(Model):
    """What an operation returns. `meta` tells how it came about."""

    _meta: Meta = PrivateAttr(default_factory=Meta)

    @field_validator("*", mode="wrap")
    @classmethod
    def _lenient(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """An optional field that looks odd becomes None: a paid job's id must not be lost for it."""
        try:
            return handler(value)
        except ValidationError:
            if cls.model_fields[str(info.field_name)].is_required():
                raise
            log.warning("%s.%s is left out: its value is of no use there", cls.__name__, info.field_name)
            return cls.model_fields[str(info.field_name)].get_default(call_default_factory=True)

    @property
    def meta(self) -> Meta:
        """Set by the router; a provider may set what only it knows, such as `poll_after`."""
        return self._meta

    @meta.setter
    def meta(self, meta: Meta) -> None:
        self._meta = meta


def _seconds(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(r"0*[1-9][0-9]{0,5}", value):
        raise ValueError(f"whole seconds are wanted, 1 or more, as 8 or '8'; not {value!r:.40}")
    return value.lstrip("0")


def _size(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", value):
        raise ValueError(f"a size is wanted as WIDTHxHEIGHT in pixels, such as '1280x720'; not {value!r:.40}")
    return value


def _prompt(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"a text is wanted, not {type(value).__name__}")  # noqa: TRY004  pydantic collects ValueErrors only
    if not value.strip():
        raise ValueError("the prompt is empty; say what the video should show")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the prompt holds half a character (a lone surrogate), which no text may") from None
    if len(value) > 32_000:
        raise ValueError(f"the prompt has {len(value):,} characters; at most 32,000 are allowed")
    return value


PATHS_ARE_FILES = {"paths": True}
"""The validation context in which a str or list may become a file. The clients set it; a gateway must not: there, a str
in a request's body is a stranger's, and would read the server's files."""


def as_upload(value: object, info: ValidationInfo) -> Upload:
    """A file out of what a caller gave. ValueError for a str or list that came from who knows where."""
    paths = bool((info.context or {}).get("paths"))
    if isinstance(value, str | list | Mapping) and not paths:
        raise ValueError(f"a file is wanted, not a {type(value).__name__}")
    try:
        return Upload.of(value)  # type: ignore[arg-type]  # anything may come in; Upload.of refuses with a TypeError
    except TypeError as error:
        if paths:
            raise
        raise ValueError(str(error)) from None  # a document's number or null: the field is wrong, not the program


def _id(value: object) -> object:
    return value.id if isinstance(value, Result) and isinstance(getattr(value, "id", None), str) else value  # type: ignore[attr-defined]  # just looked


Seconds = Annotated[str, BeforeValidator(_seconds)]
"""A string of digits, as OpenAI's wire wants it; ints are accepted."""
Size = Annotated[str, BeforeValidator(_size)]
"""WIDTHxHEIGHT in pixels."""
ResourceId = Annotated[str, BeforeValidator(_id)]
"""An id, or the result that has it: a Video, a Character, a RealtimeCall."""
Prompt = Annotated[str, BeforeValidator(_prompt)]
"""1 to 32,000 characters."""
File = Annotated[Upload, BeforeValidator(as_upload), WithJsonSchema({"type": "string", "format": "binary"})]
"""A file to upload: see `callsheet.Upload.of` for what is accepted."""
