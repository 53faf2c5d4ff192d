"""Links, mail addresses, tags and telephone numbers: read sign by sign, so that the listener could write them down."""

from __future__ import annotations

import re

from muomni_core.text.number_words import digits
from muomni_core.text.rules import Rule

_LINK_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals", "&": "and",
    "#": "hash", "@": "at", "~": "tilde", "%": "percent", "+": "plus", ":": "colon",
}  # fmt: skip
_DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|app|co|me|tv|uk|us|ca|de|fr|eu|au|nz|ie|in|jp|ch|nl|se|no|es|it"
)


def _link(text: str) -> str:
    text = re.sub(r"^[a-z]+://", "", text, flags=re.I)
    text = re.sub(r"^www\.", "", text, flags=re.I).rstrip("/")
    parts = re.findall(r"[A-Za-z']+|\d|[^A-Za-z\d']", text)
    words = (digits(p) if p.isdigit() else p if p[0].isalpha() else _LINK_SIGNS.get(p, " ") for p in parts)
    # Small letters: what stands in an address is no acronym to the rules that follow.
    return f" {' '.join(words)} ".lower()


def _tag(word: str, match: re.Match) -> str:
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", match[1])
    return f" {word} {' '.join(parts)} "


LINKS: list[Rule] = [
    (
        re.compile(r"(?:https?|ftp)://[^\s<>\"]*[^\s<>\".,;:!?)\]}']|\bwww\.[^\s<>\"]*[^\s<>\".,;:!?)\]}']", re.I),
        lambda m: _link(m[0]),
    ),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.A), lambda m: _link(m[0])),
    (
        re.compile(rf"(?<![\w.@-])(?:[a-z][a-z0-9-]*\.)+(?:{_DOMAINS})\b(?:/[\w./?=&#%-]*[\w/])?(?!\.\w)", re.I),
        lambda m: _link(m[0]) if "/" in m[0] or m[0].islower() or m[0].split(".")[-1].islower() else m[0],
    ),
    (re.compile(r"(?<![\w&])#([A-Za-z]\w*)", re.A), lambda m: _tag("hashtag", m)),
    (re.compile(r"(?<![\w.])@([A-Za-z]\w*)", re.A), lambda m: _tag("at", m)),
    (re.compile(r"#\s?(?=\d)"), "number "),
]


def _groups(text: str) -> str:
    groups = [digits(group) for group in re.findall(r"\d+", text)]
    return (" plus " if text.lstrip(" (").startswith("+") else " ") + ", ".join(groups) + " "


def _short_phone(match: re.Match) -> str:
    first, second = match[0].split("-")
    is_range = first.endswith("0") and second.endswith("0") and int(second) > int(first)
    return match[0] if is_range else _groups(match[0])


PHONES: list[Rule] = [
    (
        re.compile(r"(?<![\w+])(?:\+?1[\s.-]?)?(?:\(\d{3}\)\s?|\d{3}[.-])\d{3}[\s.-]\d{4}(?![\w-])"),
        lambda m: _groups(m[0]),
    ),
    (re.compile(r"(?<![\w+])\+\d{1,3}(?:[\s.-]?\(?\d{1,5}\)?){2,6}(?!\w)"), lambda m: _groups(m[0])),
    (re.compile(r"(?<![\w.,/-])\d{3}-\d{4}(?![\w/-])"), _short_phone),
    (re.compile(r"\b(call|called|calling|dial|dialed|phone|text)(\s+)(\d{3})(?![\d.,]*\d)", re.I),
     lambda m: f"{m[1]} {digits(m[3])}"),
    (re.compile(r"(?<=\b[A-Z]{2} )\d{5}(?:-\d{4})?(?![\d-])"), lambda m: _groups(m[0])),
]  # fmt: skip
