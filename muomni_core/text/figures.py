"""Numbers that are neither money nor dates: fractions, ranges, sums, ordinals, years, and then every digit left."""

from __future__ import annotations

import re

from muomni_core.text.number_words import cardinal, decimal, digits, fraction, ordinal, plural, year
from muomni_core.text.rules import NUMBER, Rule

# Words that end in "s" and are not what is counted.
_NO_PLURAL = frozenset("is was has its as this does us his yes across always".split())
_COUNTABLE = frozenset("people men women children feet degrees percent mice sheep fish million billion".split())


def _is_year(match: re.Match) -> bool:
    """Four digits alone from 1100 to 2099 are a year, unless things are counted: "in 1984", "1984 books"."""
    if not re.fullmatch(r"1[1-9]\d\d|20\d\d", match[0]):
        return False
    following = re.match(r"[\s-]+([a-z]+)", match.string[match.end() : match.end() + 40])
    word = following[1] if following else ""
    counted = word in _COUNTABLE or (word.endswith("s") and not word.endswith("ss") and word not in _NO_PLURAL)
    return not counted


def _number(match: re.Match) -> str:
    return f" {year(match[0]) if _is_year(match) else decimal(match[0].replace(',', ''))} "


def _fraction(match: re.Match) -> str:
    above, below = match[1], match[2]
    if (above, below) in (("24", "7"), ("9", "11"), ("50", "50")):
        return f"{cardinal(above)} {cardinal(below)}"
    return f"{cardinal(above)} out of {cardinal(below)}" if above == below else fraction(above, below)


def _version(match: re.Match) -> str:
    parts = match[0].split(".")
    return (" dot " if len(parts) == 4 else " point ").join(cardinal(part) for part in parts)


def _decade(match: re.Match) -> str:
    number = match[1]
    return plural(year(number) if len(number) == 4 else cardinal(number))


# Before units: "the 90s" are no seconds.
DECADES: list[Rule] = [
    (re.compile(r"(?<![\w.,])(\d{3}0)'?s\b"), _decade),
    (re.compile(r"(?<!\w)'(\d0)'?s\b"), _decade),
    (
        re.compile(r"\b((?:the|his|her|our|my|your|their|early|late|mid)[ -])([1-9]0)'?s\b", re.I),
        lambda m: m[1] + plural(cardinal(m[2])),
    ),
]

FIGURES: list[Rule] = [
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.]*\d)"), _version),
    (re.compile(r"(?<![\w.,/])(\d+)\s+(\d{1,3})/(\d{1,3})(?![\d/])"),
     lambda m: f"{cardinal(m[1])} and {fraction(m[2], m[3])}"),
    (re.compile(r"(?<![\w.,/])(\d{1,4})/(\d{1,4})(?![\d/]|\.\d|,\d)"), _fraction),
    (re.compile(r"(?<![\w.])(\d+):(\d+)(?![\d:])"), r"\1 to \2"),
    (re.compile(r"(?<!\d)\d++(?:-\d+){2,}"), lambda m: ", ".join(digits(group) for group in m[0].split("-"))),
    (re.compile(r"(?<=\d)\s+-\s+(?=[\d.]+(?:\s*[-+*x/]\s*[\d.]+)*\s*=)"), " minus "),
    (re.compile(r"(?<=\d)-(?=[\d.]+\s*=)"), " minus "),
    (re.compile(r"(?<=\d)\s?[-–]\s?(?=\d)"), " to "),
    (re.compile(r"(?<![\w)])-\s?(?=\.?\d)"), " minus "),
    (re.compile(r"(?<=\d)\s*\^\s*(?=\d)"), " to the power of "),
    (re.compile(r"(?<=\d)\s?x\s?(?=\d)"), " by "),
    (re.compile(r"(?<=\d)\s*\*\s*(?=\d)"), " times "),
    (re.compile(r"(?<=\d)\s*/\s*(?=\d)"), " divided by "),
    (re.compile(r"(?<![\w~])~\s?(?=\d)"), " about "),
    (re.compile(r"(?<![\w<])<\s?(?=\d)|(?<=\d) < (?=[\w])"), " less than "),
    (re.compile(r"(?<![\w>])>\s?(?=\d)|(?<=\d) > (?=[\w])"), " greater than "),
    (re.compile(r"(?<!\w)(\d+|\d{1,3}(?:,\d{3})+)(?:st|nd|rd|th)\b", re.I), lambda m: ordinal(m[1])),
    (re.compile(NUMBER), _number),
]  # fmt: skip
