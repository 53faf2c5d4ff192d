"""English words that the instruction mix knows: articles, plurals, kinds of thing, what is close to what.

A label is written exactly as its data set writes it; only the article and the plural are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(n: int) -> str:
    """0 <= n < 1000 in words, British style ("one hundred and five")."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    rest = f" and {number_words(n % 100)}" if n % 100 else ""
    return f"{_ONES[n // 100]} hundred{rest}"


NO_ARTICLE = set(  # mass nouns, taken as substances
    "broccoli garlic ginger asparagus milk juice yoghurt snow water grass sand food cheese bread meat rice sugar salt"
    " honey ice gold silver coal blood rain".split()
) | {"sour milk", "sour cream", "soy milk", "oat milk", "soy yoghurt"}
ALWAYS_PLURAL = set(
    "shoes pants shorts scissors binoculars jeans trousers glasses sunglasses people skis flowers headphones boots"
    " gloves socks".split()
)
# Labels whose sentence form differs in number from how the set writes them.
SHOWN = {"headphone": "headphones"}

_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "mouse": "mice", "goose": "geese",
    "sheep": "sheep", "fish": "fish", "deer": "deer", "bison": "bison", "wolf": "wolves", "knife": "knives",
    "leaf": "leaves", "ox": "oxen", "foot": "feet", "tooth": "teeth", "octopus": "octopuses", "ibis": "ibises",
    "praying mantis": "praying mantises", "tomato": "tomatoes", "potato": "potatoes", "mosquito": "mosquitoes",
    "mango": "mangoes", "moose": "moose", "squid": "squid", "shrimp": "shrimp", "buffalo": "buffalo", "calf": "calves",
}  # fmt: skip
_YOU_SOUND = re.compile(r"(eu|ewe|uni(?!n)|us[aeiu]|ute|uku|one\b|once\b)", re.IGNORECASE)
_SILENT_H = re.compile(r"(hour|honest|honou?r|heir)", re.IGNORECASE)


def article(noun: str) -> str:
    """ "a" or "an", by sound."""
    if _SILENT_H.match(noun):
        return "an"
    return "an" if noun[:1].lower() in "aeiou" and not _YOU_SOUND.match(noun) else "a"


def is_plural(label: str) -> bool:
    return SHOWN.get(label, label).split()[-1] in ALWAYS_PLURAL


def with_article(label: str) -> str:
    """ "a cat", "an apple", "shoes", "garlic"."""
    shown = SHOWN.get(label, label)
    if label in NO_ARTICLE or is_plural(label):
        return shown
    return f"{article(shown)} {shown}"


