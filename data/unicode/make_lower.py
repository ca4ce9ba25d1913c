#!/usr/bin/env python3
"""Writes lower.txt: what Python's str.lower() makes of a code point, and what decides about a final sigma.

    python3 make_lower.py > lower.txt        (Python 3.13.0)
"""
import sys
import unicodedata

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
SIGMA, SMALL, FINAL = 0x3A3, "\u03c3", "\u03c2"


def runs(points, step=1):
    """[first, last] of the numbers of an ascending list that follow each other."""
    out = []
    for p in points:
        if out and p == out[-1][1] + step:
            out[-1][1] = p
        else:
            out.append([p, p])
    return out


def moves():
    """[first, last, step, by]: each step-th code point of first..last moves by so many."""
    by = {}
    for c in POINTS:
        low = chr(c).lower()
        if len(low) == 1 and low != chr(c):
            by.setdefault(ord(low) - c, []).append(c)
    out = []
    for d, points in by.items():
        ones = runs(points)
        single = [a for a, b in ones if a == b]
        out += [(a, b, 1, d) for a, b in ones if a != b]
        out += [(a, b, 2, d) for a, b in runs(single, 2)]
    return sorted(out)


def sigma_class(c):
    """As the sigma of "AΣ" is final before it or not, alone and with a letter behind."""
    alone = ("A\u03a3" + chr(c)).lower()[1]
    before = ("A\u03a3" + chr(c) + "b").lower()[1]
    return "C" if alone == SMALL else "I" if before == SMALL else ""


print(f"# str.lower() of Python {sys.version.split()[0]} (Unicode {unicodedata.unidata_version})")
print("# first..last;step;by    each step-th code point moves by so many (decimal)")
for a, b, step, d in moves():
    print(f"{a:04X}..{b:04X};{step};{d}")
print("# first..last;class      for a sigma beside it: C has case, I is looked past")
rows = []
for kind in "CI":
    rows += [(a, b, kind) for a, b in runs([c for c in POINTS if sigma_class(c) == kind])]
for a, b, kind in sorted(rows):
    print(f"{a:04X}..{b:04X};{kind}")
