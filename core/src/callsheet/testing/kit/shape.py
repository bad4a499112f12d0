"""Group S: what a provider is, before any vendor is asked for anything."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import pickle
import re
import subprocess
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from callsheet import OPERATIONS, CallsheetError, Provider, UnsupportedOperation
from callsheet.installed import entry_points, owner_of
from callsheet.pricing.table import changes_of, price_of, rows_of
from callsheet.registry import PROVIDERS, unknown_hooks
from callsheet.testing.faults import Fault
from callsheet.testing.kit import probe
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import Bench, Desk
from callsheet.testing.kit.catalogue import any_operation, check
from callsheet.testing.kit.samples import sample
from callsheet.testing.kit.sent import asked

__all__ = ["ShapeTests"]

SECRET = "sk-kit-canary-0123456789"  # noqa: S105  it opens nothing
REFUSING_NOTES = re.compile(r"vendor cannot|not yet", re.IGNORECASE)


class ShapeTests(KitTests):
    """S01 to S14."""

    @check("S01", vendor=False)
    def test_s01_entry_point(self, bench: Bench) -> None:
        """The entry point loads, its name is the provider's, and no other distribution claims it.

        If this fails: look at [project.entry-points."callsheet.providers"] in pyproject.toml and install again
        (`pip install -e .`): entry points are read when a distribution is installed.
        """
        if bench.point is None:
            pytest.skip("the provider was given as a class, and is not installed")
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", bench.name), f"{bench.name!r}: names are in lower case, without blanks"
        points = {(*owner_of(point), point.value) for point in entry_points(PROVIDERS) if point.name == bench.name}
        assert len(points) == 1, f"several distributions claim the name {bench.name!r}: {sorted(points)}"
        assert bench.point.load() is bench.kind, f"{bench.point.value} is not {bench.kind!r}"

    @check("S02", vendor=False)
    def test_s02_import_is_innocent(self, bench: Bench) -> None:
        """Importing the plugin is quick, and nothing else: no network, thread, process, sleep, file, look at the environment.

        If this fails: move what happens at import into a hook, or import heavy libraries where they are first used.
        """
        seen = probe.importing(bench.kind.__module__)
        assert not seen["did"], f"importing {bench.kind.__module__} did: {'; '.join(seen['did'])}"
        assert seen["seconds"] < max(0.05, seen["core_seconds"] / 2), (
            f"importing {bench.kind.__module__} takes {seen['seconds'] * 1000:.0f} ms of processor time"
            f" beyond the core's {seen['core_seconds'] * 1000:.0f} ms"
        )

    @check("S03", vendor=False)
    def test_s03_construction_is_innocent(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Making a provider does no I/O and needs no key.

        If this fails: keep `__init__` to remembering the settings. A key is asked for by io, when a call is made.
        """
        for variable in bench.kind.Settings.env.values():
            monkeypatch.delenv(variable, raising=False)
        wire = bench.wire() if bench.wire_kind is not None else None
        given = {k: v for k, v in bench.account_settings(wire).items() if k not in {"api_key"}}
        settings = bench.kind.Settings(**given)
        with probe.watched(bench.kind.__module__.partition(".")[0]) as did:
            bench.kind(settings).close()
        assert not did, f"making the provider did: {'; '.join(did)}"

    @check("S04", vendor=False)
    def test_s04_hooks_are_known(self, bench: Bench) -> None:
        """Everything that is marked as a hook is an operation of the contract.

        If this fails: the name is mistyped, or the plugin is written for a newer callsheet.
        """
        unknown = unknown_hooks(bench.kind)
        assert not unknown, f"no operations of the contract: {', '.join(unknown)}"

    @check("S05", vendor=False)
    def test_s05_overrides_are_marked(self, bench: Bench) -> None:
        """Every operation that is overridden is marked by @hookimpl.

        If this fails: put @hookimpl (from callsheet) above the method. Without it the operation is not offered.
        """
        unmarked = [name for name, member in _overridden(bench.kind) if not hasattr(member, "callsheet_impl")]
        assert not unmarked, f"without @hookimpl: {', '.join(unmarked)}"

    @check("S06", vendor=False)
    def test_s06_signatures(self, bench: Bench) -> None:
        """Hooks have exactly the arguments (self, request, io): no defaults, no others.

        If this fails: what an operation needs grows in its request model; what only your vendor knows is in `request.options`.
        """
        for name, member in _overridden(bench.kind):
            parameters = list(inspect.signature(member).parameters.values())
            plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
            assert plain, f"{name}{inspect.signature(member)} has defaults, or arguments by keyword only"
            assert [p.name for p in parameters] == ["self", "request", "io"], f"{name}{inspect.signature(member)}"

    @check("S07", vendor=False)
    def test_s07_hooks_are_async(self, bench: Bench) -> None:
        """Every hook is an `async def`.

        If this fails: write `async def`, also where nothing is awaited.
        """
        plain = [name for name, member in _overridden(bench.kind) if not inspect.iscoroutinefunction(member)]
        assert not plain, f"not `async def`: {', '.join(plain)}"

    @check("S08", vendor=False)
    def test_s08_says_what_it_offers(self, bench: Bench) -> None:
        """What is declared agrees with itself: `offers`, hooks, `notes` and `models`.

        If this fails: a note "vendor cannot" or "not yet" stands beside an operation that is implemented, or a name in
        `notes` or `models` is no operation that is offered.
        """
        assert type(self).offers is None or set(type(self).offers or ()) == set(bench.offered), (
            f"the class says {sorted(type(self).offers or ())}, and the hooks say {sorted(bench.offered)}"
        )
        for name, note in bench.kind.notes.items():
            assert name in OPERATIONS, f"notes: {name!r} is no operation"
            assert isinstance(note, str), f"notes: that of {name} is no text"
            assert note.strip(), f"notes: that of {name} is empty"
            inherited = any(name in vars(base) and "notes" not in vars(base) for base in bench.kind.__mro__[:-2])
            if name in bench.offered and not inherited:
                assert not REFUSING_NOTES.search(note), f"notes say of {name} {note!r}, but it is implemented"
        for model, uses in bench.kind.models.items():
            wrong = set(uses) - set(bench.offered)
            assert not wrong, f"models: {model!r} is said to be for {', '.join(sorted(wrong))}, which is not offered"

    @check("S09", vendor=False)
    def test_s09_refuses_the_rest(self, bench: Bench) -> None:
        """What is not offered raises NotImplementedError, naming provider and operation, before any request; what is does not.

        If this fails: leave the hook out instead of raising in it, or set it back: `edit = Provider.edit`.
        """
        wire = bench.wire() if bench.wire_kind is not None else None

        async def scene(desk: Desk) -> None:
            for operation in set(OPERATIONS) - set(bench.offered):
                dispatcher = desk.router.accounts.dispatcher(desk.router.accounts.of_provider(bench.name))
                with pytest.raises(UnsupportedOperation) as refusal:
                    dispatcher.require(operation)
                assert isinstance(refusal.value, NotImplementedError)
                assert bench.name in str(refusal.value), f"the refusal of {operation} does not name the provider"
                assert operation in str(refusal.value), f"the refusal of {operation} does not name it"

        bench.play(scene, wire=wire)
        assert wire is None or not wire.seen, f"a request was sent: {wire.seen}"
        for operation in bench.offered if wire is not None and not bench.kind.embedded else ():
            try:
                missing = isinstance(asked(bench, operation).error, NotImplementedError)
            except NotImplementedError:
                missing = True
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: S112
                continue  # W01 tells of it
            assert not missing, f"{operation} is a hook, and raises NotImplementedError"

    @check("S10", over=any_operation, vendor=False)
    def test_s10_keys_stay_secret(self, bench: Bench, operation: str) -> None:
        """No repr, pickle, error or traceback of settings, provider and errors shows the key; no log and no print does.

        If this fails: keep keys in SecretStr settings, put none into addresses, messages or logs, and let io send them.
        """
        kind = bench.kind
        wire = bench.wire() if bench.wire_kind is not None and not kind.embedded else None
        if wire is not None and wire.keys:
            wire.keys = {SECRET}
        settings = kind.Settings(**{**bench.account_settings(wire), **({} if kind.embedded else {"api_key": SECRET})})
        provider = kind(settings)
        for what in (settings, provider, vars(provider)):
            assert SECRET not in f"{what!r} {what!s}", f"the key stands in the repr of {type(what).__name__}"
        provider.close()
        if wire is None:
            return

        async def scene(desk: Desk) -> CallsheetError | None:
            fields = await sample(desk, operation)
            with contextlib.suppress(CallsheetError):
                await desk.call(operation, **fields)
            known = SECRET if wire.keys else "that is not wanted"  # what it was not told, no vendor can tell on
            wire.fail(None, Fault.status(401, message=f"The key {known} is wrong."), times=None)
            try:
                await desk.call(operation, **fields)
            except CallsheetError as error:
                return error
            return None

        with probe.overheard() as said:
            error = bench.play(scene, wire=wire)
        assert SECRET not in said.getvalue(), f"{operation}: the key is logged or printed"
        if error is None:
            pytest.skip(f"{operation} asks the vendor nothing")
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        with contextlib.suppress(Exception):  # E07 tells of errors that can't be pickled
            shown += pickle.dumps(error).decode("latin-1")
        assert SECRET not in shown, f"an error of {operation} shows the key"

    @check("S11", vendor=False)
    def test_s11_any_pluggy(self, bench: Bench) -> None:
        """The plugin leaves pluggy and the HTTP client to the core: it pins neither, and uses the core's markers.

        If this fails: import hookimpl from callsheet, and drop pluggy and httpx from your dependencies: io sends for you.
        """
        for name, member in _overridden(bench.kind):
            foreign = [mark for mark in vars(member) if mark.endswith("_impl") and mark != "callsheet_impl"]
            assert not foreign, f"{name} is marked for another project: {foreign}"
        if (owner := _owner(bench)) is not None and bench.kind.__module__.partition(".")[0] != "callsheet":
            needed = {
                re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in owner.requires or [] if "extra ==" not in line
            }
            assert not needed & {"pluggy"}, "pluggy is a dependency of the core; a plugin needs none of its own"

    @check("S12", vendor=False)
    def test_s12_types(self, bench: Bench) -> None:
        """The package is clean under `mypy --strict`.

        If this fails: the messages below say where. A wrong argument or result of a hook is an error there, too.
        """
        if importlib.util.find_spec("mypy") is None:
            pytest.skip("mypy is not installed")
        folder = _package(bench)
        if folder is None:
            pytest.skip("the provider is no part of an installed package")
        place = Path(bench.folder.name)
        cache = bench.cache or place / "mypy"
        command = [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(cache),
            str(folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place)  # noqa: S603  our own words
        assert done.returncode in {0, 1}, f"mypy broke off: {done.stderr or done.stdout}"
        ours = [line for line in done.stdout.splitlines() if folder.name in line and ": error:" in line]
        assert not ours, "mypy --strict:\n" + "\n".join(ours[:20])

    @check("S13", vendor=False)
    def test_s13_distribution(self, bench: Bench) -> None:
        """The distribution has py.typed and a licence, needs the core with an upper bound, and ships no tests.

        If this fails: see the pyproject.toml that `callsheet new-provider` writes.
        """
        owner, folder = _owner(bench), _package(bench)
        if owner is None or folder is None:
            pytest.skip("the provider is no part of an installed distribution")
        assert (folder / "py.typed").exists() or (folder.parent / "py.typed").exists(), f"{folder.name} has no py.typed"
        meta = owner.metadata
        said = [*(meta.get_all("License-Expression") or []), *(meta.get_all("License") or [])]
        assert said or meta.get_all("License-File"), "the distribution names no licence"
        core = [line for line in owner.requires or [] if re.match(r"callsheet(\[[^]]*\])?\s*[<>=!~(]", line)]
        versions = [
            line.partition(";")[0] for line in core
        ]  # what follows says where it is needed, not of which version
        assert any("<" in line or "~=" in line or "==" in line for line in versions), (
            f"it must need callsheet with an upper bound, such as callsheet>=0.1,<1; it says {core or 'nothing'}"
        )
        tests = [file for file in folder.rglob("*.py") if re.match(r"test_.*|.*_test|conftest", file.stem)]
        assert not tests, f"tests in the package: {', '.join(file.name for file in tests)}"

    @check("S14", vendor=False)
    def test_s14_prices(self, bench: Bench) -> None:
        """The table of prices, if there is one, can be read; each row has a source, a date, and prices of 0 or more.

        What `repriced_by` names has a tuple of values.

        If this fails: a row that is not understood is no price at all, and neither is one of a table that was not
        installed: is the file part of the package?
        """
        try:
            rows = rows_of(bench.kind)
        except Exception as error:
            raise AssertionError(f"price_table: {error}") from error
        for model, row in rows.items():
            try:
                for day in (datetime.now(UTC).date(), *changes_of(row)):
                    price_of(row, day)
            except Exception as error:
                raise AssertionError(f"the price of {model}: {error}") from error
        for word, values in bench.kind.repriced_by.items():
            assert isinstance(values, tuple), f"repriced_by: {word}: a tuple of values is wanted, not {values!r:.60}"


def _overridden(kind: type[Provider]) -> list[tuple[str, Any]]:
    members = ((name, inspect.getattr_static(kind, name)) for name in OPERATIONS)
    return [(name, member) for name, member in members if member is not vars(Provider)[name]]


def _owner(bench: Bench) -> Distribution | None:
    return getattr(bench.point, "dist", None) if bench.point is not None else None


def _package(bench: Bench) -> Path | None:
    top = sys.modules.get(bench.kind.__module__.partition(".")[0])
    file = getattr(top, "__file__", None)
    if file is None or bench.point is None:
        return None
    return Path(file).parent if Path(file).name == "__init__.py" else Path(file)
