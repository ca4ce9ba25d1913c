#!/usr/bin/env python3
"""plot.py FILE...: draws what the comparisons wrote with --json as one SVG: how many times longer the other program takes.

A bar for each column of blip2 in each row of the tables, on a scale where each step is a doubling; the line at 1 is where both
take the same time. It needs nothing but Python's own library.
"""
import argparse
import json
import math
import os
import sys
from html import escape

import common
from common import ROOT, die

COLOURS = {"f32": "#2b6cb0", "bf16": "#2f855a", "f16": "#319795", "int8": "#b7791f", "int4": "#805ad5", "mixed": "#c05621"}
WIDTH, LEFT, RIGHT = 920, 290, 60
BAR, GAP = 11, 9  # heights: a bar, what is between groups
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            rep = json.load(f)
        rep["rows"], rep["columns"], rep["cpu"]
        return rep
    except OSError as e:
        die(f"{path}: {e.strerror}")
    except (ValueError, KeyError, TypeError):
        die(f"{path}: expected what a comparison writes with --json, got something else")


def text(x, y, words, size=12, anchor="start", colour="#1a202c", weight="normal"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' "
            f"font-weight='{weight}'>{escape(words)}</text>")


def bars_of(rep):
    """[(name of the row, [(column, ratio), ...]), ...] of the rows that have a ratio."""
    ours = [c for c in rep["columns"] if c["side"] == "blip2"]
    rows = [(r["name"], [(c["name"], common.ratio(rep, r, c)) for c in ours]) for r in rep["rows"]]
    rows = [(name, [(c, x) for c, x in bars if x]) for name, bars in rows]
    return [row for row in rows if row[1]]


class Scale:
    """From ratios to x, logarithmic."""

    def __init__(self, ratios):
        self.low = min(-1, math.floor(math.log2(min(ratios))))
        self.high = max(2, math.ceil(math.log2(max(ratios))))

    def x(self, ratio):
        return LEFT + (math.log2(ratio) - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def lines(self, top, bottom):
        out = []
        for i in range(self.low, self.high + 1):
            x, one = self.x(2.0 ** i), i == 0
            out.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top}' y2='{bottom}' stroke='{'#1a202c' if one else '#cbd5e0'}' "
                       f"stroke-width='{1.4 if one else 0.8}'/>")
            out.append(text(x, bottom + 14, f"{2.0 ** i:g}x", 11, "middle", "#4a5568"))
        return out


def group(scale, name, bars, colours, y):
    out = [text(LEFT - 10, y + len(bars) * BAR / 2 + 4, name, 12, "end")]
    for column, ratio in bars:
        a, b = sorted((scale.x(1), scale.x(ratio)))
        out.append(f"<rect x='{a:.1f}' y='{y}' width='{max(b - a, 1):.1f}' height='{BAR - 2}' fill='{colours[column]}'/>")
        end = (b + 4, "start") if ratio >= 1 else (a - 4, "end")
        out.append(text(end[0], y + BAR - 2.5, f"{ratio:.1f}", 10, end[1], "#4a5568"))
        y += BAR
    return out


def legend(columns, colours, y):
    out, x = [], LEFT
    for c in columns:
        out += [f"<rect x='{x}' y='{y - 9}' width='10' height='10' fill='{colours[c]}'/>", text(x + 15, y, c, 11)]
        x += 30 + 7 * len(c)
    return out


def panel(rep, y):
    """The elements of one report, and where the next begins."""
    rows = bars_of(rep)
    if not rows:
        return [], y
    colours = {c["name"]: COLOURS.get(c["format"], "#718096") for c in rep["columns"]}
    columns = [c for c in colours if any(c == name for _, bars in rows for name, _ in bars)]
    scale = Scale([x for _, bars in rows for _, x in bars])
    what = "fastest format" if rep["against"] == "best" else "same format"
    out = [text(20, y + 18, f"{rep['peer']} ({what}) / blip2: {rep['title']}", 15, weight="bold"),
           text(20, y + 36, f"{rep['cpu']}, {rep['threads']} threads, {rep['isa']}; {rep['date']}; {rep['about']}", 11,
                colour="#4a5568")]
    out += legend(columns, colours, y + 56)
    top = y + 66
    bottom = top + sum(len(bars) * BAR + GAP for _, bars in rows)
    out += scale.lines(top, bottom)
    at = top + GAP / 2
    for name, bars in rows:
        out += group(scale, name, bars, colours, at)
        at += len(bars) * BAR + GAP
    return out, bottom + 36


def picture(reports):
    y, title = 44, "How many times as long other programs take as blip2 (to the right of the line: blip2 is faster)"
    body = [text(20, 30, title, 15, weight="bold")]
    for rep in reports:
        drawn, y = panel(rep, y)
        body += drawn
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}' viewBox='0 0 {WIDTH} {y}' {FONT}>\n"
            f"<rect width='{WIDTH}' height='{y}' fill='white'/>\n" + "\n".join(body) + "\n</svg>\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="+", metavar="FILE", help="what a comparison wrote with --json")
    p.add_argument("--out", default=os.path.join(ROOT, "docs", "speed.svg"), help="default: docs/speed.svg")
    p.add_argument("--table", action="store_true", help="print the tables as Markdown, too")
    a = p.parse_args()
    reports = [load(f) for f in a.files]
    if a.table:
        print("\n\n".join(common.table(r) for r in reports))
    try:
        with open(a.out, "w", encoding="utf-8") as f:
            f.write(picture(reports))
    except OSError as e:
        die(f"{a.out}: {e.strerror}")
    print(a.out, file=sys.stderr)


if __name__ == "__main__":
    common.main_of(main)
