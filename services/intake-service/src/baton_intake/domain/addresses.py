"""What can be an address: one mailbox, one telephone number, one web page. Nothing that could become two."""

from __future__ import annotations

import re

_MAILBOX = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_NUMBER = re.compile(r"(?=.{3,40}\Z)(?=(?:.*[0-9]){3})[0-9+(). /xX*#-]+")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?")


def is_address(system: str, value: str) -> bool:
    """Whether the value is one address of the ContactPoint system."""
    return {"email": is_mailbox, "url": is_url}.get(system, is_number)(value)


def is_mailbox(text: str) -> bool:
    """Exactly one e-mail address (RFC 5321 dot-string at a domain with a dot)."""
    return _MAILBOX.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """A telephone or fax number as people write it."""
    return _NUMBER.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """An absolute http or https URL without user information. It is shown, never dialled."""
    return len(text) <= 2000 and _URL.fullmatch(text) is not None
