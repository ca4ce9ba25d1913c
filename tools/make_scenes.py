#!/usr/bin/env python3
"""Scenes: small pictures composed of emoji, with captions, questions and answers: the world of the embedded model.

    make_scenes.py OUT [--count N] [--seed N] [--size PIXELS]

writes a data set in LAVIS' layout, OUT/scenes/images and OUT/scenes/annotations: captions as of COCO and nocaps, questions as of
VQAv2 and GQA, captions for retrieval. Without options it makes what lies in models/scenes/data. As a module it draws scenes for
training: sample, render, caption, question.

Needs Pillow (with FreeType) and Noto Color Emoji (SIL OFL 1.1), which Debian has as fonts-noto-color-emoji. The same seed gives
the same sentences everywhere, and the same pixels with the same versions of the two.
"""
import argparse
import json
import os
import random

from PIL import Image, ImageDraw, ImageFont

FONT_FILE = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
FONT_SIZE = 109  # the only one that the font has

# name: (character, plural, what kind of thing it is)
OBJECTS = {
    "dog": ("🐕", "dogs", "animal"),
    "cat": ("🐈", "cats", "animal"),
    "horse": ("🐎", "horses", "animal"),
    "cow": ("🐄", "cows", "animal"),
    "pig": ("🐖", "pigs", "animal"),
    "rabbit": ("🐇", "rabbits", "animal"),
    "elephant": ("🐘", "elephants", "animal"),
    "fish": ("🐟", "fish", "animal"),
    "bird": ("🐦", "birds", "animal"),
    "turtle": ("🐢", "turtles", "animal"),
    "butterfly": ("🦋", "butterflies", "animal"),
    "frog": ("🐸", "frogs", "animal"),
    "car": ("🚗", "cars", "vehicle"),
    "bus": ("🚌", "buses", "vehicle"),
    "train": ("🚂", "trains", "vehicle"),
    "bicycle": ("🚲", "bicycles", "vehicle"),
    "airplane": ("✈️", "airplanes", "vehicle"),
    "boat": ("⛵", "boats", "vehicle"),
    "tractor": ("🚜", "tractors", "vehicle"),
    "rocket": ("🚀", "rockets", "vehicle"),
    "apple": ("🍎", "apples", "food"),
    "banana": ("🍌", "bananas", "food"),
    "pizza": ("🍕", "pizzas", "food"),
    "cake": ("🎂", "cakes", "food"),
    "carrot": ("🥕", "carrots", "food"),
    "lemon": ("🍋", "lemons", "food"),
    "strawberry": ("🍓", "strawberries", "food"),
    "hamburger": ("🍔", "hamburgers", "food"),
    "cup": ("☕", "cups", "thing"),
    "tree": ("🌳", "trees", "thing"),
    "flower": ("🌻", "flowers", "thing"),
    "house": ("🏠", "houses", "thing"),
    "ball": ("⚽", "balls", "thing"),
    "clock": ("⏰", "clocks", "thing"),
    "book": ("📕", "books", "thing"),
    "umbrella": ("☂️", "umbrellas", "thing"),
    "guitar": ("🎸", "guitars", "thing"),
    "phone": ("📱", "phones", "thing"),
    "hat": ("🎩", "hats", "thing"),
    "key": ("🔑", "keys", "thing"),
    "chair": ("🪑", "chairs", "thing"),
    "gift": ("🎁", "gifts", "thing"),
    "lamp": ("💡", "lamps", "thing"),
    "shoe": ("👟", "shoes", "thing"),
}
NAMES = sorted(OBJECTS)
GROUNDS = {
    "red": (214, 80, 70),
    "green": (110, 180, 90),
    "blue": (90, 140, 220),
    "yellow": (240, 215, 90),
    "gray": (150, 150, 150),
    "white": (245, 245, 245),
    "purple": (150, 90, 180),
    "black": (30, 30, 30),
}
NUMBERS = ["zero", "one", "two", "three", "four"]
QUADRANTS = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]


# --- pictures ------------------------------------------------------------------------------------------------------

# Random numbers are drawn in a fixed order: what a seed stands for must not change.


