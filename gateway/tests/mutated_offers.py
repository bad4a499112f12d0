"""Real SDP offers, and what becomes of them in bad hands: the same ones in the same order each time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from core.tests.offers import OFFER

RECORDED = [
    file.read_text().replace("\n", "\r\n").encode() for file in sorted(Path(__file__).parent.glob("offers/*.sdp"))
]
"""What Chromium's and aiortc's createOffer() gave, with all their candidates."""
REAL = [*RECORDED, OFFER]
ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\0\r\n", b"", b" \r\n", b"\x0b", "\u2028".encode())
CONTROLS = [bytes([number]) for number in (0, 1, 8, 9, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0xFF)]
LETTERS = [
    letter.encode("utf-8", "surrogatepass") for letter in ("é", "\u0130", "\u2028", "\ufeff", "\ud800", "\U0001f98a")
]
LETTERS += [b"\xc0\xaf", b"\xf4\x90\x80\x80"]
NUMBERS = (b"-1", b"0", b"65536", b"9" * 40, b"9" * 5000, b"1e999", b"0x7fffffff", "٣".encode())
LINES: tuple[bytes, ...] = (
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
    b"a=crypto:",
    b"A=crypto:1",
    b" a=crypto:1",
    b"a=cryptogram:1",
)
LINES += (b"m=video 9 x 0", b"m=", b"a=fingerprint:", b"a=ice-ufrag", b"v=0", b"", b"=", b'{"type": "offer"}', b"%s%n")
LONGEST = 200_000
"""Bytes: more than an offer may have, and less than a body may."""
Dice = random.Random


def flip(dice: Dice, sdp: bytes) -> bytes:
    changed = bytearray(sdp or b"?")
    for _ in range(dice.choice((1, 1, 1, 2, 8))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def cut(dice: Dice, sdp: bytes) -> bytes:
    start, end = sorted((dice.randrange(len(sdp) + 1), dice.randrange(len(sdp) + 1)))
    return dice.choice((sdp[:end], sdp[start:], sdp[:start] + sdp[end:], sdp[: len(sdp) - dice.randrange(80)]))


def insert(dice: Dice, sdp: bytes) -> bytes:
    what, at = dice.choice((*CONTROLS, *LETTERS)), dice.choice((0, len(sdp), dice.randrange(len(sdp) + 1)))
    return sdp[:at] + what * dice.choice((1, 1, 1, 3, 5000)) + sdp[at:]


def ends(dice: Dice, sdp: bytes) -> bytes:
    end, often = dice.choice(ENDS), dice.choice((1, 3, -1))
    return sdp.replace(b"\r\n", end, often) if dice.random() < 0.7 else end.join(sdp.rsplit(b"\r\n", often))


def numbers(dice: Dice, sdp: bytes) -> bytes:
    found = [*re.finditer(rb"\d+", sdp)]
    if not found:
        return sdp
    place = dice.choice(found)
    return sdp[: place.start()] + dice.choice(NUMBERS) + sdp[place.end() :]


def lines(dice: Dice, sdp: bytes) -> bytes:
    """Lines that are gone, doubled, in another order, in another's place, or foreign."""
    parts = sdp.split(b"\r\n")
    at, other = dice.randrange(len(parts)), dice.randrange(len(parts))
    match dice.randrange(6):
        case 0:
            del parts[at : at + dice.choice((1, 1, 2, 10))]
        case 1:
            parts[at:at] = [parts[other]] * dice.choice((1, 2, 8))
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[1:] = dice.sample(parts[1:], len(parts) - 1)
        case 4:
            parts[at:at] = [dice.choice(LINES)] * dice.choice((1, 1, 6, 7, 9))
        case _:
            parts[at] = dice.choice((parts[at].upper(), parts[at] * 30, b" " + parts[at], parts[at] + b"\r"))
    return b"\r\n".join(parts)


def much(dice: Dice, sdp: bytes) -> bytes:
    """Lines about as long as they may be, as many, and as many bytes in all."""
    parts = sdp.split(b"\r\n")
    at = dice.randrange(len(parts))
    match dice.randrange(3):
        case 0:
            parts[at:at] = [b"a=x:" + b"y" * dice.choice((4091, 4092, 4093, 70_000))]
        case 1:
            parts[at:at] = [b"a=x"] * (1000 - len(parts) + dice.choice((-1, 0, 1, 100)))
        case _:
            parts[at:at] = [b"a=x:" + b"y" * 4000] * dice.choice((14, 15, 16, 17))
    return b"\r\n".join(parts)


MUTATIONS: list[Callable[[Dice, bytes], bytes]] = [flip, cut, insert, ends, numbers, lines, lines, lines, much]


def mutated(count: int) -> Iterator[bytes]:
    """Offers that differ in one to four ways from a real one, and all from each other."""
    dice, before = random.Random(20_000), {hash(sdp) for sdp in REAL}
    while len(before) < count + len(REAL):
        sdp = dice.choice(REAL)
        for _ in range(dice.choice((1, 1, 2, 2, 3, 4))):
            sdp = dice.choice(MUTATIONS)(dice, sdp[:LONGEST])
        sdp = sdp[:LONGEST]
        if hash(sdp) not in before:
            before.add(hash(sdp))
            yield sdp


def is_sound(sdp: bytes) -> bool:
    """The rules for an offer, said in another way than the validator does."""
    try:
        text = sdp.decode() if len(sdp) <= 65_536 else ""
    except UnicodeDecodeError:
        return False
    rows = re.split("\r?\n", text)
    return (
        rows[0] == "v=0"
        and len(rows) <= 1000
        and all(len(row.encode()) <= 4096 for row in rows)
        and 1 <= len(re.findall("^m=", text, re.M)) <= 8
        and not re.search("^a=crypto:", text, re.M)
        and all(re.search(f"^a={name}:", text, re.M) for name in ("fingerprint", "ice-ufrag", "ice-pwd"))
    )
