"""The contract, its table, and the clients say the same; sync and async clients have the same methods."""

import inspect
import pickle
import subprocess
import sys
from typing import get_type_hints

import pytest

import callsheet
from callsheet import AsyncClient, Client, errors, models
from callsheet.client_base import BaseClient
from callsheet.operations import OPERATIONS
from callsheet.options import CallOptions, ChatOptions, ResponseOptions
from callsheet.spec import HOOKS, Provider

THE_USERS_NAMES = [
    "create_character",
    "generate_video",
    "edit",
    "extend",
    "mint_realtime_secret",
    "relay_sdp",
    "responses",
]


def test_hooks_and_table_agree():
    assert list(HOOKS) == list(OPERATIONS)
    assert set(THE_USERS_NAMES) <= set(HOOKS)
    for name, operation in OPERATIONS.items():
        hook = getattr(Provider, name)
        assert list(inspect.signature(hook).parameters) == ["self", "request", "io"]
        assert inspect.iscoroutinefunction(hook)
        hints = get_type_hints(hook)
        assert hints["request"] is operation.request
        assert (operation.result or type(None)).__name__ in str(hints["return"])
        assert inspect.getdoc(hook)


def test_what_starts_paid_work_is_never_sent_twice_blindly():
    for name in ("create_character", "generate_video", "edit", "extend", "remix", "relay_sdp"):
        operation = OPERATIONS[name]
        assert (operation.billable, operation.after_ambiguity) == (True, "never")
        assert operation.after_rejection == ("never" if name == "relay_sdp" else "if promised")


@pytest.mark.parametrize(
    ("name", "fields", "again"),
    [
        ("responses", {}, False),
        ("responses", {"store": False}, True),
        ("responses", {"store": False, "background": True}, False),
        ("chat_completions", {"messages": []}, True),
        ("chat_completions", {"messages": [], "store": True}, False),
    ],
)
def test_what_is_stored_is_not_sent_again_blindly(name, fields, again):
    operation = OPERATIONS[name]
    assert operation.may_resend_blindly(operation.request(**fields), 1) is again


def test_clients_have_the_operations_and_the_same_signatures():
    shared = [*OPERATIONS, "wait", "close", "providers"]
    for name in shared:
        sync, other = getattr(Client, name), getattr(AsyncClient, name)
        left, right = inspect.signature(sync), inspect.signature(other)
        assert left.parameters == right.parameters, name
        plain = str(left.return_annotation).replace("SyncStream", "Stream").replace("SyncDownload", "Download")
        assert plain == str(right.return_annotation), name
        assert inspect.getdoc(sync)
        assert inspect.getdoc(other)
        assert name == "providers" or inspect.iscoroutinefunction(other), name
    kinds = [kind for kind in Client.__mro__ if kind not in {BaseClient, object}]
    public = {name for kind in kinds for name in vars(kind) if not name.startswith("_")} - {"transport"}
    assert public | {"providers"} == set(shared)


def test_methods_take_every_field_of_their_requests():
    for name, operation in OPERATIONS.items():
        taken = set(inspect.signature(getattr(Client, name)).parameters)
        taken |= set(
            get_type_hints({"responses": ResponseOptions, "chat_completions": ChatOptions}.get(name, CallOptions))
        )
        if name == "download_video":
            taken |= {"video_id", "if_range"}  # `video`, and `to=` resumes by itself
        assert set(operation.request.model_fields) <= taken, name


def test_module_functions_are_the_methods():
    for name in [*OPERATIONS, "wait", "providers"]:
        assert callable(getattr(callsheet, name))
        assert callable(getattr(callsheet.aio, name))
    assert set(callsheet.__all__) >= {
        *errors.__all__,
        *models.__all__,
        *OPERATIONS,
        "wait",
        "providers",
        "Client",
        "aio",
    }
    assert len(callsheet.__all__) == len(set(callsheet.__all__))
    for name in callsheet.__all__:
        assert getattr(callsheet, name) is not None
    with pytest.raises(AttributeError):
        callsheet.no_such_thing  # noqa: B018
    with pytest.raises(AttributeError):
        callsheet.aio.no_such_thing  # noqa: B018


def test_import_loads_no_http_client_no_provider_and_no_network():
    code = """
import sys, socket
socket.socket = None
import callsheet
heavy = {"httpx", "httpx2", "httpcore", "anyio", "click", "rich", "yaml", "asyncio", "sqlite3", "av", "numpy", "PIL"}
bad = heavy & set(sys.modules) | {m for m in sys.modules if m.startswith("callsheet_")}
sys.exit(", ".join(sorted(bad)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ALL_ERRORS = [getattr(errors, name) for name in errors.__all__ if name != "status_error"]


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_errors_pickle_and_stand_in_the_drawing(kind):
    assert kind.__name__ in (errors.__doc__ or "")
    video = models.Video(id="video_1", status="failed", error=models.VideoError(code="c", message="m"))
    special = {
        errors.UnsupportedOperation: lambda: kind("acme", "edit", ["b", "a"], "vendor cannot"),
        errors.VideoFailedError: lambda: kind(video, "acme"),
        errors.WaitTimeoutError: lambda: kind(video, 3.0),
    }
    error = special.get(kind, lambda: kind("what to do", code="c", param="p", request_id="r", provider="acme"))()
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert {k: str(v) for k, v in vars(copy).items()} == {k: str(v) for k, v in vars(error).items()}
    assert isinstance(error, errors.CallsheetError)


def test_builtin_bases():
    pairs = {
        errors.ConfigurationError: ValueError,
        errors.UnknownProvider: LookupError,
        errors.ProviderLoadError: ImportError,
        errors.UnsupportedOperation: NotImplementedError,
        errors.WaitTimeoutError: TimeoutError,
        errors.APIConnectionError: ConnectionError,
        errors.APITimeoutError: TimeoutError,
    }
    for ours, builtin in pairs.items():
        assert issubclass(ours, builtin)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (422, errors.UnprocessableEntityError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (529, errors.InternalServerError),
        (413, errors.APIStatusError),
    ],
)
def test_the_status_decides(status, kind):
    error = errors.status_error(status, "a message about policy", code="x")
    assert type(error) is kind
    assert error.status_code == status
