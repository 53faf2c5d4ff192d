"""Drawn scenes: one to four filled shapes on a light ground, their facts, and questions about them.

>>> pictures, examples = scene_examples(random.Random(0), 100)
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

from muomni_core.data import phrasings as ask
from muomni_core.data.example import Example, heard_at
from muomni_core.data.words import join, number_words, plural, sentence, with_article

SIZE = 128
SHAPES = ("circle", "square", "triangle")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 35),
    "green": (35, 150, 55),
    "blue": (40, 75, 210),
    "yellow": (240, 215, 40),
    "black": (20, 20, 20),
    "orange": (243, 138, 25),
    "purple": (130, 45, 160),
}
JITTER = 14  # a colour's channels vary by this much
CLEAR = 0.1  # of the picture's side: nearer to the middle, or to each other, nobody is asked for the side


@dataclass(frozen=True)
class Shape:
    """A filled shape: centre (x, y) and half size `radius` as shares of the picture's side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    rgb: tuple[int, int, int]
    turn: float = 0.0  # radians

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    shapes: tuple[Shape, ...]  # from left to right
    ground: tuple[int, int, int]
    smooth: int = 4  # drawn so many times larger and brought down; 1: no anti-aliasing


def random_scene(rng: random.Random, n_shapes: int | None = None) -> Scene:
    """A scene of one to four shapes (or `n_shapes`) that do not touch; they are often of one form or one colour."""
    n = n_shapes or rng.choice((1, 2, 3, 4))
    one_form = rng.choice(SHAPES) if rng.random() < 0.25 else None
    one_colour = rng.choice(tuple(COLOURS)) if rng.random() < 0.2 else None
    largest = {1: 0.36, 2: 0.24, 3: 0.2, 4: 0.18}[n]
    shapes: list[Shape] = []
    while len(shapes) < n:
        radius = rng.uniform(0.085, largest)
        x, y = (rng.uniform(1.2 * radius, 1 - 1.2 * radius) for _ in range(2))  # corners reach 1.2 radii
        if any(math.hypot(x - s.x, y - s.y) < 1.2 * (radius + s.radius) + 0.03 for s in shapes):
            largest = max(0.1, largest * 0.97)  # a crowded scene gets smaller shapes, so this always ends
            continue
        colour = one_colour or rng.choice(tuple(COLOURS))
        red, green, blue = (min(255, max(0, c + rng.randint(-JITTER, JITTER))) for c in COLOURS[colour])
        turn = rng.uniform(-0.35, 0.35) if rng.random() < 0.3 else 0.0
        shapes.append(Shape(one_form or rng.choice(SHAPES), colour, x, y, radius, (red, green, blue), turn))
    light = rng.randint(222, 255)
    red, green, blue = (min(255, max(215, light + rng.randint(-12, 12))) for _ in range(3))
    return Scene(tuple(sorted(shapes, key=lambda s: s.x)), (red, green, blue), rng.choice((1, 2, 4, 4)))


def corners(shape: Shape) -> list[tuple[float, float]]:
    """The corners of a square or triangle, in the same shares as its centre; inside its circle of 1.2 radii."""
    n, reach, first = (4, 1.2, math.pi / 4) if shape.shape == "square" else (3, 1.15, -math.pi / 2)
    angles = (first + shape.turn + 2 * math.pi * i / n for i in range(n))
    far = shape.radius * reach
    return [(shape.x + far * math.cos(a), shape.y + far * math.sin(a)) for a in angles]


def draw_scene(scene: Scene, size: int = SIZE) -> Image.Image:
    """The scene as an RGB picture of size x size pixels."""
    side = size * scene.smooth
    picture = Image.new("RGB", (side, side), scene.ground)
    pen = ImageDraw.Draw(picture)
    for s in scene.shapes:
        if s.shape == "circle":
            box = [(s.x - s.radius) * side, (s.y - s.radius) * side, (s.x + s.radius) * side, (s.y + s.radius) * side]
            pen.ellipse(box, fill=s.rgb)
        else:
            pen.polygon([(x * side, y * side) for x, y in corners(s)], fill=s.rgb)
    return picture.resize((size, size), Image.Resampling.BOX) if scene.smooth > 1 else picture


def describe(scene: Scene) -> str:
    """ "I see a red circle and two blue squares.", from left to right."""
    counts = Counter(s.name for s in scene.shapes)
    parts = [with_article(n) if c == 1 else f"{number_words(c)} {plural(n)}" for n, c in counts.items()]
    return f"I see {join(parts)}."


