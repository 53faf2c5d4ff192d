"""What the captions of one picture agree on: the things named, colours, counts, deeds, the place.

A caption is one person's sentence. What two of them say is taken as true; what none of them says, nor anything like
it, as absent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from muomni_core.data.words import article, number_words, plural, sentence

_PEOPLE = (
    "person people someone somebody crowd group couple family team player players rider riders adult adults child"
    " children kid kids baby babies toddler toddlers man men woman women boy boys girl girls guy guys lady ladies"
    " gentleman gentlemen he she his her him they goalie pitcher batter catcher skier skiers snowboarder surfer"
    " surfers skateboarder biker bikers cyclist cyclists climber climbers hiker hikers runner runners racer racers"
    " jockey cowboy bride groom dancer dancers singer musician worker workers officer soldier soldiers clown teenager"
    " teenagers teen youth youths friends fans audience father mother dad mom son daughter brother sister female male"
    " wrestler wrestlers swimmer swimmers motorcyclist rollerblader gymnast acrobat performer performers student"
    " students chef passengers driver hand hands arm arms face others individuals spectators pedestrian pedestrians"
    " fisherman fishermen owner owners tourist tourists brothers sisters friend fighter fighters referee hockey rugby"
)
_ANIMALS = (
    "animal animals dog dogs puppy puppies cat cats kitten kittens horse horses pony bird birds duck ducks cow cows"
    " sheep lamb goat goats elephant elephants giraffe giraffes zebra zebras bear bears bull bulls cattle monkey fish"
    " seagull seagulls pigeon pigeons greyhound greyhounds poodle retriever labrador collie terrier shepherd hound"
    " dachshund bulldog husky spaniel beagle pet pets deer camel camels butterfly insect parrot owl swan swans geese"
    " goose chicken turtle rabbit squirrel wolf lion tiger bee herd flock rhino ox oxen donkey dolphin whale hippo"
    " rottweiler boxer corgi pug hawk eagle ram kangaroo pitbull mutt canine jockey rodeo"
)
# A thing: words that say it is there / words beside which it is not said to be absent. A line that is set in goes on.
_THINGS = """
    dog: dog dogs puppy puppies / @animals
    cat: cat cats kitten kittens / @animals
    horse: horse horses pony ponies / @animals polo cowboy carriage cart stable
    bird: bird birds seagull seagulls pigeon pigeons parrot duck ducks goose geese swan swans owl eagle / @animals
    cow: cow cows / @animals
    sheep: sheep lamb lambs / @animals
    elephant: elephant elephants / @animals zoo
    giraffe: giraffe giraffes / @animals zoo
    zebra: zebra zebras / @animals zoo
    bear: bear bears / @animals stuffed teddy toy
    animal: @animals / costume toy stuffed zoo farm leash collar carriage
    person: @people / his her he she him they
    man: man men guy guys / @people
    woman: woman women lady ladies / @people
    boy: boy boys / @people
    girl: girl girls / @people
    baby: baby babies / @people
    child: child children kid kids boy boys girl girls toddler baby / @people
    car: car cars / vehicle vehicles traffic taxi truck van suv jeep street road parking parked racing driving city
    truck: truck trucks / vehicle vehicles traffic van car cars street road trailer jeep firetruck
    bus: bus buses / vehicle vehicles traffic street road van trolley station
    train: train trains / subway track tracks railroad locomotive station rail trolley tram
    airplane: airplane airplanes plane planes jet jets aircraft / airport runway flying helicopter
    boat: boat boats / ship ships canoe kayak raft sailboat sail sailing ferry dock harbor pier lake river marina
    bicycle: bicycle bicycles / bike bikes biker bikers cyclist cyclists bmx cycling biking tricycle riding
    motorcycle: motorcycle motorcycles motorbike / bike bikes biker bikers motocross scooter dirtbike riding racer atv
    skateboard: skateboard skateboards skateboarder / skate skating skateboarding skater board ramp trick rail
    surfboard: surfboard surfboards surfer surfers / surf surfing board wave waves ocean
    snowboard: snowboard snowboarder / snowboarding board snow skis
    ball: ball balls / football soccer basketball baseball tennis volleyball softball rugby golf game toy cricket play
      plays playing juggling bowling catch fetch throw
    frisbee: frisbee frisbees / disc disk toy catch catches
    kite: kite kites / flying parachute
    umbrella: umbrella umbrellas / parasol rain raining beach table canopy
    bench: bench benches / sitting sits sit park seat
    bed: bed beds / bedroom sleeping blanket pillow laying
    couch: couch sofa / living room sitting sits chair loveseat
    table: table tables / desk counter eating eat dinner food restaurant plate sitting kitchen bar cake pizza laptop
      computer room indoors inside
    laptop: laptop laptops / computer computers desk office
    phone: phone phones cellphone / telephone cell talking texting people man woman person girl boy
    clock: clock clocks / tower watch building time
    pizza: pizza pizzas / food plate eating pie restaurant
    cake: cake cakes / food dessert birthday pastry eating plate party
    sandwich: sandwich sandwiches / food plate eating burger hotdog hot bread
    toilet: toilet toilets / bathroom restroom
    guitar: guitar guitars / band music instrument instruments
    tent: tent tents / camping camp market canopy
    sled: sled sleds sledding / snow toboggan
    fountain: fountain fountains / water square park statue
    bridge: bridge bridges / river water road train rail
    flag: flag flags / parade race street building boat ship crowd
    slide: slide / playground water park pool
    fire hydrant: hydrant hydrants / street sidewalk
    swing: swing / swings playground park swinging
    beach: beach / sand sandy ocean shore sea water wave waves lake coast seaside surf
    snow: snow snowy / ski skis skiing skier snowboard snowboarder snowboarding sled winter ice icy mountain slope
    water: water ocean lake river sea pool wave waves / beach boat swim swimming wet rain pond stream fountain surf
      surfer kayak raft puddle splash splashing creek sprinkler hose waterfall shore dock fishing pier canoe diving
      underwater bath bathtub sink bathroom toilet
    mountain: mountain mountains / hill hills cliff rock rocks rocky snow snowy slope climbing climber peak hiking
      hiker trail ski skier valley landscape
