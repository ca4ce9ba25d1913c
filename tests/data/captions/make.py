#!/usr/bin/env python3
"""Writes cases.json: what LAVIS' blip_caption and blip_question make of texts.

    python3 make.py lavis/processors/blip_processors.py > cases.json      (salesforce-lavis 1.0.2, Python 3.13.0)

The two functions are taken out of LAVIS' file as they are, for the rest of it needs torch.
"""
import ast
import json
import random
import re
import sys
import textwrap

source = open(sys.argv[1]).read()
space = {"re": re}
for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.FunctionDef) and node.name in ("pre_caption", "pre_question"):
        exec(textwrap.dedent(ast.get_source_segment(source, node, padded=True)), space)


class Words:
    def __init__(self, n):
        self.max_words = n


HAND = [
    "", " ", "\n", "A photo of a dog.", "Two  dogs\tand\n\na CAT!", "a.b", "a..b", "...", "  lead and trail  \n\n", "tab\tone",
    "line\none", "end\n", "end \n \n", "end.\n", "what is it?", "Is it red, or blue?", "(Q) \"quoted\" *star* #1: a;b ~c",
    "a \u00a0b", "a\u00a0b", "\u00a0a\u00a0", "\u3000\u3000wide", "x\u2028\u2029y", "x\x1c\x1dy", "x\x85y\x85", "a\x00b", "\x00",
    "e\u0301 \u00c9", "\u0130stanbul I\u0307", "STRASSE \u1e9e", "\u01c5 \u01c4 \u01f1", "\u039f\u03a3", "\u03a3", "\u03a3\u03a3",
    "\u0391\u03a3 \u0391", "\u0391\u03a3.\u0391", "\u0391\u03a3\u0301", "\u0391\u03a3\u0301\u0391", "\u0391\u00ad\u03a3", "1\u03a3",
    "'\u03a3'", "\u0391'\u03a3'", "\u0391'\u03a3'\u0391", "\u1c89\ua7cb\U00010d50 new", "\U00010400\U0001e900\U00010c80", "\u2160\u24b6",
    "\u13a0\uab70\u10a0\u1c90", "\ufb01 \ufffd \U0001f600", " ".join(f"w{i}" for i in range(49)), " ".join(f"w{i}" for i in range(50)),
    " ".join(f"w{i}" for i in range(51)), "  ".join("x" for i in range(60)), "! ".join("x" for i in range(60)),
    "\t".join("x" for i in range(60)), " " * 60 + "x",
]
rng = random.Random(5)
PARTS = [" ", " ", "  ", "\n", "\t", ".", "!", "~", "#", "?", ",", "'", "A", "b", "Dog", "\u03a3", "\u0391", "\u0301", "\u00ad", "1",
         "\u0130", "\u00c9", "\u4e2d", "\U0001f600", "\u00a0", "\x1e", "\u2160", "\u02b0", "\u0345", "\ud7a3", "\u1e9e"]
texts = [(t, 50) for t in HAND] + [("a b c", n) for n in range(5)]
texts += [("".join(rng.choice(PARTS) for _ in range(rng.randint(1, 24))), rng.choice([50, 50, 2, 5])) for _ in range(300)]
rows = [{"text": t, "words": n, "caption": space["pre_caption"](Words(n), t), "question": space["pre_question"](Words(n), t)}
        for t, n in texts]
print("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")