def count_answer(n: int, one: str) -> str:
    """ "There are two circles.", "There is one circle.", "There are no circles."."""
    if n == 1:
        return f"There is one {one}."
    return f"There are {number_words(n) if n else 'no'} {plural(one)}."


class SceneFacts:
    """What may be asked of a scene: every method gives one question and its answer, or None where it does not apply."""

    def __init__(self, scene: Scene):
        self.shapes = scene.shapes
        self.scene = scene
        self.forms = Counter(s.shape for s in scene.shapes)
        self.colours = Counter(s.colour for s in scene.shapes)
        self.names = Counter(s.name for s in scene.shapes)

    def _names_of(self, rng: random.Random, shape: Shape) -> str | None:
        """A name that fits this shape alone: "circle", else "red circle"."""
        fits = [n for n, c in ((shape.shape, self.forms[shape.shape]), (shape.name, self.names[shape.name])) if c == 1]
        if self.colours[shape.colour] == 1 and len(self.shapes) > 1:
            fits.append(f"{shape.colour} shape")
        return rng.choice(fits) if fits else None

    def colour(self, rng: random.Random) -> tuple[str, str] | None:
        if len(self.shapes) == 1 and rng.random() < 0.3:
            return rng.choice(ask.SCENE_COLOUR_OF_IT), f"It is {self.shapes[0].colour}."
        form = rng.choice(sorted(self.forms))
        seen = sorted({s.colour for s in self.shapes if s.shape == form})
        if len(seen) > 1:
            return None
        if self.forms[form] == 1:
            return rng.choice(ask.COLOUR).format(n=form), f"The {form} is {seen[0]}."
        return rng.choice(ask.COLOUR_MANY).format(b=plural(form)), f"The {plural(form)} are {seen[0]}."

    def count(self, rng: random.Random) -> tuple[str, str]:
        draw = rng.random()
        if draw < 0.3:
            return rng.choice(ask.SCENE_COUNT_ALL), count_answer(len(self.shapes), "shape")
        if draw < 0.75:  # counts of one form: those that are there twice as often as those that are not
            form = rng.choice(sorted(self.forms) * 2 + [f for f in SHAPES if f not in self.forms])
            return rng.choice(ask.COUNT).format(b=plural(form)), count_answer(self.forms[form], form)
        if draw < 0.87:
            colour = rng.choice([*sorted(self.colours), rng.choice(tuple(COLOURS))])
            one = f"{colour} shape"
            return rng.choice(ask.COUNT).format(b=plural(one)), count_answer(self.colours[colour], one)
        name = rng.choice([*sorted(self.names), f"{rng.choice(tuple(COLOURS))} {rng.choice(SHAPES)}"])
        return rng.choice(ask.COUNT).format(b=plural(name)), count_answer(self.names[name], name)

    def shape(self, rng: random.Random) -> tuple[str, str] | None:
        if len(self.shapes) == 1 and rng.random() < 0.7:
            return rng.choice(ask.SCENE_SHAPE), f"It is {with_article(self.shapes[0].shape)}."
        single = [s for s in self.shapes if self.colours[s.colour] == 1]
        if not single:
            return None
        s = rng.choice(single)
        return rng.choice(ask.SCENE_SHAPE_OF).format(c=s.colour), f"The {s.colour} shape is {with_article(s.shape)}."

    def side(self, rng: random.Random) -> tuple[str, str] | None:
        s = rng.choice(self.shapes)
        name = self._names_of(rng, s)
        if not name or abs(s.x - 0.5) < CLEAR:
            return None
        return rng.choice(ask.SCENE_SIDE).format(n=name), f"The {name} is on the {'left' if s.x < 0.5 else 'right'}."

    def height(self, rng: random.Random) -> tuple[str, str] | None:
        s = rng.choice(self.shapes)
        name = self._names_of(rng, s)
        if not name or abs(s.y - 0.5) < CLEAR:
            return None
        return rng.choice(ask.SCENE_HEIGHT).format(n=name), f"The {name} is at the {'top' if s.y < 0.5 else 'bottom'}."

    def beside(self, rng: random.Random) -> tuple[str, str] | None:
        if len(self.shapes) < 2:
            return None
        a, b = rng.sample(self.shapes, 2)
        n, m = self._names_of(rng, a), self._names_of(rng, b)
        if not n or not m or abs(a.x - b.x) < 1.5 * CLEAR:
            return None
        side = "left" if a.x < b.x else "right"
        return rng.choice(ask.SCENE_BESIDE).format(n=n, m=m), f"The {n} is {side} of the {m}."

    def which_side(self, rng: random.Random) -> tuple[str, str] | None:
        if len(self.shapes) != 2 or not self.shapes[0].x < 0.5 - CLEAR < 0.5 + CLEAR < self.shapes[1].x:
            return None
        i = rng.randrange(2)
        side = ("left", "right")[i]
        question = rng.choice(ask.SCENE_WHICH_SIDE).format(side=side)
        return question, f"{sentence(with_article(self.shapes[i].name))[:-1]} is on the {side}."

    def size(self, rng: random.Random) -> tuple[str, str] | None:
        if len(self.shapes) < 2:
            return None
        # Areas, as the eye judges: a triangle of the same reach fills less.
        fill = {"circle": math.pi, "square": 2 * 1.2**2, "triangle": 1.3 * 1.15**2}
        ordered = sorted(self.shapes, key=lambda s: s.radius**2 * fill[s.shape])
        big = rng.random() < 0.5
        s, other = (ordered[-1], ordered[-2]) if big else (ordered[0], ordered[1])
        ratio = (s.radius**2 * fill[s.shape]) / (other.radius**2 * fill[other.shape])
        if max(ratio, 1 / ratio) < 1.4:
            return None
        form = ("the bigger", "the smaller") if len(self.shapes) == 2 else ("the biggest", "the smallest")
        word = form[0 if big else 1]
        question = rng.choice(ask.SCENE_SIZE).format(size=word).replace("the the", "the")
        return question, f"The {s.name} is {word}."

    def yes_no(self, rng: random.Random) -> tuple[str, str]:
        yes = rng.random() < 0.5
        level = rng.randrange(3)  # a form, a colour, or both
        if level == 0 and (yes or len(self.forms) < len(SHAPES)):
            pool = sorted(self.forms) if yes else [f for f in SHAPES if f not in self.forms]
        elif level == 1:
            pool = [f"{c} shape" for c in COLOURS if (c in self.colours) == yes]
        elif yes:
            pool = sorted(self.names)
        else:  # near misses first: this form in another one's colour, this colour in another form
            near = [f"{c} {f}" for c in self.colours for f in SHAPES]
            near += [f"{c} {f}" for c in COLOURS for f in self.forms]
            pool = [n for n in near if n not in self.names]
        n = rng.choice(pool)
        question = rng.choice(ask.YES_NO).format(a=with_article(n))
        return question, ask.YES.format(there_is="there is", a=with_article(n)) if yes else ask.NO.format(
            there_is="there is", n=n
        )

    def see(self, rng: random.Random) -> tuple[str, str]:
        questions = ask.NAMING[0][1] + ask.NAMING[3][1]
        return (ask.SEE if rng.random() < 0.4 else rng.choice(questions)), describe(self.scene)


