#!/usr/bin/env python3
"""Writes the expectations of tests/unit/test_generate_reference.c with transformers' own generate():

    python reference.py hf     > hf.json      under transformers 5.x
    python reference.py lavis  > lavis.json   under transformers 4.33.2 (LAVIS' pin)

The model is a formula, the same as in the C test: logits depend on the last two ids, the length
(else sequences of the same transitions in another order would tie) and a salt;
the ids 5, 9 and 13, which the cases end with, get a bonus.
Nothing in the build or the tests needs this script."""
import itertools, json, sys, warnings
import numpy as np, torch, transformers
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
try:
    from transformers import GenerationMixin
except ImportError:
    from transformers.generation import GenerationMixin
V = 40
M = 0xFFFFFFFF


def mix(h):
    h = (h ^ (h >> 16)) * 0x7FEB352D & M
    h = (h ^ (h >> 15)) * 0x846CA68B & M
    return h ^ (h >> 16)


def logit(salt, bonus, length, before, last, i):
    h = mix(mix(mix(mix(mix(salt) + length & M) + before & M) + last & M) + i & M)
    return (h & 0xFFFFF) * 6 / (1 << 20) + (bonus if i in (5, 9, 13) else 0)


class Config(PretrainedConfig):
    model_type = "formula"

    def __init__(self, **k):
        super().__init__(**k)
        self.vocab_size, self.num_hidden_layers, self.hidden_size = V, 1, 8


bases = (PreTrainedModel,) if issubclass(PreTrainedModel, GenerationMixin) else (PreTrainedModel, GenerationMixin)


class Formula(*bases):
    config_class = Config
    main_input_name = "input_ids"
    salt, bonus = 0, 0

    def __init__(self, c):
        super().__init__(c)
        self.p = torch.nn.Parameter(torch.zeros(1))
        self.cache = {}

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **k):
        return {"input_ids": input_ids}

    def can_generate(self=None):
        return True

    def row(self, length, before, last):
        key = (self.salt, self.bonus, length, before, last)
        if key not in self.cache:
            self.cache[key] = torch.tensor([logit(*key, i) for i in range(V)], dtype=torch.float32)
        return self.cache[key]

    def forward(self, input_ids, attention_mask=None, **k):
        out = []
        for r in input_ids.tolist():
            out.append(self.row(len(r), r[-2] if len(r) > 1 else 0, r[-1]))
        return CausalLMOutput(logits=torch.stack(out)[:, None, :])

    def _reorder_cache(self, past, idx):
        return past


