"""Abbreviations, initials, acronyms and Roman numerals, to the words that people say."""

from __future__ import annotations

import re
from collections.abc import Iterable

from muomni_core.text.number_words import cardinal, ordinal

# Words that begin sentences: after an abbreviation's full stop they tell that the sentence ended, too.
STARTERS = (
    "The This That These Those There Then They He She It We You I My His Her Our Your Their But And So Or If When "
    "While "
    "What Who Where Why How Is Are Do Does Did Can Could Will Would Please Yes No Now After Before Because However "
    "Also "
    "Let Here Not One Some Many Most All Every Each For At On As"
).split()
_STARTER = re.compile(rf"\s+[\"'(]?(?:{'|'.join(STARTERS)})\b")

MONTHS = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip
MONTH_OF = {m[:3].lower(): m for m in MONTHS} | {"sept": "September"}
_DAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "thur": "Thursday",
    "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip

# With or without a full stop, in any case: none of these is an English word.
_ALWAYS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messieurs", "dr": "doctor", "vs": "versus",
    "etc": "et cetera", "approx": "approximately", "dept": "department", "govt": "government", "blvd": "boulevard",
    "ltd": "limited", "hwy": "highway", "pkwy": "parkway", "bldg": "building", "e.g": "for example",
    "eg": "for example",
    "i.e": "that is", "ie": "that is", "cf": "compare", "a.k.a": "also known as", "aka": "also known as",
    "w/o": "without", "w/": "with ", "b/c": "because", "n/a": "not applicable", "ph.d": "p h d", "phd": "p h d",
    "bsc": "b s c", "msc": "m s c",
}  # fmt: skip
# Only with the full stop.
_DOTTED = {
    "prof": "professor", "jr": "junior", "sr": "senior", "inc": "incorporated", "corp": "corporation",
    "ave": "avenue", "misc": "miscellaneous", "assn": "association", "univ": "university", "asst": "assistant",
    "tel": "telephone", "al": "al",
}  # fmt: skip
# Only before a name, and as a title is written.
_TITLES = {
    "Prof": "professor", "Gen": "general", "Sen": "senator", "Rep": "representative", "Col": "colonel",
    "Capt": "captain", "Lt": "lieutenant", "Sgt": "sergeant", "Rev": "reverend", "Gov": "governor", "Hon": "honorable",
    "Mt": "mount", "Ft": "fort", "Pres": "president", "Cpl": "corporal", "Adm": "admiral", "Maj": "major",
    "Fr": "father", "St": "saint", "Ste": "saint", "Sts": "saints",
}  # fmt: skip
# Only before a number.
_COUNTED = {
    "no": "number", "nos": "numbers", "fig": "figure", "figs": "figures", "vol": "volume", "vols": "volumes",
    "ch": "chapter", "chap": "chapter", "p": "page", "pp": "pages", "sec": "section", "eq": "equation",
    "ext": "extension",
    "apt": "apartment", "art": "article", "ep": "episode", "pt": "part", "ca": "about", "c": "about", "v": "version",
}  # fmt: skip
_PLACES = {"St": "street", "Dr": "drive", "Rd": "road", "Ln": "lane", "Ct": "court", "Sq": "square", "Pl": "place",
           "Co": "company", "Bros": "brothers", "Hts": "heights"}  # fmt: skip

# After these a full stop is no sentence's end, whatever follows.
NEVER_LAST = frozenset(
    "mr mrs ms messrs dr prof gen sen rep col capt lt sgt rev gov hon mt ft pres cpl adm maj fr st ste vs e.g i.e cf "
    "fig figs vol vols ch chap pp eq ext approx nos ca".split()
)
# After these it is one only if a sentence follows.
SELDOM_LAST = frozenset("jr sr inc ltd co corp etc a.m p.m ave blvd rd no al u.s u.k bros dept assn".split())


def stop_after(match: re.Match) -> str:
    """ "." where the full stop at the end of `match` closes a sentence as well, else nothing."""
    if not match[0].endswith("."):
        return ""
    rest = match.string[match.end() :]
    return "." if not rest.strip("\"') \n") or rest.lstrip(" ").startswith("\n") or _STARTER.match(rest) else ""


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_EDGE = r"(?<![\w.'/-])"
_TITLE_RULE = re.compile(rf"{_EDGE}({_any(_TITLES)})(?:\.\s*|\s+)(?=[A-Z][a-z'])")
_PLACE_RULE = re.compile(rf"(?<=[A-Za-z0-9&] )({_any(_PLACES)})(\.|\b)(?=\s*(?:[,;:.!?)]|$|\n|[a-z]|and\b))")
_PLACE_NAME = re.compile(r"(?:[A-Z][\w'&.-]*|&|\d(?:st|nd|rd|th))\s$")
_COUNTED_RULE = re.compile(rf"{_EDGE}({_any(_COUNTED)})\.\s*(?=\d)", re.I)
_ALWAYS_RULE = re.compile(rf"{_EDGE}({_any(_ALWAYS)})(?:\.(?!\w)|(?<=/)|(?![\w/'-]|\.\w))", re.I)
_DOTTED_RULE = re.compile(rf"{_EDGE}({_any(_DOTTED)})\.(?!\w)", re.I)
_MONTH = _any(MONTH_OF)
_MONTH_RULE = re.compile(rf"{_EDGE}({_MONTH})(?:\.(?!\w)|(?=\s+\d))|(?<=\d )({_MONTH})\b(?!')", re.I)
_DAY = _any(_DAYS)
_DAY_RULE = re.compile(rf"\b({_DAY})\.?(?=,?\s+(?:\d|{_any(MONTHS)}|at\b))", re.I)
_DAY_RANGE = re.compile(rf"\b({_DAY})\.?\s?[-–]\s?({_DAY})\b\.?", re.I)
_DOTTED_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}(?![a-z])")
_INITIAL = re.compile(rf"(?<![\w'.°])(?<!\d )([A-Z])\.(?=\s*[A-Z][\w'.])(?!\s*(?:{'|'.join(STARTERS)})\b)")


