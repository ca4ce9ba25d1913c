#!/usr/bin/env python3
"""products.py --peer NAME: times matrix products of another library and of blip2 at BLIP-2's shapes.

The shapes are those of ViT-g and OPT-2.7b. Both sides go through copies of the weights, 400 MB of them, so that weights come
from memory. Blip2's side is bench/bench_linear, which is built when it is not there. It prints one Markdown table to standard
output and what it is doing to standard error.
"""
import os
import re
import shutil
import subprocess
import sys
import tarfile

import common
from common import HERE, ROOT, die, run, say

SHAPES = {  # bench_linear's name: title, rows, in, out
    "vit qkv": ("ViT qkv", 257, 1408, 4224),
    "vit proj": ("ViT proj", 257, 1408, 1408),
    "vit fc1": ("ViT fc1", 257, 1408, 6144),
    "vit fc2": ("ViT fc2", 257, 6144, 1408),
    "opt fc1": ("prompt fc1", 41, 2560, 10240),
    "opt fc2": ("prompt fc2", 41, 10240, 2560),
    "step fc1": ("step fc1", 1, 2560, 10240),
    "step fc2": ("step fc2", 1, 10240, 2560),
    "step head": ("step head", 1, 2560, 50272),
    "beams fc1": ("5 beams fc1", 5, 2560, 10240),
    "beams fc2": ("5 beams fc2", 5, 10240, 2560),
    "beams head": ("5 beams head", 5, 2560, 50272),
}
OURS = {  # bench_linear's type, what products it may use, order of the weights as a model has them in memory
    "f32": ("F32", "f32", "rows"),
    "bf16": ("BF16", "fast", "rows"),
    "int8": ("I8", "fast", "rows"),
    "int4": ("I4", "fast", "panels"),
}
FEW = 8  # rows up to which the weights' way from memory is what is measured


def key(shape):
    return "{}x{}-{}".format(*shape[1:])


# --- the other side: a way to make the program, and what it can do --------------------------------


def newer(source, made):
    return not os.path.exists(made) or os.path.getmtime(source) > os.path.getmtime(made)


def forget_other_source(folder):
    """cmake refuses a folder that was made from another checkout: it is made anew."""
    try:
        with open(os.path.join(folder, "CMakeCache.txt"), encoding="utf-8") as cache:
            if f"CMAKE_HOME_DIRECTORY:INTERNAL={HERE}\n" not in cache.read():
                shutil.rmtree(folder)
    except FileNotFoundError:
        pass


