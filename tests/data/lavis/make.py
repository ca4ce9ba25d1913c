"""LAVIS' names and a file of LAVIS, for tests/unit/test_lavis.c.

    python make.py          with PyTorch 2.15, safetensors 0.8

names.txt: LAVIS' name and transformers' for each kind of tensor, by the rules of transformers'
convert_blip_2_original_to_pytorch.py (4.46), which renames single names first and parts of names after that.
stage2.pth: the tiny model of tests/golden/opt as LAVIS' runner saves a stage-2 checkpoint: what was trained, under "model",
in float32, other objects beside it. Vision tower and language model are not in it, as in LAVIS.
"""
import os

import torch
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "..", "golden", "opt")


def single_names(layers):
    yield "visual_encoder.cls_token", "vision_model.embeddings.class_embedding"
    yield "visual_encoder.pos_embed", "vision_model.embeddings.position_embedding"
    for end in ("weight", "bias"):
        yield f"visual_encoder.patch_embed.proj.{end}", f"vision_model.embeddings.patch_embedding.{end}"
        yield f"ln_vision.{end}", f"vision_model.post_layernorm.{end}"
        yield f"Qformer.bert.embeddings.LayerNorm.{end}", f"qformer.layernorm.{end}"
        for i in layers:
            old, new = f"visual_encoder.blocks.{i}.", f"vision_model.encoder.layers.{i}."
            for a, b in (("norm1", "layer_norm1"), ("norm2", "layer_norm2"), ("attn.proj", "self_attn.projection"),
                         ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
                yield f"{old}{a}.{end}", f"{new}{b}.{end}"
    for i in layers:
        yield f"visual_encoder.blocks.{i}.attn.qkv.weight", f"vision_model.encoder.layers.{i}.self_attn.qkv.weight"


def hf_name(key):
    if key.startswith("Qformer.bert.embeddings.") and "_embeddings." in key:
        return key.replace("Qformer.bert.", "")
    if key.startswith("Qformer.bert"):
        key = key.replace("Qformer.bert", "qformer")
    if key.startswith("Qformer.cls"):
        key = key.replace("Qformer.", "")  # transformers has no place for it; ours
    if "attention.self" in key:
        key = key.replace("self", "attention")
    if "opt_proj" in key:
        key = key.replace("opt_proj", "language_projection")
    if "t5_proj" in key:
        key = key.replace("t5_proj", "language_projection")
    if key.startswith("opt"):
        key = key.replace("opt", "language")
    if key.startswith("t5"):
        key = key.replace("t5", "language")
    if "vision_proj." in key:
        key = key.replace("vision_proj.", "vision_projection.")
    if "text_proj." in key:
        key = key.replace("text_proj.", "text_projection.")
    return key


def parts(layers):
    ends = ("weight", "bias")
    yield from ("query_tokens", "temp", "Qformer.cls.predictions.bias")
    yield from (f"Qformer.bert.embeddings.{p}_embeddings.weight" for p in ("word", "position"))
    for e in ends:
        yield from (f"{h}.{e}" for h in ("vision_proj", "text_proj", "itm_head", "opt_proj", "t5_proj",
                                         "Qformer.cls.predictions.transform.dense", "Qformer.cls.predictions.transform.LayerNorm",
                                         "opt_model.model.decoder.final_layer_norm"))
        for i in layers:
            q = f"Qformer.bert.encoder.layer.{i}."
            for a in ("attention", "crossattention"):
                yield from (f"{q}{a}.{t}.{e}" for t in ("self.query", "self.key", "self.value", "output.dense", "output.LayerNorm"))
            yield from (f"{q}{t}.{e}" for t in ("intermediate.dense", "intermediate_query.dense", "output.dense", "output.LayerNorm",
                                                "output_query.dense", "output_query.LayerNorm"))
            yield from (f"opt_model.model.decoder.layers.{i}.{t}.{e}" for t in ("self_attn.q_proj", "self_attn.out_proj", "fc1", "fc2",
                                                                               "self_attn_layer_norm", "final_layer_norm"))
    yield from ("opt_model.model.decoder.embed_tokens.weight", "opt_model.lm_head.weight", "t5_model.shared.weight", "t5_model.lm_head.weight")
    for i in layers:
        yield f"t5_model.encoder.block.{i}.layer.0.SelfAttention.q.weight"
        yield f"t5_model.decoder.block.{i}.layer.1.EncDecAttention.o.weight"
        yield f"t5_model.decoder.block.{i}.layer.2.DenseReluDense.wi_0.weight"


def main():
    pairs = list(single_names((0, 38))) + [(k, hf_name(k)) for k in parts((0, 11))]
    with open(os.path.join(HERE, "names.txt"), "w") as f:
        f.writelines(f"{a} {b}\n" for a, b in pairs)
    back = {b: a for a, b in list(single_names(range(40))) + [(k, hf_name(k)) for k in parts(range(12)) if not k.startswith("t5")]}
    golden = load_file(os.path.join(GOLDEN, "model.safetensors"))
    trained = {back[k]: v.clone() for k, v in golden.items()
               if k.startswith(("qformer.", "query_tokens", "language_projection", "vision_model.post_layernorm"))}
    trained["Qformer.bert.embeddings.position_ids"] = torch.arange(40).expand(1, -1)
    torch.save({"model": trained, "config": {"run": {"task": "captioning"}}, "epoch": 3}, os.path.join(HERE, "stage2.pth"))


if __name__ == "__main__":
    main()
