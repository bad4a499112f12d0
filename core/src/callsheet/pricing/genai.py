"""Prices out of the package genai-prices, where it is installed (`callsheet[prices]`). Never over the network."""

from __future__ import annotations

import importlib
import logging
from fractions import Fraction
from typing import Any

from attrs import define

from callsheet.pricing.amounts import MICROS
from callsheet.pricing.price import Price, Rates
from callsheet.pricing.usage import Usage

__all__ = ["GenaiPrices"]

log = logging.getLogger("callsheet.pricing")

_KINDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "output_mtok": "output",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio_input",
    "output_audio_mtok": "audio_output",
}
"""Its names for prices of a million tokens, and ours."""
PROBE = 1000
"""Tokens whose price is asked for, to see that we understand each other."""


@define
class GenaiPrices:
    """The package, asked only for what it knows. Its data is read from its files; what would renew them is never called."""

    _warned: bool = False

    def price(self, vendor: str, model: str) -> Price | None:
        """What it says of a model. None if it is not installed, does not know, or has changed beyond recognition."""
        try:
            package = importlib.import_module("genai_prices")
            try:
                asked = package.Usage(input_tokens=PROBE, output_tokens=PROBE)
                answer = package.calc_price(asked, model, provider_id=vendor)
            except LookupError:
                return None  # its word for a model or a vendor that it does not know
            return _understood(answer, package)
        except Exception as error:
            absent = isinstance(error, ModuleNotFoundError) and error.name == "genai_prices"
            if not absent and not self._warned:
                self._warned = True
                log.warning(
                    "genai-prices is of no use here, its prices are not known: %s: %s", type(error).__name__, error
                )
            return None


def _understood(answer: Any, package: Any) -> Price | None:
    said = {
        kind: value for name, kind in _KINDS.items() if (value := getattr(answer.model_price, name, None)) is not None
    }
    starts = sorted({tier.start for value in said.values() for tier in getattr(value, "tiers", ())})
    tiers = tuple(_rates(said, start) for start in [0, *starts])
    cost = tiers[0].cost(Usage(input_tokens=PROBE, output_tokens=PROBE))
    # It answers 0 for what it prices by other things than tokens, such as the hour. And where it counts what we have no
    # word for, such as a fee for each request, our sum is another than its own. Either way the price is not known.
    if not cost or cost != Fraction(answer.total_price) * MICROS:
        return None
    return Price(tiers=tiers, source=f"genai-prices {package.__version__}")


def _rates(said: dict[str, Any], start: int) -> Rates:
    rates = {}
    for kind, value in said.items():
        reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= start and start]
        # A price of 0 is what nobody entered: it is left out, so that it becomes the price of the whole, or none.
        if amount := Fraction(reached[-1] if reached else getattr(value, "base", value)):
            rates[kind] = amount
    return Rates.of(rates, start)
