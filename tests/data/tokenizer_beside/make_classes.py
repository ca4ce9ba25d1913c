#!/usr/bin/env python3
"""Writes classes.json: what transformers makes of a Unigram and a WordPiece tokenizer.json (t5.json, bert.json) when
the files beside it say otherwise. As make.py, but each case has its base.

    python3 make_classes.py > classes.json      (transformers 5.23.0, tokenizers 0.23.3)

"refused": true where transformers makes a tokenizer that we do not read.
"""
import copy
import json
import os
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = {k: json.load(open(f"{HERE}/{k}.json")) for k in ("t5", "bert")}
TEXTS = {
    "t5": ["a photo of", "A  fi\ufb01ne\ufb01 Cafe\u0301", "x<extra_id_0> y<image> z", "</s>a<unk>b", " <pad>  two  ", "a\u2581b \u2581",
           "<extra_id_1>", "", "\u4e2d\u4e2d", "\ufb01X fiX x\ufb01X  \u00a0fiX\u00a0y"],
    "bert": ["a photo of", "A PHOTO \u00c9 Caf\u00e9s", "\u4e2d\u6587 \u4e2d", "[SEP]a[DEC] b<image>[MASK]", "dogs? 12!", " [PAD]  the  ",
             "[UNK]", "", "a" * 101, "photos xphotos", "x [dec] <IMAGE> y\u4e2d[DEC] \u00c9e\u0301 the"],
}
WORDS = {"type": "WhitespaceSplit"}


def space(**change):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True, **change}


def token(content, **change):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **change}


def t5(drop=(), **change):
    c = {"eos_token": "</s>", "extra_ids": 3, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>", **change}
    return {"tokenizer_config.json": {k: v for k, v in c.items() if k not in drop}}


def bert(drop=(), **change):
    c = {"cls_token": "[CLS]", "do_lower_case": True, "mask_token": "[MASK]", "pad_token": "[PAD]", "sep_token": "[SEP]",
         "strip_accents": None, "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]", **change}
    return {"tokenizer_config.json": {k: v for k, v in c.items() if k not in drop}}


def listed(base, make, more=(), without=(), **change):
    """A tokenizer_config.json that lists the added tokens itself."""
    tokens = {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in BASE[base]["added_tokens"] if a["content"] not in without}
    tokens.update(dict(more))
    return make(added_tokens_decoder=tokens, **change)


CHARSMAP = BASE["t5"]["normalizer"]
RIGHT = {"type": "Strip", "strip_left": False, "strip_right": True}
TWO = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
CASED = {"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "strip_accents": False,
                        "lowercase": False}}
FILE = dict(tokenizer_class="PreTrainedTokenizerFast")