def build(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        say(done.stdout[-3000:])
        die(f"{command[0]}: exit code {done.returncode}; see above")


def needs(program, package):
    return shutil.which(program) or die(f"needs {program}; on Debian: apt-get install {package}")


class Onednn:
    label = "oneDNN"
    packages = ["onednn==2026.1.0", "onednn-devel==2026.1.0"]
    formats = ["f32", "bf16", "int8"]

    def __init__(self, a):
        python = common.environment("onednn", self.packages, a.env)
        folder = os.path.dirname(os.path.dirname(python))
        lib, source = os.path.join(folder, "lib"), os.path.join(HERE, "onednn_products.c")
        made = os.path.join(folder, "onednn_products")
        if newer(source, made):
            build([needs("cc", "gcc"), "-O2", "-o", made, source, f"-I{folder}/include", f"-L{lib}", "-ldnnl",
                   f"-Wl,-rpath-link,{lib}"])
        # PyPI's oneDNN runs through SYCL on Intel's OpenCL for CPUs, which is found by this.
        self.extra = {"LD_LIBRARY_PATH": lib, "OCL_ICD_FILENAMES": os.path.join(lib, "libintelocl.so"),
                      "ONEAPI_DEVICE_SELECTOR": "opencl:cpu", "ONEDNN_VERBOSE": "none"}
        self.command = [made]
        self.versions = {"onednn": common.installed(python)["onednn"]}


class Ggml:
    label = "ggml"
    packages = ["llama-cpp-python==0.3.36"]  # its source archive has ggml's in it
    formats = ["f32", "bf16", "int8", "int4"]
    extra = {}

    def __init__(self, a):
        needs("cmake", "cmake"), needs("c++", "g++")
        python = common.environment("ggml", [], a.env)
        folder = os.path.dirname(os.path.dirname(python))
        made = os.path.join(folder, "build", "ggml_products")
        source = self.source(python, os.path.join(folder, "source"))
        if newer(os.path.join(HERE, "ggml_products.c"), made) or newer(os.path.join(HERE, "products.h"), made):
            say("building ggml, a minute or a few")
            forget_other_source(os.path.dirname(made))
            build(["cmake", "-S", HERE, "-B", os.path.dirname(made), f"-DGGML={source}", "-DCMAKE_BUILD_TYPE=Release"])
            build(["cmake", "--build", os.path.dirname(made), "-j", str(len(os.sched_getaffinity(0)))])
        self.command = [made]
        self.versions = {"ggml": self.version(source) + " of " + self.packages[0].replace("==", " ")}

    def source(self, python, folder):
        """The folder ggml of the source archive, which is fetched once."""
        inside = self.packages[0].replace("-", "_").replace("==", "-") + "/vendor/llama.cpp/ggml"
        if os.path.isdir(os.path.join(folder, inside)):
            return os.path.join(folder, inside)
        if not common.pip(python, "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", folder, *self.packages):
            die(f"{self.packages[0]}: pip could not fetch the source; see above, and try again")
        archive = next((f for f in os.listdir(folder) if f.endswith(".tar.gz")), None)
        with tarfile.open(os.path.join(folder, archive or die(f"{folder}: expected an archive, got none"))) as tar:
            tar.extractall(folder, [m for m in tar if m.name.startswith(inside + "/")])
        return os.path.join(folder, inside)

    @staticmethod
    def version(source):
        with open(os.path.join(source, "CMakeLists.txt"), encoding="utf-8") as f:
            return ".".join(re.findall(r"set\(GGML_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)\)", f.read()))


class Python:
    """A library of Python: the worker products_NAME.py takes the same arguments as the C programs."""

    extra = {}

    def __init__(self, a):
        name = type(self).__name__.lower()
        python = common.environment(self.home, self.packages, a.env)
        self.command = [python, os.path.join(HERE, f"products_{name}.py")]
        self.versions = {name: common.installed(python)[name]}


class Torch(Python):
    label = "PyTorch"
    packages = common.TRANSFORMERS
    formats = ["f32", "bf16", "int8", "int4"]
    home = "transformers"


class Openvino(Python):
    label = "OpenVINO"
    packages = ["openvino==2026.4.1", "numpy==2.4.6"]
    formats = ["f32", "bf16", "int8", "int4"]
    home = "openvino"


PEERS = {"onednn": Onednn, "ggml": Ggml, "torch": Torch, "openvino": Openvino}


def run_peer(a, peer, fmt):
    out = run(peer.command + [str(a.threads), fmt] + [key(s) for s in a.shapes.values()], a.threads, peer.extra,
              may_fail=True)
    return {f"{x['rows']}x{x['in']}-{x['out']}": x for x in common.json_lines(out)}


# --- blip2's side ---------------------------------------------------------------------------------


def bench_linear(a):
    """The program, beside blip2 or built into build/peers."""
    if a.bench_linear:
        return a.bench_linear
    beside = os.path.join(os.path.dirname(os.path.abspath(a.blip2)), "bench_linear")
    if os.access(beside, os.X_OK):
        return beside
    folder = os.path.join(ROOT, "build", "peers")
    say(f"building {folder}/bench_linear")
    build([needs("cmake", "cmake"), "-S", ROOT, "-B", folder, "-DBLIP2_BENCH=ON", "-DBLIP2_TESTS=OFF"])
    build(["cmake", "--build", folder, "-j", str(a.threads), "-t", "bench_linear"])
    return os.path.join(folder, "bench_linear")


def run_blip2(a, program, isa, fmt):
    dtype, precision, order = OURS[fmt]
    found = {}
    for name in a.shapes:
        out = run([program, "--json", isa, str(a.threads), precision, dtype, name], a.threads)
        found.update({f"{x['rows']}x{x['in']}-{x['out']}": x for x in common.json_lines(out) if x["order"] == order})
    return found


# --- the report -----------------------------------------------------------------------------------


def sides(a, peer, program, isa):
    out = {}
    for fmt in a.formats:
        if fmt in peer.formats:
            out[f"{peer.label} {fmt}"] = lambda fmt=fmt: run_peer(a, peer, fmt)
        out[f"blip2 {fmt}"] = lambda fmt=fmt: run_blip2(a, program, isa, fmt)
    return out


def row_of(shape, columns, results):
    title, rows, n_in, n_out = shape
    row = dict(name=f"{title}, {rows} x {n_in} -> {n_out}", work=2.0 * rows * n_in * n_out,
               show="GB/s" if rows <= FEW else "GFLOP/s", ms={}, bytes={}, kernel={})
    for c in columns:
        found = [r[key(shape)] for r in results[c["name"]] if key(shape) in r]
        if found:
            row["ms"][c["name"]] = common.median_of(found, "ms")
            row["bytes"][c["name"]] = found[0]["bytes"]
            row["kernel"][c["name"]] = found[0]["kernel"]
    return row


def make_report(a, peer, machine, results):
    rep = common.report(a, peer.label, machine, peer.versions, against="format", first="product",
                        title="Matrix products, weights from memory",
                        unit="GFLOP/s; with 1 and 5 rows GB/s of weights, of each side's own bytes")
    rep["columns"] = [dict(name=n, side="blip2" if n.startswith("blip2") else "peer", format=n.split()[1])
                      for n in results]
    rep["rows"] = [row_of(s, rep["columns"], results) for s in a.shapes.values()]
    return rep


def arguments():
    p = common.parser(__doc__.splitlines()[0], "NAME", ["those of the peer, see README.md"], 5)
    p.add_argument("--peer", required=True, choices=PEERS)
    p.add_argument("--formats", default="f32,bf16,int8,int4", help="default f32,bf16,int8,int4")
    p.add_argument("--shapes", default="", help=f"words, with commas between, of which a shape's name has one: "
                                                f"{', '.join(SHAPES)} (default: all)")
    p.add_argument("--bench-linear", help="the program (default: beside blip2, else it is built)")
    a = p.parse_args()
    common.check_common(p, a)
    a.formats = common.choices(p, a.formats, OURS, "--formats")
    words = a.shapes.split(",")
    a.shapes = {n: s for n, s in SHAPES.items() if any(w in n for w in words)}
    return a if a.shapes else p.error(f"--shapes: expected words of {', '.join(SHAPES)}, got {','.join(words)}")


def main():
    a = arguments()
    common.check_blip2(a)
    peer, program = PEERS[a.peer](a), bench_linear(a)
    machine = common.bench(a)["machine"]
    results = common.in_turn(a.rounds, sides(a, peer, program, machine["isa"]))
    common.finish(a, make_report(a, peer, machine, results))


if __name__ == "__main__":
    common.main_of(main)
