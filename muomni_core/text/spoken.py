"""Text as people write it, made ready to be spoken: lower-case words and basic punctuation, nothing else.

>>> spoken("Dr. Lee paid $5.20 at 3:45 pm on Nov 25, 2026.").text
'doctor lee paid five dollars and twenty cents at three forty five p m on november twenty fifth, twenty twenty six.'
"""

from __future__ import annotations

import re
from typing import NamedTuple

from muomni_core.config import TalkerConfig
from muomni_core.text.abbreviations import expand_abbreviations, expand_acronyms, expand_romans
from muomni_core.text.characters import fold, tidy
from muomni_core.text.dates import DATES
from muomni_core.text.figures import DECADES, FIGURES
from muomni_core.text.links import LINKS, PHONES
from muomni_core.text.money import MONEY
from muomni_core.text.rules import Rule, apply_rules
from muomni_core.text.units import UNITS

ALPHABET = TalkerConfig().alphabet
_MOST_PASSES = 8


class Spoken(NamedTuple):
    """What is said, and the characters that were left out because nobody could say them (each once)."""

    text: str
    dropped: str


_EMOTICON = re.compile(r"(?<!\S)(?:[:;=8][-'^]?[)(DPpOo/\\|\]\[*3]+|<3+|[xX]D|\^_\^|-_-)(?!\S)")

_MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")  # its words are said, not its address

# Runs of space, which later rules would otherwise walk again and again.
_SPACES: list[Rule] = [
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r" ?\n ?"), "\n"),
    (re.compile(r"\n{3,}"), "\n\n"),
]
_LAYOUT: list[Rule] = [
    (re.compile(r"(?m)^\s*```.*$|^\s*[-=*_]{3,}\s*$"), ""),
    (re.compile(r"(?m)^\s*(?:[-*+>]|#{1,6})\s+"), "\n\n"),  # bullets, headings, quotations begin anew
    (re.compile(r"(?m)^\s*(\d{1,3})[.)]\s+"), r"\n\n\1. "),
    (re.compile(r"(\w[\"')*_]*)[ \t]*\n\s*\n"), r"\1.\n"),  # a paragraph ends, and so does its sentence
    (re.compile(r"\s*\n\s*"), " "),
    (re.compile(r"\.{2,}(?=\s*[a-z])"), ", "),
    (re.compile(r"\.{2,}"), ". "),
    (re.compile(r"(?<=\w)([,;:!?])(?=[A-Za-z]{2})"), r"\1 "),
]

_SIGNS: list[Rule] = [
    (re.compile(r"\b([CF])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"\bC\+\+"), "C plus plus"),
    (re.compile(r"\band/or\b", re.I), "and or"),
    (re.compile(r"&(?:amp;)?"), " and "),
    (re.compile(r"\+"), " plus "),
    (re.compile(r"=+>|-+>|<-+|=>"), ", "),
    (re.compile(r"(?<!=)==?(?!=)"), " equals "),
    (re.compile(r"@"), " at "),
    (re.compile(r"\$(?=\S)"), " dollar "),
    (re.compile(r"€"), " euro "),
    (re.compile(r"£"), " pound "),
    (re.compile(r"¥"), " yen "),
    (re.compile(r"₹"), " rupee "),
    (re.compile(r"¢"), " cent "),
    (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), " slash "),
    (re.compile(r"(?<=[a-z])\.(?=[a-z])"), " dot "),
]


# Most text has no figures and no addresses: what cannot apply is not tried.
_HAS_LINK = re.compile(r"[@#]|://|\w\.[A-Za-z]")
_HAS_FIGURE = re.compile(r"[\d$€£¥₹¢°%^~<>/]")


def _once(text: str) -> str:
    """One pass over folded text; what it returns may still hold characters outside the alphabet."""
    text = apply_rules(_SPACES, _MARKDOWN_LINK.sub(r"\1", text))
    if _HAS_LINK.search(text):
        text = apply_rules(LINKS, text)
    text = apply_rules(_LAYOUT, text)
    with_figures = _HAS_FIGURE.search(text)
    if with_figures:
        text = apply_rules(PHONES, text)
    text = expand_romans(expand_abbreviations(text))
    if with_figures:
        for rules in (DATES, MONEY, DECADES, UNITS):
            text = apply_rules(rules, text)
        # "MP3" and "B2B" come apart, "22nd" does not.
        text = re.sub(r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)(?!(?:st|nd|rd|th)\b)(?=[A-Za-z])", " ", text)
        text = apply_rules(FIGURES, text)
    return apply_rules(_SIGNS, expand_acronyms(text))


def spoken(text: str, alphabet: str = ALPHABET) -> Spoken:
    """`text` in words of `alphabet`: numbers, money, dates, times, units, abbreviations, initials, addresses.

    What came out goes through unchanged. Emoji, other scripts and signs without a name are left out and returned; text
    without any word becomes "".
    """
    folded, lost = fold(text)
    dropped = dict.fromkeys(lost)
    folded = _EMOTICON.sub(lambda m: dropped.update(dict.fromkeys(m[0])) or " ", folded)
    # What is left out can bring the parts of an abbreviation together: go on until nothing changes.
    for _ in range(_MOST_PASSES):
        tidied, lost = tidy(_once(folded), alphabet)
        dropped |= dict.fromkeys(lost)
        if tidied == folded:
            break
        folded = tidied
    if not folded:
        dropped |= dict.fromkeys(c for c in text if not c.isspace())
    return Spoken(folded, "".join(dropped))


# As words, which is what a Talker has learned to read: sentences hold hardly a letter by itself.
_NAMES = "bee,see,dee,ee,eff,gee,aitch,jay,kay,ell,em,en,oh,pea,queue,are,ess,tea,you,vee,double you,ex,why,zee"
_LETTERS = dict(zip("bcdefghjklmnopqrstuvwxyz", _NAMES.split(","), strict=True))
_LETTER = re.compile(r"(?<![a-z'])([b-hj-z])(?=$|[^a-z']|'s\b)")
_SPELLED_A = re.compile(r"(?<![a-z'])a(?= [b-z](?![a-z']))|(?<=(?<![a-z'])[b-z] )a(?![a-z'])")


def name_letters(text: str) -> str:
    """Spoken text with the names of letters that stand by themselves: "the b b c" -> "the bee bee see".

    An "a" is one only beside another, as in "nine a m"; an "i" sounds like its name.
    """
    return _LETTER.sub(lambda m: _LETTERS[m[1]], _SPELLED_A.sub("ay", text))


def ctc_text(text: str) -> str:
    """What the ear writes of `text`: lower-case letters, spaces and apostrophes, numbers in words."""
    return " ".join(re.sub("[^a-z' ]", " ", spoken(text).text).split())
