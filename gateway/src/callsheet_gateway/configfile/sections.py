"""The file as a whole: what goes to the library, what to the server, and what is only told of."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from pydantic import SecretStr

from callsheet.config import with_variables
from callsheet.config_values import Place, resolved
from callsheet.routing.models import matches
from callsheet_gateway.configfile.litellm import ROUTING, SECTIONS, passed_over
from callsheet_gateway.configfile.theirs import Theirs
from callsheet_gateway.settings import KEY_WANTED, ORIGIN_WANTED, is_key, is_origin

__all__ = ["GatewayOptions", "Sections"]

_SHORT = 16
"""A master key of fewer characters can be guessed."""
_DAY = 24 * 60 * 60
_LIMITS: Mapping[str, Callable[[Any, Place], Any]] = {
    "max_requests": lambda value, at: at.whole(value, 1),
    "max_requests_per_key": lambda value, at: at.whole(value, 1),
    "max_uploads_per_key": lambda value, at: at.whole(value, 1),
    "max_spool": lambda value, at: at.whole(value, 1024 * 1024),
    "max_memory": lambda value, at: at.whole(value, 32 * 1024 * 1024),  # as much as one body may have
    "unread_seconds": lambda value, at: at.number(value, 1, _DAY),
    "notice_seconds": lambda value, at: at.number(value, 0, _DAY),
    "grace_seconds": lambda value, at: at.number(value, 0, _DAY),
    "reconcile_seconds": lambda value, at: at.number(value, 0.1, 3600),
    "token_seconds": lambda value, at: at.whole(value, 1, 7200),
    "single_use_tokens": lambda value, at: at.flag(value),
}
"""How each of GatewaySettings' limits is read."""
_SERVER = ("host", "port", "master_key", "cors_origins", "data_dir", "access_log", *_LIMITS)


@frozen(kw_only=True)
class GatewayOptions:
    """What a file says of the server itself; None is what it does not say.

    `data_dir` is absolute; a relative one in the file is meant from the file's folder. `limits` are those fields of
    GatewaySettings besides that it says.
    """

    master_key: SecretStr | None = None
    host: str | None = None
    port: int | None = None
    cors_origins: tuple[str, ...] | None = None
    data_dir: Path | None = None
    access_log: bool | None = None
    limits: Mapping[str, Any] = field(factory=dict)