def cases(lib):
    base = dict(num_beams=1, num_captions=1, length_penalty=1.0, repetition_penalty=1.0, no_repeat_ngram=0,
                early_stopping="false", max_length=0, max_new_tokens=14, min_length=0, min_new_tokens=0,
                eos=[5], banned=[])
    out = []

    def add(**k):
        out.append({**base, **k})

    for rep in (1.0, 1.15, 1.3, 1.5, 0.8):
        add(repetition_penalty=rep)
    add(no_repeat_ngram=1), add(no_repeat_ngram=2), add(no_repeat_ngram=3, repetition_penalty=1.2)
    add(min_length=9), add(min_new_tokens=12), add(eos=[5, 9, 13]), add(banned=[3, 5, 17, 30]), add(max_length=8, max_new_tokens=0)
    for k in range(2, 7):
        for lp in (-1.0, 0.0, 0.5, 1.0, 2.0):
            add(num_beams=k, length_penalty=lp, num_captions=min(k, 3))
    for k, early, lp in itertools.product((2, 5), ("true", "never"), (-1.0, 0.0, 1.0, 2.0)):
        add(num_beams=k, early_stopping=early, length_penalty=lp, num_captions=2)
    for k, rep in itertools.product((2, 3, 5), (1.15, 1.3, 1.5)):
        add(num_beams=k, repetition_penalty=rep, num_captions=k)
    add(num_beams=3, repetition_penalty=1.15, length_penalty=0.0), add(num_beams=5, repetition_penalty=0.8)
    for k, n in itertools.product((3, 5), (1, 2, 3)):
        add(num_beams=k, no_repeat_ngram=n, num_captions=2)
    for k, m in itertools.product((3, 5), (7, 10, 14)):
        add(num_beams=k, min_length=m, length_penalty=-1.0), add(num_beams=k, min_new_tokens=m, num_captions=2)
    add(num_beams=4, min_length=12, min_new_tokens=3), add(num_beams=4, min_length=6, min_new_tokens=9)
    for k, eos in itertools.product((2, 4, 6), ([5, 9], [5, 9, 13], [13, 5])):
        add(num_beams=k, eos=eos, num_captions=2), add(num_beams=k, eos=eos, length_penalty=-1.0, early_stopping="true")
    for k, n in itertools.product((2, 5), (1, 2, 3, 40)):
        add(num_beams=k, max_new_tokens=n, num_captions=2)
    add(num_beams=5, max_new_tokens=40, length_penalty=2.0, early_stopping="never", num_captions=5)
    add(num_beams=5, max_new_tokens=40, length_penalty=3.0, num_captions=5)
    add(num_beams=5, max_length=8, max_new_tokens=0), add(num_beams=5, banned=[3, 5, 17, 30], num_captions=3)
    add(num_beams=5, eos=[]), add(eos=[])
    for k, early, lp in itertools.product((2, 3, 4), ("false", "true", "never"), (0.5, 1.5, 3.0)):
        add(num_beams=k, early_stopping=early, length_penalty=lp, num_captions=k, max_new_tokens=25)
    for k, m, n in itertools.product((1, 3), (4, 9), (3, 8)):
        add(num_beams=k, min_length=m, min_new_tokens=n)
    # where the rules of the two versions, and their early stopping, are known to make a difference
    for k, lp, n, early, low, fresh, *fixed in (
            (3, 1, 14, "never", 0, 0, 5032, 3), (2, 1, 19, "never", 0, 0, 5047, 3), (4, 1, 19, "never", 0, 0, 5216, 3),
            (3, 1, 12, "never", 0, 0, 5003, 3), (2, 1, 15, "never", 0, 0, 5019, 2), (3, 1, 17, "never", 0, 0, 5046, 2),
            (3, 1, 17, "false", 0, 0, 5008, 3), (4, 1, 13, "false", 0, 0, 5120, 3), (4, 1, 22, "false", 0, 0, 5222, 3),
            (1, 1, 20, "false", 5, 2, 5001, 2), (3, 1, 12, "false", 10, 2, 5003, 3), (1, 1, 17, "false", 9, 4, 5008, 3)):
        add(num_beams=k, num_captions=1 if low else k, length_penalty=float(lp), max_new_tokens=n, early_stopping=early,
            min_length=low, min_new_tokens=fresh, fixed=fixed, history=[2])
    for i, c in enumerate(out):
        if "history" not in c:
            c["history"] = [2] if lib == "lavis" else [[2], [7, 7, 7, 2], [7, 7, 2, 11, 23]][i % 3]
    return out


def options(c, lib):
    k = dict(num_beams=c["num_beams"], num_return_sequences=c["num_captions"], length_penalty=c["length_penalty"],
             repetition_penalty=c["repetition_penalty"], no_repeat_ngram_size=c["no_repeat_ngram"], do_sample=False,
             early_stopping={"false": False, "true": True, "never": "never"}[c["early_stopping"]],
             min_length=c["min_length"], pad_token_id=1, eos_token_id=c["eos"] or None)
    for name in ("max_length", "max_new_tokens", "min_new_tokens"):
        if c[name]:
            k[name] = c[name]
    if c["banned"]:
        k["bad_words_ids"] = [[i] for i in c["banned"]]
    return k


def expected(model, c, lib):
    ids = torch.tensor([c["history"]])
    r = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, return_dict_in_generate=True,
                       output_scores=True, **options(c, lib))
    seqs = []
    for s in r.sequences[:, ids.shape[1]:].tolist():
        end = next((i + 1 for i, t in enumerate(s) if t in c["eos"]), len(s))
        seqs.append(s[:end])
    scores = r.sequences_scores.tolist() if c["num_beams"] > 1 else []
    return seqs, scores


def main(lib):
    model = Formula(Config()).eval()
    out = []
    for n, c in enumerate(cases(lib)):
        fixed = c.pop("fixed", None)
        for salt, bonus in [fixed] if fixed else ((1 + n, 0), (1000 + n, 1.5), (2000 + n, 3)):
            model.salt, model.bonus = salt, bonus
            ids, scores = expected(model, c, lib)
            out.append({**c, "salt": salt, "bonus": bonus, "ids": ids, "scores": scores})
    print('{"reference": "transformers %s, torch %s", "cases": [' % (transformers.__version__, torch.__version__))
    print(",\n".join(json.dumps(c) for c in out) + "\n]}")


with torch.no_grad():
    main(sys.argv[1])
