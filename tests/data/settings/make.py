"""What OmegaConf 2.3.0 over PyYAML makes of scalars, documents, references, options and merges: cases.json.

    python -m venv v && v/bin/pip install omegaconf==2.3.0 pyyaml==6.0.1 && v/bin/python make.py > cases.json
"""
import json
import math
import os

from omegaconf import OmegaConf

SCALARS = """1e-5 1.e5 1e5 .5 1_000 0x1F 0o17 017 08 1:30 1:30.5 190:20:30 1:75 yes on y NO Off ~ Null null NULL 0b11 .inf -.INF +.inf
.nan .NaN +1 -7 1_0.5 1__0.5 ._1 .5e3 .5e+3 .5_5 -.5 +.5 2020-01-01 1.0E5 1E5 1e+5 1e 1e5_0 1. -0 00 0 0_8 0b 0x 0x_1 1_ _1 1__0
1__0.5e3 1__0.5e+3 1_.5 1__0e3 1__0:30.5 nan inf 1.5.3 1-2 1,2 9223372036854775807 -9223372036854775807 0.1 1.0e-320 0:0 01:30 1:3:07.25 True TRUE tRUE a-b a/b ~a !!str~5
!!float~1 !!int~"5" !!str~yes !!bool~yes "5" 'yes' !~5 env:// a:b x#y 12e03 0777 0b102 1e400""".split()

DOCUMENTS = [
    "a: 1\nb: [x, 2, null, [3]]\nc: {d: e}",
    "a: &x {p: 1, q: [2]}\nb: *x\nc: {<<: *x, p: 3}\nd: {<<: [{p: 5, z: 1}, *x], y: 2}",
    "a: &x 1\nb: &x 2\nc: *x",
    "a: |\n  two\n  lines\nb: >-\n  folded\n  text\nc: 'it''s'\nd: \"tab\\t\\u00e9\"",
    "# nothing but\na:\nb: ''\nc: []\nd: {}",
    "---\na: 1\n...\n",
    "\ufeffa: 1",
    "{a: 1, 'b c': 2, d: [e, f], g: http://h/i}",
    "a: ü\nb: 'é'\n\"c d\": 猫",
    "? a\n: 1\n? b\n: 2",
    "a: 1 # comment\nb: x#y\nc: 'x # y'",
    "a:\n- 1\n- b: 2\n  c: 3",
    "a: {b: 1, c: '${.b}', d: {e: '${..b}'}}",
    "a: 1\nb: ${a}\nc: x${a}y",
    "a: true\nb: x${a}y${c}\nc: null\nd: ${c}",
    "a: {b: [1, 2]}\nc: ${a.b[1]}\nd: ${a.b.0}\ne: ${a[b][0]}",
    "a: \\${x}\nb: '\\\\${c}'\nc: 1\nd: $c\ne: $${c}",
    "k: b\nx: {b: 3}\na: ${x.${k}}\nb: 4\nc: ${${k}}",
    "a: ${x}\nx: {y: '${z}'}\nz: 4\nl: ['${z}', 'v${a.y}']",
    "a: 1e-5\nb: v${a}\nc: 0.1\nd: ${c}%\ne: 100000000000000000000.0\nf: ${e}|\ng: 5.0\nh: ${g}|\ni: 0x1F\nj: ${i}|\nk: 123456.0\nl: ${k}|",
    "a: '${ b }'\nb: 1",
    "a: ${oc.env:SETTINGS_A}\nb: ${oc.env:SETTINGS_NONE,5}\nc: ${oc.env:SETTINGS_NONE,null}\nd: ${oc.env:SETTINGS_NONE,'p q'}/x",
    "n: A\na: ${oc.env:SETTINGS_${n}}",
    "a: {b: 1, c: 2}\nd: {e: '${a}', f: '${d.e.c}'}",
    # to be refused
    "a: 1\na: 2",
    "a: 1\n b: 2",
    "a: [1, 2",
    "a: 'x",
    "a: \tb: c",
    "a: *x",
    "a: !x 5",
    "a: !!float x",
    "a: 1\n---\nb: 2",
    "a: ${b}\nb: ${a}",
    "a: ${a}",
    "a: {b: '${a}'}",
    "a: ${nope}",
    "a: ${b",
    "a: ${b.c}\nb: 3",
    "a: ${b}\nb: ???",
    "a: ${nope:x}",
    "a: ${oc.env:SETTINGS_NONE}",
    "null: 1",
    "<<: 5",
    "a: @b",
    "a: {b: 1}}",
]

MERGES = [  # over each other, then options
    [["a: {b: 1, c: 2}", "a: {c: 3, d: 4}"], []],
    [["a: {b: 1}", "a: 5"], []],
    [["a: {b: 1}", "a: null"], []],
    [["a: 5", "a: {c: 1}"], []],
    [["a: [1, 2]", "a: [3]"], []],
    [["a: 1", "a: ???"], []],
    [["a: null", "a: {b: 1}"], []],
    [["x: {y: 1}\na: {b: 1}", "a: ${x.y}"], []],
    [["a: [1]", "a: {b: 1}"], []],
    [["a: {b: 1}", "a: [1]"], []],
    [["a: 1", "b: 2", "a: {c: 3}", "a: {d: 4}"], []],
    [["x: 7"], ["a.b=1e-3", "a.c=[1, {d: yes}]", "x=z"]],
    [["x: 7"], ["a.b=x=y", "c=", "d='q'", "e=null", "f= 5 ", "g=#c"]],
    [["x: 7"], ["a[b].c=2", "a.b.d=3", "a.b.d=4"]],
    [["x: 7"], ["a.b=${x}", "c=v${x}"]],
    [["x: 7"], ["a=[1"]],
    [["x: 7"], ["a=b: c: d"]],
]


def shown(value):
    """JSON has no infinities."""
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shown(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"real": repr(value)}
    return value


def result(texts, options):
    try:
        layers = [OmegaConf.create(t) for t in texts] + [OmegaConf.from_dotlist(options)]
        return {"value": shown(OmegaConf.to_container(OmegaConf.merge(*layers), resolve=True))}
    except Exception:  # of many kinds
        return {"refused": True}


os.environ["SETTINGS_A"] = "12"
os.environ.pop("SETTINGS_NONE", None)
scalars = ["a: " + s.replace("~", " ", 1) if s[0] == "!" else "a: " + s for s in SCALARS]
cases = [{"texts": t, "options": o, **result(t, o)} for t, o in [[[s], []] for s in scalars + DOCUMENTS] + MERGES]
print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
