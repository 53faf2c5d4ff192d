"""What the files of written forms share: a rule is a pattern and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Rule = tuple[re.Pattern[str], str | Callable[[re.Match], str]]

# Possessive, and never begun inside a number: an endless row of digits is then read once. Not `(?:...)?+`: in a full run of
# the tests under 3.11.7 "20." was now and then read otherwise, which nothing else explains.
NUMBER = r"(?:(?<![\d,])\d{1,3}(?:,\d{3})++(?!\d)|(?<!\d)\d++)(?:\.\d++|(?!\.\d))|(?<!\d)\.\d++"


def apply_rules(rules: Iterable[Rule], text: str) -> str:
    """All rules, one after the other: the order lets the longer form win."""
    for pattern, becomes in rules:
        text = pattern.sub(becomes, text)
    return text
