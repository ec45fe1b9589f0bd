"""Dates and times as senders write them, kept exactly as precise as they are: ISO 8601 and HL7 forms."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta

from baton_formats.facts import PartialTime
from baton_formats.values import maker_of

_MAKE = maker_of(PartialTime)

_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?\s?([Zz]|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
# What is written exactly as it would be kept, and surely exists: the 29th of February is looked at apart.
_CANONICAL = re.compile(
    r"(?!0000)\d{4}(?:-(?:"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,12})?)?(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)?)?"
    r"|0[1-9]|1[0-2]))?",
    re.ASCII,
)
# What may be kept of any sender: also hours without minutes.
_KEPT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
# The widest offset in whole hours: what FHIR allows, and HL7 v2, which names no bound.
_ISO_HOURS, _HL7_HOURS = 14, 23
_HL7 = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,12}))?)?)?)?)?)?"
    r"([Zz]|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)


def parse_iso(text: str) -> PartialTime:
    """A FHIR ``date``, ``dateTime`` or ``instant``, total: what is no such thing comes back as ``text`` only.

    Seconds may be missing, the offset may lack its colon; nothing is added that was not there.
    """
    return canonical(text) or _built(_ISO.fullmatch(text), text, _ISO_HOURS)


def canonical(text: str) -> PartialTime | None:
    """The same for a text that is written exactly as it would be kept; None for any other."""
    return _MAKE(text) if _CANONICAL.fullmatch(text) is not None else None


def parse_hl7(text: str) -> PartialTime:
    """An HL7 v2 DT, DTM or TS (first component) or a C-CDA TS: ``YYYY[MM[DD[HH[MM[SS[.f]]]]]][±ZZ[ZZ]]``.

    Total: ``Aug 15, 1942`` or ``19999999`` come back as ``text`` only. An offset of a date without a time is
    dropped, since a date has none (:func:`drops_offset` tells); an offset of hours only (``-08``) gets its
    minutes. Any offset of less than a day is kept, also one that no place on earth has.
    """
    return _built(_HL7.fullmatch(text.strip()), text, _HL7_HOURS)


def drops_offset(text: str) -> bool:
    """Whether ``text`` is an HL7 date without a time of day but with an offset, which no date keeps."""
    match = _HL7.fullmatch(text.strip())
    return match is not None and match.group(4) is None and match.group(8) is not None


def is_backwards(start: PartialTime | None, end: PartialTime | None) -> bool:
    """Whether an end is surely before its start; never where a time of day or an offset is missing."""
    if start is None or end is None or start.iso is None or end.iso is None:
        return False
    if start.iso <= end.iso and _written_alike(start.iso, end.iso):
        return False
    begins, ends = start.instant(), end.instant()
    return begins is not None and ends is not None and ends < begins


def _written_alike(one: str, other: str) -> bool:
    """Whether two times are in the same offset and equally precise, so that their texts sort as they do."""
    return len(one) == len(other) and (one[-6:] == other[-6:] or (one[-1] == "Z" and other[-1] == "Z"))


def hl7_text(time: PartialTime) -> str | None:
    """The HL7 v2 form of a time, as precise as it is; None if it could not be read."""
    if time.iso is None:
        return None
    body, zone = _split_zone(time.iso)
    digits = body.replace("-", "").replace(":", "").replace("T", "")
    return digits + ("+0000" if zone == "Z" else zone.replace(":", ""))


def fhir_text(time: PartialTime, *, default_zone: str | None = None) -> str | None:
    """The FHIR R4 ``dateTime`` of a time, None if it could not be read.

    FHIR wants seconds and an offset with every time of day: missing minutes and seconds become ``00``;
    without any offset (none given, no ``default_zone``) only the date is written: a wrong moment is worse.
    An offset wider than FHIR allows is written as the same moment in UTC; a day that no calendar has
    (``2021-13-45``) is None.
    """
    if time.iso is None or not _is_kept(time.iso):
        return None
    if "T" not in time.iso:
        return time.iso
    body, zone = _split_zone(time.iso)
    zone = zone or default_zone or ""
    if not zone:
        return body[:10]
    whole = body + {2: ":00:00", 5: ":00"}.get(len(body) - 11, "")
    return _in_utc(whole, zone) if zone[1:] > "14:00" else whole + zone


def _is_kept(iso: str) -> bool:
    """Whether this is a time as :class:`PartialTime` keeps it, of a day that the calendar has."""
    if _CANONICAL.fullmatch(iso) is not None:
        return True
    match = _KEPT.fullmatch(iso)
    return match is not None and _exists(match, _HL7_HOURS)


def _in_utc(body: str, zone: str) -> str:
    """The moment in UTC; only the date where it would be before the first year or behind the last."""
    offset = timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[4:]))
    try:
        moved = datetime.fromisoformat(body[:16]) - offset
    except OverflowError:
        return body[:10]
    return moved.isoformat(timespec="minutes") + body[16:] + "Z"


def _split_zone(iso: str) -> tuple[str, str]:
    if "T" not in iso:
        return iso, ""
    if iso.endswith("Z"):
        return iso[:-1], "Z"
    if len(iso) > 6 and iso[-6] in "+-" and iso[-3] == ":":
        return iso[:-6], iso[-6:]
    return iso, ""


def _built(match: re.Match[str] | None, text: str, widest: int) -> PartialTime:
    if match is None or not _exists(match, widest):
        return PartialTime(text=text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    iso = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        return PartialTime(iso=iso)
    iso += "T" + ":".join(part for part in (hour, minute, second) if part)
    if fraction:
        iso += "." + fraction
    return PartialTime(iso=iso + _zone(zone))


def _zone(zone: str | None) -> str:
    if not zone:
        return ""
    if zone in "Zz":
        return "Z"
    digits = zone[1:].replace(":", "")
    return f"{zone[0]}{digits[:2]}:{digits[2:] or '00'}"


def _exists(match: re.Match[str], widest: int) -> bool:
    year, month, day, hour, minute, second = (None if p is None else int(p) for p in match.groups()[:6])
    if year is None or year == 0 or (month is not None and not 1 <= month <= 12):
        return False
    if day is not None and (month is None or not 1 <= day <= monthrange(year, month)[1]):
        return False
    in_day = (hour or 0) <= 23 and (minute or 0) <= 59 and (second or 0) <= 60
    return in_day and _offset_exists(match.group(8), widest)


def _offset_exists(zone: str | None, widest: int) -> bool:
    if not zone or zone in "Zz":
        return True
    digits = zone[1:].replace(":", "")
    return int(digits[:2]) <= widest and int(digits[2:] or 0) <= 59
