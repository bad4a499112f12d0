"""What a prompt's words say about the look of its scene: the land, the hour, the weather. The rest is chosen by a seed."""

from __future__ import annotations

import colorsys
import hashlib
import random
import re

from attrs import evolve, frozen

__all__ = ["Color", "Theme", "seed_of", "theme_of"]

Color = tuple[int, int, int]


@frozen
class Theme:
    """How a scene looks. `lands` are the shapes of its layers, the farthest first; `ground` their colours."""

    name: str
    sky: tuple[Color, Color]
    lands: tuple[str, str, str]
    ground: tuple[Color, Color, Color]
    light: str = "sun"
    """What is in the sky: sun, moon, planet or nothing."""
    glow: Color = (255, 240, 200)
    stars: float = 0.0
    clouds: float = 0.6
    particles: str = "dust"


def _hex(text: str) -> Color:
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def _theme(name: str, words: str, sky: str, lands: str, ground: str, **more: object) -> tuple[re.Pattern[str], Theme]:
    top, bottom = map(_hex, sky.split())
    far, middle, near = map(_hex, ground.split())
    shapes = lands.split()
    theme = Theme(name, (top, bottom), (shapes[0], shapes[1], shapes[2]), (far, middle, near))
    return re.compile(rf"\b(?:{words})"), evolve(theme, **more)  # type: ignore[arg-type]  # fields of Theme


_LANDS = (
    _theme(
        "space",
        "space|cosm|galax|planet|orbit|astronaut|nebula|universe|mars\\b|moon landing|alien",
        "070a24 3a1c5e",
        "ridge dunes dunes",
        "4a2a6e 38205a 221338",
        light="planet",
        glow=(190, 150, 255),
        stars=1.0,
        clouds=0.0,
        particles="sparks",
    ),
    _theme(
        "city",
        "city|street|town|skyline|urban|neon|market|rooftop|downtown|traffic|metro",
        "5b86b8 f0c9a8",
        "towers towers street",
        "8b98b4 5d6884 3a4050",
        glow=(255, 226, 190),
        clouds=0.4,
    ),
    _theme(
        "sea",
        "sea\\b|seas\\b|ocean|beach|coast|island|wave|underwater|harbou?r|ship|boat|sail|lake|river|shore",
        "4fa3e0 d8f0f5",
        "ridge waves beach",
        "7fa6bc 2f86a8 dcc593",
        glow=(255, 250, 225),
        particles="gulls",
    ),
    _theme(
        "desert",
        "desert|dune|sahara|canyon|sand|cactus|pyramid|camel",
        "5aa7d8 fbe0b0",
        "mesa dunes dunes",
        "c98a5a d9a05c e3b36b",
        glow=(255, 245, 200),
        clouds=0.15,
        particles="dust",
    ),
    _theme(
        "forest",
        "forest|wood|jungle|tree|pine|moss|mushroom|fern|grove",
        "8fc3d8 e6f2cf",
        "ridge pines pines",
        "7fa595 3f7656 234a35",
        glow=(255, 252, 210),
        particles="fireflies",
    ),
    _theme(
        "mountains",
        "mountain|alp|peak|summit|cliff|hike|climb|volcano|valley",
        "4d8fd0 dbe9f2",
        "peaks ridge meadow",
        "8ea3bd 6b8a78 5f8a45",
        glow=(255, 250, 230),
    ),
    _theme(
        "stage",
        "stage|theat|concert|studio|piano|dance|disco|circus|show\\b",
        "1d1030 5a2350",
        "curtain curtain boards",
        "6e1f3c 4f1630 6b4632",
        light="spot",
        glow=(255, 236, 200),
        clouds=0.0,
        particles="sparks",
    ),
    _theme(
        "meadow",
        "meadow|garden|field|farm|grass|park|spring|flower|hill|picnic|butterfl|countryside",
        "5cb0ec e2f5f7",
        "hills hills meadow",
        "9dc5a0 7fb765 5a9e3c",
        glow=(255, 250, 215),
        particles="petals",
    ),
)

