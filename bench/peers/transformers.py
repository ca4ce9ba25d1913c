#!/usr/bin/env python3
"""transformers.py MODEL: times Hugging Face transformers and blip2 on one model directory.

Both run on this machine, on the CPU, with the same number of threads, in turn: a round is one run of `blip2 bench` and one
fresh Python process with transformers, for each number format. Every run measures each stage several times and takes the
median; the table shows the median of the rounds. The stages are those of `blip2 bench`: the same lengths, the same number of
beams and tokens. It prints one Markdown table to standard output and what it is doing to standard error.
"""
import argparse
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time
import zlib

import common
from common import die, say, timed

common.no_shadows()

PROMPT = 9  # text ids behind the picture, as in `blip2 bench`
NEW = 12  # tokens of the caption
BEAMS = 5
STEPS = 4  # decode steps averaged, behind one that does not count
TEXTS = 8  # of one picture, in the stage itm_batch8
STAGES = {  # as `blip2 bench` calls them; a kind of model has those that are methods of its Peer
    "preprocess": "preprocess, 1024x768",
    "encode": "ViT",
    "qformer": "Q-Former and projection",
    "encoder": "encoder of Flan-T5",
    "prefill": "prefill",
    "decode": "decode step, greedy",
    "decode_beam5": "decode step, 5 beams",
    "caption": "caption, 12 tokens, 5 beams",
    "itm": "ITM, a pair, picture encoded",
    "itm_batch8": "ITM, a pair of 8 of one picture",
    "itc": "ITC, a text and a picture seen",
}
BATCH = 8  # pictures that transformers takes at once
OURS = ["f32", "bf16", "f16", "int8", "int4", "mixed"]
THEIRS = ["bf16", "f32", "int8"]


# --- the side of transformers: a process of its own, which prints one JSON object --------------


