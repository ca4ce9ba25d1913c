"""What transformers makes of picture files and texts with the tiny models of ../itm, ../opt and ../t5: the whole way that
the public calls go, tokenizer and preparation of pictures included.

    python make.py        with PyTorch 2.15, transformers 5.24, safetensors 0.8, Pillow 12

Pictures are resized by Pillow and normalised as LAVIS' BlipImageEvalProcessor does it, texts go through BertTokenizer with
the vocab.txt beside this file, each alone, without padding; arrays are filled up with zeros behind a text's rows.
goldens.safetensors, for P pictures and T texts, pairs in the order picture 0 with every text, picture 1, ...:
text_rows [T]; vision, image_embeds, image_embeds_proj [P, ...]; text_embeds, text_embeds_proj [T, ...];
multimodal_embeds, itm_logits [P*T, ...]; itc [P*T]; language.opt, language.t5 [P, ...].
All in float32.
"""
import json
import os

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (BertTokenizer, Blip2Config, Blip2ForConditionalGeneration,
                          Blip2ForImageTextRetrieval)

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.dirname(HERE)
SAMPLES = os.path.join(GOLDEN, "..", "..", "models", "scenes", "samples")
PICTURES = ["scene000.png", "scene004.png", "scene007.png"]
TEXTS = ["a cat", "red dogs on the left of a blue car", "A Cat!", ""]
SIDE, QUERIES = 56, 6
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def prepare(name):
    image = Image.open(os.path.join(SAMPLES, name)).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)
    x = (np.asarray(image, np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(x.transpose(2, 0, 1)).contiguous()


def load(name, kind):
    folder = os.path.join(GOLDEN, name)
    config = Blip2Config.from_dict(json.load(open(folder + "/config.json")))
    config._attn_implementation = "eager"
    model = kind(config).eval()
    if name == "t5":  # the head is tied when the model is made, whatever the configuration says
        head = model.language_model.lm_head
        head.weight = torch.nn.Parameter(torch.empty_like(head.weight))
    missing, unexpected = model.load_state_dict(load_file(folder + "/model.safetensors"), strict=False)
    tied = {"language_model.lm_head.weight", "language_model.encoder.embed_tokens.weight",
            "language_model.decoder.embed_tokens.weight"}
    assert set(missing) <= tied and not unexpected, (missing, unexpected)
    return model


def padded(rows):
    n = max(len(r) for r in rows)
    return torch.stack([torch.nn.functional.pad(r, (0, 0, 0, n - len(r))) for r in rows])


def matching(pixels):
    model = load("itm", Blip2ForImageTextRetrieval)
    words = BertTokenizer(os.path.join(HERE, "vocab.txt"))
    unit = torch.nn.functional.normalize
    ids = [words(t, return_tensors="pt").input_ids for t in TEXTS]
    print([i[0].tolist() for i in ids])
    g = {"text_rows": torch.tensor([i.shape[1] for i in ids])}
    tower = model.vision_model(pixels).last_hidden_state
    seen = torch.ones(tower.shape[:2], dtype=torch.long)
    queries = model.qformer(query_embeds=model.query_tokens.expand(len(pixels), -1, -1),
                            encoder_hidden_states=tower, encoder_attention_mask=seen).last_hidden_state
    g.update(vision=tower, image_embeds=queries, image_embeds_proj=unit(model.vision_projection(queries), dim=-1))
    text = [model.qformer(query_embeds=model.embeddings(input_ids=i), query_length=0,
                          attention_mask=torch.ones_like(i)).last_hidden_state[0] for i in ids]
    g["text_embeds"] = padded(text)
    g["text_embeds_proj"] = padded([unit(model.text_projection(t), dim=-1) for t in text])
    both, itm, itc = [], [], []
    for p in range(len(pixels)):
        for i in ids:
            embeds = model.embeddings(input_ids=i, query_embeds=model.query_tokens)
            both.append(model.qformer(query_embeds=embeds, query_length=QUERIES,
                                      attention_mask=torch.ones((1, QUERIES + i.shape[1]), dtype=torch.long),
                                      encoder_hidden_states=tower[p:p + 1],
                                      encoder_attention_mask=seen[p:p + 1]).last_hidden_state[0, :QUERIES])
            one = dict(pixel_values=pixels[p:p + 1], input_ids=i, attention_mask=torch.ones_like(i))
            itm.append(model(**one, use_image_text_matching_head=True).logits_per_image[0])
            itc.append(model(**one, use_image_text_matching_head=False).logits_per_image[0, 0])
    g.update(multimodal_embeds=torch.stack(both), itm_logits=torch.stack(itm), itc=torch.stack(itc))
    return g


def language(name, pixels):
    model = load(name, Blip2ForConditionalGeneration)
    tower = model.vision_model(pixels).last_hidden_state
    queries = model.qformer(query_embeds=model.query_tokens.expand(len(pixels), -1, -1),
                            encoder_hidden_states=tower).last_hidden_state
    return model.language_projection(queries)


def main():
    transformers.logging.set_verbosity_error()
    pixels = torch.stack([prepare(n) for n in PICTURES])
    with torch.no_grad():
        g = matching(pixels)
        for name in ("opt", "t5"):
            g["language." + name] = language(name, pixels)
    save_file({k: v.contiguous() for k, v in g.items()}, os.path.join(HERE, "goldens.safetensors"))


main()
