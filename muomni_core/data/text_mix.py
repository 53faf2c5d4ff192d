"""Questions in words alone: small talk, facts, sums, days, opposites, definitions, and what text rows hold."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from muomni_core.data import facts as known
from muomni_core.data import phrasings as ask
from muomni_core.data import smalltalk as talk
from muomni_core.data.everyday import held_out
from muomni_core.data.example import Example, heard_at, plain
from muomni_core.data.text_rows import TextRows
from muomni_core.data.words import KINDS, join, number_words, plural, with_article

_CHATTED = frozenset(plain(question) for _, questions in talk.SMALLTALK for question in questions)


def _example(kind: str, question: str, answer: str, turns: list[tuple[str, str]] | None = None) -> Example:
    return Example(kind, question, answer, None, None, turns or [])


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def chat(rng: random.Random) -> Example:
    """Small talk; sometimes after an earlier exchange, which changes nothing."""
    answer, questions = rng.choice(talk.SMALLTALK)
    turns = []
    if rng.random() < 0.1:
        earlier, asked = rng.choice(talk.SMALLTALK)
        turns = [(rng.choice(asked), earlier)]
    return _example("chat", rng.choice(questions), answer, turns)


def greet(rng: random.Random) -> Example:
    """The first two dozen groups again: what people say first."""
    answer, questions = rng.choice(talk.SMALLTALK[:24])
    return _example("chat", rng.choice(questions), answer)


def told(rng: random.Random) -> Example:
    """What the user said of himself, at once or an exchange later."""
    if rng.random() < 0.5:
        name = rng.choice(talk.NAMES)
        said, heard = rng.choice(talk.MY_NAME).format(name=name), talk.NICE_TO_MEET.format(name=name)
        asked, answer = rng.choice(talk.ASK_NAME), talk.YOUR_NAME.format(name=name)
    else:
        said, heard, asked, answer, words = rng.choice(talk.TOLD)
        x = rng.choice(words.split())
        said, answer = said.format(x=x), answer.format(x=x)
    if rng.random() < 0.4 and plain(said) not in _CHATTED:
        return _example("chat", said, heard)
    turns = [(said, heard)]
    if rng.random() < 0.3:
        between, questions = rng.choice(talk.SMALLTALK)
        turns.append((rng.choice(questions), between))
    return _example("told", asked, answer, turns)


def sums(rng: random.Random) -> Example:
    """Arithmetic to twenty, in digits or in words."""
    sign = rng.choice("++-*/")
    if sign == "+":
        a = rng.randint(0, 20)
        b = rng.randint(0, 20 - a)
        result = a + b
    elif sign == "-":
        a = rng.randint(0, 20)
        b = rng.randint(0, a)
        result = a - b
    else:
        a, b = rng.choice([(x, y) for x in range(1, 11) for y in range(1, 11) if x * y <= 20])
        a, result = (a, a * b) if sign == "*" else (a * b, a)
    digits = rng.random() < 0.45
    x, y, z = (str(n) if digits else number_words(n) for n in (a, b, result))
    spoken = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}[sign]
    forms = [f"{x} {spoken} {y}"] * 3
    if digits:
        forms += [f"{x} {sign} {y}"] * 2
    if sign == "+":
        forms.append(f"{x} and {y}")
    form = rng.choice(forms)
    question = rng.choice(
        ("What is {f}?", "What's {f}?", "How much is {f}?", "{f}?", "Calculate {f}.", "Tell me, what is {f}?",
         "Can you tell me what {f} is?", "What does {f} make?", "How much does {f} make?", "{f} is what?")
    ).format(f=form)  # fmt: skip
    return _example("sum", _upper(question), f"{_upper(x)} {spoken} {y} is {z}.")


def numbers(rng: random.Random) -> Example:
    """The order of numbers to twenty: next, before, bigger, counting."""
    n = rng.randint(1, 19)
    draw = rng.randrange(5)
    say = str if rng.random() < 0.4 else number_words
    if draw == 0:
        question = rng.choice(("What comes after {n}?", "Which number comes after {n}?", "What number follows {n}?"))
        return _example("sum", question.format(n=say(n)), f"{_upper(say(n + 1))} comes after {say(n)}.")
    if draw == 1:
        question = rng.choice(("What comes before {n}?", "Which number comes before {n}?"))
        return _example("sum", question.format(n=say(n)), f"{_upper(say(n - 1))} comes before {say(n)}.")
    if draw == 2:
        a, b = rng.sample(range(1, 21), 2)
        big = rng.random() < 0.5
        word = rng.choice(("bigger", "larger", "greater")) if big else "smaller"
        question = rng.choice(("Which is", "Which number is", "What is")) + " {w}, {a} or {b}?"
        best, rest = (max(a, b), min(a, b)) if big else (min(a, b), max(a, b))
        answer = f"{_upper(say(best))} is {word} than {say(rest)}."
        return _example("sum", question.format(w=word, a=say(a), b=say(b)), answer)
    if draw == 3:
        last = rng.randint(3, 10)
        forms = ("Count to {n}.", "Count from one to {n}.", "Can you count to {n}?", "Please count to {n}.")
        question = rng.choice(forms)
        counted = join([number_words(i) for i in range(1, last + 1)])
        return _example("sum", question.format(n=say(last)), f"{_upper(counted)}.")
    even = rng.random() < 0.5
    question = f"Is {say(n)} {'even' if even else 'odd'}?"
    is_so = (n % 2 == 0) == even
    return _example("sum", question, f"{'Yes' if is_so else 'No'}, {say(n)} is {'even' if n % 2 == 0 else 'odd'}.")


def calendar(rng: random.Random) -> Example:
    days = rng.random() < 0.5
    names, unit = (known.DAYS, "day") if days else (known.MONTHS, "month")
    i, step = rng.randrange(len(names)), rng.choice((1, -1))
    name, other = names[i], names[(i + step) % len(names)]
    word = "after" if step == 1 else "before"
    draw = rng.random()
    if draw < 0.65:
        question = rng.choice(
            ("What {u} comes {w} {n}?", "Which {u} comes {w} {n}?", "What is the {u} {w} {n}?", "Which {u} is {w} {n}?",
             "What comes {w} {n}?", "Tell me the {u} {w} {n}.", "What {u} is {w} {n}?")
        )  # fmt: skip
        return _example("calendar", question.format(u=unit, w=word, n=name), f"{other} comes {word} {name}.")
    if days:
        if draw < 0.85:
            question = rng.choice(("If today is {n}, what day is tomorrow?", "Today is {n}. What day is tomorrow?"))
            return _example("calendar", question.format(n=name), f"Tomorrow is {names[(i + 1) % 7]}.")
        weekend = f"Yes, {name} is at the weekend." if i > 4 else f"No, {name} is a working day."
        if rng.random() < 0.5:
            return _example("calendar", f"Is {name} at the weekend?", weekend)
        questions = ("What are the days of the week?", "Name the days of the week.", "Which days are in a week?")
        return _example("calendar", rng.choice(questions), join(known.DAYS) + ".")
    if draw < 0.8:
        question = rng.choice(("How many days are in {n}?", "How many days does {n} have?", "How long is {n}?"))
        return _example("calendar", question.format(n=name), f"{name} has {number_words(known.MONTH_DAYS[i])} days.")
    if draw < 0.95:
        season = ("winter", "winter", "spring", "spring", "spring", "summer", "summer", "summer", "autumn", "autumn",
                  "autumn", "winter")[i]  # fmt: skip
        question = rng.choice(("In which season is {n}?", "Which season is {n} in?", "What season is it in {n}?"))
        return _example("calendar", question.format(n=name), f"{name} is in {season}.")
    questions = ("What are the months of the year?", "Name the months.", "Name the months of the year.")
    return _example("calendar", rng.choice(questions), join(known.MONTHS) + ".")


def opposite(rng: random.Random) -> Example:
    counts = Counter(a for a, _ in known.OPPOSITES)
    a, b = rng.choice([pair for pair in known.OPPOSITES if counts[pair[0]] == 1])
    if rng.random() < 0.4 and sum(y == b for _, y in known.OPPOSITES) == 1 and b not in counts:
        a, b = b, a
    question = rng.choice(
        ("What is the opposite of {a}?", "What's the opposite of {a}?", "Tell me the opposite of {a}.",
         "Opposite of {a}?", "Which word is the opposite of {a}?", "Do you know the opposite of {a}?",
         "What is the contrary of {a}?",
         "Give me the opposite of {a}.", "The opposite of {a} is what?")
    )  # fmt: skip
    return _example("opposite", question.format(a=a), f"The opposite of {a} is {b}.")


def colour_of(rng: random.Random) -> Example:
    thing, colour = rng.choice(known.COLOURS_OF)
    question = rng.choice(
        ("What colour is {t}?", "What color is {t}?", "Which colour is {t}?", "What is the colour of {t}?",
         "What is the color of {t}?", "Tell me the colour of {t}.", "Do you know what colour {t} is?",
         "What colour does {t} have?")
    )  # fmt: skip
    return _example("colour_of", question.format(t=thing), f"{_upper(thing)} is {colour}.")


def animal(rng: random.Random) -> Example:
    """Sounds, young, legs of animals; what is an animal and what is not."""
    draw = rng.random()
    if draw < 0.4:
        name, sound = rng.choice(known.SOUNDS)
        question = rng.choice(
            ("What does {a} say?", "What sound does {a} make?", "What noise does {a} make?", "How does {a} sound?",
             "What does the {n} say?", "What is the sound of {a}?", "Which sound does {a} make?")
        )  # fmt: skip
        a = with_article(name)
        return _example("sound", question.format(a=a, n=name), f"{_upper(a)} says {sound}.")
    if draw < 0.55:
        name, young = rng.choice(known.YOUNG)
        forms = ("What is a young {n} called?", "What is a baby {n} called?", "What do you call a young {n}?")
        question = rng.choice(forms)
        return _example("fact", question.format(n=name), f"A young {name} is called {with_article(young)}.")
    if draw < 0.7:
        name, legs = rng.choice(known.LEGS)
        question = rng.choice(("How many legs does {a} have?", "How many legs has {a}?", "How many legs are on {a}?"))
        return _example("fact", question.format(a=with_article(name)), f"{_upper(with_article(name))} has {legs} legs.")
    kinds = ("animal", "bird", "fruit", "vegetable", "flower", "vehicle", "musical instrument", "insect", "fish")
    kind, other = rng.sample(kinds, 2)
    name = rng.choice(sorted(KINDS[kind] - set(kinds)))
    if rng.random() < 0.5 or name in KINDS[other] or (other == "animal" and kind in ("bird", "insect", "fish")):
        return _example("fact", f"Is {with_article(name)} {with_article(kind)}?",
                        f"Yes, {with_article(name)} is {with_article(kind)}.")  # fmt: skip
    return _example("fact", f"Is {with_article(name)} {with_article(other)}?",
                    f"No, {with_article(name)} is {with_article(kind)}.")  # fmt: skip


def fact(rng: random.Random) -> Example:
    draw = rng.random()
    if draw < 0.2:
        country, city = rng.choice(known.CAPITALS)
        question = rng.choice(
            ("What is the capital of {c}?", "What's the capital of {c}?", "Tell me the capital of {c}.",
             "Which city is the capital of {c}?", "Do you know the capital of {c}?", "What is the capital city of {c}?")
        )  # fmt: skip
        return _example("fact", question.format(c=country), f"The capital of {country} is {city}.")
    if draw < 0.5:
        thing, meaning = rng.choice(known.WHAT_IS)
        named = thing if thing in known.NO_ARTICLE_FACT else with_article(thing)
        question = rng.choice(("What is {t}?", "What's {t}?", "Tell me what {t} is.", "Can you explain what {t} is?",
                               "Do you know what {t} is?", "Explain what {t} is."))  # fmt: skip
        return _example("fact", question.format(t=named), f"{_upper(named)} is {meaning}.")
    if draw < 0.58:
        name = rng.choice(sorted(KINDS["animal"] | KINDS["fruit"] | {"child", "man", "woman", "foot", "knife", "leaf"}))
        question = rng.choice(("What is the plural of {n}?", "What is the plural of the word {n}?"))
        return _example("fact", question.format(n=name), f"The plural of {name} is {plural(name)}.")
    answer, questions = rng.choice(known.FACTS)
    return _example("fact", rng.choice(questions), answer)


def no_picture(rng: random.Random) -> Example:
    """A question about a picture where there is none."""
    draw = rng.random()
    if draw < 0.5:
        question = ask.SEE if rng.random() < 0.3 else rng.choice([q for i in (0, 2, 3, 4) for q in ask.NAMING[i][1]])
    elif draw < 0.8:
        name = rng.choice(("cat", "dog", "car", "person", "man", "woman", "bird", "tree", "house", "ball", "boat"))
        question = rng.choice(ask.YES_NO[:3] + ask.YES_NO[6:15]).format(a=with_article(name))
    else:
        question = rng.choice(ask.DESCRIBE)
    return _example("no_picture", question, ask.NO_PICTURE)


# kind of making: share
HAND_MADE: dict[Callable[[random.Random], Example], float] = {
    chat: 26,
    greet: 8,
    told: 4,
    fact: 12,
    animal: 7,
    sums: 9,
    numbers: 4,
    calendar: 6,
    opposite: 5,
    colour_of: 4,
    no_picture: 3,
}
ROW_SHARES = {"define": 7.0, "trivia": 3.0, "reading": 2.0, "task": 2.0}
CALLS = ("muOmni, {q}", "Hey muOmni, {q}", "Hello! {Q}", "Please tell me: {Q}", "Hey, {q}", "Hi! {Q}", "So, {q}")
_ASKING = frozenset("what which how who where when why is are can do does what's who's tell".split())
_SHORTER = (
    ("What is ", "What's "), ("I am ", "I'm "), ("You are ", "You're "), ("It is ", "It's "), ("Who is ", "Who's "),
    ("That is ", "That's "), ("Let us ", "Let's "), ("Where is ", "Where's "), ("do not ", "don't "),
)  # fmt: skip


def varied(rng: random.Random, example: Example) -> Example:
    """The question now and then as others write it: short or long forms, a call before it, a slip of the finger."""
    question = example.question
    if example.kind in ("task", "reading") or not question:
        return example
    if rng.random() < 0.2:
        for long, short in _SHORTER:
            old, new = (long, short) if long in question else (short, long)
            if question.startswith(old) or (old[0].islower() and old in question):
                question = question.replace(old, new, 1)
                break
    if rng.random() < 0.07 and question.split()[0].lower() in _ASKING and example.kind != "no_picture":
        question = rng.choice(CALLS).format(q=question[0].lower() + question[1:], Q=question)
    if rng.random() < 0.04 and example.kind in ("chat", "fact", "no_picture"):  # elsewhere a word would be another
        question = _slip(rng, question)
    return Example(example.kind, question, example.answer, None, None, example.turns)


def _slip(rng: random.Random, text: str) -> str:
    """A letter lost or two changed places within a long word of the small and common kind."""
    places = [m.start() for m in re.finditer(r"(?<=[a-z]{2})[a-z](?=[a-z]{2})", text)]
    if not places or len(text.split()) < 3:
        return text
    at = rng.choice(places)
    return text[:at] + (text[at + 1] + text[at] + text[at + 2 :] if rng.random() < 0.5 else text[at + 1 :])


def text_examples(
    text_rows: Iterable[Mapping[str, Any]] | TextRows, rng: random.Random, n: int, heard_rate: float = 0.3
) -> list[Example]:
    """`n` questions in words alone; a share of `heard_rate` is lower-case without punctuation.

    `text_rows` are rows with text (word glosses "x (noun): ..."), turns, or question and answer; may be empty. None of
    the questions of `everyday_questions` is among them.
    """
    rows = text_rows if isinstance(text_rows, TextRows) else TextRows(text_rows)
    makers: list[tuple[Callable[[random.Random], Example | None], float]] = list(HAND_MADE.items())
    makers += [(maker, ROW_SHARES[kind]) for kind, maker in rows.makers().items()]
    functions, weights = [m for m, _ in makers], [w for _, w in makers]
    found: list[Example] = []
    while len(found) < n:
        example = rng.choices(functions, weights)[0](rng)
        if example is None:
            continue
        example = varied(rng, example)
        if plain(example.question) not in held_out():
            found.append(example)
    return list(heard_at(rng, found, heard_rate))


def questions_to_speak(rng: random.Random, n: int) -> list[Example]:
    """`n` different questions for the voices to say: kind "audio", `audio_text` what is said, `question` empty."""
    found: dict[str, Example] = {}
    functions, weights = list(HAND_MADE), list(HAND_MADE.values())
    for _ in range(60 * n):
        if len(found) == n:
            break
        example = rng.choices(functions, weights)[0](rng)
        said = example.question
        key = plain(said)
        if example.turns or key in held_out() or key in found or not speakable(said):
            continue
        found[key] = Example("audio", "", example.answer, None, said)
    return list(found.values())


@cache
def spoken_questions() -> tuple[Example, ...]:
    """The questions that made voices ask (data/made_speech.py) and that the omni stage knows the answers to."""
    return tuple(questions_to_speak(random.Random("spoken questions"), 2500))


def speakable(text: str) -> bool:
    """One to fourteen words, no digits or signs: what a voice says, and our recogniser writes, in one way."""
    return 1 <= len(text.split()) <= 14 and not re.search(r"[0-9+*/=<>@#\n]", text)


def spoken_examples(audio_texts: Sequence[str], examples: Iterable[Example]) -> list[Example]:
    """Those of `examples` whose question a recording says, with the recording in the question's place.

    Picture questions keep their `image`: picture and spoken question together.
    """
    said = {plain(text): text for text in audio_texts}
    return [
        Example("audio", "", e.answer, e.image, said[key], e.turns)
        for e in examples
        if (key := plain(e.question)) and key in said
    ]