def sample(rng, heavy=False):
    """A scene: {kind: one|left|above|count, a, b, n, bg}; heavy: more of two objects."""
    kinds = ["one", "left", "left", "above", "above", "count"] if heavy else ["one", "left", "above", "count", "count"]
    kind = rng.choice(kinds)
    a, b = rng.sample(NAMES, 2)
    return {"kind": kind, "a": a, "b": b, "n": rng.randint(2, 4), "bg": rng.choice(sorted(GROUNDS))}


_font = None
_glyphs = {}


def glyph(name):
    """The object's picture, cropped to what is drawn."""
    global _font
    if name not in _glyphs:
        _font = _font or ImageFont.truetype(FONT_FILE, FONT_SIZE)
        image = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
        ImageDraw.Draw(image).text((0, 0), OBJECTS[name][0], font=_font, embedded_color=True)
        _glyphs[name] = image.crop(image.getbbox())
    return _glyphs[name]


def put(image, rng, name, x, y, size):
    """Pastes an object: its centre and width as fractions of the picture's side, perhaps mirrored, a little turned."""
    side = image.width
    pixels = int(size * side)
    g = glyph(name).resize((pixels, pixels), Image.BICUBIC)
    if rng.random() < 0.5:
        g = g.transpose(Image.FLIP_LEFT_RIGHT)
    g = g.rotate(rng.uniform(-12, 12), Image.BICUBIC)
    image.paste(g, (int(x * side - pixels / 2), int(y * side - pixels / 2)), g)


def render(scene, side, rng):
    """side x side pixels, RGB."""
    colour = tuple(min(255, max(0, c + rng.randint(-12, 12))) for c in GROUNDS[scene["bg"]])
    image = Image.new("RGB", (side, side), colour)
    u = rng.uniform
    if scene["kind"] == "one":
        put(image, rng, scene["a"], u(0.35, 0.65), u(0.35, 0.65), u(0.4, 0.7))
    elif scene["kind"] == "left":
        put(image, rng, scene["a"], u(0.22, 0.3), u(0.35, 0.65), u(0.3, 0.44))
        put(image, rng, scene["b"], u(0.7, 0.78), u(0.35, 0.65), u(0.3, 0.44))
    elif scene["kind"] == "above":
        put(image, rng, scene["a"], u(0.35, 0.65), u(0.22, 0.3), u(0.3, 0.44))
        put(image, rng, scene["b"], u(0.35, 0.65), u(0.7, 0.78), u(0.3, 0.44))
    else:
        for x, y in rng.sample(QUADRANTS, scene["n"]):
            put(image, rng, scene["a"], x + u(-0.03, 0.03), y + u(-0.03, 0.03), u(0.28, 0.4))
    return image


# --- sentences -----------------------------------------------------------------------------------------------------


def an(name):
    return ("an " if name[0] in "aeiou" else "a ") + name


def caption(scene, rng=None):
    """The one caption of a scene. rng is not used."""
    ground = f" on a {scene['bg']} background"
    if scene["kind"] == "one":
        return an(scene["a"]) + ground
    if scene["kind"] == "left":
        return f"{an(scene['a'])} to the left of {an(scene['b'])}{ground}"
    if scene["kind"] == "above":
        return f"{an(scene['a'])} above {an(scene['b'])}{ground}"
    return f"{NUMBERS[scene['n']]} {OBJECTS[scene['a']][1]}{ground}"


def alike(scene):
    """Questions about objects of one name."""
    a, plural, kind = scene["a"], *OBJECTS[scene["a"]][1:]
    n = 1 if scene["kind"] == "one" else scene["n"]
    how_many = (f"how many {plural} are there?", NUMBERS[n])
    what = an(a) if n == 1 else f"{NUMBERS[n]} {plural}"
    which = "what is this?" if kind == "thing" else f"what {kind} is this?"
    return [how_many, how_many, ("what is in the picture?", what), (which, an(a))]


def beside(scene):
    a, b = scene["a"], scene["b"]
    return [
        ("what is on the left?", an(a)),
        ("what is on the right?", an(b)),
        (f"what is next to the {a}?", an(b)),
        (f"how many {OBJECTS[a][1]} are there?", "one"),
    ]


def stacked(scene):
    a, b = scene["a"], scene["b"]
    return [
        ("what is at the top?", an(a)),
        ("what is at the bottom?", an(b)),
        (f"what is below the {a}?", an(b)),
        (f"what is above the {b}?", an(a)),
    ]


