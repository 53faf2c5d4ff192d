"""The instruction mix: balance, labels, articles, agreement of answers with what the rows say."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict

import pytest

from muomni_core.data import facts as known
from muomni_core.data import mix, phrasings
from muomni_core.data.captions import THINGS, CaptionFacts, clean_caption
from muomni_core.data.picture_mix import PictureFacts
from muomni_core.data.smalltalk import SMALLTALK
from muomni_core.data.text_mix import speakable
from muomni_core.data.words import KINDS, labels_in, number_words, plural, related, with_article

LABELS = [
    *"cat dog airplane elephant umbrella scissors shoes garlic ibis euphonium pizza tulip rose daisy apple banana"
    " okapi ant watch lamp chair accordion llama emu crab".split(),
    *("Windsor chair", "jacket or coat", "sour milk", "yin-yang symbol", "headphone", "wild cat"),
]
DOG_CAPTIONS = [
    "A brown dog runs on the beach",
    "A brown dog is running along the sand .",
    "A dog running on the beach",
    "The dog plays at the beach",
    "a brown dog runs",
]
COUPLE_CAPTIONS = [
    "A man and a woman sit on a red bench",
    "A man and a woman on a red bench in a park",
    "A woman and a man are sitting on a bench",
    "A man sits beside a woman in the park",
]


def picture_rows(n: int = 6) -> list[dict]:
    rows: list[dict] = [{"label": label, "source": "labels"} for label in LABELS for _ in range(n)]
    rows += [{"captions": DOG_CAPTIONS, "source": "shots"}] * n + [{"captions": COUPLE_CAPTIONS, "source": "shots"}] * n
    rows += [{"label": "cat", "objects": ["cat", "couch", "laptop"], "source": "rooms"}] * n
    rows += [{"label": "cat", "fine": "Siamese cat", "source": "pets"}] * n
    return rows


@pytest.fixture(scope="module")
def rows():
    return picture_rows()


@pytest.fixture(scope="module")
def pictures(rows):
    return mix.picture_examples(rows, random.Random(0), 6)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("cat", "a cat"), ("airplane", "an airplane"), ("umbrella", "an umbrella"), ("euphonium", "a euphonium"),
        ("okapi", "an okapi"), ("unicorn", "a unicorn"), ("undershirt", "an undershirt"), ("hourglass", "an hourglass"),
        ("house", "a house"), ("ibis", "an ibis"), ("scissors", "scissors"), ("shoes", "shoes"), ("garlic", "garlic"),
        ("sour milk", "sour milk"), ("Windsor chair", "a Windsor chair"), ("electric guitar", "an electric guitar"),
        ("yin-yang symbol", "a yin-yang symbol"), ("jacket or coat", "a jacket or coat"), ("emu", "an emu"),
        ("European Goldfinch", "a European Goldfinch"), ("headphone", "headphones"), ("orange", "an orange"),
    ],
)  # fmt: skip
def test_articles(label, shown):
    assert with_article(label) == shown


@pytest.mark.parametrize(
    ("one", "many"),
    [("cat", "cats"), ("mouse", "mice"), ("sheep", "sheep"), ("person", "people"), ("butterfly", "butterflies"),
     ("monkey", "monkeys"), ("fox", "foxes"), ("bus", "buses"), ("tomato", "tomatoes"), ("red shape", "red shapes"),
     ("knife", "knives"), ("wild cat", "wild cats"), ("scissors", "scissors")],
)  # fmt: skip
def test_plurals(one, many):
    assert plural(one) == many


def test_the_one_question_has_one_form_of_answer_for_a_label(rows, pictures):
    seen = [e for e in pictures if e.kind == "see" and rows[e.image].get("label")]
    assert seen
    for e in seen:
        assert mix.plain(e.question) == mix.plain(phrasings.SEE)
        assert e.answer == f"I see {with_article(rows[e.image]['label'])}."


def test_naming_holds_the_label_and_no_other(rows, pictures):
    labels = mix.all_labels(rows)
    for e in pictures:
        label = rows[e.image].get("label")
        if e.kind not in ("see", "name") or not label:
            continue
        found = labels_in(e.answer, labels)
        assert label in found
        assert all(other.lower() in label.lower() for other in found), e.answer


def test_no_form_of_naming_holds_a_label():
    labels = set().union(*KINDS.values()) | set(LABELS) | {"computer", "camera", "top", "train", "book"}
    for form, _ in phrasings.NAMING:
        assert not labels_in(form.replace("{a}", ""), labels)


def test_yes_and_no_are_balanced_over_all_and_for_each_thing(pictures):
    asked: dict[str, Counter] = defaultdict(Counter)
    singular = {plural(x): x for x in [*THINGS, *LABELS, *KINDS, *set().union(*KINDS.values())]}
    for e in pictures:
        if e.kind == "yesno":
            yes = re.fullmatch(r"Yes, there (?:is|are) (.+)\.", e.answer)
            no = re.fullmatch(r"No, there (?:is|are) no (.+) in the picture\.", e.answer)
            assert bool(yes) != bool(no)
            thing = re.sub(r"^an? ", "", (yes or no)[1])
            asked[singular.get(thing, thing)]["yes" if yes else "no"] += 1
    totals = sum(asked.values(), Counter())
    assert totals["yes"] == totals["no"] > 50
    assert all(counts["yes"] == counts["no"] for counts in asked.values()), asked


def test_a_yes_is_there_and_a_no_is_nowhere_near(rows, pictures):
    for e in pictures:
        if e.kind != "yesno" or not (label := rows[e.image].get("label")):
            continue
        known_things = [label, *rows[e.image].get("objects", [])]
        thing = re.sub(r"^(Yes|No), there (is|are) (no )?(an? )?| in the picture\.$|\.$", "", e.answer)
        if e.answer.startswith("No"):
            assert not any(related(thing, t) for t in known_things), (e, known_things)
        elif thing in LABELS:
            assert thing in known_things


def test_absence_is_not_claimed_of_what_captions_only_hint_at():
    couple = PictureFacts({"captions": COUPLE_CAPTIONS})
    assert {"man", "woman", "bench", "person"} <= set(couple.present)
    assert couple.absent("dog") and couple.absent("girl")
    assert not couple.absent("person") and not couple.absent("bench")
    hint = PictureFacts({"captions": ["A surfer rides a wave", "A surfer on a big wave"]})
    assert not hint.absent("man") and not hint.absent("beach") and not hint.absent("water")
    flower = PictureFacts({"label": "airplane"})
    assert flower.absent("cat") and not flower.absent("vehicle") and not flower.absent("person")
    assert not PictureFacts({"label": "satsuma"}).absent("orange")


def test_facts_that_captions_agree_on():
    dog = CaptionFacts(DOG_CAPTIONS)
    assert dog.colours == [("dog", "brown")]
    assert dog.counts == [("dog", 1)]
    assert dog.place == "on a beach" and dog.outside is True
    assert ("dog", "running along the sand") in dog.deeds
    assert CaptionFacts(COUPLE_CAPTIONS).who == "a man and a woman"
    two = CaptionFacts(["Two dogs play", "Two black dogs run", "A black dog and a white dog"])
    assert two.colours == [] and ("dog", 1) not in two.counts


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a dog  runs on grass .", "A dog runs on grass."),
        ("Two men , one of them old", "Two men, one of them old."),
        ("A MAN IN A BOAT", "A man in a boat."),
        ("dog", ""),
        ('A sign that says "Stop" here', ""),
        ("A dog runs. Another dog sits", ""),
    ],
)
def test_captions_are_cleaned_or_refused(raw, clean):
    assert clean_caption(raw) == clean


def test_captioned_pictures_are_described_by_their_own_captions(rows, pictures):
    described = [e for e in pictures if e.kind == "describe"]
    assert described
    assert all(e.answer in {clean_caption(c) for c in rows[e.image]["captions"]} for e in described)


def test_text_agrees_with_itself():
    answers: dict[str, set[str]] = defaultdict(set)
    for e in mix.text_examples([], random.Random(1), 6000):
        if not e.turns and e.kind in ("chat", "fact", "sound", "colour_of", "opposite", "calendar"):
            answers[e.question].add(e.answer)
    assert not {q: a for q, a in answers.items() if len(a) > 1}


def test_hand_written_questions_have_one_answer_each():
    asked = Counter(q for _, questions in (*SMALLTALK, *known.FACTS) for q in {mix.plain(x) for x in questions})
    assert not [q for q, n in asked.items() if n > 1]
    assert len(SMALLTALK) + len(known.FACTS) >= 150


def test_sums_are_right():
    values = {number_words(n): n for n in range(201)} | {str(n): n for n in range(201)}
    seen = 0
    for e in mix.text_examples([], random.Random(2), 4000):
        match = re.fullmatch(r"(\S+) (plus|minus|times|divided by) (\S+) is (\S+)\.", e.answer)
        if match:
            a, b, result = (values[match[i].lower()] for i in (1, 3, 4))
            assert {"plus": a + b, "minus": a - b, "times": a * b, "divided by": a / max(b, 1)}[match[2]] == result
            seen += 1
    assert seen > 100


def test_everyday_questions_are_kept_out_word_for_word():
    forty = mix.everyday_questions()
    assert len(forty) == 40 and len({e.question for e in forty}) == 40
    asked = {mix.plain(e.question) for e in mix.text_examples([], random.Random(3), 15000)}
    asked |= {mix.plain(e.audio_text) for e in mix.questions_to_speak(random.Random(3), 1000)}
    for e in forty:
        assert mix.plain(e.question) not in asked and mix.plain(mix.as_heard(e.question)) not in asked


def test_questions_to_speak_can_be_spoken_and_join_their_answers():
    spoken = mix.questions_to_speak(random.Random(4), 300)
    assert len({e.audio_text for e in spoken}) == 300
    assert all(e.kind == "audio" and not e.question and e.answer and speakable(e.audio_text) for e in spoken)
    written = [mix.Example("yesno", "is there a cat in the picture", "Yes, there is a cat.", 7)]
    joined = mix.spoken_examples(["Is there a cat in the picture?", "Who are you?"], written)
    assert joined == [mix.Example("audio", "", "Yes, there is a cat.", 7, "Is there a cat in the picture?")]


def test_picture_questions_to_speak_are_the_commonest(pictures):
    said = mix.picture_questions_to_speak(pictures, 10)
    assert len(said) == 10 and said[0] == phrasings.SEE


def test_text_rows_give_their_kinds():
    rows = [
        {"text": "stapler (noun): a machine that inserts staples into sheets of paper. Example: Use it."},
        {"text": "moonless (adjective): without a moon."},
        {"question": "What is the capital of Michigan?", "answer": "Lansing"},
        {"question": "Which of these is a dog?", "answer": "Rex"},
        {
            "question": "Who took the ring?",
            "answer": "The old king.",
            "context": "It was dark. The old king took the ring and left. Nobody saw it.",
        },
        {
            "text": "There was once a small cat in a house. It liked the warm kitchen best of all. One day the door stood"
            " open. The cat went out into the wide world. It saw many things there."
        },
    ]
    found = mix.text_examples(rows, random.Random(0), 3000, heard_rate=0)
    by_kind = {kind: [e for e in found if e.kind == kind] for kind in ("define", "trivia", "reading", "task")}
    assert all(by_kind.values())
    assert {e.answer for e in by_kind["trivia"]} == {"Lansing."}
    assert "Stapler means a machine that inserts staples into sheets of paper." not in {
        e.answer for e in by_kind["define"]
    }
    assert {e.answer for e in by_kind["reading"]} == {"The old king."}
    assert all("The old king took the ring" in e.question for e in by_kind["reading"])


def test_dedupe_drops_doubles_and_val_texts():
    examples = [
        mix.Example("describe", "Describe it.", "A brown dog runs on the beach.", 0),
        mix.Example("describe", "Describe it.", "Two men sit on a red bench.", 1),
        mix.Example("describe", "Describe it.", "Two men sit on a red bench.", 1),
        mix.Example("yesno", "Is there a dog?", "Yes, there is a dog.", 0),
    ]
    kept = mix.dedupe(examples, ["a brown dog runs on the beach", "Yes, there is a dog."])
    assert kept == [examples[1], examples[3]]


def test_same_seed_same_mix(rows):
    for make in (
        lambda rng: mix.picture_examples(rows, rng, 2),
        lambda rng: mix.text_examples([], rng, 200),
        lambda rng: mix.questions_to_speak(rng, 100),
    ):
        assert make(random.Random(9)) == make(random.Random(9)) != make(random.Random(10))


def test_heard_share_and_form():
    found = mix.text_examples([], random.Random(5), 3000, heard_rate=0.5)
    heard = [e for e in found if e.question == mix.as_heard(e.question)]
    assert 0.35 < len(heard) / len(found) < 0.65
    assert mix.as_heard("What's 7 plus 5?") == "what's seven plus five"
    none = mix.text_examples([], random.Random(5), 500, heard_rate=0)
    assert sum(e.question[:1].islower() for e in none) / len(none) < 0.1


def test_answers_are_short_plain_sentences(pictures):
    found = pictures + mix.text_examples([], random.Random(6), 3000)
    assert all(re.search(r"[.!?]$", e.answer) and not e.answer[0].islower() for e in found)
    assert all("{" not in e.question + e.answer and "  " not in e.answer for e in found)
    assert sum(len(e.answer.split()) > 20 for e in found) / len(found) < 0.005


def test_a_question_about_a_val_passage_is_left_out():
    passage = "The fox ran over the hill and was gone."
    made = mix.Example("reading", f"{passage}\nWhat ran over the hill?", "The fox.")
    assert mix.dedupe([made], [passage]) == []
    assert mix.dedupe([made], ["Another passage that nobody asks about."]) == [made]
