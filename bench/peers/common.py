"""common.py: what the comparisons in this folder share: a private environment for the other program,
rounds in turn, medians, the table. It needs nothing but Python's own library, 3.9 or newer.

A comparison is a Report, which --json FILE writes down and plot.py draws:

    peer     the other program; title, date, cpu, isa, threads, rounds, versions: what a figure is worth
    columns  [{"name", "side": "peer" or "blip2", "format"}]
    against  what a column of blip2 is set against: "best", the peer's fastest column of the same row, or
             "format", its column of the same number format
    rows     [{"name", "ms": {column name: median of the rounds}, "bytes"?: {column name: of weights},
             "work"?: floating point operations, "show"?: "GFLOP/s" or "GB/s", else ms}]
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ENVIRONMENTS = os.path.expanduser("~/.cache/blip2-peers")
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
PROGRAM = os.path.basename(sys.argv[0])

# The versions that were tried; an environment that has others keeps them.
TORCH = ["torch==2.15.0"]
TRANSFORMERS = TORCH + ["numpy==2.4.6", "transformers==5.24.0", "pillow==13.0.0"]


def no_shadows():
    """Python puts the folder of a script in front of its search path, where transformers.py would pass for the library."""
    sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]


def die(text):
    sys.exit(f"{PROGRAM}: {text}")


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- the other program's environment --------------------------------------------------------------

LIST = """import importlib.metadata, json
print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version
                  for d in importlib.metadata.distributions() if d.metadata['Name']}))"""


def installed(python):
    """Names of the packages of an environment, with their versions."""
    try:
        out = subprocess.run([python, "-c", LIST], stdout=subprocess.PIPE, text=True)
        return json.loads(out.stdout)
    except (OSError, ValueError):
        die(f"{python}: expected Python, got none that runs; remove that folder and try again")


def pip(python, *arguments):
    """True when it worked; what pip has to say goes to standard error."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def install(python, packages, folder):
    """torch comes from PyTorch's own index where that can be reached: PyPI's has gigabytes of CUDA with it."""
    torch = [p for p in packages if p.startswith("torch==")]
    quick = ["--timeout", "15", "--retries", "0", "--index-url", TORCH_CPU]
    if torch and not pip(python, "install", "-q", *quick, *torch):
        say("no torch from download.pytorch.org; taking PyPI's, several gigabytes")
    if not pip(python, "install", "-q", *packages):
        die(f"{folder}: pip could not install {' '.join(packages)}; see above, and try again")


def environment(name, packages, folder=None):
    """The Python of the environment of that name, or in that folder, with the packages; made when it is not there."""
    folder = os.path.abspath(folder or os.path.join(ENVIRONMENTS, name))
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        say(f"making {folder}")
        if subprocess.run([sys.executable, "-m", "venv", folder], stdout=sys.stderr).returncode:
            die(f"{folder}: no environment could be made there; on Debian: apt-get install python3-venv")
    have = installed(python)
    missing = [p for p in packages if p.split("==")[0] not in have]
    if missing:
        say(f"{folder}: installing {' '.join(missing)}")
        install(python, missing, folder)
    return python


# --- running both sides ---------------------------------------------------------------------------


def limited(threads):
    """Before a program starts: as many processors as threads, for libraries that take all there are."""
    some = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, some)


def run(command, threads, extra=None, may_fail=False):
    """Standard output of a command that may use so many threads; when it may fail, what it printed until then."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), **(extra or {}))
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=limited(threads))
    except OSError as e:
        die(f"{command[0]}: {e.strerror}")
    if done.returncode:
        (say if may_fail else die)(f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def in_turn(rounds, sides):
    """sides: {name: function}. Each in turn, so many times: {name: [result, ...]}."""
    results = {name: [] for name in sides}
    for i in range(rounds):
        for name, side in sides.items():
            say(f"round {i + 1} of {rounds}: {name}")
            results[name].append(side())
    return results


def bench(a, model=None, dtype=None, repeat=1):
    """One run of `blip2 bench`, as it prints it."""
    command = [a.blip2, "bench", "--json", "--threads", str(a.threads), "--repeat", str(repeat)]
    command += ["--model", model] if model else []
    command += ["--dtype", dtype] if dtype else []
    return last_json(run(command, a.threads))


def stages_of(out):
    return {name: stage["ms"] for name, stage in out["stages"].items()}


def timed(fn, repeat):
    """Median of fn's milliseconds. fn may return them itself, when not all of it counts."""
    times = []
    for i in range(repeat + 1):
        start = time.perf_counter()
        own = fn()
        ms = own if isinstance(own, float) else (time.perf_counter() - start) * 1e3
        if i:  # the first call warms up
            times.append(ms)
    return statistics.median(times)


