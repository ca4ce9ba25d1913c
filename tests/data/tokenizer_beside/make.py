#!/usr/bin/env python3
"""Writes cases.json: what transformers makes of tokenizer.json when the files beside it say otherwise.

    python3 make.py ../../../models/scenes > cases.json      (transformers 5.24.0, tokenizers 0.23.3)

A case is a change of the embedded model's tokenizer: "patch", a JSON merge patch (RFC 7396) of
tokenizer.json, and "files", those that lie beside it (null: it is not there). "ids" and "texts" are
AutoTokenizer's ids of TEXTS, and their text again without special tokens.
"""
import copy
import json
import os
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

TEXTS = ["a photo of", "a <image> b", "x<extra_1> y", "</s>a<mask>b", "<pad> a <unk>", "  two  "]
SCENES = sys.argv[1]
BASE = json.load(open(SCENES + "/tokenizer.json"))
CONFIG = json.load(open(SCENES + "/tokenizer_config.json"))
EXTRA = {"content": "<extra_1>", "lstrip": False, "rstrip": False, "normalized": False,
         "single_word": False, "special": True}
MODEL = {"model_type": "blip-2", "text_config": {"model_type": "opt"}}


def pre(**change):
    return {"pre_tokenizer": change}


def config(drop=(), **change):
    c = {**CONFIG, **change}
    return {"tokenizer_config.json": {k: v for k, v in c.items() if k not in drop}}


def listed(**change):
    """tokenizer_config.json that lists the added tokens itself."""
    tokens = {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in BASE["added_tokens"]}
    tokens.update(change.pop("more", {}))
    return config(added_tokens_decoder={k: v for k, v in tokens.items() if v}, **change)


def beside(files, **more):
    return {**files, **{k.replace("_json", ".json"): v for k, v in more.items()}}


CASES = [
    ("as it is", {}, config()),
    ("prefix space: the configuration has one", {}, config(add_prefix_space=True)),
    ("prefix space: tokenizer.json has one", pre(add_prefix_space=True), config()),
    ("prefix space: tokenizer.json alone says", pre(add_prefix_space=True), config(["add_prefix_space"])),
    ("GPT2TokenizerFast", {}, config(tokenizer_class="GPT2TokenizerFast", add_prefix_space=True)),
    ("another class: tokenizer.json counts", pre(add_prefix_space=True),
     config(tokenizer_class="PreTrainedTokenizerFast")),
    ("another class, turned round", {}, config(tokenizer_class="TokenizersBackend", add_prefix_space=True)),
    ("no class", pre(add_prefix_space=True), config(["tokenizer_class"])),
    ("no class, config.json", pre(add_prefix_space=True),
     beside(config(["tokenizer_class"]), config_json=MODEL)),
    ("added tokens listed", {}, listed()),
    ("one more listed", {}, listed(more={"588": EXTRA})),
    ("one more listed, not special, strips", {},
     listed(more={"588": {**EXTRA, "special": False, "lstrip": True, "rstrip": True}})),
    ("<image> not listed", {}, listed(more={"587": None})),
    ("<image> strips as listed", {},
     listed(more={"587": {**EXTRA, "content": "<image>", "lstrip": True, "rstrip": True}})),
    ("none in tokenizer.json, listed", {"added_tokens": []}, listed()),
    ("none in tokenizer.json", {"added_tokens": []}, config()),
    ("special_tokens_map.json: a mask", {}, beside(config(), special_tokens_map_json={"mask_token": "<mask>"})),
    ("special_tokens_map.json does not count beside a list", {},
     beside(listed(), special_tokens_map_json={"mask_token": "<mask>"})),
    ("special_tokens_map.json: additional", {},
     beside(config(), special_tokens_map_json={"additional_special_tokens": ["<extra_1>"]})),
    ("special_tokens_map.json wins", {},
     beside(config(mask_token="<mask>"), special_tokens_map_json={"mask_token": "<extra_1>"})),
    ("additional_special_tokens", {}, config(additional_special_tokens=["<extra_1>"])),
    ("extra_special_tokens", {}, config(extra_special_tokens=["<extra_1>"])),
    ("a token of the family", {}, config(image_token="<extra_1>")),
    ("mask_token", {}, config(mask_token="<mask>")),
    ("added_tokens.json", {}, beside(config(), added_tokens_json={"<extra_1>": 588})),
    ("added_tokens.json does not count beside a list", {},
     beside(listed(), added_tokens_json={"<extra_1>": 588})),
    ("add_bos_token false: the template counts", {}, config(add_bos_token=False)),
    ("add_bos_token without a template", {"post_processor": None}, config(add_bos_token=True)),
    ("another bos_token", {}, config(bos_token="<s>")),
    ("truncation", {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst",
                                   "stride": 0}}, config()),
    ("model_max_length", {}, config(model_max_length=3)),
    ("split_special_tokens", {}, config(split_special_tokens=True)),
    ("clean_up_tokenization_spaces", {}, config(clean_up_tokenization_spaces=True)),
    ("a normalizer is not kept", {"normalizer": {"type": "Lowercase"}}, config()),
    ("another splitter is not kept", {"pre_tokenizer": {"type": "Whitespace"}}, config()),
    ("no regular expression is not kept", pre(use_regex=False), config()),
]


def merge(to, patch):
    if not isinstance(patch, dict):
        return patch
    to = dict(to) if isinstance(to, dict) else {}
    for k, v in patch.items():
        if v is None:
            to.pop(k, None)
        else:
            to[k] = merge(to.get(k), v)
    return to


def run(name, patch, files):
    with tempfile.TemporaryDirectory() as d:
        doc = merge(copy.deepcopy(BASE), patch)
        doc.setdefault("post_processor", None)
        doc.setdefault("normalizer", None)
        json.dump(doc, open(d + "/tokenizer.json", "w"))
        for k, v in files.items():
            json.dump(v, open(d + "/" + k, "w"))
        t = AutoTokenizer.from_pretrained(d)
        ids = [t(x)["input_ids"] for x in TEXTS]
        return {"name": name, "patch": patch, "files": files, "ids": ids,
                "texts": [t.decode(i, skip_special_tokens=True) for i in ids]}


cases = [run(*c) for c in CASES]
print(json.dumps({"inputs": TEXTS}, ensure_ascii=False)[:-1] + ', "cases": [')
print(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases))
print("]}")
