"""Numbers as English says them: plain lower-case words without commas and hyphens, the American way (no "and")."""

from __future__ import annotations

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LONGEST = 15  # digits; beyond, nobody follows the words, and they are said one by one
DENOMINATORS = {2: ("half", "halves"), 4: ("quarter", "quarters")}


def _words(number: int, **kind: str) -> str:
    from num2words import num2words  # sixty languages, which few texts need

    return num2words(number, **kind)


def _plain(words: str) -> str:
    return " ".join(word for word in words.replace("-", " ").replace(",", " ").split() if word != "and")


def digits(text: str) -> str:
    """Each digit of `text` by itself: "007" -> "zero zero seven"; all else is skipped."""
    return " ".join(DIGITS[int(c)] for c in text if c in "0123456789")


def cardinal(number: str) -> str:
    """ "1,234" -> "one thousand two hundred thirty four". Leading zeros and endless numbers go digit by digit."""
    plain = number.replace(",", "")
    if len(plain) > LONGEST or (plain.startswith("0") and len(plain) > 1):
        return digits(plain)
    return _plain(_words(int(plain)))


def ordinal(number: str) -> str:
    """ "22" -> "twenty second"."""
    plain = number.replace(",", "").lstrip("0") or "0"
    if len(plain) > LONGEST:
        return digits(plain)
    return _plain(_words(int(plain), to="ordinal"))


def decimal(number: str) -> str:
    """ "3.05" -> "three point zero five"; without a point the cardinal; ".5" -> "point five"."""
    whole, point, fraction = number.partition(".")
    if not point:
        return cardinal(whole)
    return f"{cardinal(whole) if whole else ''} point {digits(fraction)}".strip()


def year(number: str) -> str:
    """ "1905" -> "nineteen oh five", "2026" -> "twenty twenty six", "2005" -> "two thousand five"."""
    if len(number) != 4 or number.startswith("0"):
        return cardinal(number)
    return _plain(_words(int(number), to="year"))


def plural(words: str) -> str:
    """The plural of the last word of a number: "nineteen ninety" -> "nineteen nineties"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def fraction(above: str, below: str) -> str:
    """ "3", "4" -> "three quarters"; with a denominator that has no usual name, "three over forty one"."""
    denominator = int(below) if len(below) <= 3 else 0
    if denominator in DENOMINATORS:
        one, many = DENOMINATORS[denominator]
    elif 3 <= denominator <= 20 or denominator in (100, 1000):
        one = ordinal(below)
        many = one + "s"
    else:
        return f"{cardinal(above)} over {cardinal(below)}"
    return f"{cardinal(above)} {one if above == '1' else many}"
