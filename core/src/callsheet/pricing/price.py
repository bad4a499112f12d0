"""What one model costs."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm

from attrs import Factory, evolve, field, frozen

from callsheet.pricing.amounts import MICROS, dollars, half_up, length, up
from callsheet.pricing.usage import PARTS, Usage

__all__ = ["PRICE_FIELDS", "Price", "Rates"]

_OF_TOKENS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_reasoning_token": "reasoning",
}
_OF_VIDEO = ("output_cost_per_video_per_second", "output_cost_per_second")
_OF_SESSION = "input_cost_per_second"
_LIMITS = (
    "max_output_tokens", "default_seconds", "default_size", "extend_seconds", "max_seconds", "max_session_seconds",
)  # fmt: skip
"""What a model does whatever it costs."""
PRICE_FIELDS = (*_OF_TOKENS, *_OF_VIDEO, _OF_SESSION)
"""LiteLLM's names of prices, in dollars: what `Price.of_fields` reads."""


@frozen
class Rates:
    """Micro-dollars for one token of each kind, in calls with more than `above` tokens of input. None: not known."""

    input: Fraction | None = None
    cached_input: Fraction | None = None
    cache_write: Fraction | None = None
    output: Fraction | None = None
    reasoning: Fraction | None = None
    audio_input: Fraction | None = None
    cached_audio_input: Fraction | None = None
    audio_output: Fraction | None = None
    above: int = 0
    _unit: int = field(init=False, eq=False, repr=False)
    _wholes: tuple[int | None, ...] = field(init=False, eq=False, repr=False)

    @classmethod
    def of(cls, said: Mapping[str, Fraction], above: int = 0) -> Rates:
        """Rates out of what is said. What is not said of a part is the price of the whole; audio has one of its own."""
        falls_back = {"cached_input": "input", "cache_write": "input", "reasoning": "output"}
        falls_back |= {"cached_audio_input": "audio_input"}
        filled = {part: said[whole] for part, whole in falls_back.items() if whole in said}
        return cls(**{**filled, **said}, above=above)

    def __attrs_post_init__(self) -> None:
        # Whole numbers over one denominator: this is counted for every call, and fractions are slow.
        rates: list[Fraction | None] = [getattr(self, kind) for kind in PARTS]
        whole = lcm(*(rate.denominator for rate in rates if rate is not None))
        object.__setattr__(self, "_unit", whole)
        object.__setattr__(self, "_wholes", tuple(None if rate is None else int(rate * whole) for rate in rates))

    def cost(self, usage: Usage) -> Fraction | None:
        """What tokens cost; None if a kind of them has no price."""
        total = self._total(usage)
        return None if total is None else Fraction(total, self._unit)

    def micros(self, usage: Usage) -> int | None:
        """The same, rounded half up to whole micro-dollars."""
        total = self._total(usage)
        return None if total is None else (2 * total + self._unit) // (2 * self._unit)

    def _total(self, usage: Usage) -> int | None:
        total = 0
        for count, rate in zip(usage.counts(), self._wholes, strict=True):
            if count > 0:
                if rate is None:
                    return None
                total += count * rate
        return total


@frozen
class Price:
    """What one model costs, in micro-dollars, exactly; each charge is rounded once, to whole micro-dollars.

    `tiers` are the prices of tokens, the first from the first token on; the tier that a call's input reaches prices the
    whole call. `videos` are prices per second by size, `other_videos` that of sizes which are not listed; `session` is
    asked with `per_second`. `character` is what making a character costs. The rest is what a provider's table says for
    the case that a request leaves it open; `source` and `date` say where the price stood, and when.
    """

    tiers: tuple[Rates, ...] = ()
    videos: Mapping[str, Fraction] = Factory(dict)
    other_videos: Fraction | None = None
    per_second: Fraction | None = None
    character: Fraction | None = None
    charges_failed: bool = False
    default_seconds: int | None = None
    extend_seconds: int | None = None
    max_seconds: int | None = None
    default_size: str | None = None
    max_output_tokens: int | None = None
    max_session_seconds: int | None = None
    source: str | None = None
    date: str | None = None
    note: str | None = None
    _dearest: dict[tuple[str, ...], Fraction | None] = field(factory=dict, init=False, eq=False, repr=False)

    def dearest(self, *kinds: str) -> Fraction | None:
        """The highest price of a token of these kinds, of all tiers; None if one of them is not known."""
        if kinds not in self._dearest:
            rates = [getattr(tier, kind) for tier in self.tiers for kind in kinds]
            self._dearest[kinds] = None if not rates or None in rates else max(rates)
        return self._dearest[kinds]

    def tokens(self, usage: Usage) -> int | None:
        """What tokens cost. None if the price of a kind that was used is not known."""
        reached: Rates | None = None
        for rates in self.tiers:
            if rates.above == 0 or usage.input_tokens > rates.above:
                reached = rates
        return None if reached is None else reached.micros(usage)

    def video(self, seconds: object, size: str | None = None) -> int | None:
        """What a video of this length and size costs. None if the price of that size is not known."""
        rate, long = self.video_rate(size), length(seconds)
        return None if rate is None or not long else half_up(rate * long)

    def session(self, seconds: object) -> int | None:
        """What a realtime session of this length costs, rounded up."""
        long = length(seconds)
        return None if self.per_second is None or long is None else up(self.per_second * long)

    def video_rate(self, size: str | None) -> Fraction | None:
        """Micro-dollars for a second of video. Of no known size, it is priced as the model's own, or if all cost the same."""
        asked = size or self.default_size
        if asked is None and len(set(self.videos.values())) == 1 and self.other_videos is None:
            return next(iter(self.videos.values()))
        return self.videos.get(asked or "", self.other_videos)

    def with_limits_of(self, other: Price | None) -> Price:
        """This price with what another one of the same model says of lengths, sizes and limits that this one leaves open."""
        if other is None:
            return self
        said = {name: getattr(other, name) for name in _LIMITS if getattr(self, name) is None}
        return evolve(self, **said)

    @classmethod
    def of_fields(cls, said: Mapping[str, object]) -> Price | None:
        """A price by LiteLLM's names for it, in dollars, as they stand in `model_info`. None if none of them is set.

        Raises ValueError that names the field for what is no number of 0 or more.
        """
        given = {name: dollars(said[name], name) * MICROS for name in PRICE_FIELDS if said.get(name) is not None}
        if not given:
            return None
        rates = {kind: given[name] for name, kind in _OF_TOKENS.items() if name in given}
        videos = [given[name] for name in _OF_VIDEO if name in given]
        return evolve(
            cls(source="configuration"),
            tiers=(Rates.of(rates),) if rates else (),
            other_videos=videos[0] if videos else None,
            per_second=given.get(_OF_SESSION),
        )