def available_bytes():
    try:
        line = next(x for x in open("/proc/meminfo") if x.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


# --- model directories ----------------------------------------------------------------------------


def config_of(folder):
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        die(f"{folder}: expected a Hugging Face model directory, got no config.json that can be read there")


def name_of(folder):
    return os.path.basename(os.path.abspath(folder))


# --- the report -----------------------------------------------------------------------------------


def report(a, peer, machine, versions, **more):
    title = ", ".join(f"{k} {v}" for k, v in versions.items())
    return dict(peer=peer, versions=versions, about=title, cpu=machine["cpu"], isa=machine["isa"], threads=a.threads,
                rounds=a.rounds, date=str(datetime.date.today()), columns=[], rows=[], **more)


def median_of(runs, key):
    """Of what each run has under that name; None when one has nothing."""
    values = [r.get(key) for r in runs]
    return None if not values or None in values else statistics.median(values)


def rival(rep, row, column):
    """Milliseconds that a column of blip2 is set against in a row; None when there is nothing."""
    times = [row["ms"].get(c["name"]) for c in rep["columns"] if c["side"] == "peer" and
             (rep["against"] == "best" or c["format"] == column["format"])]
    return min((t for t in times if t), default=None)


def ratio(rep, row, column):
    ours, theirs = row["ms"].get(column["name"]), rival(rep, row, column)
    return theirs / ours if ours and theirs else None


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def shown(row, column):
    ms = row["ms"].get(column["name"])
    if not ms:
        return "-"
    if row.get("show") == "GFLOP/s":
        return number(row["work"] / ms * 1e-6)
    if row.get("show") == "GB/s":
        return number(row["bytes"][column["name"]] / ms * 1e-6)
    return number(ms)


def cells(rep, row):
    out = []
    for c in rep["columns"]:
        out.append(shown(row, c))
        if c["side"] == "blip2":
            r = ratio(rep, row, c)
            out.append(f"{r:.1f}" if r else "-")
    return out


def table(rep):
    head = []
    for c in rep["columns"]:
        head += [c["name"], "ratio"] if c["side"] == "blip2" else [c["name"]]
    against = ("the fastest of its columns" if rep["against"] == "best" else "in the same format")
    lines = [f"{rep['title']}; {rep['cpu']}, {rep['threads']} threads (kernel set {rep['isa']}), {rep['date']}; "
             f"{rep['about']}. {rep['unit']}, median of {rep['rounds']} rounds in turn; ratio: time of "
             f"{rep['peer']} {against} / time of blip2.", "",
             f"| {rep['first']} | " + " | ".join(head) + " |", "|--|" + "--:|" * len(head)]
    lines += [f"| {row['name']} | " + " | ".join(cells(rep, row)) + " |" for row in rep["rows"]]
    return "\n".join(lines)


def finish(a, rep):
    print(table(rep))
    if a.json:
        try:
            with open(a.json, "w", encoding="utf-8") as f:
                json.dump(rep, f, indent=1)
        except OSError as e:
            die(f"{a.json}: {e.strerror}")


# --- the command line -----------------------------------------------------------------------------


def parser(doc, name, packages, rounds):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blip2", default=os.path.join(ROOT, "build", "blip2"), help="the program (default: build/blip2)")
    p.add_argument("--env", help=f"folder of the private environment, made when it is not there (default: "
                                 f"{os.path.join(ENVIRONMENTS, name)}); packages: {', '.join(packages)}")
    p.add_argument("--rounds", type=int, default=rounds, help=f"of both sides in turn (default {rounds})")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                   help="of both sides (default: all processors this process may use)")
    p.add_argument("--json", help="a file to write the figures to, for plot.py")
    return p


def choices(p, text, known, option):
    """A list with commas between, of words that are known."""
    words = [w for w in text.split(",") if w]
    if not words or not set(words) <= set(known):
        p.error(f"{option}: expected some of {','.join(known)}, got {text}")
    return words


def check_common(p, a):
    if min(a.rounds, a.threads) < 1:
        p.error("expected numbers above 0")
    if a.threads > len(os.sched_getaffinity(0)):
        p.error(f"--threads: expected at most {len(os.sched_getaffinity(0))}, the processors here, got {a.threads}")


def check_blip2(a):
    if not os.access(a.blip2, os.X_OK):
        die(f"{a.blip2}: expected the program, got no such file; ./dev build makes it, --blip2 says where it is")


def main_of(main):
    """Runs it; Ctrl-C ends it without a traceback."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