def _place(match: re.Match) -> str:
    if not _PLACE_NAME.search(match.string, max(0, match.start() - 40), match.start()):
        return match[0]
    return _PLACES[match[1]] + stop_after(match)


def expand_abbreviations(text: str) -> str:
    """Titles, places, months, days, Latin; then initials: "J. K. Rowling" -> "J K Rowling", "U.S.A." -> "u s a"."""
    text = _PLACE_RULE.sub(_place, text)
    text = _TITLE_RULE.sub(lambda m: _TITLES[m[1]] + " ", text)
    text = _COUNTED_RULE.sub(lambda m: _COUNTED[m[1].lower()] + " ", text)
    text = _ALWAYS_RULE.sub(lambda m: _ALWAYS[m[1].lower()] + stop_after(m), text)
    text = _DOTTED_RULE.sub(lambda m: _DOTTED[m[1].lower()] + stop_after(m), text)
    text = _DAY_RANGE.sub(lambda m: f"{_DAYS[m[1].lower()]} to {_DAYS[m[2].lower()]}", text)
    text = _DAY_RULE.sub(lambda m: _DAYS[m[1].lower()], text)
    text = _MONTH_RULE.sub(_month, text)
    text = _DOTTED_INITIALS.sub(lambda m: " ".join(m[0].lower().split(".")).strip() + stop_after(m), text)
    return _INITIAL.sub(lambda m: f"{m[1]} ", text)


def _month(match: re.Match) -> str:
    word = match[1] or match[2]
    if word.lower() == "may" and match[0].endswith("."):
        return match[0]
    # A small "mar" or "dec" with a full stop is a word at a sentence's end, unless a day follows.
    if word.islower() and not match.string[match.end() : match.end() + 2].strip()[:1].isdigit() and not match[2]:
        return match[0]
    return MONTH_OF[word.lower()] + stop_after(match)


# --- Roman numerals ---------------------------------------------------------------------------------------------------
_ROMAN = r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_RULERS = (
    "Henry Louis Elizabeth George Edward Charles James Richard William Philip Paul Benedict Pius Napoleon Nicholas "
    "Alexander Catherine Mary Peter Ramses Ramesses Leo Gregory Francis Innocent Clement Urban Frederick Otto "
    "Ferdinand "
    "Alfonso Ivan Christian Harald Haakon Olaf Gustav Carl Karl Carlos Felipe Wilhelm Rama Thutmose Ptolemy Cleopatra "
    "Darius Xerxes Mehmed Selim Suleiman Murad Baldwin Boniface Julius Sixtus Stephen Robert Malcolm David Victor "
    "Emmanuel Umberto Leopold Albert Rainier Sigismund Constantine Justinian Theodosius Margaret Isabella Joseph "
    "Pedro Joao"
).split()
_COUNTERS = (
    "War Chapter Part Volume Book Act Scene Section Phase Type Class Level Grade Stage Episode Bowl Article Title Mark "
    "Appendix Lesson Unit Day Round Group Division Area Vatican Apollo"
).split()
_RULER_RULE = re.compile(rf"\b({'|'.join(_RULERS)})\s+(?=[IVXL])({_ROMAN})(?<=[IVXLCDM])\b(?!\.[A-Z])")
_ANY_COUNTER = "|".join((*_COUNTERS, *(c.lower() for c in _COUNTERS)))
_COUNTER_RULE = re.compile(rf"\b({_ANY_COUNTER})\s+(?=[IVXLC])({_ROMAN})(?<=[IVXLCDM])\b")
_NAMED_RULE = re.compile(r"\b([A-Z][a-z]\w*)\s+((?:X{0,3})(?:IX|IV|V?I{0,3}))(?<=[IVX]{2})\b")
_VERB_I = re.compile(r"\s+(?!(?:of|was|is|and|died|reigned|ruled|became|had|in|by)\b)[a-z']")


