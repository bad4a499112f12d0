"""Where prices are looked up: tables of providers, and the package genai-prices."""

from __future__ import annotations

import importlib
import json
import logging
import socket
import subprocess
import sys
from datetime import date
from types import ModuleType, SimpleNamespace

import pytest

from callsheet import CreateChatCompletion, GenerateVideo, Provider, Registry, Usage
from callsheet.pricing import PriceBook, rows_of
from callsheet.pricing.table import changes_of, price_of

TODAY = date(2026, 11, 22)
SAID = {"source": "a test", "date": "2026-11-22"}
ROW = {"input": 1, "output": 2, **SAID}
A_TOKEN_EACH = Usage(1_000_000, output_tokens=1_000_000)


@pytest.fixture
def book():
    return PriceBook(Registry())


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A provider with a table of one's own: a function of its rows."""

    def made(rows, text=None, **attributes) -> PriceBook:
        (tmp_path / "acme_priced.py").touch()
        (tmp_path / "prices.json").write_text(json.dumps(rows) if text is None else text)
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.import_module("acme_priced")
        monkeypatch.delitem(sys.modules, "acme_priced", raising=False)
        module = importlib.import_module("acme_priced")
        kind = type("Acme", (Provider,), {"price_table": "prices.json", **attributes, "__module__": module.__name__})
        registry = Registry(points=[])
        registry.register("acme", kind)
        return PriceBook(registry)

    return made


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


PROVIDERS = Registry().names()


@pytest.mark.parametrize("name", PROVIDERS)
def test_installed_tables_are_well_formed(name):
    for row in rows_of(Registry().provider(name)).values():
        for day in (TODAY, *changes_of(row)):
            price = price_of(row, day)
            assert price.tiers or price.videos or price.other_videos is not None or price.per_second is not None
        assert date.fromisoformat(row["date"]) <= date.today()


def test_which_providers_have_tables():
    assert {name for name in PROVIDERS if rows_of(Registry().provider(name))} >= {"azure", "gemini", "local", "openai"}


@pytest.mark.parametrize(
    ("provider", "model", "cost"),
    [
        ("openai", "gpt-5.4", 22_500_000 + 5_000_000),
        ("openai", "gpt-5.3-codex", 15_750_000),
        ("openai", "gpt-5.3-codex-2026-02-01", 15_750_000),
        ("openai", "gpt-5.3-codex-20260201", 15_750_000),
        ("openai", "gpt-realtime", 20_000_000),
        ("azure", "gpt-5.3-codex", 15_750_000),
        ("local", "scribe-1", 0),
    ],
)
def test_pinned_prices_of_tokens(book, provider, model, cost):
    assert book.price(provider, model).tokens(A_TOKEN_EACH) == cost


def test_pinned_prices_of_videos_and_sessions(book):
    assert book.price("openai", "sora-2").video(8, "1280x720") == 800_000
    assert book.price("openai", "sora-2-2025-12-08").video(4) == 400_000
    assert book.price("openai", "sora-2").video(8, "1792x1024") is None
    assert book.price("openai", "sora-2-pro").video(8, "1024x1792") == 4_000_000
    assert book.price("gemini", "veo-3.1-fast-generate-preview").video(8, "1920x1080") == 960_000
    assert book.price("openai", "gpt-realtime").tokens(Usage(1000, audio_input_tokens=1000)) == 32_000
    assert book.price("openai", "gpt-realtime-2.1").session(60) == 96_000  # (10 * 32 + 20 * 64) * 60
    assert book.price("openai", "gpt-realtime-whisper").session(60) == 17_000
    assert book.price("openai", "gpt-realtime-whisper").tokens(Usage(100, output_tokens=10)) is None
    assert book.price("local", "motion-1").video(8, "1280x720") == 0
    assert book.price("local", "realtime-1").session(60) == 0


def test_base_models(book):
    codex = book.price("azure", "gpt-5.3-codex")
    assert book.price("azure", "ours") is None
    assert book.price("azure", "ours", "gpt-5.3-codex") == book.price("azure", None, "azure/gpt-5.3-codex") == codex
    assert book.price("azure", "gpt-5.4", "openai/sora-2").video(8, "1280x720") == 800_000  # it wins
    assert book.price("azure", "gpt-5.4", "nowhere") is None
    assert book.price("azure", "gpt-5.4", "nobody/gpt-5.4") is None
    assert book.price("azure", None) is book.price("nobody", "gpt-5.4") is book.price("stub", "gpt-5.4") is None


