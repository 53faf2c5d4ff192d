"""Text for speech, by table; and that it never raises, never leaves the alphabet, never changes what it made."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muomni_core.text.spoken import ALPHABET, ctc_text, name_letters, spoken

CASES = {
    # numbers
    "0 21 105": "zero twenty one one hundred five",
    "1,234,567 ants": "one million two hundred thirty four thousand five hundred sixty seven ants",
    "the 1st, 22nd and 100th": "the first, twenty second and one hundredth",
    "3.05 and .5": "three point zero five and point five",
    "-5 or \u22127.5": "minus five or minus seven point five",
    "1,000.50": "one thousand point five zero",
    "1,2,3": "one, two, three",
    "007": "zero zero seven",
    "1234567890123456": "one two three four five six seven eight nine zero one two three four five six",
    "\u0663 \u0e55": "three five",
    # years and what is not one
    "in 1984": "in nineteen eighty four",
    "1905, 2000, 2005 and 2026": "nineteen oh five, two thousand, two thousand five and twenty twenty six",
    "1984 books": "one thousand nine hundred eighty four books",
    "1500 people": "one thousand five hundred people",
    "the 1990s, the '80s, the 60s, her 30s": "the nineteen nineties, the eighties, the sixties, her thirties",
    "1990-1995": "nineteen ninety to nineteen ninety five",
    # money
    "$5.20": "five dollars and twenty cents",
    "\u00a33": "three pounds",
    "\u20ac1.5 million": "one point five million euros",
    "$1, $0.99, $1.01": "one dollar, ninety nine cents, one dollar and one cent",
    "$1,234.56": "one thousand two hundred thirty four dollars and fifty six cents",
    "$3bn and $5k": "three billion dollars and five thousand dollars",
    "-$5, 10\u20ac, 5 USD": "minus five dollars, ten euros, five dollars",
    "\u00a5500, 50\u00a2": "five hundred yen, fifty cents",
    "$5-10": "five to ten dollars",
    "a $20 t-shirt at $20/month": "a twenty dollars t-shirt at twenty dollars per month",
    "a $5 bill": "a five dollar bill",
    # dates
    "2026-11-25": "november twenty fifth, twenty twenty six",
    "Nov 25, 2026": "november twenty fifth, twenty twenty six",
    "25/11/2026": "november twenty fifth, twenty twenty six",
    "3/4/2025": "march fourth, twenty twenty five",
    "25 November 2026": "twenty fifth of november, twenty twenty six",
    "July 4th, Sept. 2": "july fourth, september second",
    "May 5-7": "may fifth to seventh",
    "It may rain in May.": "it may rain in may.",
    "Mon-Fri, Sat. 5 June": "monday to friday, saturday fifth of june",
    # times
    "3:45 pm": "three forty five p m",
    "15:00": "fifteen hundred",
    "7 o'clock, 3:00, 3:05": "seven o'clock, three o'clock, three oh five",
    "3pm, 12:30 a.m. today": "three p m, twelve thirty a m today",
    "10:30-11:30": "ten thirty to eleven thirty",
    "3-4pm": "three to four p m",
    "We met at 5 p.m. He left.": "we met at five p m. he left.",
    "10:30:45": "ten thirty and forty five seconds",
    # units
    "5 km, 1 km, 10kg, 11 m": "five kilometers, one kilometer, ten kilograms, eleven meters",
    "72\u00b0F, -5\u00b0C. It": "seventy two degrees fahrenheit, minus five degrees celsius. it",
    "60 mph, 5GB, 3 GHz, 120 km/h": (
        "sixty miles per hour, five gigabytes, three gigahertz, one hundred twenty kilometers per hour"
    ),
    "6'2\" and 5 ft 3 in.": "six feet two inches and five feet three inches",
    "a 5-km run, 5-10 km": "a five kilometer run, five to ten kilometers",
    "50 m\u00b2, 5 \u03bcm": "fifty square meters, five micrometers",
    "12 in. of rain, 5 in the morning": "twelve inches of rain, five in the morning",
    "He weighs 80 kg. She is 5 ft. tall.": "he weighs eighty kilograms. she is five feet tall.",
    "10 mg/day": "ten milligrams per day",
    # percent, fractions, ranges, sums
    "50%, 3.5 %, 5-10%": "fifty percent, three point five percent, five to ten percent",
    "1/2, 3/4, 2/3, 5/8": "one half, three quarters, two thirds, five eighths",
    "1 1/2 or 2\u00bd cups": "one and one half or two and one half cups",
    "24/7": "twenty four seven",
    "3-5 days, pages 10\u201320": "three to five days, pages ten to twenty",
    "1 + 1 = 2, 5 - 3 = 2": "one plus one equals two, five minus three equals two",
    "3x4, 10 / 2, 2^8": "three by four, ten divided by two, two to the power of eight",
    "~5, <5": "about five, less than five",
    "version 1.2.3 at 192.168.1.1": (
        "version one point two point three at one hundred ninety two dot one hundred sixty eight dot one dot one"
    ),
    # abbreviations
    "Dr. Smith, Mr. Jones, Mrs. Hall vs. Ms. Lee": "doctor smith, mister jones, missus hall versus miz lee",
    "e.g. this, i.e. that, etc.": "for example this, that is that, et cetera.",
    "St. John on Main St.": "saint john on main street.",
    "Oak Ave. near Mulholland Dr. in L.A.": "oak avenue near mulholland drive in l a.",
    "Prof. Brown and Gen. Lee": "professor brown and general lee",
    "Smith & Co. and Apple Inc. said so.": "smith and company and apple incorporated said so.",
    "No. 5 is no. Fig. 3, p. 12, pp. 3-5": "number five is no. figure three, page twelve, pages three to five",
    "I ate a fig. She did one rep.": "i ate a fig. she did one rep.",
    "w/ milk w/o sugar and/or he/she": "with milk without sugar and or he slash she",
    # initials, acronyms, Roman numerals
    "USA, U.S.A., NASA, UNESCO": "u s a, u s a, nasa, unesco",
    "J. K. Rowling and J.R.R. Tolkien": "j k rowling and j r r tolkien",
    "the U.S. Army. I live in the U.S. It is big.": "the u s army. i live in the u s. it is big.",
    "TVs, AT&T, PhD, OK": "t v's, a t and t, p h d, okay",
    "MP3, B2B, COVID-19, H2O": "m p three, b two b, covid nineteen, h two o",
    "STOP THAT RIGHT NOW! GO AWAY": "stop that right now! go away",
    "Plan B. The end.": "plan b. the end.",
    "Henry VIII and Elizabeth II": "henry the eighth and elizabeth the second",
    "World War II, Chapter IV, Rocky III": "world war two, chapter four, rocky three",
    "When Mary I met him, Charles I was king": "when mary i met him, charles the first was king",
    "Part Come": "part come",
    # telephones and addresses
    "555-123-4567": "five five five, one two three, four five six seven",
    "+1 (555) 123-4567": "plus one, five five five, one two three, four five six seven",
    "Call 911!": "call nine one one!",
    "https://www.example.com/path?x=1.": "example dot com slash path question mark x equals one.",
    "Visit example.com, or Node.js": "visit example dot com, or node dot js",
    "john.doe99@example.co.uk": "john dot doe nine nine at example dot co dot uk",
    "#MachineLearning by @openai": "hashtag machine learning by at openai",
    "#1": "number one",
    # symbols
    "a & b, x = y, C++, C#": "a and b, x equals y, c plus plus, c sharp",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0141\u00f3d\u017a stra\u00dfe": "cafe naive angstrom lodz strasse",
    "\u201cquoted\u201d \u2018single\u2019 don\u2019t": "quoted single don't",
    "'tis the dogs' day": "'tis the dogs day",
    "Well \u2014 yes \u2013 no -- ok - fine": "well, yes, no, ok, fine",
    "well-known": "well-known",
    "Wait... what?! No!!! Really???": "wait, what? no! really?",
    "a (b) [c]": "a, b, c",
    "**bold** and [link](http://x.com)": "bold and link",
    "# Title\n\n- one item\n- two items\n\nA line\nwrapped.": "title. one item. two items. a line wrapped.",
    "end.The next one,and more": "end. the next one, and more",
    "\u03b1 particles": "alpha particles",
    "\uff28\uff45\uff4c\uff4c\uff4f\uff01": "hello!",
    "a": "a",
    "": "",
    " \n\t ": "",
}


@pytest.mark.parametrize(("written", "said"), CASES.items())
def test_table(written, said):
    result = spoken(written)
    assert result.text == said
    assert result.dropped == ""
    assert spoken(said).text == said


@pytest.mark.parametrize(
    ("written", "said", "dropped"),
    [
        ("Hi \U0001f600 there", "hi there", "\U0001f600"),
        ("\u041f\u0440\u0438 and \u65e5\u672c", "and", "\u041f\u0440\u0438\u65e5\u672c"),
        ("?!...", "", "?!."),
        ("\U0001f600\U0001f600", "", "\U0001f600"),
        ("fine :) thanks", "fine thanks", ":)"),
        ("a\udc80b", "a b", "\udc80"),
    ],
)
def test_what_cannot_be_said_is_left_out_and_named(written, said, dropped):
    assert spoken(written) == (said, dropped)


WRITTEN = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("0123456789 .,:/-$\u20ac%'\"&+@#aAIVXmsdrSt()\n"), max_size=40),
    st.lists(st.sampled_from([*CASES, *"aZ9.'-", "St.", "Dr", "p.m.", "I.", "U.S."]), max_size=5).map(" ".join),
    st.lists(st.sampled_from([*CASES, *"aZ9.'-", "St.", "Dr", "p.m.", "I.", "U.S."]), max_size=5).map("".join),
)


@settings(max_examples=250, deadline=None)
@given(WRITTEN)
@example("d\U0001f600r. m\U0001f600s")
@example("''em '' 'a'")
def test_spoken_stays_in_the_alphabet_and_is_idempotent(written):
    text, _ = spoken(written)
    assert set(text) <= set(ALPHABET)
    assert text == text.strip() and "  " not in text
    assert not text or re.search("[a-z]", text)
    assert spoken(text) == (text, "")


@settings(max_examples=60, deadline=None)
@given(WRITTEN)
def test_a_smaller_alphabet_is_kept_to_as_well(written):
    for alphabet in (" abcdefghijklmnopqrstuvwxyz", " abcdefghijklmnopqrstuvwxyz.,'", "ab "):
        assert set(spoken(written, alphabet).text) <= set(alphabet)


def test_marks_that_an_alphabet_lacks_become_their_like():
    assert spoken("Well-known: yes! No; why?", " abcdefghijklmnopqrstuvwxyz.,").text == "well known, yes. no, why."


@settings(max_examples=60, deadline=None)
@given(WRITTEN)
def test_the_ear_writes_letters_spaces_and_apostrophes(written):
    assert re.fullmatch(r"(?:[a-z']+(?: [a-z']+)*)?", ctc_text(written))


def test_ctc_text_puts_numbers_in_words():
    assert ctc_text("It's 3:45, Mr. Well-Known!") == "it's three forty five mister well known"


@pytest.mark.parametrize("unit", [*"a1(-'$ \n", "1/", "1,", "A ", "a.", "x@", "www.", "I."])
def test_no_input_takes_more_than_linear_time(unit):
    start = time.process_time()
    spoken(unit * 5_000)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The BBC", "the bee bee see"),
        ("at 9 a.m.", "at nine ay em."),
        ("a cat and I", "a cat and i"),
        ("Mind your p's and q's.", "mind your pea's and queue's."),
        ("An X-ray", "an ex-ray"),
        ("six o'clock", "six o'clock"),
        ("Plan A or plan B?", "plan a or plan bee?"),
        ("A B C", "ay bee see"),
        ("w", "double you"),
    ],
)
def test_letters_by_themselves_are_said_by_their_names(text, said):
    assert name_letters(spoken(text).text) == said