def question(scene, rng):
    """One of the scene's questions and its answer."""
    objects = [scene["a"]] if scene["kind"] in ("one", "count") else [scene["a"], scene["b"]]
    any_name = rng.choice(NAMES)
    there = rng.choice(objects)
    questions = [
        ("what color is the background?", scene["bg"]),
        (f"is there {an(any_name)} in the picture?", "yes" if any_name in objects else "no"),
        (f"is there {an(there)} in the picture?", "yes"),
    ]
    about = {"one": alike, "count": alike, "left": beside, "above": stacked}[scene["kind"]]
    return rng.choice(questions + about(scene))


# --- the data set --------------------------------------------------------------------------------------------------

QUESTIONS = 4  # of each picture
DRAWS = 60  # of questions, from which they are taken: some are rare
ANSWERS = 10  # as VQA has them; here all agree


def questions_of(scene, rng):
    drawn = {}
    for _ in range(DRAWS):
        q, a = question(scene, rng)
        drawn[q] = a
    drawn = sorted(drawn.items())
    rng.shuffle(drawn)
    return drawn[:QUESTIONS]


def question_type(q):
    for words in ("how many", "is there", "what color", "what is"):
        if q.startswith(words):
            return words
    return "what"


def answer_type(q, a):
    return "yes/no" if a in ("yes", "no") else "number" if q.startswith("how many") else "other"


def draw(count, side, rng, save):
    """Pictures whose captions all differ, so that retrieval has one right answer. [(number, name, caption, questions)]"""
    out, seen = [], set()
    while len(out) < count:
        scene = sample(rng)
        image = render(scene, side, rng)
        asked = questions_of(scene, rng)
        text = caption(scene)
        if text in seen:
            continue
        seen.add(text)
        number = len(out) + 1
        name = f"scene_{number:05d}.png"
        save(image, name)
        out.append((number, name, text, asked))
    return out


def records(pictures):
    """The files of OUT/scenes/annotations by name."""
    asked = [(n * 1000 + k, n, name, q, a) for n, name, _, qs in pictures for k, (q, a) in enumerate(qs)]
    return {
        "scenes_test.json": [{"image": name, "img_id": n, "caption": [c]} for n, name, c, _ in pictures],
        "scenes_test_gt.json": {
            "annotations": [{"image_id": n, "caption": c, "id": n} for n, _, c, _ in pictures],
            "images": [{"id": n} for n, *_ in pictures],
        },
        "retrieval_test.json": [{"image": name, "caption": [c]} for _, name, c, _ in pictures],
        "vqa_test.json": [
            {"question_id": i, "question": q, "image": name, "dataset": "vqa", "answer": [a] * ANSWERS}
            for i, _, name, q, a in asked
        ],
        "vqa_test_questions.json": {
            "questions": [{"image_id": n, "question": q, "question_id": i} for i, n, _, q, _ in asked]
        },
        "vqa_test_annotations.json": {
            "annotations": [
                {
                    "question_id": i,
                    "image_id": n,
                    "question_type": question_type(q),
                    "answer_type": answer_type(q, a),
                    "multiple_choice_answer": a,
                    "answers": [{"answer": a, "answer_id": k} for k in range(1, ANSWERS + 1)],
                }
                for i, n, _, q, a in asked
            ]
        },
        "gqa_test.json": [
            {"question_id": str(i), "question": q, "image": name, "answer": a} for i, _, name, q, a in asked
        ],
        "answer_list.json": sorted({a for *_, a in asked}),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=256, help="pictures (256)")
    parser.add_argument("--seed", type=int, default=20261127, help="kept for this: training draws with others (20261127)")
    parser.add_argument("--size", type=int, default=128, help="side in pixels (128)")
    args = parser.parse_args()
    images = os.path.join(args.out, "scenes", "images")
    annotations = os.path.join(args.out, "scenes", "annotations")
    os.makedirs(images, exist_ok=True)
    os.makedirs(annotations, exist_ok=True)
    pictures = draw(
        args.count,
        args.size,
        random.Random(args.seed),
        lambda image, name: image.save(os.path.join(images, name), optimize=True),
    )
    for name, content in records(pictures).items():
        with open(os.path.join(annotations, name), "w") as f:
            json.dump(content, f)
            f.write("\n")


if __name__ == "__main__":
    main()
