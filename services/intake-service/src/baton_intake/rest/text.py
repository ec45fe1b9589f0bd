"""The kinds of text that native bodies hold, each with its bound and its remedy."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from baton_contracts.events import is_external_value
from baton_intake.domain.npi import is_npi

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
_SYSTEM = re.compile(r"[!-~]{1,256}")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise PydanticCustomError(
            "unfit-character", "Leave out control and direction characters and line ends."
        )
    return text


def _lines(text: str) -> str:
    if _CONTROL_BUT_LINES.search(text):
        raise PydanticCustomError("unfit-character", "Leave out control and direction characters.")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("only-spaces", "Send something beside spaces.")
    return text


def _system(text: str) -> str:
    if not _SYSTEM.fullmatch(text):
        raise PydanticCustomError("not-a-system", "Name the system by a URI, URN or OID without spaces.")
    return text


def _external(text: str) -> str:
    if not is_external_value(text):
        raise PydanticCustomError(
            "not-a-key", "Send 1 to 128 printable ASCII characters without outer spaces."
        )
    return text


def _external_or_empty(text: str) -> str:
    return _external(text) if text else text


def _npi_or_empty(text: str) -> str:
    if text and not is_npi(text):
        raise PydanticCustomError(
            "not-an-npi", "Send ten digits whose check digit holds, or leave the NPI out."
        )
    return text


def _date_or_empty(text: str) -> str:
    if text and not is_partial_date(text):
        raise PydanticCustomError("not-a-date", "Write a date that exists as YYYY, YYYY-MM or YYYY-MM-DD.")
    return text


def _moment_or_date(text: str) -> str:
    if is_partial_date(text):
        return text
    if not (_MOMENT.fullmatch(text) and _exists(text)):
        raise PydanticCustomError(
            "not-a-timestamp", "Write an RFC 3339 time with its offset, or a date as precise as it is known."
        )
    return text


def is_partial_date(text: str) -> bool:
    """A FHIR date that exists: YYYY, YYYY-MM or YYYY-MM-DD."""
    return _DATE.fullmatch(text) is not None and _exists(text + "0001-01-01"[len(text) :])


def _exists(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


Line = Annotated[str, Field(max_length=256), AfterValidator(_one_line)]
"""One line, possibly empty."""

Said = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_one_line), AfterValidator(_said)]
"""One line with something in it."""

FreeText = Annotated[str, Field(max_length=20_000), AfterValidator(_lines)]
"""Words of a person, with line ends; kept sealed, in no event."""

System = Annotated[str, AfterValidator(_system)]
"""A naming system: URI, URN, OID or dotted name."""

KeyValue = Annotated[str, AfterValidator(_external)]
"""A key in its naming system."""

Reference = Annotated[str, AfterValidator(_external_or_empty)]
"""Their own number for the request, possibly empty."""

Code = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_one_line)]
"""A code of a code system."""

Npi = Annotated[str, AfterValidator(_npi_or_empty)]
"""A National Provider Identifier, possibly empty."""

PartialDate = Annotated[str, AfterValidator(_date_or_empty)]
"""A date as precise as it is known, possibly empty."""

PartialTime = Annotated[str, AfterValidator(_moment_or_date)]
"""A moment with its offset, or a date as precise as it is known."""
