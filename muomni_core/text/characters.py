"""Any Unicode to plain ASCII, and any ASCII to the alphabet that is spoken: the two ends of the normaliser."""

from __future__ import annotations

import re
import unicodedata

SILENT = frozenset("\"'`*_~^|\\<>{}[]()/#-.,;:?!& \n\t")  # leaving these out takes no word from the listener

_TABLE = {
    **dict.fromkeys("‘’‛′ʼʹ＇", "'"),
    **dict.fromkeys("“”„‟″«»‹›「」『』", '"'),
    **dict.fromkeys("‐‑−⁃", "-"),
    **dict.fromkeys("—―", " -- "),
    **dict.fromkeys("•·‣◦▪", ", "),
    **dict.fromkeys("。", ". "),
    **dict.fromkeys("、،", ", "),
    "…": "...",
    "؟": "?",
    "¿": "",
    "¡": "",
    "ß": "ss",
    "ẞ": "SS",
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ø": "o",
    "Ø": "O",
    "đ": "d",
    "Đ": "D",
    "ð": "th",
    "Ð": "Th",
    "þ": "th",
    "Þ": "Th",
    "ł": "l",
    "Ł": "L",
    "ı": "i",
    "ħ": "h",
    "ŋ": "ng",
    "²": "^2",
    "³": "^3",
    "№": "No. ",
    "º": "°",
    "÷": " divided by ",
    "±": " plus or minus ",
    "≈": " about ",
    "≠": " is not equal to ",
    "≤": " at most ",
    "≥": " at least ",
    "∞": " infinity ",
    "√": " the square root of ",
    "×": "x",
    "§": " section ",
    "⁄": "/",
    "¦": "|",
}
_KEPT = frozenset("€£¥₹¢°–")
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon "
        "phi chi psi omega".split(),
        strict=True,
    )
)
_MICRO = {"g": "micrograms", "m": "micrometers", "s": "microseconds", "l": "microliters"}


def fold(text: str) -> tuple[str, str]:
    """Text in printable ASCII, new lines and `€£¥₹¢°–`; and the characters that say nothing here, each once."""
    if text.isascii() and text.isprintable():
        return text, ""
    text = re.sub(r"[µμ]([gmsl])\b", lambda m: " " + _MICRO[m[1]], text)
    parts: list[str] = []
    dropped: dict[str, None] = {}
    for position, character in enumerate(text):
        plain = _fold_one(character, text[position - 1 : position], text[position + 1 : position + 2])
        if plain is None:
            dropped[character] = None
            plain = " "
        parts.append(plain)
    return "".join(parts), "".join(dropped)


def _fold_one(character: str, before: str, after: str) -> str | None:
    """Plain form of one character; None where there is none."""
    if " " <= character <= "~" or character == "\n" or character in _KEPT:
        return character
    if character in _TABLE:
        return _TABLE[character]
    kind = unicodedata.category(character)
    if kind in ("Mn", "Me", "Cf"):  # accents by themselves, joiners, direction marks, emoji variation
        return ""
    if kind in ("Zl", "Zp") or character in "\r\x0b\x0c\x85":
        return "\n"
    if kind in ("Cc", "Zs"):
        return " "
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if character.lower() in _GREEK:
        # One letter is a symbol; letters side by side are Greek, which is not spoken here.
        alone = not any(unicodedata.name(c, "").startswith("GREEK") for c in (before, after) if c)
        return f" {_GREEK[character.lower()]} " if alone else None
    if kind == "Cs":
        return None
    parts = unicodedata.normalize("NFKD", character)
    if parts == character:
        return None
    folded = [_TABLE.get(c, c) for c in parts if not unicodedata.combining(c)]
    plain = "".join(c for c in folded if (c.isascii() and c.isprintable()) or c in _KEPT)
    if not plain or (len(plain) < len("".join(folded)) and not any(c.isalnum() for c in plain)):
        return None
    return f" {plain}" if kind == "No" else plain  # 2½ is 2 1/2, not 21/2


_STRENGTH = "?!.;:,"
_ELISIONS = r"em|cause|til|tis|twas|round|n"


def _strongest(match: re.Match) -> str:
    return min(match[0].replace(" ", ""), key=_STRENGTH.index) + " "


def tidy(text: str, alphabet: str) -> tuple[str, str]:
    """Lower case in `alphabet` with single spaces and one mark at a time; and what was left out, each once.

    Of several marks in a row the strongest stays. Text without a letter becomes empty.
    """
    original = text
    text = re.sub(r"[)\]}]\s*$", "", text.lower())
    text = re.sub(r"[()\[\]{}|]", ",", text)
    text = re.sub(r"\s+[-–]+(?=\s|$)|--+|–", ", ", text)
    dropped = {c: None for c in dict.fromkeys(text) if not (c.isascii() and c.isalpha()) and c not in SILENT}
    text = re.sub(r"[^a-z'.,?!;:-]+", " ", text.replace('"', ""))
    text = re.sub(rf"(?<![a-z])'(?!(?:{_ELISIONS})\b)|'(?![a-z])", "", text)
    text = re.sub(r"(?<![a-z])-+|-+(?![a-z])", " ", text)
    text = re.sub(r"[?!.;:,](?:\s*[?!.;:,])*", _strongest, text)
    if "-" not in alphabet:
        text = text.replace("-", " ")
    text = "".join(c if c in alphabet else _instead(c, alphabet) for c in text)
    text = re.sub(r"\s+(?=[?!.;:,])", "", re.sub(r" +", " ", text)).lstrip("?!.;:, -").rstrip(" -")
    if not any(c.isalpha() for c in text):
        dropped |= dict.fromkeys(c for c in original if not c.isspace())
        return "", "".join(dropped)
    return text, "".join(dropped)


def _instead(character: str, alphabet: str) -> str:
    """What stands for a character that a smaller alphabet lacks."""
    for other in {"!": ".", "?": ".", ";": ",.", ":": ",."}.get(character, ""):
        if other in alphabet:
            return other
    return "" if character == "'" else " "
