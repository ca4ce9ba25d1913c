#!/usr/bin/env python3
"""transformers.py MODEL: times Hugging Face transformers and `blip2 bench` on one model directory.

Both run on this machine, on the CPU, with the same number of threads, in turn: a round is one run
of `blip2 bench` and one fresh Python process with transformers, for each number format. Every run
measures each stage several times and takes the median; the table shows the median of the rounds.
The stages are those of `blip2 bench`: the same lengths, the same number of beams and tokens.

It prints one Markdown table to standard output and what it is doing to standard error.
It installs nothing; README.md beside this file says what it needs.
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time

# Python puts the folder of a script in front of its search path, where this file would pass for the
# library of the same name.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]

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
INSTALL = """needs torch, transformers and pillow; in an environment of their own:
    python3 -m venv ~/blip2-peers
    ~/blip2-peers/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    ~/blip2-peers/bin/pip install transformers pillow
    ~/blip2-peers/bin/python bench/peers/transformers.py MODEL"""


def die(text):
    sys.exit(f"transformers.py: {text}")


# --- the side of transformers: a process of its own, which prints one JSON object --------------


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


class Peer:
    """What all kinds have: picture, vision tower, Q-Former."""

    kind = "Blip2ForConditionalGeneration"

    def __init__(self, folder, dtype, threads):
        import torch
        import transformers
        from PIL import Image

        torch.set_num_threads(threads)
        self.torch = torch
        self.dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
        load = getattr(transformers, self.kind).from_pretrained
        self.model = load(folder, dtype=self.dtype).eval()
        self.processor = transformers.AutoImageProcessor.from_pretrained(folder)
        size = self.model.config.vision_config.image_size
        rgb = ((i // 3 % 1024 // 4 + i // 3072 // 3 + i % 3 * 40) % 256 for i in range(2359296))
        self.picture = Image.frombytes("RGB", (1024, 768), bytes(rgb))
        self.pixels = torch.randn(1, 3, size, size).to(self.dtype)
        self.prepare(self.model.config)

    def preprocess(self):
        self.processor(images=self.picture, return_tensors="pt")

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
        pixels = self.processor(images=self.picture, return_tensors="pt")["pixel_values"]
        self.model.generate(pixels.to(self.dtype), self.ids, num_beams=BEAMS, do_sample=False,
                            attention_mask=self.torch.ones_like(self.ids),
                            max_new_tokens=NEW, min_new_tokens=NEW)


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
        m.itm_head(seen[:, :queries.shape[1]].to(m.itm_head.weight.dtype)).mean(1)

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
    config = json.load(open(os.path.join(folder, "config.json")))
    if (config.get("architectures") or [""])[0] == MatchPeer.kind:
        return MatchPeer
    return T5Peer if (config.get("text_config") or {}).get("model_type") == "t5" else OptPeer


def worker(a):
    import logging
    import warnings

    import torch
    import transformers

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with torch.inference_mode():
        peer = kind_of(a.model)(a.model, a.worker, a.threads)
        stages = {name: timed(getattr(peer, name), a.repeat) for name in STAGES
                  if hasattr(peer, name)}
    print(json.dumps(dict(stages=stages, torch=torch.__version__, prefill=peer.ids.shape[1],
                          transformers=transformers.__version__)))


# --- both sides in turn --------------------------------------------------------------------------


def output_of(command):
    env = dict(os.environ, OMP_NUM_THREADS=command[command.index("--threads") + 1])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        die(f"{' '.join(command)}: exit code {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_transformers(a, dtype):
    return output_of([sys.executable, os.path.abspath(__file__), a.model, "--worker", dtype,
                      "--threads", str(a.threads), "--repeat", str(a.repeat)])


def run_blip2(a, dtype):
    out = output_of([a.blip2, "bench", "--json", "--model", a.model, "--dtype", dtype,
                     "--threads", str(a.threads), "--repeat", str(a.repeat)])
    out["stages"] = {k: v["ms"] for k, v in out["stages"].items()}
    return out


def parameters(folder):
    """Bytes of the files over the bytes of an element: near enough for a warning."""
    files = [os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".safetensors")]
    total = sum(os.path.getsize(f) for f in files)
    config = json.load(open(os.path.join(folder, "config.json")))
    stored = config.get("dtype") or config.get("torch_dtype") or "float32"
    return total // (4 if stored == "float32" else 2)


def available_bytes():
    try:
        line = next(x for x in open("/proc/meminfo") if x.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def formats_that_fit(a):
    have, n = available_bytes(), parameters(a.model)
    fit = []
    for dtype in a.dtypes:
        need = n * (4 if dtype == "f32" else 2) * 11 // 10
        if have is not None and need > have:
            print(f"{dtype}: left out, transformers would need {need / 1e9:.1f} GB, "
                  f"{have / 1e9:.1f} GB are available", file=sys.stderr)
        else:
            fit.append(dtype)
    return fit or die("not enough memory for transformers")


def measure(a, dtypes):
    results = {d: ([], []) for d in dtypes}
    for i in range(a.rounds):
        for d in dtypes:
            print(f"round {i + 1} of {a.rounds}, {d}: blip2", file=sys.stderr)
            results[d][0].append(run_blip2(a, d))
            print(f"round {i + 1} of {a.rounds}, {d}: transformers", file=sys.stderr)
            results[d][1].append(run_transformers(a, d))
    return results


def median_ms(runs, stage):
    return statistics.median(r["stages"][stage] for r in runs)


def number(ms):
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def table(a, results):
    ours, theirs = next(iter(results.values()))
    name, machine = os.path.basename(os.path.normpath(a.model)), ours[0]["machine"]
    lines = [f"{name} on {machine['cpu']}, {a.threads} threads (kernel set {machine['isa']}), "
             f"{datetime.date.today()}; transformers {theirs[0]['transformers']}, torch "
             f"{theirs[0]['torch']}. Milliseconds, median of {a.rounds} rounds in turn; "
             "ratio: transformers / blip2.", ""]
    head = [f"transformers {d} | blip2 {d} | ratio" for d in results]
    lines += ["| stage | " + " | ".join(head) + " |", "|--|" + "--:|" * (3 * len(results))]
    for stage in theirs[0]["stages"]:
        cells, title = [], STAGES[stage]
        for b, t in results.values():
            x, y = median_ms(t, stage), median_ms(b, stage)
            cells.append(f"{number(x)} | {number(y)} | {x / y:.1f}")
        name = f"{title}, {theirs[0]['prefill']} tokens" if stage == "prefill" else title
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=INSTALL,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="a Hugging Face directory of a BLIP-2")
    p.add_argument("--blip2", default="build/blip2", help="the program (default build/blip2)")
    p.add_argument("--dtypes", default="bf16,f32", help="number formats, default bf16,f32")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=5, help="measurements of a stage in each run")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--worker", help=argparse.SUPPRESS)
    a = p.parse_args()
    a.dtypes = a.dtypes.split(",")
    if min(a.rounds, a.repeat, a.threads) < 1 or not set(a.dtypes) <= {"bf16", "f32"}:
        p.error("expected numbers above 0, and formats bf16 or f32")
    return a


def check(a):
    try:
        import PIL  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as e:
        die(f"{e}; {INSTALL}")
    if not os.path.isfile(os.path.join(a.model, "config.json")):
        die(f"{a.model}: expected a Hugging Face model directory, got no config.json there")
    if not os.access(a.blip2, os.X_OK):
        die(f"{a.blip2}: expected the program, got no such file; ./dev build makes it, "
            "--blip2 says where it is")


def main():
    a = arguments()
    if a.worker:
        return worker(a)
    check(a)
    print(table(a, measure(a, formats_that_fit(a))))


if __name__ == "__main__":
    main()
