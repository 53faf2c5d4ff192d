"""Amounts of money: "$5.20" -> "five dollars and twenty cents", "€1.5 million" -> "one point five million euros"."""

from __future__ import annotations

import re

from muomni_core.text.number_words import cardinal, decimal
from muomni_core.text.rules import NUMBER, Rule

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"),
}  # fmt: skip
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "mm": "million", "mil": "million", "b": "billion",
    "bn": "billion",
    "t": "trillion", "tn": "trillion", "tr": "trillion",
}  # fmt: skip
_SCALE = r"(?:(k|mn|mm|m|bn|b|tn|t)(?![\w'-])|\s?(thousand|million|billion|trillion|mil|mn|bn|tn)\b)?"
_COUNTRIES = {"US": "u s ", "A": "australian ", "AU": "australian ", "C": "canadian ", "CA": "canadian ",
              "HK": "hong kong ", "NZ": "new zealand "}  # fmt: skip


def _amount(number: str, scale: str, symbol: str, country: str = "") -> str:
    one, many, small_one, small_many = _CURRENCIES[symbol]
    plain = number.replace(",", "")
    whole, _, part = plain.partition(".")
    if scale or len(part) > 2 or (part and not small_one):
        return f"{decimal(plain)} {scale + ' ' if scale else ''}{country}{many}"
    cents = str(int(part.ljust(2, "0"))) if part else "0"
    words = []
    if whole.strip("0") or cents == "0":
        words.append(f"{cardinal(whole or '0')} {country}{one if whole == '1' else many}")
    if cents != "0":
        words.append(f"{cardinal(cents)} {small_one if cents == '1' else small_many}")
    return " and ".join(words)


def _scale(short: str | None, long: str | None) -> str:
    word = (short or long or "").lower()
    return _SCALES.get(word, word)


def _money(match: re.Match) -> str:
    minus, country, symbol, inner, first, second, short, long = match.groups()
    amount = _amount(second or first, _scale(short, long), symbol, _COUNTRIES.get((country or "").upper(), ""))
    if re.match(r"\s(?:bill|note|coin|bet)\b", match.string[match.end() :]) and not second:
        amount = amount.replace("dollars", "dollar").replace("euros", "euro").replace("pounds", "pound")
    lead = f"{decimal(first.replace(',', ''))} to " if second else ""
    return f" {'minus ' if minus or inner else ''}{lead}{amount}"


_SIGN = "[$€£¥₹]"
MONEY: list[Rule] = [
    (re.compile(rf"\b({'|'.join(_CODES)})\s?(?={NUMBER})"), lambda m: _CODES[m[1]]),
    (re.compile(rf"(?<![\w.])({NUMBER})({_SCALE})\s?({'|'.join(_CODES)})\b", re.I),
     lambda m: _CODES[m[5].upper()] + m[1] + m[2] if m[5].isupper() else m[0]),
    (re.compile(rf"(?<![\w.])({NUMBER})({_SCALE})\s?([€£¥₹])(?!\d)", re.I), r"\5\1\2"),
    (re.compile(rf"(?:(?<!\w)(-))?(?:\b({'|'.join(_COUNTRIES)}))?({_SIGN})\s?(-?)({NUMBER})"
                rf"(?:\s?[-–]\s?{_SIGN}?({NUMBER}))?{_SCALE}", re.I), _money),
    (re.compile(rf"({NUMBER})\s?¢"), lambda m: f"{decimal(m[1].replace(',', ''))} cent{'' if m[1] == '1' else 's'}"),
]  # fmt: skip
