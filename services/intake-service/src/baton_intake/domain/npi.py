"""The US National Provider Identifier: when ten digits can be one."""

from __future__ import annotations


def is_npi(value: str) -> bool:
    """Ten ASCII digits whose Luhn check digit holds with the prefix 80840 (45 CFR 162.406; CMS NPI
    standard).
    """
    if len(value) != 10 or not (value.isascii() and value.isdigit()):
        return False
    doubled = (int(digit) * 2 for digit in value[-2::-2])
    odd = sum(number - 9 if number > 9 else number for number in doubled)
    return (_PREFIX_SUM + odd + sum(map(int, value[-1::-2]))) % 10 == 0


_PREFIX_SUM = 24
"""What the constant prefix 80840 adds to every Luhn sum."""