class Peer:
    """What all kinds have: picture, vision tower, Q-Former."""

    kind = "Blip2ForConditionalGeneration"

    def __init__(self, folder, dtype, threads):
        import torch
        import transformers
        from PIL import Image

        torch.set_num_threads(threads)
        self.torch = torch
        self.dtype = torch.bfloat16 if dtype == "bf16" else torch.float32
        load = getattr(transformers, self.kind).from_pretrained
        self.model = load(folder, dtype=self.dtype).eval()
        if dtype == "int8":  # each linear layer: weights in 8 bits, x quantised as it comes
            torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
        self.processor = transformers.AutoImageProcessor.from_pretrained(folder)
        size = self.model.config.vision_config.image_size
        rgb = ((i // 3 % 1024 // 4 + i // 3072 // 3 + i % 3 * 40) % 256 for i in range(2359296))
        self.picture = Image.frombytes("RGB", (1024, 768), bytes(rgb))
        self.pixels = torch.randn(1, 3, size, size).to(self.dtype)
        self.prepare(self.model.config)

    def preprocess(self):
        self.processor(images=self.picture, return_tensors="pt")

    def compile(self):
        self.model.vision_model = self.torch.compile(self.model.vision_model)

    def encode(self):
        self.image = self.model.vision_model(self.pixels).last_hidden_state

    def qformer(self):
        m = self.model
        self.seen = m.qformer(query_embeds=m.query_tokens, encoder_hidden_states=self.image)
        self.seen = self.project(self.seen.last_hidden_state.to(self.image.dtype))


class GeneratingPeer(Peer):
    start = 0  # tokens of the prompt in front of the words

    def prepare(self, config):
        first = [config.text_config.bos_token_id][:self.start]
        text = first + [4 + i for i in range(self.start, PROMPT)]
        self.ids = self.torch.tensor([[config.image_token_id] * config.num_query_tokens + text])

    def project(self, x):
        return self.model.language_projection(x)

    def embeds(self, rows):
        words = self.model.get_input_embeddings()(self.ids[:, self.seen.shape[1]:])
        return self.torch.cat([self.seen, words], 1).expand(rows, -1, -1)

    def prefill(self):
        self.prompt(1)

    def steps(self, rows):
        cache = self.prompt(rows)
        start = 0.0
        for step in range(STEPS + 1):
            if step == 1:
                start = time.perf_counter()
            ids = self.torch.arange(rows)[:, None] + 5 + step
            cache = self.step(ids, cache)
        return (time.perf_counter() - start) * 1e3 / STEPS

    def decode(self):
        return self.steps(1)

    def decode_beam5(self):
        return self.steps(BEAMS)

    def caption(self):
        self.captions([self.picture])

    def captions(self, pictures):
        pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"]
        ids = self.ids.expand(len(pictures), -1)
        self.model.generate(pixels.to(self.dtype), ids, num_beams=BEAMS, do_sample=False,
                            attention_mask=self.torch.ones_like(ids), max_new_tokens=NEW, min_new_tokens=NEW)

    def files(self, paths):
        """Milliseconds a picture, reading included."""
        from PIL import Image

        start = time.perf_counter()
        for i in range(0, len(paths), BATCH):
            self.captions([Image.open(p).convert("RGB") for p in paths[i:i + BATCH]])
        return (time.perf_counter() - start) * 1e3 / len(paths)


class OptPeer(GeneratingPeer):
    start = 1

    def read(self, **inputs):
        return self.model.language_model(**inputs, use_cache=True).past_key_values

    def prompt(self, rows):
        return self.read(inputs_embeds=self.embeds(rows), logits_to_keep=1)

    def step(self, ids, cache):
        return self.read(input_ids=ids, past_key_values=cache)


class T5Peer(GeneratingPeer):
    def encoder(self, rows=1):
        return self.model.language_model.encoder(inputs_embeds=self.embeds(rows))

    def prompt(self, rows):
        self.states = self.encoder(rows)
        return self.step(self.torch.zeros(rows, 1, dtype=self.torch.long), None)

    def step(self, ids, cache):
        return self.model.language_model(decoder_input_ids=ids, encoder_outputs=self.states,
                                         past_key_values=cache, use_cache=True).past_key_values


class MatchPeer(Peer):
    kind = "Blip2ForImageTextRetrieval"

    def prepare(self, config):
        self.ids = self.torch.arange(TEXTS * PROMPT).reshape(TEXTS, PROMPT) + 5

    def project(self, x):
        return x

    def pairs(self, n):
        """Blip2ForImageTextRetrieval.forward behind the vision tower."""
        m = self.model
        queries = m.query_tokens.expand(n, -1, -1)
        x = m.embeddings(input_ids=self.ids[:n], query_embeds=queries)
        seen = m.qformer(query_embeds=x, query_length=queries.shape[1],
                         attention_mask=self.torch.ones(x.shape[:2], dtype=self.torch.long),
                         encoder_hidden_states=self.image.expand(n, -1, -1)).last_hidden_state
        m.itm_head(seen[:, :queries.shape[1]].to(self.dtype)).mean(1)

    def itm(self):
        self.pairs(1)

    def itm_batch8(self):
        start = time.perf_counter()
        self.pairs(TEXTS)
        return (time.perf_counter() - start) * 1e3 / TEXTS

    def itc(self):
        m, norm = self.model, self.torch.nn.functional.normalize
        x = m.qformer(query_embeds=m.embeddings(input_ids=self.ids[:1]), query_length=0,
                      attention_mask=self.torch.ones(1, PROMPT, dtype=self.torch.long))
        text = norm(m.text_projection(x.last_hidden_state[:, 0]), dim=-1)
        (norm(m.vision_projection(self.seen), dim=-1) @ text.t()).max(1)


def kind_of(folder):
    config = common.config_of(folder)
    if (config.get("architectures") or [""])[0] == MatchPeer.kind:
        return MatchPeer
    return T5Peer if (config.get("text_config") or {}).get("model_type") == "t5" else OptPeer


def silence(transformers):
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def measured(a, peer):
    if a.folder:
        return {"pictures": peer.files([os.path.join(a.folder, f) for f in sorted(os.listdir(a.folder))])}
    if a.compile:
        peer.compile()
        return {"encode": timed(peer.encode, a.repeat)}
    return {name: timed(getattr(peer, name), a.repeat) for name in STAGES if hasattr(peer, name)}


def worker(a):
    import torch
    import transformers

    silence(transformers)
    with torch.inference_mode():
        peer = kind_of(a.model)(a.model, a.worker, a.threads)
        print(json.dumps(dict(stages=measured(a, peer), prefill=peer.ids.shape[1])))


# --- both sides in turn --------------------------------------------------------------------------


def run_transformers(a, dtype, *more):
    command = [a.python, os.path.abspath(__file__), a.model, "--worker", dtype, "--threads", str(a.threads),
               "--repeat", str(a.repeat), *more]
    out = common.run(command, a.threads, may_fail=True)
    return common.last_json(out) if out.strip() else {"stages": {}}


def run_blip2(a, dtype):
    out = common.bench(a, a.model, dtype, a.repeat)
    return dict(out, stages=common.stages_of(out))


def caption_files(a, dtype, folder):
    """Milliseconds a picture of one command, start and loading included."""
    command = [a.blip2, "caption", "--model", a.model, "--dtype", dtype, "--threads", str(a.threads), "--num-beams",
               str(BEAMS), "--min-new-tokens", str(NEW), "--max-new-tokens", str(NEW)]
    start = time.perf_counter()
    common.run(command + [os.path.join(folder, f) for f in sorted(os.listdir(folder))], a.threads)
    return {"stages": {"pictures": (time.perf_counter() - start) * 1e3 / a.pictures}}


def parameters(folder):
    """Bytes of the files over the bytes of an element: near enough for a warning."""
    files = [os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".safetensors")]
    total = sum(os.path.getsize(f) for f in files)
    config = common.config_of(folder)
    stored = config.get("dtype") or config.get("torch_dtype") or "float32"
    return total // (4 if stored == "float32" else 2)


def formats_that_fit(a):
    have, n = common.available_bytes(), parameters(a.model)
    fit = []
    for dtype in a.dtypes:
        need = n * (2 if dtype == "bf16" else 4) * 11 // 10
        if have is not None and need > have:
            say(f"{dtype}: left out, transformers would need {need / 1e9:.1f} GB, {have / 1e9:.1f} GB are available")
        else:
            fit.append(dtype)
    return fit or die("not enough memory for transformers")


def sides(a):
    """What a round does, by the names of the columns."""
    theirs = {f"transformers {d}": lambda d=d: run_transformers(a, d) for d in a.dtypes}
    if a.compile:
        theirs.update({f"transformers {d}, compiled": lambda d=d: run_transformers(a, d, "--compile")
                       for d in a.dtypes if d != "int8"})
    ours = {f"blip2 {d}": lambda d=d: run_blip2(a, d) for d in a.ours}
    return dict(theirs, **ours)


def picture_sides(a, folder):
    theirs = {f"transformers {d}": lambda d=d: run_transformers(a, d, "--folder", folder) for d in a.dtypes}
    ours = {f"blip2 {d}": lambda d=d: caption_files(a, d, folder) for d in a.ours}
    return dict(theirs, **ours)


def png(path, width, height, seed):
    """A picture of stripes, without a library."""
    rows = b"".join(b"\0" + bytes((x // 4 * 5 + y // 3 * seed + c * 40) % 256 for x in range(width) for c in range(3))
                    for y in range(height // 8))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows * 8, 1)),
             (b"IEND", b"")]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in parts:
            f.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def measure_pictures(a):
    with tempfile.TemporaryDirectory() as folder:
        for i in range(a.pictures):
            png(os.path.join(folder, f"{i:04d}.png"), 1024, 768, i + 1)
        return common.in_turn(a.rounds, picture_sides(a, folder))


# --- the report ------------------------------------------------------------------------------------


def row(stage, title, results):
    ms = {n: statistics.median(r["stages"][stage] for r in runs) for n, runs in results.items()
          if all(stage in r["stages"] for r in runs)}
    return dict(name=title, stage=stage, ms=ms)


def column(name):
    return dict(name=name, side=name.split()[0] if name.startswith("blip2") else "peer", format=name.split(" ", 1)[1])


def make_report(a, results, pictures):
    some = next((r[0] for r in results.values() if "prefill" in r[0]), None) or die("transformers ran in no format")
    versions = {n: a.versions[n] for n in ("transformers", "torch")}
    rep = common.report(a, "transformers", a.machine, versions, against="best", first="stage", unit="Milliseconds",
                        title=common.name_of(a.model))
    rep["columns"] = [column(n) for n in results]
    for stage in some["stages"]:
        title = f"{STAGES[stage]}, {some['prefill']} tokens" if stage == "prefill" else STAGES[stage]
        rep["rows"].append(row(stage, title, results))
    if pictures:
        rep["rows"].append(row("pictures", f"caption, each of {a.pictures} files", pictures))
    return rep


def arguments():
    p = common.parser(__doc__.splitlines()[0], "transformers", common.TRANSFORMERS, 3)
    p.add_argument("model", help="a Hugging Face directory of a BLIP-2")
    p.add_argument("--dtypes", default="bf16,f32", help=f"transformers' formats, of {','.join(THEIRS)} (PyTorch's "
                                                        "dynamic quantisation); default bf16,f32")
    p.add_argument("--ours", default="bf16,f32", help=f"blip2's formats, of {','.join(OURS)}; default bf16,f32")
    p.add_argument("--repeat", type=int, default=5, help="measurements of a stage in each run (default 5)")
    p.add_argument("--compile", action="store_true",
                   help="also the vision tower through torch.compile; needs a C++ compiler")
    p.add_argument("--pictures", type=int, default=0, metavar="N", help="also captions of N files: one command of blip2, "
                                                                      f"transformers in batches of {BATCH}")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--folder", help=argparse.SUPPRESS)
    a = p.parse_args()
    common.check_common(p, a)
    a.dtypes = common.choices(p, a.dtypes, THEIRS, "--dtypes")
    a.ours = common.choices(p, a.ours, OURS, "--ours")
    return a if a.repeat > 0 and a.pictures >= 0 else p.error("expected numbers above 0")


def check(a):
    common.check_blip2(a)
    if kind_of(a.model) is MatchPeer and a.pictures:
        die(f"{a.model}: --pictures: a matching model writes no captions")
    if a.compile and not shutil.which(os.environ.get("CXX", "g++")):
        die("--compile: needs a C++ compiler; on Debian: apt-get install g++")


def main():
    a = arguments()
    if a.worker:
        return worker(a)
    check(a)
    a.dtypes = formats_that_fit(a)
    a.python = common.environment("transformers", common.TRANSFORMERS, a.env)
    a.versions = common.installed(a.python)
    a.machine = common.bench(a)["machine"]
    results = common.in_turn(a.rounds, sides(a))
    common.finish(a, make_report(a, results, measure_pictures(a) if a.pictures else None))


if __name__ == "__main__":
    common.main_of(main)
