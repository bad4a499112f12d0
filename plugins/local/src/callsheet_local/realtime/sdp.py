"""SDP offers, looked at before aiortc sees them: what is odd is refused here, what would do harm is left out.

That an offer is text of a bearable size, which begins with v=0 and brings no keys, was seen to by the request's model.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from attrs import field, frozen

from callsheet_local.realtime.refusals import refusal

__all__ = ["Offer", "Section", "read_offer"]

_MOST_CANDIDATES = 64
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_UGLY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")  # what str.splitlines, used by parsers, splits at, too
_WORD = re.compile(r"[\x21-\x7e]{1,256}")
_FINGERPRINT = re.compile(r"[a-z0-9-]{1,20} [0-9a-f]{2}(?::[0-9a-f]{2})*", re.IGNORECASE)


@frozen
class Section:
    """One m-section: `kind` is audio, video or application; `direction` is seen from the peer that offers."""

    kind: str
    direction: str

    @property
    def takes(self) -> bool:
        """Whether the peer wants to receive."""
        return self.direction in {"sendrecv", "recvonly"}

    @property
    def sends(self) -> bool:
        return self.direction in {"sendrecv", "sendonly"}


@frozen
class Offer:
    """An offer that may be handed on, and what it offers."""

    text: str = field(repr=False)
    sections: tuple[Section, ...]

    @property
    def has_channel(self) -> bool:
        return any(section.kind == "application" for section in self.sections)


def read_offer(raw: bytes) -> Offer:
    """Check a request's offer and take out what must not be acted upon. BadRequestError where it is not in order."""
    head, *groups = _groups(_lines(raw))
    sections = tuple(_section(head, group) for group in groups)
    if not any(section.kind in {"audio", "application"} for section in sections):
        raise refusal("it has neither an audio section nor a data channel (m=application)")
    mids = [mid for group in groups for mid in _values(group, "mid")]
    if len(set(mids)) < len(mids) or any(not 1 <= len(mid) <= 16 for mid in mids) or len(mids) not in {0, len(groups)}:
        raise refusal("each of its sections needs an a=mid of its own, of 1 to 16 characters")
    kept = [*_kept(head)]
    for section, group in zip(sections, groups, strict=True):
        kept += _kept(group)
        if not any(line == f"a={section.direction}" for line in group):
            kept.append(f"a={section.direction}")  # the default, which not every parser knows
    return Offer("\r\n".join(kept) + "\r\n", sections)


def _lines(raw: bytes) -> list[str]:
    text = raw.decode().replace("\r\n", "\n")
    if _UGLY.search(text):
        raise refusal("there are control characters in it; lines end in CRLF")
    return text.rstrip("\n").split("\n")


def _groups(lines: list[str]) -> list[list[str]]:
    """The lines before the first m= line, and those of each m-section."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    return groups


def _values(lines: list[str], name: str) -> list[str]:
    return [line.partition(":")[2] for line in lines if line.startswith(f"a={name}:")]


def _section(head: list[str], group: list[str]) -> Section:
    kind, _, rest = group[0].removeprefix("m=").partition(" ")
    if kind not in {"audio", "video", "application"}:
        raise refusal("it has a section that is neither audio nor video nor application")
    for name, pattern in (("ice-ufrag", _WORD), ("ice-pwd", _WORD), ("fingerprint", _FINGERPRINT)):
        found = _values(group, name) or _values(head, name)
        if not found:
            raise refusal(f"its {kind} section has no a={name}")
        if not all(pattern.fullmatch(value) for value in found):
            raise refusal(f"its {kind} section has an a={name} that can't be read")
    if kind == "application":
        _check_port(rest, group)
    named = [line[2:] for line in [*head, *group] if line[2:] in _DIRECTIONS and line.startswith("a=")]
    return Section(kind, named[-1] if named else "sendrecv")


def _check_port(rest: str, group: list[str]) -> None:
    """The port of the data channel's SCTP: in an attribute or, as browsers did until 2018, on the m= line."""
    ports = _values(group, "sctp-port") or (rest.split(" ")[2:3] if " DTLS/SCTP " in rest else [])
    if not (len(ports) == 1 and re.fullmatch("[0-9]{1,5}", ports[0]) and 0 < int(ports[0]) < 65536):
        raise refusal("its application section has no a=sctp-port from 1 to 65535")


def _kept(lines: list[str]) -> Iterator[str]:
    """All lines but candidates that are of no use, and the word that no more will come.

    Peers are found by the packets that they send, so an offer with no candidate at all works - unless it says that
    there never will be one.
    """
    candidates = 0
    for line in lines:
        if line.startswith("a=candidate"):
            candidates += 1
            if candidates > _MOST_CANDIDATES or not _usable(line.partition(":")[2]):
                continue
        elif line.startswith("a=end-of-candidates"):
            continue
        yield line


def _usable(candidate: str) -> bool:
    """Whether a candidate is a UDP address. Names (.local) are not: they would be asked for by multicast, for a second."""
    words = candidate.split(" ")
    if len(words) < 8 or len(words) % 2 or words[1] != "1" or words[2].lower() != "udp" or words[6] != "typ":
        return False
    if not all(re.fullmatch("[0-9]{1,10}", word) for word in (words[3], words[5])) or not 0 < int(words[5]) < 65536:
        return False
    extras = dict(zip(words[8::2], words[9::2], strict=True))
    if not re.fullmatch("[0-9]{1,5}", extras.get("rport", "0")):
        return False
    try:
        address = ipaddress.ip_address(words[4])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or "%" in words[4])
