"""Drawn scenes: what is asked fits what is drawn."""

from __future__ import annotations

import math
import random
import re
from collections import Counter

import numpy as np
import pytest

from muomni_core.data.scenes import (
    COLOURS,
    KINDS,
    SHAPES,
    Scene,
    SceneFacts,
    Shape,
    describe,
    draw_scene,
    random_scene,
    scene_examples,
)

WHITE = (250, 250, 250)


def shape(form: str, colour: str, x: float, y: float = 0.5, radius: float = 0.12) -> Shape:
    return Shape(form, colour, x, y, radius, COLOURS[colour])


def answers(kind: str, scene: Scene, n: int = 60) -> dict[str, str]:
    rng, facts = random.Random(0), SceneFacts(scene)
    return dict(pair for _ in range(n) if (pair := KINDS[kind][0](facts, rng)))


def test_pictures_have_the_colours_of_their_facts_where_the_facts_say():
    rng = random.Random(1)
    for _ in range(25):
        scene = random_scene(rng)
        picture = np.asarray(draw_scene(scene)).astype(int)
        assert picture.shape == (128, 128, 3)
        for s in scene.shapes:
            pixel = picture[int(s.y * 128), int(s.x * 128)]
            assert abs(pixel - np.array(s.rgb)).max() <= 2
            nearest = min(COLOURS, key=lambda c: abs(np.array(COLOURS[c]) - pixel).sum())
            assert nearest == s.colour


def test_shapes_are_one_to_four_inside_the_picture_and_do_not_touch():
    rng = random.Random(2)
    seen = Counter()
    for _ in range(200):
        scene = random_scene(rng)
        seen[len(scene.shapes)] += 1
        assert [s.x for s in scene.shapes] == sorted(s.x for s in scene.shapes)
        assert min(scene.ground) >= 200
        for i, a in enumerate(scene.shapes):
            assert a.radius <= a.x <= 1 - a.radius and a.radius <= a.y <= 1 - a.radius
            for b in scene.shapes[:i]:
                assert math.hypot(a.x - b.x, a.y - b.y) > a.radius + b.radius
    assert set(seen) == {1, 2, 3, 4}


def test_answers_follow_from_the_scene():
    scene = Scene((shape("circle", "red", 0.2), shape("square", "blue", 0.8)), WHITE)
    assert set(answers("scene_colour", scene).values()) == {"The circle is red.", "The square is blue."}
    sides = answers("scene_side", scene)
    assert all(a.endswith("left.") == ("circle" in q or "red" in q) for q, a in sides.items())
    counts = answers("scene_count", scene, 300)
    assert "There are two shapes." in counts.values() and "There is one red circle." in counts.values()
    assert all(a.startswith("There are no") for q, a in counts.items() if "triangles" in q)
    assert describe(scene) == "I see a red circle and a blue square."
    assert not answers("scene_size", scene)  # as good as equal: nobody is asked which is bigger


def test_what_would_be_ambiguous_is_not_asked():
    two = Scene((shape("circle", "red", 0.2), shape("circle", "blue", 0.8)), WHITE)
    assert not answers("scene_colour", two)  # "what colour is the circle" has two answers
    assert not any(re.search(r"the circle\b", q) for q in answers("scene_side", two))
    middle = Scene((shape("triangle", "green", 0.52),), WHITE)
    assert not answers("scene_side", middle)


@pytest.mark.parametrize("form", SHAPES)
def test_single_shape_is_named(form):
    found = answers("scene_shape", Scene((shape(form, "orange", 0.5),), WHITE))
    assert any(a == f"It is a {form}." for a in found.values())


def test_same_seed_same_scenes_and_questions():
    first, second, other = (scene_examples(random.Random(seed), 8) for seed in (5, 5, 6))
    assert first[1] == second[1] and first[1] != other[1]
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first[0], second[0], strict=True))
    assert {e.image for e in first[1]} == set(range(8))


def test_yes_and_no_are_about_even_and_every_kind_is_asked():
    _, examples = scene_examples(random.Random(3), 400)
    yes = [e.answer.startswith("Yes") for e in examples if e.kind == "scene_yesno"]
    assert 0.4 < sum(yes) / len(yes) < 0.6
    sides = Counter(e.answer.split()[-1] for e in examples if e.kind == "scene_side")
    assert 0.4 < sides["left."] / sum(sides.values()) < 0.6
    assert {e.kind for e in examples} == set(KINDS)
