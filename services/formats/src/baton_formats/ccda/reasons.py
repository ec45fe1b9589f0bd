"""Whether a reason for referral was really given: a section is not yet a reason."""

import re
from typing import Final

REASON_CODE: Final = "42349-1"
"""LOINC, "Reason for referral (narrative)"."""
REASON_TEMPLATE: Final = "1.3.6.1.4.1.19376.1.5.3.1.3.1"
"""IHE PCC, Reason for Referral Section, used by C-CDA R1.1 and R2.1."""

_HEADING: Final = r"""
    (the\ )?(reasons?|indications?)(\ for\ (the\ )?(referral|visit|consultation))?
    | referrals?(\ (reason|details?|information|to|from|date|notes?))?
    | (plan(ned)?\ |scheduled\ |order(ed)?\ |start\ |end\ )?dates?(\ time)?
    | details? | providers? | comments? | descriptions? | status | notes? | priority | specialty | speciality
    | information | data | contents?
"""
_MISSING: Final = (
    r"(available|applicable|recorded|given|provided|specified|found|known|on\ file|documented|stated|entered"
    r"|listed|reported|indicated)"
)
_SUBJECT: Final = (
    r"(for|on|about)\ (the\ |this\ )?"
    r"(referral|visit|encounter|patient|chief\ complaint|reason\ for\ (the\ )?(referral|visit))"
)
_SAID_NOTHING: Final = rf"""
    (there\ (is|was)\ )?(none|nothing)(\ (is|was|has\ been))?(\ {_MISSING})?(\ {_SUBJECT})?
    | (unknown|unspecified)(\ reasons?(\ for\ (the\ )?(referral|visit))?)?
    | unk | nil | null | n\ a | na | tbd
    | not\ ((yet|currently)\ )?{_MISSING}(\ {_SUBJECT})?
    | (there\ (is|was|are|were|has\ been)\ )?no\ ((known|active|current|specific|further)\ )?
      (information|data|reasons?|indications?|entry|entries|content|referrals?)
      (\ {_SUBJECT})?(\ (data|information))?(\ (is|was|are|were|has\ been|have\ been))?
      (\ {_MISSING})?(\ {_SUBJECT})?
"""
_EMPTY: Final = re.compile(
    rf"""({_HEADING})?\ ?((is|was|are|were|has\ been|have\ been)\ )?({_SAID_NOTHING})?(\ at\ this\ time)?
    | [\d\ ]*""",
    re.VERBOSE,
)
_WORDS: Final = re.compile(r"[^\W_]+")
_LONGEST_NOTHING: Final = 100


def is_stated(text: str) -> bool:
    """Whether some line or cell of the section says more than a heading, a date or that there is nothing."""
    return any(_says_something(cell.group()) for cell in re.finditer(r"[^\n\t]+", text))


def _says_something(cell: str) -> bool:
    if len(cell) > _LONGEST_NOTHING:
        return True
    return _EMPTY.fullmatch(" ".join(_WORDS.findall(cell.lower()))) is None
