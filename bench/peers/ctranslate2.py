#!/usr/bin/env python3
"""ctranslate2.py MODEL: times CTranslate2 and blip2 on the language model of a BLIP-2, OPT or Flan-T5.

The language model is converted once and kept in the private environment's folder. CTranslate2 has no vision tower and takes ids
only, so its prompt is 41 ids where blip2's is 32 queries and 9 ids; the work is the same. It prints one Markdown table
to standard output and what it is doing to standard error.
"""
import argparse
import json
import os
import struct
import sys
import time
import zlib

import common
from common import die, say, timed

common.no_shadows()

TEXT = 9  # ids of the prompt behind the queries, as in `blip2 bench`
STEPS = 8  # decode steps averaged
STAGES = {"prefill": "prefill and first token", "decode": "decode step, greedy",
          "decode_beam5": "decode step, 5 beams"}
PACKAGES = ["ctranslate2==4.8.5", "numpy==2.4.6"]
OURS = ["f32", "bf16", "f16", "int8", "int4", "mixed"]
THEIRS = {"int8": ("int8_float32", 3), "float32": ("float32", 4)}  # CTranslate2's name, bytes a weight at most


# --- a BLIP-2's language model as CTranslate2's converters see one --------------------------------


def tensors_of(folder):
    """{name: (file, type, shape, first byte, last)} of all safetensors files of a folder."""
    found = {}
    for name in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(size))
        for tensor, t in header.items():
            if tensor != "__metadata__":
                begin, end = t["data_offsets"]
                found[tensor] = (path, t["dtype"], t["shape"], 8 + size + begin, 8 + size + end)
    return found or die(f"{folder}: expected safetensors files, got none")


