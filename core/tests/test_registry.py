"""Plugins: found by name, loaded one by one, and what is wrong with one said in words that help."""

import threading
from importlib.metadata import EntryPoint

import pytest

from callsheet import (
    IO,
    Client,
    Edit,
    GenerateVideo,
    PluginError,
    Provider,
    ProviderConflict,
    ProviderLoadError,
    ProviderSettings,
    Registry,
    UnknownProvider,
    UnsupportedOperation,
    Video,
    hookimpl,
)


class Dist:
    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.2.3"


class Point(EntryPoint):
    """An entry point of a distribution that need not be installed; counts how often it is loaded."""

    def __new__(cls, name, value, what=None, dist="some-dist"):
        point = super().__new__(cls)
        EntryPoint.__init__(point, name, value, "callsheet.providers")
        vars(point).update(what=what, loads=0, dist=Dist(dist))
        return point

    def __init__(self, *arguments, **keywords):
        pass

    def load(self):
        vars(self)["loads"] = self.loads + 1
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what


class Good(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="v1", status="completed")


class Keyed(Good):
    pass


def registry(*points, wraps=()):
    return Registry(points=list(points), wraps=wraps)


def problem_of(provider) -> str:
    with pytest.raises(ProviderLoadError) as caught:
        registry(Point("acme", "acme:Acme", provider)).provider("acme")
    return str(caught.value)


