"""Where prices are looked up: the provider's own table, then the package genai-prices."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from attrs import define, field

from callsheet.errors import PluginError
from callsheet.models.base import OperationRequest
from callsheet.pricing.genai import GenaiPrices
from callsheet.pricing.price import Price
from callsheet.pricing.table import own, price_of, rows_of
from callsheet.registry import Registry

__all__ = ["PriceBook", "undated"]

log = logging.getLogger("callsheet.pricing")

KEPT = 4096
"""Answers kept. Names of models come from callers, who can think of any number of them."""
_SNAPSHOT = re.compile(r"-([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})$")
_Key = tuple[str, str | None, str | None]


def undated(model: str) -> str:
    """A model's name without the date of a snapshot: `gpt-5.4` for `gpt-5.4-2026-03-05`."""
    return _SNAPSHOT.sub("", model)


@define
class PriceBook:
    """What the models of all providers cost. Tables are read when first asked for; nothing is fetched from anywhere.

    Answers are kept until the day ends (in UTC): vendors announce that a price becomes another on a day.
    """

    _registry: Registry
    _genai: GenaiPrices = field(factory=GenaiPrices, init=False)
    _day: date = field(default=date.min, init=False)
    _tables: dict[str, dict[str, Price]] = field(factory=dict, init=False)
    _found: dict[_Key, Price | None] = field(factory=dict, init=False)

    def price(self, provider: str, model: str | None, base_model: str | None = None) -> Price | None:
        """What a provider's model costs; None if that is not known.

        A row for a name is good for its dated snapshots, too: that of `gpt-5.4` for `gpt-5.4-2026-03-05`. `base_model`
        says which model it really is, where the name is the customer's own; it may begin with a provider's name
        (`acme/gpt-5.4`), in whose table it then is looked up.
        """
        today, key = datetime.now(UTC).date(), (provider, model, base_model)
        if today != self._day:
            self._day, self._tables, self._found = today, {}, {}
        found = self._found
        try:
            return found[key]
        except KeyError:
            if len(found) >= KEPT:
                found.clear()
            return found.setdefault(key, self._look(provider, base_model or model, bool(base_model), today))

    def repriced(self, provider: str, request: OperationRequest) -> bool:
        """Whether a request says something by which its vendor charges another price than the model's: see
        `Provider.repriced_by`.
        """
        try:
            words = self._registry.provider(provider).repriced_by
        except PluginError:
            return False
        if not words:
            return False
        options = request.options
        said = [request.__dict__, options, *(inner for inner in options.values() if isinstance(inner, Mapping))]
        return any(
            fields.get(word) is not None and fields[word] not in values
            for fields in said
            for word, values in words.items()
        )

    def _look(self, provider: str, name: str | None, may_lead: bool, today: date) -> Price | None:
        lead, slash, rest = (name or "").partition("/")
        if may_lead and slash and lead in self._registry.names():
            provider, name = lead, rest
        if not name:
            return None
        table = self._table(provider, today)
        return table.get(name) or table.get(undated(name)) or self._elsewhere(provider, name)

    def _table(self, provider: str, today: date) -> dict[str, Price]:
        if (table := self._tables.get(provider)) is None:
            table = self._tables[provider] = self._read(provider, today)
        return table

    def _read(self, provider: str, today: date) -> dict[str, Price]:
        prices = {}
        try:
            for model, row in rows_of(self._registry.provider(provider)).items():
                try:
                    prices[model] = price_of(row, today)
                except (ValueError, TypeError, AttributeError) as error:
                    log.warning("provider '%s': the price of %s is not known: %s", provider, model, error)
        except PluginError:
            pass  # it can't be called either, and whoever calls it is told why
        except Exception as error:  # a stranger's file, in a stranger's package
            log.warning("provider '%s': its prices are not known: %s: %s", provider, type(error).__name__, error)
        return prices

    def _elsewhere(self, provider: str, name: str) -> Price | None:
        try:
            vendor = own(self._registry.provider(provider), "genai_prices_id")
        except PluginError:
            return None
        return None if vendor is None else self._genai.price(vendor, name)