"""


def _things() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    text = re.sub(r"\n {6,}", " ", _THINGS).replace("@people", _PEOPLE).replace("@animals", _ANIMALS)
    table = {}
    for line in text.strip().splitlines():
        name, _, words = line.strip().partition(": ")
        yes, _, near = words.partition(" / ")
        table[name] = (frozenset(yes.split()), frozenset(f"{yes} {near}".split()))
    return table


THINGS = _things()
_KINDS_OF_PEOPLE = frozenset({"man", "woman", "boy", "girl", "child", "baby"})
_COLOURS = "red green blue yellow black white orange purple brown pink tan grey gray golden".split()
_COLOURED = (
    "dog cat horse bird shirt jacket dress hat helmet ball car bus truck train boat bike umbrella shorts bicycle coat"
    " motorcycle kite frisbee couch skirt uniform cap sweater bench surfboard"
).split()
_COUNTED = "dog man woman boy girl child person horse cow elephant zebra giraffe sheep cat bird player bear".split()
_NUMBERS = {number_words(n): n for n in range(2, 7)}
_DOERS = "man woman boy girl dog child person baby cat horse bird surfer skateboarder snowboarder skier cyclist".split()
_ADJECTIVES = (
    "young old little small big large brown black white tan blond blonde older smiling dark-haired elderly lone yellow"
    " bald shirtless happy wet golden grey gray asian beautiful furry fluffy red-haired toddler bearded"
).split()
_DEED = re.compile(
    rf"(?:A|An|The) (?:(?:{'|'.join(_ADJECTIVES)})(?:,| and)? )*({'|'.join(_DOERS)}) (?:is )?([a-z]+ing [a-z' -]+)\.?$"
)
# words of a place: how it is said, and whether it is outside
_PLACES = {
    "beach": ("on a beach", True), "snow": ("in the snow", True), "street": ("on a street", True),
    "field": ("in a field", True), "park": ("in a park", True), "kitchen": ("in a kitchen", False),
    "bathroom": ("in a bathroom", False), "restaurant": ("in a restaurant", False), "pool": ("at a pool", None),
    "forest": ("in a forest", True), "woods": ("in the woods", True), "mountain": ("on a mountain", True),
    "ocean": ("by the ocean", True), "lake": ("at a lake", True), "river": ("at a river", True),
    "playground": ("on a playground", True), "bedroom": ("in a bedroom", False), "sidewalk": ("on a sidewalk", True),
    "office": ("in an office", False), "yard": ("in a yard", True), "desert": ("in a desert", True),
    "airport": ("at an airport", None), "store": ("in a store", False), "zoo": ("in a zoo", None),
}  # fmt: skip
_SMALL = frozenset(
    "a an the of in on at to and is are with his her its their it by from for while that this as into over through up"
    " down out off near next front who there one two three be being has have some other another".split()
)


# Quotes and symbols, long numbers, several sentences, letters that stand alone ("a man s hat").
_UNFIT = re.compile(r'["()\[\]{}<>@#&/\\_*]|\d{3}|\.\.|[.!?] ?[A-Z]|n t\b|(?<![-\'])\b[b-hj-z]\b(?!-)')


def clean_caption(text: str) -> str:
    """One sentence: capital first letter, full stop, no stray spaces. Empty where it is unfit to be learned."""
    text = re.sub(r"\s+", " ", text.replace("\u2019", "'").replace("`", "'")).strip(" .,;:-\"'")
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r"\s+'s\b", "'s", text)
    if text.isupper():
        text = text.lower()
    n_words = len(text.split())
    if not 4 <= n_words <= 18 or _UNFIT.search(text):
        return ""
    return sentence(re.sub(r"[.!?]$", "", text))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.lower().replace("t-shirt", "tshirt")))


class CaptionFacts:
    """The facts of a picture with these captions; an empty list has none."""

    def __init__(self, captions: Sequence[str]):
        self.texts = [c.lower().replace("grey", "gray") for c in captions]
        self.words = [_words(c) for c in captions]
        self.all_words = frozenset().union(*self.words)
        self.often = Counter(w for words in self.words for w in words)
        self._captions = captions

    @cached_property
    def best(self) -> list[str]:
        """Up to three cleaned captions, those that say most of what the others say, and briefly."""

        def agreement(text: str) -> float:
            content = _words(text) - _SMALL
            return sum(self.often[w] - 1 for w in content) / (len(content) + 1.5)

        clean = dict.fromkeys(c for c in map(clean_caption, self._captions) if c)
        return sorted(clean, key=agreement, reverse=True)[:3]

    @cached_property
    def present(self) -> list[str]:
        """Things that at least two captions name."""
        return [name for name, (yes, _) in THINGS.items() if sum(bool(yes & words) for words in self.words) >= 2]

    def absent(self, name: str) -> bool:
        """Whether the thing, and all that is near it, is in no caption."""
        if name in _KINDS_OF_PEOPLE and self.counts_of_people:  # everybody in the picture is told
            told = {noun for noun, _ in self.counts_of_people}
            return name not in told and not (name in ("child", "baby") and told & {"boy", "girl"})
        return name in THINGS and not THINGS[name][1] & self.all_words

    @cached_property
    def colours(self) -> list[tuple[str, str]]:
        """(thing, colour) that two captions say and none says otherwise; the thing is there once."""
        found = []
        colour = "|".join("gray" if c == "grey" else c for c in _COLOURS)
        for noun in _COLOURED:
            if noun not in self.all_words or (plural(noun) != noun and plural(noun) in self.all_words):
                continue
            pattern = rf"\b((?:{colour})(?:(?:,| and|,? and) (?:{colour}))?) (?:[a-z]+ )?{noun}\b"
            said = [m.replace(",", "") for text in self.texts for m in re.findall(pattern, text)]
            if len(said) >= 2 and len(set(said)) == 1:
                found.append((noun, said[0].replace("gray", "grey")))
        return found

    @cached_property
    def counts(self) -> list[tuple[str, int]]:
        """(thing, number) that two captions say and none says otherwise."""
        found = []
        for noun in _COUNTED:
            many = plural(noun)
            if not {noun, many} & self.all_words:
                continue
            pattern = rf"\b({'|'.join(_NUMBERS)}|some|several|many|group of) (?:[a-z]+ ){{0,2}}?{many}\b"
            said = [m for text in self.texts for m in re.findall(pattern, text)]
            singles = [] if many == noun else [x for x in self.texts if re.search(rf"\b{noun}\b", x)]
            if len(said) >= 2 and len(set(said)) == 1 and said[0] in _NUMBERS and not singles:
                found.append((noun, _NUMBERS[said[0]]))
                continue
            once = all(len(re.findall(rf"\b{noun}\b", x)) == 1 for x in singles)
            if once and len(singles) >= 4 and not said and not {many, "another", "two"} & self.all_words:
                found.append((noun, 1))
        return found

    @cached_property
    def deeds(self) -> list[tuple[str, str]]:
        """(doer, "running on the grass"), where there is one such doer."""
        found = []
        for text in self._captions:
            match = _DEED.match(text.strip())
            if not match or match[2].split()[0] in ("wearing", "during") or not 3 <= len(match[2].split()) <= 9:
                continue
            doer = match[1]
            single = sum(doer in words for words in self.words)
            if single >= 2 and plural(doer) not in self.all_words and not {"another", "two", "other"} & self.all_words:
                found.append((doer, match[2].strip().rstrip(".")))
        return found

    @cached_property
    def who(self) -> str | None:
        """ "a man", "two women" or "a boy and a girl", where two captions agree and nobody else is named."""
        named = self.counts_of_people
        if not 1 <= len(named) <= 2:
            return None
        return " and ".join(f"{article(n)} {n}" if k == 1 else f"{number_words(k)} {plural(n)}" for n, k in named)

    @cached_property
    def counts_of_people(self) -> list[tuple[str, int]]:
        """Counts of people, complete: no word for people is left over."""
        counted = [(n, k) for n, k in self.counts if n in ("man", "woman", "boy", "girl")]
        named = {w for n, _ in counted for w in (n, plural(n))} | {"his", "her", "he", "she", "him", "they", "face"}
        named |= {"hand", "hands", "arm", "arms", "player", "rider"}
        return counted if not (self.all_words & frozenset(_PEOPLE.split())) - named else []

    @cached_property
    def place(self) -> str | None:
        """ "on a beach", where two captions say so and no other place."""
        said = [p for p in _PLACES if self.often[p] >= 2]
        return _PLACES[said[0]][0] if len(said) == 1 else None

    @cached_property
    def outside(self) -> bool | None:
        """Whether it is outside; None where the captions don't tell."""
        said = {_PLACES[p][1] for p in _PLACES if self.often[p] >= 2}
        return said.pop() if len(said) == 1 else None