# Kind of question and how often it is asked.
KINDS: dict[str, tuple[Callable[[SceneFacts, random.Random], tuple[str, str] | None], int]] = {
    "scene_colour": (SceneFacts.colour, 30),
    "scene_count": (SceneFacts.count, 20),
    "scene_shape": (SceneFacts.shape, 18),
    "scene_side": (SceneFacts.side, 26),
    "scene_height": (SceneFacts.height, 4),
    "scene_beside": (SceneFacts.beside, 4),
    "scene_which_side": (SceneFacts.which_side, 20),
    "scene_size": (SceneFacts.size, 5),
    "scene_yesno": (SceneFacts.yes_no, 10),
    "scene_see": (SceneFacts.see, 10),
}


def scene_questions(scene: Scene, rng: random.Random, n: int, image: int) -> list[Example]:
    """`n` different questions about the scene, kinds by their weights."""
    facts = SceneFacts(scene)
    found: dict[str, Example] = {}
    kinds, weights = list(KINDS), [weight for _, weight in KINDS.values()]
    for _ in range(50 * n):
        if len(found) == n:
            break
        kind = rng.choices(kinds, weights)[0]
        if (pair := KINDS[kind][0](facts, rng)) and pair[0] not in found:
            found[pair[0]] = Example(kind, pair[0], pair[1], image)
    return list(found.values())


def scene_examples(
    rng: random.Random, n: int, per_picture: int = 4, heard_rate: float = 0.25
) -> tuple[list[Image.Image], list[Example]]:
    """`n` drawn pictures (128 x 128 RGB) and `per_picture` questions about each."""
    pictures, examples = [], []
    for image in range(n):
        scene = random_scene(rng)
        pictures.append(draw_scene(scene))
        examples += scene_questions(scene, rng, per_picture, image)
    return pictures, list(heard_at(rng, examples, heard_rate))