def plural(noun: str) -> str:
    """The plural of the last word."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if is_plural(noun):
        return SHOWN.get(noun, noun)
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last += "es"
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def there_is(label: str) -> str:
    return "there are" if is_plural(label) else "there is"


def join(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence(text: str) -> str:
    """Capital first letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _split(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


# Kinds of thing, and the labels that are one. Order: the most particular kind first.
KINDS: dict[str, frozenset[str]] = {
    "bird": _split(
        "bird, flamingo, ibis, emu, rooster, pigeon, toucan, pelican, sparrow, peacock, seagull, stork, albatross,"
        " duck, dove, eagle, swan, kookaburra, penguin, falcon, ostrich, parrot, pheasant, crow, oxpecker, goose,"
        " vulture,"
        " heron, owl, chicken, hen, robin, songbird, turkey, hornbill, hummingbird, woodpecker, raven"
    ),
    "insect": _split(
        "butterfly, dragonfly, ant, mayfly, ladybug, fly, beetle, firefly, flea, locust, praying mantis, moth, termite,"
        " bee, wasp, mosquito, grasshopper, caterpillar, cockroach, cicada"
    ),
    "fish": _split("fish, bass fish, eel, ray, shark, seahorse, salmon, goldfish, tuna, clownfish"),
    "fruit": _split(
        "peach, lime, lemon, papaya, plum, watermelon, banana, apple, passion fruit, pomegranate, grapefruit, pear,"
        " nectarine, orange, satsuma, pineapple, melon, kiwi, mango, strawberry"
    ),
    "vegetable": _split(
        "cucumber, aubergine, cabbage, zucchini, leek, potato, carrot, sweet potato, onion, garlic, bell pepper,"
        " asparagus, beetroot, broccoli"
    ),
    "flower": _split("tulip, dandelion, sunflower, rose, daisy, lotus, water lily"),
    "musical instrument": _split(
        "grand piano, electric guitar, euphonium, accordion, saxophone, mandolin, guitar, violin, trumpet, drum, piano"
    ),
    "vehicle": _split(
        "car, motorcycle, airplane, helicopter, train, truck, bus, bicycle, boat, ferry, sailing boat, sailing ship"
    ),
    "piece of clothing": _split(
        "undershirt, shirt, hoodie, blazer, polo shirt, skirt, dress, t-shirt, hat, jacket or coat, top, blouse,"
        " long-sleeved top, shoes, pants, shorts, baby bodysuit"
    ),
    "drink": _split("milk, juice, oat milk, soy milk, sour milk"),
    "piece of furniture": _split("chair, Windsor chair, bench, bed, couch, dining table, table"),
    "place": _split("bathroom, living room, kitchen, street, desert, forest, beach"),
}
_OTHER_ANIMALS = _split(
    "cat, dog, Dalmatian dog, wild cat, leopard, cougar, hawksbill turtle, crocodile, kangaroo, starfish, scorpion,"
    " llama, crab, crayfish, elephant, dolphin, rhino, nautilus, hedgehog, tick, okapi, beaver, lobster, panda,"
    " platypus, gerenuk, octopus, cow, horse, bear, sheep, giraffe, zebra, wolverine, mole, lizard, bat, snake, monkey,"
    " tortoise, snail, wolf, lemming, mongoose, lemur, honey badger, shrimp, warthog, weasel, mink, mouse, rhinoceros,"
    " badger, antelope, turtle, yak, jaguar, Tasmanian devil, orangutan, armadillo, bull, wild dog, walrus, sloth,"
    " bison, jellyfish, shrew, ferret, worm, camel, red panda, skunk, hippopotamus, rat, wombat, wildebeest, squid,"
    " toad, donkey, capybara, fox, wild boar, goat, koala, porcupine, moose, centipede, alpaca, whale, jackal, otter,"
    " lion, deer, squirrel, hyena, frog, rabbit, opossum, coyote, slug, tiger, cheetah, gorilla, chimpanzee, pig, seal,"
    " spider, hamster, guinea pig, raccoon, meerkat, buffalo, gazelle, chameleon, alligator, newt, salamander,"
    " anteater, aardvark, tapir, puma, lynx, reindeer, elk, marmot, chinchilla, gibbon, baboon, chipmunk"
)
KINDS["animal"] = _OTHER_ANIMALS | KINDS["bird"] | KINDS["insect"] | KINDS["fish"]
KINDS["food"] = (
    KINDS["fruit"]
    | KINDS["vegetable"]
    | _split("pizza, cake, sandwich, hot dog, donut, yoghurt, sour cream, tomato, avocado, mushroom")
)

# Within a line, one thing may be taken for another: none is ever said to be absent beside another of its line.
_CLOSE = tuple(
    _split(line)
    for line in """
    cat, wild cat, leopard, cougar, jaguar, lion, tiger, cheetah, puma, lynx
    dog, Dalmatian dog, wild dog, wolf, coyote, jackal, fox, hyena
    turtle, hawksbill turtle, tortoise
    boat, sailing boat, sailing ship, ferry
    chair, Windsor chair, bench, couch, wheelchair
    couch, bed, living room
    computer, laptop, keyboard, television, mouse
    rhino, rhinoceros
    pigeon, dove
    llama, alpaca, camel, sheep, goat
    bear, panda, red panda, teddy bear, wombat, koala
    crayfish, lobster, shrimp, scorpion, crab
    lotus, water lily
    dandelion, daisy, sunflower
    orange, satsuma, grapefruit, lemon, lime, nectarine, peach, mango, plum
    melon, watermelon, cucumber, zucchini, papaya
    milk, oat milk, soy milk, sour milk, sour cream, yoghurt, soy yoghurt, juice
    potato, sweet potato, onion, ginger, beetroot
    leek, onion, garlic, asparagus
    cabbage, broccoli
    apple, pear, tomato, bell pepper, pomegranate, passion fruit
    shirt, polo shirt, t-shirt, undershirt, top, blouse, long-sleeved top, hoodie, jacket or coat, blazer, tie
    skirt, dress, shorts, pants, baby bodysuit
    electric guitar, mandolin, guitar
    euphonium, saxophone
    brontosaurus, stegosaurus
    crocodile, lizard, alligator
    cow, bull, yak, bison, wildebeest, buffalo
    deer, antelope, gerenuk, okapi, moose, giraffe, gazelle
    horse, donkey, zebra
    rooster, chicken, bird
    emu, ostrich
    ibis, flamingo, heron, stork
    duck, goose, swan
    mouse, rat, shrew, lemming, mole
    bee, wasp, fly, firefly, mayfly, dragonfly, beetle, ladybug, mosquito, ant, termite, tick, flea
    butterfly, moth, caterpillar
    locust, grasshopper, praying mantis
    squid, octopus, nautilus, jellyfish
    worm, snake, eel, centipede, caterpillar, slug
    weasel, mink, ferret, otter, beaver, mongoose, badger, honey badger, skunk, wolverine
    hedgehog, porcupine
    frog, toad
    cup, jug, vase, bottle, bowl, barrel, wine glass
    pagoda, minaret, pyramid, house
    kitchen, oven, refrigerator, microwave, sink, dining table, toaster
    bathroom, toilet, sink, toothbrush, bathtub
    street, car, traffic light, truck, bus, stop sign, parking meter, fire hydrant
    motorcycle, bicycle
    train, bus, truck, car
    airplane, helicopter
    donut, cake, sandwich, hot dog, pizza
    dining table, table
    lamp, chandelier, menorah
    gramophone, euphonium
    watch, clock
    headphone, headphones
    cell phone, remote
    fork, knife, spoon
    human face, person, man, woman, people, child, baby
    forest, Joshua tree, bonsai, tree, potted plant
    hippopotamus, rhino, rhinoceros, elephant
    warthog, wild boar, pig
    dolphin, whale, shark, fish, walrus, seal
    laptop, book
    crow, raven
    """.strip().splitlines()
)
# Often in a picture without anybody saying so: said to be absent only from close pictures of wild things and plants.
AMBIENT = _split(
    "person, people, man, woman, child, human face, chair, lamp, cup, book, bottle, table, dining table, shirt, top,"
    " hat, shoes, pants, shorts, skirt, jacket or coat, t-shirt, long-sleeved top, blouse, undershirt, watch, street,"
    " car, bowl, Windsor chair, forest, flower, plant, piece of clothing, piece of furniture, place, food, house,"
    " living room, tick, ant, flea, pen, potted plant, couch, bed, insect, fly, vehicle"
)
WILD = (KINDS["animal"] | KINDS["flower"]) - {"cat", "dog", "horse", "mouse"}


@cache
def kinds_of(label: str) -> tuple[str, ...]:
    """The kinds that `label` belongs to, the most particular first ("pigeon" -> bird, animal)."""
    return tuple(kind for kind, members in KINDS.items() if label in members and kind != label)


@cache
def related(a: str, b: str) -> bool:
    """Whether a picture of `a` may be said to show `b` too: the same, a kind of it, close to it, or a shared word."""
    if a == b or a in kinds_of(b) or b in kinds_of(a) or set(a.lower().split()) & set(b.lower().split()):
        return True
    return any(a in line and b in line for line in _CLOSE)


def labels_in(text: str, labels: Iterable[str]) -> set[str]:
    """Those of `labels` that occur in `text` as whole words, singular or plural."""
    low = f" {re.sub(r'[^a-z0-9-]+', ' ', text.lower())} "
    return {x for x in labels if f" {x.lower()} " in low or f" {plural(x).lower()} " in low}
