"""Which colours a prompt asks for: words to steps of an FFmpeg filter graph. Knows nothing of FFmpeg itself."""

from __future__ import annotations

import re

from attrs import frozen

__all__ = ["DEFAULT_NOTE", "Tone", "tones_of"]


@frozen
class Tone:
    """One step: a filter's name and its options."""

    filter: str
    options: str


def _tones(*steps: str) -> tuple[Tone, ...]:
    return tuple(Tone(*step.split("=", 1)) if "=" in step else Tone(step, "") for step in steps)


_SEPIA = "colorchannelmixer=.393:.769:.189:0:.349:.686:.168:0:.272:.534:.131"
# In the order in which they are applied: first the light, then the colours, at last what takes colour away.
_RULES: tuple[tuple[str, tuple[Tone, ...]], ...] = (
    (r"brighter|brighten\w*|lighter|more light|overexpos\w*", _tones("curves=all='0/0.06 0.5/0.64 1/1'")),
    (
        r"darker|darken\w*|dimmer|dimm?ed|gloomy|night ?time|at night|midnight|moody",
        _tones("curves=all='0/0 0.5/0.33 1/0.86'"),
    ),
    (
        r"(?:high|higher|more|strong\w*|punchy|dramatic) contrast|contrasty|dramatic|punchy",
        _tones("curves=all='0/0 0.25/0.15 0.5/0.5 0.75/0.86 1/1'"),
    ),
    (
        r"(?:low|lower|less|soft\w*) contrast|washed[- ]out|matte",
        _tones("curves=all='0/0.12 0.5/0.52 1/0.9'"),
    ),
    (
        r"golden|sunset|sunrise|magic hour|amber|honey|sunny",
        _tones(
            "colortemperature=temperature=4600:mix=0.9",
            "curves=r='0/0.02 0.5/0.57 1/1':b='0/0 0.5/0.43 1/0.9'",
            "hue=s=1.15",
        ),
    ),
    (
        r"warm\w*|cos(?:y|ier)|cozy|autumn\w*|orange",
        _tones("colortemperature=temperature=5000:mix=0.9", "hue=s=1.12"),
    ),
    (
        r"cool\w*|cold\w*|blue\w*|icy|wint\w+|chilly|moonl\w+",
        _tones("colortemperature=temperature=11000:mix=0.9", "curves=r='0/0 0.5/0.46 1/0.96':b='0/0.03 0.5/0.56 1/1'"),
    ),
    (
        r"green\w*|emerald|matrix",
        _tones("curves=r='0/0 0.5/0.42 1/0.92':g='0/0.02 0.5/0.58 1/1':b='0/0 0.5/0.42 1/0.92'"),
    ),
    (
        r"red\w*|crimson|scarlet",
        _tones("curves=r='0/0.04 0.5/0.64 1/1':g='0/0 0.5/0.43 1/0.92':b='0/0 0.5/0.43 1/0.92'"),
    ),
    (
        r"purple|violet|magenta|pink\w*",
        _tones("curves=r='0/0.03 0.5/0.57 1/1':g='0/0 0.5/0.4 1/0.9':b='0/0.04 0.5/0.6 1/1'"),
    ),
    (
        r"teal|cyan|turquoise",
        _tones("curves=r='0/0 0.5/0.42 1/0.97':g='0/0.03 0.5/0.53 1/1':b='0/0.06 0.5/0.56 1/0.97'"),
    ),
    (
        r"(?:more|highly|very|over)[- ]?saturat\w*|(?<!de-)saturated|vivid|vibrant|colou?rful|(?:intense|rich|richer) colou?rs",
        _tones("hue=s=1.6"),
    ),
    (r"(?:less|de)[- ]?saturat\w*|muted|pastel|faded|pale", _tones("hue=s=0.5")),
    (r"sepia|vintage|old[- ]fashioned|nostalgi\w*|antique", _tones(_SEPIA)),
    (
        r"black[- ](?:and|&|n)[- ]white|b ?& ?w|b/w|monochrom\w*|gr[ae]y[- ]?scale|noir|colou?rless",
        _tones("hue=s=0"),
    ),
    (r"invert\w*|negative", _tones("negate")),
)
_DEFAULT = _tones("colortemperature=temperature=5800:mix=0.8", "hue=s=1.1")
_COMPILED = tuple((re.compile(rf"\b(?:{words})(?!\w)"), steps) for words, steps in _RULES)
_NOT = re.compile(r"\b(?:not|no|without|never|less)\s+(?:too\s+|so\s+|as\s+)?$")

DEFAULT_NOTE = (
    "the prompt names no change of colour that this provider knows (such as warm, golden hour, cool, black and white,"
    " sepia, brighter, darker, more contrast, muted): the default was applied, a little warmer and richer"
)


def tones_of(prompt: str) -> tuple[list[Tone], bool]:
    """The steps that a prompt asks for, and whether it asked for any; if not, they are the default: a little warmer."""
    text = " ".join(prompt.casefold().split())
    found: list[Tone] = []
    for pattern, steps in _COMPILED:
        wanted = any(not _NOT.search(text[: match.start()][-24:]) for match in pattern.finditer(text))
        if wanted:  # one colour temperature is enough: the first is the stronger one
            taken = {step.filter for step in found} & {"colortemperature"}
            found += [step for step in steps if step not in found and step.filter not in taken]
    return (found, True) if found else (list(_DEFAULT), False)