@define
class Sections:
    """One reading of a file's data. `notes` are warnings, each with its place."""

    data: Mapping[str, Any] = field(repr=False)
    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    notes: list[tuple[Place, str]] = field(factory=list, init=False)

    @classmethod
    def of(cls, data: object, folder: Path, environ: Mapping[str, str] | None) -> Sections:
        """Check the outermost keys. ConfigurationError says which is wrong."""
        top = Place()
        if not isinstance(data, Mapping):
            raise top.error("a mapping with a 'model_list' (LiteLLM's), or with 'models', is wanted")
        top.known(data, SECTIONS[""].names)
        sections = cls(data, folder, with_variables(data, environ))
        sections.notes += passed_over("", data, top)
        for name in ("general_settings", "litellm_settings", "router_settings"):
            values, place = sections._section(name), top.key(name)
            place.known(values, SECTIONS[name].names)
            sections.notes += passed_over(name, values, place)
        if not data.get("model_list") and not data.get("models"):
            raise top.error(
                "a 'model_list' is wanted, with entries of 'model_name' and 'litellm_params: {model: PROVIDER/MODEL}';"
                " or 'models', with entries of NAME: PROVIDER/MODEL"
            )
        return sections

    def server(self) -> GatewayOptions:
        """What it says of the server. ConfigurationError for what can't be meant."""
        place = Place().key("gateway")
        values = place.mapping(self.data.get("gateway"))
        place.known(values, _SERVER)
        given = {name: resolved(value, place.key(name), self.environ) for name, value in values.items()}
        read: dict[str, Any] = {
            "host": _host, "port": lambda value, at: at.whole(value, 0, 65535), "cors_origins": _origins,
            "data_dir": self._folder, "access_log": lambda value, at: at.flag(value),
        }  # fmt: skip
        options = {
            name: read[name](value, place.key(name))
            for name, value in given.items()
            if value is not None and name in read
        }
        limits = {
            name: readable(given[name], place.key(name))
            for name, readable in _LIMITS.items()
            if given.get(name) is not None
        }
        master_key = self._master_key(given.get("master_key"), place.key("master_key"))
        return GatewayOptions(**options, master_key=master_key, limits=limits)

    def core(self) -> dict[str, Any]:
        """The part that the library reads: see `callsheet.config`."""
        ours = ("accounts", "models", "aliases", "environment_variables")
        core = {name: self.data[name] for name in ours if name in self.data}
        place = Place().key("model_list")
        entries = place.entries(self.data.get("model_list"), "a list of mappings, each with a 'model_name',")
        timeout, parallel = self._timeout(), self._parallel()
        core["model_list"] = [self._entry(entry, place.entry(n), timeout, parallel) for n, entry in enumerate(entries)]
        if aliases := self._aliases(core):
            core["aliases"] = aliases
        if routing := self._routing(core):
            core["routing"] = routing
        return core

    def _section(self, name: str) -> Mapping[str, Any]:
        return Place().key(name).mapping(self.data.get(name))

    def _master_key(self, ours: Any, place: Place) -> SecretStr | None:
        theirs_place = Place().key("general_settings").key("master_key")
        theirs = resolved(self._section("general_settings").get("master_key"), theirs_place, self.environ)
        if ours is not None and theirs is not None:
            raise place.error("general_settings has a master_key, too; give one of them")
        value, place = (ours, place) if ours is not None else (theirs, theirs_place)
        if value is None:
            return None
        key = place.text(value, "a key, as a text,")
        if not is_key(key):
            raise place.error(KEY_WANTED)
        if len(key) < _SHORT:
            self.notes.append((place, f"is short, and can be guessed: take {_SHORT} characters or more"))
        return SecretStr(key)

    def _folder(self, value: object, place: Place) -> Path:
        return (self.folder / Path(place.text(value, "a folder")).expanduser()).absolute()

    def _timeout(self) -> float | None:
        """The seconds of accounts whose entry has none. The router's win, as they do with LiteLLM."""
        for section, name in (("router_settings", "timeout"), ("litellm_settings", "request_timeout")):
            place = Place().key(section).key(name)
            if (value := resolved(self._section(section).get(name), place, self.environ)) is not None:
                return place.number(value, 0.001)
        return None

    def _parallel(self) -> int | None:
        """The calls at once of deployments whose entry says nothing of it."""
        place = Place().key("router_settings").key("default_max_parallel_requests")
        value = resolved(self._section("router_settings").get("default_max_parallel_requests"), place, self.environ)
        return None if value is None else place.whole(value, 1)

    def _entry(self, entry: Any, place: Place, timeout: float | None, parallel: int | None) -> Any:
        """An entry of the model_list without what does nothing; one with a wrong shape is the library's to refuse."""
        if not isinstance(entry, Mapping):
            return entry
        if isinstance(info := entry.get("model_info"), Mapping):
            self.notes += passed_over("model_info", info, place.key("model_info"))
        if not isinstance(params := entry.get("litellm_params"), Mapping):
            return entry
        self.notes += passed_over("litellm_params", params, place.key("litellm_params"))
        kept = {name: value for name, value in params.items() if name not in SECTIONS["litellm_params"].names}
        if timeout is not None and kept.get("timeout") is None:
            kept["timeout"] = timeout
        if parallel is not None and kept.get("max_parallel_requests") is None:
            kept["max_parallel_requests"] = parallel
        return {**entry, "litellm_params": kept}

    def _aliases(self, core: dict[str, Any]) -> dict[str, Any]:
        """router_settings.model_group_alias: further names for what has one."""
        place = Place().key("router_settings").key("model_group_alias")
        aliases = place.mapping(self._section("router_settings").get("model_group_alias"))
        found, names = dict(Place().key("aliases").mapping(core.get("aliases"))), _names(core)
        for number, (alias, target) in enumerate(aliases.items()):
            where = place.named(alias, number)
            name = where.text(target.get("model") if isinstance(target, Mapping) else target, "a model's name")
            if alias in names or alias in found:
                raise where.error("a model of this name is there already")
            if all(matches(known, name) is None for known in names):
                raise where.error("no model of the file has the name that it stands for")
            found[alias] = name
        return found

    def _routing(self, core: Mapping[str, Any]) -> dict[str, Any]:
        """LiteLLM's settings and ours, which must not say the same thing twice."""
        place = Place().key("routing")
        ours = place.mapping(self.data.get("routing"))
        names = [*_names(core), *core.get("aliases", ())]
        sections = {name: self._section(name) for name in ROUTING}
        theirs = Theirs(self.environ, names, lambda at, words: self.notes.append((at, words))).routing(sections)
        for key in ours:
            if key in theirs:
                raise place.key(key).error("LiteLLM's settings say this, too; give one of them")
        return {**theirs, **ours}


def _names(core: Mapping[str, Any]) -> list[str]:
    """The names of models in what the library will read; those with a wrong shape are the library's to refuse."""
    models = core.get("models")
    listed = [entry.get("model_name") for entry in core["model_list"] if isinstance(entry, Mapping)]
    return [name for name in [*(models if isinstance(models, Mapping) else ()), *listed] if isinstance(name, str)]


def _host(value: object, place: Place) -> str:
    host = place.text(value, "an address")
    try:
        return host if host == "localhost" else str(ipaddress.ip_address(host))
    except ValueError:
        raise place.error("an address to listen on is wanted, such as 127.0.0.1") from None


def _origins(value: object, place: Place) -> tuple[str, ...]:
    origins = place.entries([value] if isinstance(value, str) else value, "a list of origins")
    for number, origin in enumerate(origins):
        where = place.entry(number)
        if not is_origin(where.text(origin, "an origin")):
            raise where.error(ORIGIN_WANTED)
    return tuple(origins)
