"""What would run: for `callsheet serve --check`, and what is missing, for the start."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from callsheet import AsyncClient
from callsheet.account import Account
from callsheet.config import LIMITS
from callsheet.routing import Deployment, Routing
from callsheet_gateway.settings import GatewaySettings

__all__ = ["lacking", "report", "report_lines"]

_LIMITS = {
    "max_requests": "requests at once",
    "max_requests_per_key": "of them by one key",
    "max_uploads_per_key": "uploads by one key",
    "max_spool": "bytes of uploads on the disk",
    "max_memory": "bytes of large bodies in memory",
    "unread_seconds": "seconds for a client to take something of its answer",
    "notice_seconds": "seconds from SIGTERM until no new requests are taken",
    "grace_seconds": "seconds for what is under way then",
    "token_seconds": "seconds of an ephemeral key's life",
}
"""The limits that a file may set, in words."""


def report(
    client: AsyncClient, settings: GatewaySettings, warnings: list[str], *, master_key: bool, data_dir: str | None
) -> dict[str, Any]:
    """The models, each with what stands behind it, the settings, and the warnings. It holds no secret."""
    return {
        "ok": True,
        "models": [
            _model(name, deployment) for name, deployments in client.router.models.items() for deployment in deployments
        ],
        "routing": _routing(client.router.models.routing),
        "gateway": {
            "host": settings.host,
            "port": settings.port,
            "master_key": master_key,
            "cors_origins": list(settings.cors_origins),
            "data_dir": data_dir,
            "limits": {name: getattr(settings, name) for name in _LIMITS},
            "single_use_tokens": settings.single_use_tokens,
        },
        "warnings": warnings,
    }


def report_lines(document: dict[str, Any]) -> list[str]:
    """A report as lines for people, without its warnings."""
    lines = ["Models:"]
    for model in document["models"]:
        lines += [
            f"  {model['name']}",
            f"    {model['model'] or '(the request says it)'} at {model['provider']}, account {model['account']}",
            f"    {model['address'] or 'no address'}, {_key_words(model['key'])}",
        ]
        if limits := ", ".join(f"{name} {model[name]}" for name in LIMITS if name in model):
            lines.append(f"    {limits}")
    routing = document["routing"]
    lines += ["Routing:", f"  {routing['strategy']}, at most {routing['retries'] + 1} attempts"]
    lines += [f"  {name} falls back to {', '.join(others)}" for name, others in routing["fallbacks"].items()]
    if routing["default_fallbacks"]:
        lines.append(f"  other models fall back to {', '.join(routing['default_fallbacks'])}")
    gateway = document["gateway"]
    lines += [
        "Server:",
        f"  listens on {gateway['host']}, port {gateway['port']}",
        f"  master key: {'given' if gateway['master_key'] else 'none'}",
        f"  pages of other origins: {', '.join(gateway['cors_origins']) or 'none'}",
    ]
    lines += [f"  at most {gateway['limits'][name]:,.15g} {words}" for name, words in _LIMITS.items()]
    lines.append(
        f"  ephemeral keys: {'for one call each' if gateway['single_use_tokens'] else 'for any number of calls'}"
    )
    if gateway["data_dir"]:
        lines.append(f"  data: {gateway['data_dir']}")
    return lines


def lacking(client: AsyncClient) -> list[str]:
    """What accounts will need at their first call and do not have, a line for each."""
    accounts: dict[str, tuple[Account, str]] = {}
    for name, deployments in client.router.models.items():
        for deployment in deployments:
            accounts.setdefault(deployment.account.id, (deployment.account, name))
    found = []
    for account, name in accounts.values():
        kind = type(account.settings)
        for setting in kind.required:
            if not getattr(account.settings, setting):
                variable = kind.env.get(setting)
                how = f"set {variable}, or give it in the file" if variable else "give it in the file"
                found.append(
                    f"model {name}: account {account.id} has no {setting}, without which calls may fail: {how}"
                )
    return found


def _model(name: str, deployment: Deployment) -> dict[str, Any]:
    account = deployment.account
    return {
        "name": name,
        "provider": account.provider,
        "model": deployment.model,
        "account": account.id,
        "address": _address(account.settings.base_url),
        "key": _key(account),
        **_limits(deployment),
    }


def _routing(routing: Routing) -> dict[str, Any]:
    return {
        "strategy": routing.strategy,
        "retries": routing.retries,
        "fallbacks": {name: list(others) for name, others in routing.fallbacks.of.items()},
        "default_fallbacks": list(routing.fallbacks.others),
    }


def _key(account: Account) -> dict[str, str]:
    if account.settings.api_key is None:
        return {"from": "none"}
    if account.key_variable is not None:
        return {"from": "environment", "variable": account.key_variable}
    return {"from": "file"}


def _key_words(key: dict[str, str]) -> str:
    return {"none": "no key", "file": "key in the file"}.get(key["from"]) or f"key from {key['variable']}"


def _address(url: str | None) -> str | None:
    """An address without a name and password in it, and without a query: they may be secrets."""
    if url is None:
        return None
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _limits(deployment: Deployment) -> dict[str, float]:
    """The limits that were given."""
    plain = Deployment(deployment.account)
    return {name: getattr(deployment, name) for name in LIMITS if getattr(deployment, name) != getattr(plain, name)}