def roman_value(numeral: str) -> int:
    """ "XIV" -> 14."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    for this, following in zip(numeral, numeral[1:] + " ", strict=True):
        total += -values[this] if values.get(following, 0) > values[this] else values[this]
    return total


def _pronoun(match: re.Match) -> bool:
    """ "I" before a small verb is somebody, not a number."""
    return match[2] == "I" and bool(_VERB_I.match(match.string, match.end()))


def expand_romans(text: str) -> str:
    """ "Henry VIII" -> "Henry the eighth", "World War II" -> "World War two"."""
    text = _RULER_RULE.sub(lambda m: m[0] if _pronoun(m) else f"{m[1]} the {ordinal(str(roman_value(m[2])))}", text)
    text = _COUNTER_RULE.sub(lambda m: m[0] if _pronoun(m) else f"{m[1]} {cardinal(str(roman_value(m[2])))}", text)
    return _NAMED_RULE.sub(lambda m: f"{m[1]} {cardinal(str(roman_value(m[2])))}", text)


# --- Acronyms ---------------------------------------------------------------------------------------------------------
_SHORT_WORDS = frozenset(
    "AH AM AN AS AT AX BE BY DO EH GO HA HE HI HO IF IN IS IT LO MA ME MY NO OF OH ON OR OW OX PA PI SO TO UH UM UP "
    "WE YO "
    "ACE ACT ADD AGE AGO AIR ALL AND ANY ARE ARM ART ASK ATE BAD BAG BAR BAT BED BEE BET BIG BIT BOW BOX BOY BUS BUT "
    "BUY "
    "CAN CAR CAT COW CRY CUP CUT DAD DAY DEN DID DIE DIG DOG DRY DUE EAR EAT EGG END EYE FAN FAR FAT FEE FEW FIT FIX "
    "FLY FOG "
    "FOR FOX FUN GAS GET GOD GOT GUM GUN GUY HAD HAS HAT HEN HER HEY HID HIM HIS HIT HOP HOT HOW HUG ICE ILL INK ITS "
    "JAM JAR "
    "JET JOB JOY KEY KID LAP LAW LAY LEG LET LID LIE LIP LOT LOW MAD MAN MAP MAY MET MIX MOM MUD MUM NAP NET NEW NOD "
    "NOR NOT "
    "NOW NUT OAK ODD OFF OIL OLD ONE OUR OUT OWE OWN PAN PAT PAY PEA PEN PET PIE PIG PIN PIT POP POT PUT RAG RAM RAN "
    "RAT RAW "
    "RED RIB RID RIP ROB ROD ROM ROW RUB RUG RUN SAD SAT SAW SAY SEA SEE SET SEW SHE SHY SIM SIN SIP SIT SIX SKY SON "
    "SUN TAG "
    "TAP TAX TEA TEN THE TIE TIP TOE TON TOO TOP TOY TRY TUB TWO USE VAN VET WAR WAS WAX WAY WEB WED WET WHO WHY WIG "
    "WIN WON "
    "WOW YES YET YOU YEP YUP ZIP ZOO GIF HMM SHH BRR GRR TSK PSST MRS MR DR".split()
)
_SPELLED = frozenset(
    "USA UK EU UN UFO CEO CFO CTO CIA FBI IBM AI ATM API URL USB IQ ID DIY FAQ ETA GPA IPO ISP LED UAE YMCA NAACP "
    "ESPN IEEE "
    "AARP USDA UCLA ACLU ISBN IPCC OECD USSR NCAA ASAP ICBM HTTP HTTPS UUID EKG ECG TV PC CD DVD DNA RNA NBA NFL BBC "
    "CNN "
    "MIT LA NYC USAF EEG IOU FYI VIP".split()
)
_CAPITALS = re.compile(r"\b([A-Z]{2,})('?s\b)?(?![a-z])")
_IT_WORK = re.compile(r"\s+(?:department|support|team|manager|guy|industry|company|person|specialist|staff|skills)\b")
_WORD = re.compile(r"[A-Za-z]{2,}")


def _is_shouted(text: str) -> bool:
    words = _WORD.findall(text)
    return sum(w.isupper() for w in words) >= 3 and sum(w.isupper() for w in words) > 0.6 * len(words)


def expand_acronyms(text: str) -> str:
    """ "USA" -> "u s a", "TVs" -> "t v's", "NASA" -> "nasa"; in a text that is all capitals words stay words."""
    shouted = _is_shouted(text)

    def say(match: re.Match) -> str:
        word, ending = match[1], match[2] or ""
        if word == "OK":
            return "okay" + ending
        if word == "IT" and not shouted and _IT_WORK.match(match.string, match.end()):
            return "i t"
        if word in _SHORT_WORDS:
            spelled = False
        elif word in _SPELLED or not re.search("[AEIOUY]", word):
            spelled = len(set(word)) > 1  # not "ZZZ"
        else:
            spelled = len(word) <= 3 and not shouted
        if not spelled:
            return word.lower() + ending
        return " ".join(word.lower()) + ("'s" if ending else "")

    text = re.sub(r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", lambda m: f"{' '.join(m[1])} and {' '.join(m[2])}".lower(), text)
    return _CAPITALS.sub(say, text)
