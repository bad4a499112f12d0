"""Names of operations, of whatever text: an id that is none leads nowhere."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import BadRequestError, NotFoundError, Reply
from callsheet_gemini.errors import KINDS, kind_of, read_error
from callsheet_gemini.longrunning import Name
from callsheet_gemini.veo import SIZES, parameters_of

GOOD = [
    "models/veo-3.1-generate-preview/operations/abc",
    "tunedModels/mine/operations/x-1_2",
    "operations/abc",
    "projects/p/locations/l/publishers/google/models/veo/operations/123",
    "models/ü/operations/ü",
    "models/a b/operations/c:d",
]
BAD = [
    "", "/", "abc", "operations", "operations/", "/operations/abc", "models/veo/operations/", "models//operations/x",
    "models/../operations/x", "models/./operations/x", "models/veo/operations/..", "models/veo/operations/.",
    "models/veo/operations/x/", "models/veo/operation/x", "models/veo:predictLongRunning", "../v1/models/veo/operations/x/y",
    "models/veo/operations/a\nb", "models/veo/operations/\0", "models/veo/operations/ x", "https://evil.example/operations/x",
    "files/abc", "models/veo/operations/x\u2028", "models/\ud800/operations/x",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    assert str(Name.of_id(name)) == name


@pytest.mark.parametrize("name", BAD)
def test_bad_names(name: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        Name.of_id(name, "video")
    assert refused.value.param == "video"


def test_models() -> None:
    assert Name.of_id(GOOD[0]).model == "veo-3.1-generate-preview"
    assert Name.of_id(GOOD[1]).model == "mine"
    assert Name.of_id(GOOD[2]).model is None
    assert Name.of_id(GOOD[3]).model is None


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.one_of(st.sampled_from(["models", "operations", "..", ".", "", "%2e%2e", "a"]), st.text()), max_size=6
        ).map("/".join),
    )
)
@example("models/%2e%2e/operations/x")
@example("models/a?b/operations/c#d")
@example("models/a/operations/c;d")
def test_whatever_is_let_pass_stays_what_it_is(text: str) -> None:
    name = Name.parse(text)
    if name is None:
        return
    assert name.path.isascii()
    assert not {"?", "#", "\\", " "} & set(name.path)
    segments = name.path.split("/")[1:]
    assert all(segment not in {"", ".", ".."} for segment in segments)
    assert [unquote(segment) for segment in segments] == text.split("/")


@given(st.from_regex(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", fullmatch=True))
def test_sizes(size: str) -> None:
    if size in SIZES:
        return
    with pytest.raises(BadRequestError) as refused:
        parameters_of("veo-3.1-generate-preview", size, None, False)
    assert refused.value.param == "size"
    assert all(known in str(refused.value) for known in SIZES)


WORDS = [
    "error",
    "code",
    "message",
    "status",
    "details",
    "@type",
    "retryDelay",
    "field",
    "fieldViolations",
    "violations",
]
NAMES = st.sampled_from(WORDS) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(JSON, st.sampled_from([400, 401, 403, 404, 409, 429, 500, 503]))
def test_any_document_is_some_error(document: object, status: int) -> None:
    error = read_error(Reply(status, {"content-type": "application/json"}, json.dumps(document).encode()))
    assert error.status_code == status
    assert error.message
    assert error.code is None or isinstance(error.code, str)
    assert error.param is None or isinstance(error.param, str)
    assert error.retry_after is None or error.retry_after >= 0


def test_kinds_of_errors() -> None:
    """google.rpc.Code's numbers, as its definition has them."""
    assert [KINDS.index(name) for name in ("CANCELLED", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED")] == [
        1, 3, 8, 16,
    ]  # fmt: skip
    assert [kind_of({"code": code}) for code in (0, 3, 13, 17, -1, True, None, "x", "")] == [
        "0", "INVALID_ARGUMENT", "INTERNAL", "17", "-1", None, None, "x", None,
    ]  # fmt: skip
    assert kind_of({"code": 400, "status": "INVALID_ARGUMENT"}) == "INVALID_ARGUMENT"