def test_a_snapshot_is_a_date(acme):
    book = acme({"a": ROW, "b-2026-01-01": {**ROW, "input": 9}})
    assert book.price("acme", "a-2026-03-05") == book.price("acme", "a-20260305") == book.price("acme", "a")
    for other in ("a-mini", "a-2026", "a-2026-03-05-preview", "a-202603051", "A", "b", "", "a/a"):
        assert book.price("acme", other) is None
    assert book.price("acme", "b-2026-01-01").tokens(Usage(1)) == 9


def test_a_price_becomes_another_on_a_day():
    row = {**ROW, "changes": [{"from": "2027-01-01", "output": 4}, {"from": "2028-01-01", "input": 3}]}
    days = [date(2026, 12, 31), date(2027, 1, 1), date(2028, 1, 1)]
    assert [price_of(row, day).tokens(A_TOKEN_EACH) for day in days] == [3_000_000, 5_000_000, 7_000_000]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": -1}, {"output": "free"}, {"input": None}, {"per_request": 1}, {"source": ""}, {"source": None},
        {"date": "22.11.2026"}, {"date": "2026-13-01"}, {"video": {"720p": 1}}, {"video": {"1280x720": True}}, {"video": 3},
        {"tiers": [{"input": 1}]}, {"tiers": [{"above": 0, "input": 1}]}, {"tiers": [{"above": 9, "inputs": 1}]},
        {"tiers": 5}, {"tiers": [5]}, {"changes": [{"output": 4}]}, {"changes": [{"from": "2026-01-01", "what": 4}]},
        {"default_seconds": 0}, {"max_output_tokens": 1.5}, {"charges_failed": "no"}, {"session": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_rows_that_are_not_understood_are_left_out(acme, wrong, caplog):
    book = acme({"good": ROW, "bad": {**ROW, **wrong}})
    assert book.price("acme", "good").tokens(A_TOKEN_EACH) == 3_000_000
    assert book.price("acme", "bad") is None
    assert "the price of bad is not known" in caplog.text


@pytest.mark.parametrize("missing", ["source", "date"])
def test_rows_say_where_they_are_from(missing):
    with pytest.raises(ValueError, match=missing):
        price_of({name: value for name, value in ROW.items() if name != missing}, TODAY)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', "nope"])
def test_a_broken_table_is_no_table(acme, text, caplog):
    book = acme({}, text=text)
    assert book.price("acme", "a") is book.price("acme", "b") is None
    assert len(caplog.records) == 1
    assert "its prices are not known" in caplog.text


def test_a_table_that_is_not_there(acme, caplog):
    assert acme({}, price_table="nowhere.json").price("acme", "a") is None
    assert "nowhere.json can't be read" in caplog.text


def test_a_table_is_not_inherited(acme):
    book = acme({"a": ROW})
    parent = book._registry.provider("acme")
    book._registry.register("other", type("Other", (parent,), {"__module__": parent.__module__}))
    assert book.price("acme", "a") is not None
    assert book.price("other", "a") is None


def test_answers_are_kept_but_not_without_end(acme, monkeypatch):
    monkeypatch.setattr("callsheet.pricing.book.KEPT", 10)
    book = acme({"a": ROW})
    price = book.price("acme", "a")
    for number in range(50):
        assert book.price("acme", f"name-{number}") is None
        assert len(book._found) <= 10
    assert book.price("acme", "a") is price


def test_the_package_knows_others(book, no_network):
    assert "gpt-4o" not in rows_of(Registry().provider("openai"))
    price = book.price("openai", "gpt-4o")
    assert price.tokens(Usage(1000, output_tokens=1000)) == 12_500
    assert price.source.startswith("genai-prices 0.")
    assert book.price("openai", "whisper-1") is book.price("openai", "gpt-live-1") is None  # by the hour: no silent 0
    assert book.price("openai", "sora-9") is None


def test_the_package_has_tiers_too(acme):
    book = acme({}, genai_prices_id="openai")
    price = book.price("acme", "gpt-5.4")
    assert price.tokens(Usage(272_000)) == 680_000
    assert price.tokens(Usage(272_001)) == 1_360_005
    assert book.price("acme", "gpt-realtime-whisper") is None
    assert acme({}, genai_prices_id="no such vendor").price("acme", "gpt-5.4") is None


def test_without_the_package(acme, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    book = acme({"a": ROW}, genai_prices_id="openai")
    assert book.price("acme", "gpt-4o") is None
    assert book.price("acme", "a") is not None
    assert not caplog.records


def answering(price, total, error=None):
    def calc_price(_usage, _model, *, provider_id):
        if error is not None:
            raise error
        return SimpleNamespace(model_price=SimpleNamespace(**price), total_price=total)

    package = ModuleType("genai_prices")
    package.__dict__.update(Usage=SimpleNamespace, calc_price=calc_price, __version__="9")
    return package


@pytest.mark.parametrize(
    ("package", "told"),
    [
        (ModuleType("genai_prices"), True),  # it has nothing that we know
        (answering({}, 0, error=RuntimeError("broken")), True),
        (answering({"input_mtok": "much", "output_mtok": 1}, 1), True),
        (answering({"input_mtok": 0, "output_mtok": 0}, 0), False),
        (answering({"input_mtok": 1, "output_mtok": 0}, 0), False),
        (answering({"input_mtok": 1, "output_mtok": 2}, 1), False),  # it counts something else besides
        (answering({}, 0, error=LookupError("unknown")), False),
    ],
)
def test_a_package_that_we_do_not_understand(acme, monkeypatch, caplog, package, told):
    caplog.set_level(logging.WARNING)
    monkeypatch.setitem(sys.modules, "genai_prices", package)
    book = acme({}, genai_prices_id="openai")
    assert [book.price("acme", name) for name in ("x", "y", "z")] == [None] * 3
    assert len(caplog.records) == told


def test_nothing_is_imported_before_it_is_asked_for():
    program = (
        "import socket, sys\n"
        "def refuse(*_args): raise AssertionError('network')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "import callsheet\n"
        "assert 'callsheet.pricing' not in sys.modules\n"
        "from callsheet.pricing import PriceBook\n"
        "book = PriceBook(callsheet.Registry())\n"
        "assert book.price('openai', 'gpt-5.4') is not None\n"
        "assert not {'genai_prices', 'httpx', 'httpx2'} & set(sys.modules)\n"
        "assert book.price('openai', 'gpt-4o') is not None\n"
        "assert 'genai_prices' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("fields", "repriced"),
    [
        ({}, False),
        ({"service_tier": None}, False),
        ({"service_tier": "default"}, False),
        ({"service_tier": "priority"}, True),
        ({"service_tier": 1}, True),
        ({"samples": 1}, False),
        ({"samples": 4}, True),
        ({"parameters": {"samples": 4}}, True),
        ({"parameters": {"samples": 1, "other": 4}, "list": [4]}, False),
        ({"length": 1}, True),
    ],
)
def test_words_that_change_the_price(acme, fields, repriced):
    words = {"service_tier": ("auto", "default"), "samples": (1,), "length": ()}
    book = acme({"m": ROW}, repriced_by=words)
    assert book.repriced("acme", CreateChatCompletion.model_construct(messages=[], **fields)) is repriced
    if not isinstance(fields.get("service_tier"), int):
        assert book.repriced("acme", CreateChatCompletion(messages=[], **fields)) is repriced
    assert book.repriced("nobody", CreateChatCompletion(messages=[])) is False


@pytest.mark.parametrize(
    ("provider", "request_", "repriced"),
    [
        ("openai", CreateChatCompletion(messages=[], service_tier="flex"), True),
        ("azure", CreateChatCompletion(messages=[], service_tier="priority"), True),
        ("openai", CreateChatCompletion(messages=[], service_tier="auto"), False),
        ("gemini", GenerateVideo(prompt="x", seconds="8", size="1280x720"), False),
        ("gemini", GenerateVideo.model_validate({"prompt": "x", "sampleCount": 4}), True),
        ("gemini", GenerateVideo.model_validate({"prompt": "x", "parameters": {"durationSeconds": 8}}), True),
    ],
)
def test_the_words_of_our_providers(book, provider, request_, repriced):
    assert book.repriced(provider, request_) is repriced
