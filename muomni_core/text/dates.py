"""Dates and times of day. Where the order is open the American one is taken: 3/4/2025 is the fourth of March."""

from __future__ import annotations

import re

from muomni_core.text.abbreviations import MONTHS, stop_after
from muomni_core.text.number_words import cardinal, digits, ordinal, year
from muomni_core.text.rules import Rule

# "march 5" and "may 5" are months only with a capital: small, they are verbs.
_MONTH = rf"(?:(?i:{'|'.join(m for m in MONTHS if m not in ('March', 'May'))})|March|May)"


def _date(day: str, month: int, years: str) -> str:
    if len(years) == 2 and years[0] == "0":
        return f"{MONTHS[month - 1]} {ordinal(day)}, oh {digits(years[1])}"
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(years)}"


def _iso(match: re.Match) -> str:
    if 1 <= int(match[2]) <= 12 and 1 <= int(match[3]) <= 31:
        return _date(match[3], int(match[2]), match[1])
    return ", ".join(cardinal(g) for g in match.groups())


def _slashed(match: re.Match) -> str:
    """month/day/year, as Americans write it, or day/month/year where that cannot be; else the numbers."""
    first, _, second, year_digits = match.groups()
    if 1 <= int(first) <= 12 and 1 <= int(second) <= 31:
        return _date(second, int(first), year_digits)
    if 1 <= int(second) <= 12 and 1 <= int(first) <= 31:
        return _date(first, int(second), year_digits)
    return " slash ".join(cardinal(g) for g in (first, second, year_digits))


def _time(match: re.Match) -> str:
    hour, minute, second = match[1], match[2], match[3]
    half = f" {match[4][0].lower()} m" if match[4] else ""
    end = stop_after(match) if match[4] else ""
    if match[1] == "00":
        hour, half = "12", half or " a m"
    words = cardinal(str(int(hour)))
    if int(minute):
        words += " oh " + cardinal(minute[1]) if minute[0] == "0" else " " + cardinal(minute)
    elif not half:
        words += " hundred" if int(hour) > 12 else " o'clock"
    if second:
        words += f" and {cardinal(str(int(second)))} second" + ("" if int(second) == 1 else "s")
    return words + half + end


_HALF = r"([ap]\.\s?m\.|[ap]m)(?![\w'])"
DATES: list[Rule] = [
    (re.compile(r"(?<=\d)T(?=\d\d:\d\d)"), " "),
    (re.compile(r"(?<![\d-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d-])"), _iso),
    (re.compile(r"(?<![\d/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])"),
     _slashed),
    (re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b(?!:)"),
     lambda m: f"{m[1]} {ordinal(m[2])}, {year(m[3])}"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+({_MONTH}),?\s+(\d{{4}})\b(?!:)"),
     lambda m: f"{ordinal(m[1])} of {m[2]}, {year(m[3])}"),
    (re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})\s?[-–]\s?(\d{{1,2}})\b(?![:\d])"),
     lambda m: f"{m[1]} {ordinal(m[2])} to {ordinal(m[3])}"),
    (re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?![:%\d]|[.,]\d)"),
     lambda m: f"{m[1]} {ordinal(m[2])}"),
    (re.compile(rf"\b(\d{{1,2}})\s+({_MONTH})\b"), lambda m: f"{ordinal(m[1])} of {m[2]}"),
    (re.compile(r"(?<=\d)\s?[-–]\s?(?=\d{1,2}:\d\d)"), " to "),
    (re.compile(rf"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?:\s?{_HALF}|(?![\d:]))", re.I), _time),
    (re.compile(rf"(?<![\d:.])(\d{{1,2}})\s?[-–]\s?(?=\d{{1,2}}\s?{_HALF})", re.I), r"\1 to "),
    (re.compile(rf"(?<![\d:.])(\d{{1,2}})\s?{_HALF}", re.I),
     lambda m: f"{cardinal(m[1])} {m[2][0].lower()} m{stop_after(m)}"),
]  # fmt: skip