# Not here: no class beside a config.json of model_type "blip-2", which transformers takes for GPT2Tokenizer whatever the model is.
CASES = [
    ("as it is", "t5", {}, t5()),
    ("T5TokenizerFast", "t5", {}, t5(tokenizer_class="T5TokenizerFast")),
    ("no class", "t5", {}, t5(["tokenizer_class"])),
    ("no class, config.json of t5", "t5", {"pre_tokenizer": None}, {**t5(["tokenizer_class"]), "config.json": {"model_type": "t5"}}),
    ("no file beside", "t5", {}, {}),
    ("the file's own class", "t5", {}, t5(**FILE)),
    ("more normalizers do not count", "t5", {"normalizer": {"type": "Sequence", "normalizers": [CHARSMAP, RIGHT, TWO]}}, t5()),
    ("more normalizers before", "t5", {"normalizer": {"type": "Sequence", "normalizers": [RIGHT, CHARSMAP]}}, t5()),
    ("another normalizer is not kept", "t5", {"normalizer": {"type": "Lowercase"}}, t5()),
    ("no normalizer", "t5", {"normalizer": None}, t5()),
    ("no normalizer, the file's own class", "t5", {"normalizer": None}, t5(**FILE)),
    ("another splitter is not kept", "t5", {"pre_tokenizer": space(prepend_scheme="first")}, t5()),
    ("no splitter", "t5", {"pre_tokenizer": None, "decoder": None}, t5()),
    ("an old splitter", "t5", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        WORDS, {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}]},
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}}, t5(**FILE)),
    ("no template", "t5", {"post_processor": None}, t5()),
    ("no template, the file's own class", "t5", {"post_processor": None}, t5(**FILE)),
    ("another template", "t5", {"post_processor": {"single": [{"SpecialToken": {"id": "<pad>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
     "special_tokens": {"<pad>": {"id": "<pad>", "ids": [0], "tokens": ["<pad>"]}}}}, t5()),
    ("no end asked for", "t5", {}, t5(add_eos_token=False)),
    ("an unknown piece elsewhere", "t5", {"model": {"unk_id": 5}}, t5()),
    ("added tokens listed", "t5", {}, listed("t5", t5)),
    ("<image> listed", "t5", {}, listed("t5", t5, [("44", token("<image>"))])),
    ("<image> beside", "t5", {}, {**t5(), "added_tokens.json": {"<image>": 44}}),
    ("extra ids not listed", "t5", {}, listed("t5", t5, without=["<extra_id_0>", "<extra_id_1>"])),
    ("none in tokenizer.json", "t5", {"added_tokens": []}, t5()),
    ("none in tokenizer.json, the file's own class", "t5", {"added_tokens": []}, t5(**FILE)),
    ("fewer extra ids", "t5", {"added_tokens": []}, t5(extra_ids=2)),
    ("extra ids not said", "t5", {}, t5(["extra_ids"])),
    ("additional_special_tokens", "t5", {}, t5(additional_special_tokens=["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"])),
    ("another end", "t5", {}, t5(eos_token="<pad>")),
    ("split_special_tokens", "t5", {}, t5(split_special_tokens=True)),
    ("one that is normalised", "t5", {}, listed("t5", t5, [("44", token("\ufb01X", normalized=True, special=False))])),
    ("one that is not", "t5", {}, listed("t5", t5, [("44", token("\ufb01X", special=False))])),
    ("one that is normalised and strips", "t5", {},
     listed("t5", t5, [("44", token("fiX", normalized=True, lstrip=True, rstrip=True))])),

    ("as it is", "bert", {}, bert()),
    ("BertTokenizerFast", "bert", {}, bert(tokenizer_class="BertTokenizerFast")),
    ("no class", "bert", {}, bert(["tokenizer_class"])),
    ("no class, config.json", "bert", {}, {**bert(["tokenizer_class"]), "config.json": {"model_type": "bert"}}),
    ("only do_lower_case, as bert-base-uncased", "bert", {}, {"tokenizer_config.json": {"do_lower_case": True, "model_max_length": 512}}),
    ("no file beside", "bert", {}, {}),
    ("the file's own class", "bert", {}, bert(**FILE)),
    ("a cased normalizer is not kept", "bert", CASED, bert()),
    ("no normalizer", "bert", {"normalizer": None}, bert()),
    ("cased beside", "bert", {}, bert(do_lower_case=False)),
    ("cased beside, the file's own class", "bert", {}, bert(do_lower_case=False, **FILE)),
    ("accents beside", "bert", {}, bert(strip_accents=False)),
    ("accents as lower case says", "bert", {}, bert(["strip_accents"])),
    ("CJK beside", "bert", {}, bert(tokenize_chinese_chars=False)),
    ("another splitter is not kept", "bert", {"pre_tokenizer": {"type": "Whitespace"}}, bert()),
    ("another decoder is not kept", "bert", {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False}}, bert()),
    ("no template", "bert", {"post_processor": None}, bert()),
    ("no template, the file's own class", "bert", {"post_processor": None}, bert(**FILE)),
    ("another template", "bert", {"post_processor": {"single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[PAD]", "type_id": 0}}],
     "special_tokens": {"[PAD]": {"id": "[PAD]", "ids": [0], "tokens": ["[PAD]"]}}}}, bert()),
    ("a word may be longer", "bert", {"model": {"max_input_chars_per_word": 3}}, bert()),
    ("a word may be longer, the file's own class", "bert", {"model": {"max_input_chars_per_word": 3}}, bert(**FILE)),
    ("what is unknown is another", "bert", {"model": {"unk_token": "the"}}, bert()),
    ("unk_token beside", "bert", {}, bert(unk_token="[MASK]")),
    ("added tokens listed", "bert", {}, listed("bert", bert)),
    ("[DEC] and <image> listed", "bert", {}, listed("bert", bert, [("101", token("[DEC]")), ("102", token("<image>"))], bos_token="[DEC]")),
    ("[DEC] beside", "bert", {}, {**bert(), "added_tokens.json": {"[DEC]": 101, "<image>": 102}}),
    ("[DEC] in special_tokens_map.json", "bert", {}, {**bert(), "special_tokens_map.json": {"bos_token": "[DEC]"}}),
    ("[DEC] beside, and in special_tokens_map.json", "bert", {},
     {**bert(), "added_tokens.json": {"[DEC]": 101, "<image>": 102}, "special_tokens_map.json": {"bos_token": "[DEC]"}}),
    ("[DEC] beside, and named", "bert", {}, {**bert(bos_token="[DEC]"), "added_tokens.json": {"[DEC]": 101}}),
    ("<image> beside, and extra", "bert", {}, {**bert(extra_special_tokens=["<image>"]), "added_tokens.json": {"<image>": 101}}),
    ("<image> beside, and additional", "bert", {},
     {**bert(additional_special_tokens=["<image>"]), "added_tokens.json": {"<image>": 101}}),
    ("those that are normalised", "bert", {}, listed("bert", bert, [
        ("101", token("[DEC]", normalized=True, special=False)), ("102", token("\u00c9", normalized=True, special=False)),
        ("103", token("\u4e2d", normalized=True, special=False))])),
    ("an added word is no piece", "bert", {}, listed("bert", bert, [("101", token("photos"))], split_special_tokens=True)),
    ("none in tokenizer.json", "bert", {"added_tokens": []}, bert()),
    ("no names beside", "bert", {"added_tokens": []}, {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}}),
    ("another end", "bert", {}, bert(sep_token="[MASK]")),
    ("split_special_tokens", "bert", {}, bert(split_special_tokens=True)),
]

