"""A tiny stage-1 model with CLIP's vision tower (ViT-L's kind) in LAVIS' files, and what the references make of it.

    python make.py LAVIS        with PyTorch 2.15, transformers 5.24, safetensors 0.8; LAVIS: a checkout of its repository

clip_vit_L.pth: the base tower under LAVIS' names, half precision as PyTorch saves it, with one block more than the
model uses, and with what CLIP has behind the blocks. blip2_pretrained_vitL.pth: what stage 1 trains, under "model".
goldens.safetensors: two pictures, and
- the tower of lavis/models/clip_vit.py on them at 56 pixels, and at 84 after its own interpolate_pos_embed,
  with ln_vision behind it (blip2.py: LayerNorm of eps 1e-5); once more with four heads for one, which only a
  config.json beside the file can say (heads4.vision.out);
- transformers' Blip2ForImageTextRetrieval on these image tokens: queries, ITM logits, ITC cosine.
All are computed in float32 from the weights as they are stored.
"""
import importlib.util
import os
import sys
import types

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Blip2Config, Blip2ForImageTextRetrieval
from transformers.modeling_outputs import BaseModelOutputWithPooling

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, LAYERS, PATCH, SIDE, BIG, QUERIES = 64, 2, 14, 56, 84, 6


def lavis_module(root):
    """clip_vit.py alone: what it imports of the rest of LAVIS and of fairscale is not used here."""
    for name, member in (("fairscale.nn.checkpoint.checkpoint_activations", "checkpoint_wrapper"),
                         ("lavis.models.eva_vit", "convert_weights_to_fp16"),
                         ("lavis.common.dist_utils", "download_cached_file")):
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(parts[i - 1]))
        setattr(sys.modules[name], member, None)
    spec = importlib.util.spec_from_file_location("clip_vit", os.path.join(root, "lavis/models/clip_vit.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(state, seed):
    """Numbers of an even distribution, in f16's grid; norms are near one."""
    rng = np.random.default_rng(seed)
    for name in sorted(state):
        t = state[name]
        if not t.is_floating_point():
            continue
        spread = 0.2 if t.dim() > 1 else 0.1
        norm = name.endswith("weight") and t.dim() == 1
        state[name] = torch.from_numpy(rng.uniform(-spread, spread, tuple(t.shape)) + norm).half().float()
    return state


def lavis_name(hf):
    for old, new in (("qformer.layernorm.", "Qformer.bert.embeddings.LayerNorm."),
                     ("qformer.", "Qformer.bert."), ("embeddings.", "Qformer.bert.embeddings."),
                     ("vision_projection.", "vision_proj."), ("text_projection.", "text_proj.")):
        if hf.startswith(old):
            hf = new + hf[len(old):]
            break
    return hf.replace("attention.attention.", "attention.self.")


def main(root):
    clip = lavis_module(root)

    def tower(side, heads, state):
        vit = clip.VisionTransformer(side, PATCH, WIDTH, LAYERS, heads, False)
        state = dict(state)
        clip.interpolate_pos_embed(vit, state)
        missing = vit.load_state_dict(state, strict=False).missing_keys
        assert not missing, missing
        return vit.eval()

    stored = clip.VisionTransformer(SIDE, PATCH, WIDTH, LAYERS + 1, 1, False).state_dict()
    base = fill({k: torch.empty_like(v) for k, v in stored.items()}, 1)
    base.update(fill({"proj": torch.empty(WIDTH, 48), "ln_post.weight": torch.empty(WIDTH),
                      "ln_post.bias": torch.empty(WIDTH)}, 2))
    config = Blip2Config(
        num_query_tokens=QUERIES, image_text_hidden_size=24,
        vision_config=dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=1, num_attention_heads=1,
                           image_size=SIDE, patch_size=PATCH),
        qformer_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=1,
                            vocab_size=120, max_position_embeddings=40, cross_attention_frequency=2,
                            encoder_hidden_size=WIDTH, use_qformer_text_input=True))
    model = Blip2ForImageTextRetrieval(config).eval()
    trained = fill({k: v for k, v in model.state_dict().items() if not k.startswith("vision_model.")}, 3)
    model.load_state_dict(trained, strict=False)
    norm = fill({"weight": torch.empty(WIDTH), "bias": torch.empty(WIDTH)}, 4)
    ln_vision = torch.nn.LayerNorm(WIDTH)
    ln_vision.load_state_dict(norm)

    rng = np.random.default_rng(5)
    px = {s: torch.from_numpy(rng.uniform(-2, 2, (2, 3, s, s)).astype(np.float32)) for s in (SIDE, BIG)}
    ids = torch.tensor([[101, 7, 30, 12, 102], [101, 99, 3, 55, 102]])
    g = {"pixel_values": px[SIDE], "pixel_values_84": px[BIG], "input_ids": ids,
         "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        vit = tower(SIDE, 1, base)
        taps = []
        vit.ln_pre.register_forward_hook(lambda m, i, o: taps.append(o))
        for block in vit.transformer.resblocks:
            block.register_forward_hook(lambda m, i, o: taps.append(o.permute(1, 0, 2)))
        out = ln_vision(vit(px[SIDE]))
        g["vision.embeddings"], *layers = taps
        for i, t in enumerate(layers):
            g[f"vision.layer{i}"] = t
        g["vision.out"] = out
        g["vision.out_84"] = ln_vision(tower(BIG, 1, base)(px[BIG]))
        g["heads4.vision.out"] = ln_vision(tower(SIDE, 4, base)(px[SIDE]))
        model.vision_model.forward = lambda *a, **k: BaseModelOutputWithPooling(last_hidden_state=out)
        itm = model(pixel_values=px[SIDE], input_ids=ids, attention_mask=g["attention_mask"],
                    use_image_text_matching_head=True)
        itc = model(pixel_values=px[SIDE], input_ids=ids, attention_mask=g["attention_mask"],
                    use_image_text_matching_head=False)
        g["itm_logits"] = itm.logits_per_image
        g["itc_all_pairs"] = itc.logits_per_image
    save_file({k: v.contiguous() for k, v in g.items()}, os.path.join(HERE, "goldens.safetensors"))

    state = {lavis_name(k): v for k, v in trained.items() if "position_ids" not in k}
    state.update({f"ln_vision.{k}": v for k, v in norm.items()})
    state["temp"] = torch.tensor(0.07)
    state["Qformer.bert.embeddings.position_ids"] = torch.arange(40)[None]
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save({"model": half, "epoch": 9}, os.path.join(HERE, "blip2_pretrained_vitL.pth"))
    torch.save({k: v.half() for k, v in base.items()}, os.path.join(HERE, "clip_vit_L.pth"))


main(sys.argv[1])