def read(entry):
    """Matrices as float16, which halves the memory of the conversion, everything else as float32."""
    import numpy as np

    path, dtype, shape, begin, end = entry
    kinds = {"BF16": np.uint16, "F16": np.float16, "F32": np.float32}
    raw = np.fromfile(path, kinds.get(dtype) or die(f"{path}: expected BF16, F16 or F32, got {dtype}"),
                      count=(end - begin) // (4 if dtype == "F32" else 2), offset=begin)
    if dtype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.reshape(shape).astype(np.float16 if len(shape) == 2 else np.float32)


class Module:
    """A part of a model, by the names of its tensors; weights are read when they are asked for."""

    def __init__(self, tensors, prefix, **known):
        self._tensors, self._prefix = tensors, prefix
        self.__dict__.update(known)

    def _part(self, name):
        full = f"{self._prefix}.{name}"
        if full in self._tensors:
            return read(self._tensors[full])
        inside = {k[len(full) + 1:].split(".")[0] for k in self._tensors if k.startswith(full + ".")}
        if not inside:
            return None
        if all(k.isdigit() for k in inside):
            return [self._child(f"{full}.{i}") for i in range(len(inside))]
        return self._child(full)

    def _child(self, full):
        return Module(self._tensors, full, relative_attention_max_distance=128)

    def __getattr__(self, name):
        if name == "has_relative_attention_bias":
            return self._part("relative_attention_bias") is not None
        part = None if name.startswith("__") else self._part(name)
        if part is None and name not in ("project_in", "project_out"):
            raise AttributeError(name)
        return part


class Config:
    def __init__(self, values):
        self.__dict__.update(values)


OPT_DEFAULTS = dict(hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, do_layer_norm_before=True,
                    activation_function="relu", vocab_size=50272)
T5_DEFAULTS = dict(d_model=2048, num_layers=24, num_heads=32, dense_act_fn="gelu_new", is_gated_act=True,
                   vocab_size=32128, tie_word_embeddings=False)


def model_of(tensors, text):
    """What the loaders of CTranslate2 take for the model that transformers would have loaded."""
    top = "language_model"
    t5 = text.get("model_type") == "t5"
    config = Config({**(T5_DEFAULTS if t5 else OPT_DEFAULTS), **text})
    model = Module(tensors, top, config=config)
    if t5:
        config.num_decoder_layers = text.get("num_decoder_layers") or config.num_layers
        if text.get("feed_forward_proj") == "gated-gelu":
            config.dense_act_fn, config.is_gated_act = "gelu_new", True
        model.encoder, model.decoder = Module(tensors, f"{top}.encoder"), Module(tensors, f"{top}.decoder")
        model.encoder.embed_tokens = model.decoder.embed_tokens = model.shared
        table = model.shared
    else:
        config.word_embed_proj_dim = text.get("word_embed_proj_dim") or config.hidden_size
        table = model.model.decoder.embed_tokens
        model.model = Module(tensors, f"{top}.model")
        model.model.decoder = Module(tensors, f"{top}.model.decoder")
        model.model.decoder.embed_positions = Module(tensors, f"{top}.model.decoder.embed_positions", offset=2)
    if f"{top}.lm_head.weight" not in tensors:
        model.lm_head = table
    return model, (tensors[f"{table._prefix}.weight"][2][0])


def convert(a):
    """Writes the folder that CTranslate2 loads; its own loader for OPT or T5 does the work."""
    from types import SimpleNamespace

    from ctranslate2.converters import transformers as loaders

    # The loaders ask whether a layer is one of GPT-2's; the library itself is not needed.
    loaders.transformers = SimpleNamespace(Conv1D=type("Conv1D", (), {}))
    text = common.config_of(a.model)["text_config"]
    model, words = model_of(tensors_of(a.model), text)
    loader = loaders.T5Loader() if text.get("model_type") == "t5" else loaders.OPTLoader()
    spec = loader.get_model_spec(model)
    for name, i in dict(bos=1, eos=2, unk=3).items():
        setattr(spec.config, f"{name}_token", f"t{i}")
    if text.get("model_type") == "t5":
        spec.config.decoder_start_token = "t0"
    loader.set_vocabulary(spec, [f"t{i}" for i in range(words)])
    spec.validate()
    spec.optimize(quantization=THEIRS[a.convert][0])
    os.makedirs(a.folder + ".part", exist_ok=True)
    spec.save(a.folder + ".part")
    os.rename(a.folder + ".part", a.folder)


# --- the side of CTranslate2 ----------------------------------------------------------------------


def prompt_of(folder):
    return common.config_of(folder).get("num_query_tokens", 32) + TEXT


def generator(a, t5):
    """A function of beams and tokens that generates exactly so many."""
    import ctranslate2

    words = [f"t{i + 5}" for i in range(prompt_of(a.model))]
    kind = ctranslate2.Translator if t5 else ctranslate2.Generator
    model = kind(a.folder, device="cpu", compute_type=THEIRS[a.worker][0], intra_threads=a.threads, inter_threads=1)
    if t5:
        return lambda beams, n: model.translate_batch([words], beam_size=beams, max_decoding_length=n,
                                                      min_decoding_length=n)[0].hypotheses[0]
    return lambda beams, n: model.generate_batch([words], beam_size=beams, max_length=n, min_length=n,
                                                 include_prompt_in_result=False)[0].sequences[0]


def checked(generate, beams, n):
    got = len(generate(beams, n))
    return got if got == n else die(f"CTranslate2: expected {n} tokens, got {got}")


def step(generate, beams):
    """Milliseconds of a step: what STEPS more tokens take."""
    start = time.perf_counter()
    generate(beams, 1)
    middle = time.perf_counter()
    generate(beams, 1 + STEPS)
    return (time.perf_counter() - middle - (middle - start)) * 1e3 / STEPS


def worker(a):
    generate = generator(a, common.config_of(a.model)["text_config"].get("model_type") == "t5")
    for beams in (1, 5):
        checked(generate, beams, 1 + STEPS)
    print(json.dumps({"prefill": timed(lambda: generate(1, 1) and None, a.repeat),
                      "decode": timed(lambda: step(generate, 1), a.repeat),
                      "decode_beam5": timed(lambda: step(generate, 5), a.repeat)}))


# --- both sides in turn --------------------------------------------------------------------------


def own(a, *more):
    return [a.python, os.path.abspath(__file__), a.model, *more]


def converted(a, fmt):
    """The folder of the converted model, made on first use."""
    key = f"{common.name_of(a.model)}-{zlib.crc32(os.path.abspath(a.model).encode()):08x}"
    folder = os.path.join(os.path.dirname(os.path.dirname(a.python)), "models", key, fmt)
    if os.path.isdir(folder):
        return folder
    weights = sum(e[4] - e[3] for k, e in tensors_of(a.model).items() if k.startswith("language_model.")) // 2
    need, have = weights * THEIRS[fmt][1] * 12 // 10, common.available_bytes()
    if have is not None and need > have:
        die(f"{fmt}: converting needs {need / 1e9:.1f} GB of memory, {have / 1e9:.1f} GB are available; "
            "--formats int8 needs less")
    say(f"converting to {folder}")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    common.run(own(a, "--convert", fmt, "--folder", folder), a.threads)
    return folder


def run_peer(a, fmt, folder):
    return common.last_json(common.run(own(a, "--worker", fmt, "--folder", folder, "--threads", str(a.threads),
                                           "--repeat", str(a.repeat)), a.threads))


def sides(a):
    out = {}
    for fmt in a.formats:
        folder = converted(a, fmt)
        out[f"CTranslate2 {fmt}"] = lambda fmt=fmt, folder=folder: run_peer(a, fmt, folder)
    for d in a.ours:
        out[f"blip2 {d}"] = lambda d=d: common.stages_of(common.bench(a, a.model, d, a.repeat))
    return out


def make_report(a, machine, results):
    versions = {"ctranslate2": common.installed(a.python)["ctranslate2"]}
    rep = common.report(a, "CTranslate2", machine, versions, against="best", first="stage", unit="Milliseconds",
                        title=f"Language model of {common.name_of(a.model)}")
    rep["columns"] = [dict(name=n, side="blip2" if n.startswith("blip2") else "peer", format=n.split()[1])
                      for n in results]
    titles = dict(STAGES, prefill=f"{STAGES['prefill']}, {prompt_of(a.model)} tokens")
    rep["rows"] = [dict(name=t, stage=s, ms={n: common.median_of(r, s) for n, r in results.items()})
                   for s, t in titles.items()]
    return rep


def arguments():
    p = common.parser(__doc__.splitlines()[0], "ctranslate2", PACKAGES, 3)
    p.add_argument("model", help="a Hugging Face directory of a BLIP-2")
    p.add_argument("--formats", default="int8,float32", help="CTranslate2's, default int8,float32 (on a CPU its "
                                                             "int8 and int8_float32 are the same)")
    p.add_argument("--ours", default="f32,int8,int4", help=f"blip2's, of {','.join(OURS)}; default f32,int8,int4")
    p.add_argument("--repeat", type=int, default=5, help="measurements of a stage in each run (default 5)")
    for hidden in ("--worker", "--convert", "--folder"):
        p.add_argument(hidden, help=argparse.SUPPRESS)
    a = p.parse_args()
    common.check_common(p, a)
    a.formats = common.choices(p, a.formats, THEIRS, "--formats")
    a.ours = common.choices(p, a.ours, OURS, "--ours")
    return a if a.repeat > 0 else p.error("expected numbers above 0")


def main():
    a = arguments()
    if a.worker or a.convert:
        return worker(a) if a.worker else convert(a)
    common.check_blip2(a)
    if "text_config" not in common.config_of(a.model):
        die(f"{a.model}: expected a BLIP-2 with a language model, got a config.json without text_config")
    a.python = common.environment("ctranslate2", PACKAGES, a.env)
    machine = common.bench(a)["machine"]
    common.finish(a, make_report(a, machine, common.in_turn(a.rounds, sides(a))))


if __name__ == "__main__":
    common.main_of(main)