def test_only_what_is_named_is_imported_and_only_once():
    good, other, broken = (
        Point("good", "g:G", Good),
        Point("other", "o:O", Good),
        Point("bad", "b:B", ImportError("libfoo.so")),
    )
    found = registry(good, other, broken)
    assert found.names() == ["bad", "good", "other"]
    threads = [threading.Thread(target=found.provider, args=("good",)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (good.loads, other.loads, broken.loads) == (1, 0, 0)


@pytest.mark.parametrize(
    "error", [ImportError("libfoo.so.1"), ZeroDivisionError("libfoo.so.1"), SystemExit("libfoo.so.1")]
)
def test_a_plugin_that_raises_at_import_is_named_and_hurts_nobody_else(error):
    found = registry(Point("bad", "bad_pkg:P", error, "bad-dist"), Point("good", "g:G", Good))
    with pytest.raises(ProviderLoadError, match=r"'bad' \(bad_pkg:P of bad-dist 1.2.3\) does not load: \w+: libfoo"):
        found.provider("bad")
    infos = {info.name: info for info in found.describe()}
    assert "libfoo" in (infos["bad"].error or "")
    assert infos["good"].operations == ("generate_video",)
    assert Client("good/m", registry=found).generate_video(prompt="x").status == "completed"


def test_two_plugins_with_one_name():
    found = registry(
        Point("acme", "one:P", Good, "acme-one"), Point("acme", "two:P", Good, "acme-two"), Point("ok", "o:O", Good)
    )
    with pytest.raises(ProviderConflict, match=r"acme-one \(one:P\) and acme-two \(two:P\); uninstall one"):
        found.provider("acme")
    assert found.provider("ok") is Good
    assert "uninstall one" in ({info.name: info for info in found.describe()}["acme"].error or "")


def test_one_distribution_seen_twice_is_no_conflict():
    found = registry(Point("acme", "one:P", Good), Point("acme", "one:P", Good))
    assert found.provider("acme") is Good


def test_an_unknown_provider_is_guessed_at():
    with pytest.raises(UnknownProvider, match="no provider named 'opnai'.*Did you mean 'openai'"):
        registry(Point("openai", "o:O", Good)).provider("opnai")
    with pytest.raises(UnknownProvider, match="Installed: none"):
        registry().provider("openai")


def test_an_override_without_the_mark():
    class Forgot(Provider):
        async def edit(self, request, io):
            return Video(id="v", status="queued")

    assert "Forgot.edit overrides a hook without being marked: put @hookimpl" in problem_of(Forgot)


def test_a_wrong_signature():
    class More(Provider):
        @hookimpl
        async def edit(self, request, io, deadline):
            raise NotImplementedError

    class Default(Provider):
        @hookimpl
        async def edit(self, request, io=None):
            raise NotImplementedError

    class KeywordOnly(Provider):
        @hookimpl
        async def edit(self, *, request, io):
            raise NotImplementedError

    class Fewer(Provider):
        @hookimpl
        async def edit(self, request):
            raise NotImplementedError

    assert "arguments (self, request, io, deadline)" in problem_of(More)
    assert "upgrade callsheet" in problem_of(More)
    for wrong in (Default, KeywordOnly, Fewer):
        assert "must be exactly (self, request, io), without defaults" in problem_of(wrong)


def test_a_hook_that_is_not_async():
    class Plain(Provider):
        @hookimpl
        def edit(self, request, io):
            raise NotImplementedError

    assert "Plain.edit must be an `async def`" in problem_of(Plain)


@pytest.mark.parametrize("thing", [object, 3, Good.generate_video, "x"])
def test_an_entry_point_that_is_no_provider(thing):
    assert "must name a class derived from callsheet.Provider" in problem_of(thing)


def test_odd_settings_and_notes_are_load_errors_and_hide_nobody():
    class NoSettings(Good):
        Settings = None

    class NoNotes(Good):
        notes = None

    assert "NoSettings.Settings must be a class derived from callsheet.ProviderSettings" in problem_of(NoSettings)
    assert "NoNotes.notes must be a dict" in problem_of(NoNotes)
    found = registry(Point("a", "a:A", NoSettings), Point("b", "b:B", NoNotes), Point("good", "g:G", Good))
    assert [bool(info.error) for info in found.describe()] == [True, True, False]


def test_what_does_not_load_is_tried_once():
    class Embedded(Good):
        embedded = True

    broken, good = Point("bad", "b:B", ImportError("slow and broken")), Point("good", "g:G", Embedded)
    client = Client(registry=registry(broken, good))
    for _ in range(3):
        client.generate_video(prompt="x")
    assert (broken.loads, good.loads) == (1, 1)


@pytest.mark.parametrize("wrong", [None, {"id": "v"}, "v"])
def test_a_hook_that_returns_something_else(wrong):
    class Forgetful(Provider):
        @hookimpl
        async def generate_video(self, request, io):
            return wrong

    with pytest.raises(PluginError, match="generate_video of provider 'odd' returned .*; it must return Video"):
        Client("odd/m", registry=registry(Point("odd", "o:O", Forgetful))).generate_video(prompt="x")


def test_properties_of_a_provider_are_not_run():
    class Careful(Good):
        @property
        def token(self):
            raise RuntimeError("a property ran")

    client = Client("careful/m", registry=registry(Point("careful", "c:C", Careful)))
    assert client.generate_video(prompt="x").status == "completed"


def test_a_newer_plugin_loads_and_its_unknown_hooks_are_reported():
    class Newer(Good):
        @hookimpl
        async def teleport(self, request, io):
            raise NotImplementedError

        @hookimpl
        async def generate_vidoe(self, request, io):
            raise NotImplementedError

    [info] = registry(Point("newer", "n:N", Newer)).describe()
    assert info.operations == ("generate_video",)
    assert info.unknown_hooks == ("generate_vidoe (did you mean generate_video?)", "teleport")


def test_the_allow_list(monkeypatch):
    installed = Registry()
    assert {"stub", "openai"} <= set(installed.names())
    monkeypatch.setenv("CALLSHEET_PROVIDERS", "stub, nothing")
    assert Registry().names() == ["stub"]
    monkeypatch.setenv("CALLSHEET_PROVIDERS", "")
    assert Registry().names() == []
    with pytest.raises(UnknownProvider, match="CALLSHEET_PROVIDERS"):
        Registry().provider("stub")


def test_unsupported_operation_says_who_can():
    class Editor(Provider):
        @hookimpl
        async def edit(self, request, io):
            raise NotImplementedError

    found = registry(Point("good", "g:G", Good), Point("editor", "e:E", Editor), Point("later", "l:L", Editor))
    found.provider("editor")
    client = Client("good/m", registry=found)
    video = client.generate_video(prompt="x")
    with pytest.raises(NotImplementedError) as caught:
        client.edit(video=video, prompt="warmer")
    error = caught.value
    assert isinstance(error, UnsupportedOperation)
    assert (error.provider, error.operation, error.available_from, error.status_code) == (
        "good",
        "edit",
        ("editor",),
        501,
    )
    assert "provider 'good' does not implement edit" in str(error)
    assert "callsheet providers --operation edit" in str(error)


def test_notes_give_the_reason():
    class Noted(Good):
        notes = {"edit": "vendor cannot"}

    client = Client("noted/m", registry=registry(Point("noted", "n:N", Noted)))
    with pytest.raises(UnsupportedOperation, match=r"does not implement edit \(vendor cannot\)"):
        client.edit(video=client.generate_video(prompt="x"), prompt="y")


def test_a_wrap_sees_calls_and_a_broken_one_stops_them(monkeypatch):
    seen = []

    async def outer(call, result):
        seen.append(("outer", call.provider, call.operation))
        return await result

    async def inner(call, result):
        seen.append(("inner", call.provider, call.operation))
        return await result

    client = Client("good/m", registry=registry(Point("good", "g:G", Good), wraps=(outer, inner)))
    client.generate_video(prompt="x")
    assert seen == [("outer", "good", "generate_video"), ("inner", "good", "generate_video")]

    async def answers(call, result):
        return Video(id="other", status="completed", prompt="from the wrap")

    client = Client("good/m", registry=registry(Point("good", "g:G", Good), wraps=(answers,)))
    assert client.generate_video(prompt="x").prompt == "from the wrap"

    broken = Point("redact", "r:R", lambda call, result: result)
    monkeypatch.setattr("callsheet.registry.entry_points", lambda group: [broken] if group == "callsheet.wraps" else [])
    with pytest.raises(ProviderLoadError, match="'redact'.*must be an `async def wrap"):
        Client("good/m", registry=Registry(points=[Point("good", "g:G", Good)])).generate_video(prompt="x")

    broken = Point("redact", "r:R", ImportError("gone"))
    monkeypatch.setattr("callsheet.registry.entry_points", lambda group: [broken] if group == "callsheet.wraps" else [])
    found = Registry(points=[Point("good", "g:G", Good)])
    with pytest.raises(ProviderLoadError, match="'redact'.*gone"):
        Client("good/m", registry=found).generate_video(prompt="x")
    monkeypatch.setenv("CALLSHEET_WRAPS", "")
    assert Client("good/m", registry=Registry(points=[Point("good", "g:G", Good)])).generate_video(prompt="x")


def test_register_without_installing():
    found = registry()
    found.register("mine", Good)
    assert Client("mine/m", registry=found).generate_video(prompt="x").meta.provider == "mine"
    with pytest.raises(ProviderLoadError):
        found.register("wrong", object)


class Wider(Provider):
    """What others derive from."""

    class WiderSettings(ProviderSettings):
        forms: bool = False

    Settings = WiderSettings
    notes = {"edit": "retired last year", "extend": "emulated"}

    @hookimpl
    async def edit(self, request: Edit, io: IO) -> Video:
        raise NotImplementedError


def test_a_note_does_not_speak_of_a_derived_classes_refusal():
    """It is the other class's: here the vendor never had it."""

    class Narrower(Wider):
        edit = Provider.edit

    registry = Registry(points=[], wraps=())
    registry.register("narrower", Narrower)
    with pytest.raises(UnsupportedOperation) as caught:
        Client("narrower/m", registry=registry).edit(video="v", prompt="x", provider="narrower")
    assert "retired" not in str(caught.value)
    [info] = [info for info in registry.describe() if info.name == "narrower"]
    assert info.notes == {"extend": "emulated"}
    assert Wider.notes["edit"]


def test_settings_derive_from_those_that_the_base_class_works_with():
    class Odd(Wider):
        Settings = ProviderSettings

    registry = Registry(points=[], wraps=())
    with pytest.raises(
        ProviderLoadError, match=r"Odd\.Settings must derive from WiderSettings, with which Wider works"
    ):
        registry.register("odd", Odd)
        registry.provider("odd")