_HOURS = (
    (re.compile(r"\b(?:night|midnight|moon|star(?:s|ry|light)|dark\b|lantern|nocturn)"), "night"),
    (re.compile(r"\b(?:sunset|sunrise|dusk|dawn|evening|golden|twilight|morning glow)"), "sunset"),
    (re.compile(r"\b(?:storm|thunder|rain|grey|gray|fog|mist|gloom)"), "grey"),
)
_SNOW = re.compile(r"\b(?:snow|winter|ice\b|icy|frost|frozen|blizzard|christmas|arctic|polar)")
_RAIN = re.compile(r"\b(?:rain|storm|thunder)")


def seed_of(*parts: str) -> int:
    """A number that depends on nothing but these words."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def theme_of(prompt: str) -> Theme:
    """The look of a prompt's scene: the same for the same prompt, another for another one."""
    words, dice = prompt.casefold(), random.Random(seed_of("theme", prompt))  # noqa: S311  a look, not a secret
    named = [theme for pattern, theme in _LANDS if pattern.search(words)]
    outdoors = [theme for _, theme in _LANDS if theme.name in {"meadow", "mountains", "forest", "desert"}]
    theme = named[0] if named else dice.choice(outdoors)
    theme = _shifted(
        theme, dice.uniform(-0.025, 0.025) if named else dice.uniform(-0.09, 0.09), dice.uniform(0.94, 1.06)
    )
    for pattern, hour in _HOURS:
        if pattern.search(words):
            theme = _at(theme, hour)
            break
    if _SNOW.search(words):
        white = [_mix(color, (236, 243, 252), 0.72 - 0.12 * i) for i, color in enumerate(reversed(theme.ground))]
        theme = evolve(theme, ground=(white[2], white[1], white[0]), particles="snow")
    elif _RAIN.search(words):
        theme = evolve(theme, particles="rain")
    return theme


def _at(theme: Theme, hour: str) -> Theme:
    """The same place at another hour."""
    if theme.name in {"space", "stage"}:
        return theme
    far, middle, near = theme.ground
    if hour == "night":
        dark = (14, 22, 52)
        ground = (_mix(far, dark, 0.62), _mix(middle, dark, 0.68), _mix(near, dark, 0.72))
        return evolve(
            theme,
            sky=((9, 14, 44), (45, 62, 118)),
            ground=ground,
            light="moon",
            glow=(226, 232, 255),
            stars=0.8,
            clouds=0.25,
            particles="fireflies" if theme.name in {"forest", "meadow"} else theme.particles,
        )
    if hour == "sunset":
        warm = (120, 48, 60)
        ground = (_mix(far, (236, 130, 96), 0.5), _mix(middle, warm, 0.42), _mix(near, (60, 30, 48), 0.45))
        return evolve(theme, sky=((72, 66, 138), (255, 164, 92)), ground=ground, light="low sun", glow=(255, 214, 140))
    mist = (150, 158, 166)
    ground = (_mix(far, mist, 0.6), _mix(middle, mist, 0.4), _mix(near, mist, 0.22))
    return evolve(theme, sky=((112, 122, 134), (196, 202, 206)), ground=ground, light="nothing", clouds=1.0)


def _shifted(theme: Theme, hue: float, strength: float) -> Theme:
    def shift(color: Color) -> Color:
        h, s, v = colorsys.rgb_to_hsv(*(part / 255 for part in color))
        red, green, blue = colorsys.hsv_to_rgb((h + hue) % 1, min(1, s * strength), v)
        return round(red * 255), round(green * 255), round(blue * 255)

    far, middle, near = map(shift, theme.ground)
    return evolve(theme, sky=(shift(theme.sky[0]), shift(theme.sky[1])), ground=(far, middle, near))


def _mix(a: Color, b: Color, share: float) -> Color:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