# Normalisers of BERT but the uncased one are not read.
REFUSED = ["cased beside", "accents beside", "CJK beside"]


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


def run(name, base, patch, files):
    with tempfile.TemporaryDirectory() as d:
        doc = merge(copy.deepcopy(BASE[base]), patch)
        for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
            doc.setdefault(part, None)
        json.dump(doc, open(d + "/tokenizer.json", "w"))
        for k, v in files.items():
            json.dump(v, open(d + "/" + k, "w"))
        row = {"name": name, "base": base, "patch": patch, "files": files}
        if name in REFUSED:
            return {**row, "refused": True}
        t = AutoTokenizer.from_pretrained(d)
        ids = [t(x)["input_ids"] for x in TEXTS[base]]
        return {**row, "ids": ids, "texts": [t.decode(i, skip_special_tokens=True, clean_up_tokenization_spaces=False) for i in ids]}


def attempt(case):
    try:
        return run(*case)
    except BaseException as e:
        print("transformers:", case[0], case[1], type(e).__name__, str(e)[:200], file=sys.stderr)


if __name__ == "__main__":
    cases = [c for c in map(attempt, CASES) if c]
    print(json.dumps({"inputs": TEXTS}, ensure_ascii=False)[:-1] + ', "cases": [')
    print(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases))
    print("]}")
