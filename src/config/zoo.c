/* config/zoo.c: the sizes of the published models: the config.json files of the Hugging Face
 * repositories Salesforce/blip2-*, and LAVIS' lavis/configs/models/blip2 and models/clip_vit.py for
 * the two with ViT-L. */
#include <string.h>

#include "base/str.h"
#include "ckpt/hub.h"
#include "config/config.h"
#include "image/image.h"

typedef struct Size {
    ModelKind kind;
    bool vit_l, coco, big; /* coco: tuned at 364 pixels; big: OPT-6.7b, Flan-T5-xxl */
} Size;

/* From the short name: the table of names is ckpt/hub.c's. */
static Size size_of(const char *name)
{
    return (Size){.kind = str_starts(name, "opt-")   ? MODEL_OPT
                          : str_starts(name, "itm-") ? MODEL_MATCHING
                                                     : MODEL_T5,
                  .vit_l = str_ends(name, "vit-l"),
                  .coco = str_ends(name, "-coco"),
                  .big = str_starts(name, "opt-6.7b") || str_starts(name, "flan-t5-xxl")};
}

static VitConfig vit_g(int pixels)
{
    return (VitConfig){.width = 1408,
                       .layers = 39,
                       .heads = 16,
                       .mlp = 6144,
                       .image = pixels,
                       .patch = 14,
                       .eps = 1e-6f,
                       .post_eps = 1e-6f,
                       .qkv_bias = true};
}

static VitConfig vit_l(void)
{
    return (VitConfig){.width = 1024,
                       .layers = 23,
                       .heads = 16,
                       .mlp = 4096,
                       .image = 224,
                       .patch = 14,
                       .eps = 1e-5f,
                       .post_eps = 1e-5f,
                       .qkv_bias = true,
                       .quick_gelu = true,
                       .clip = true};
}

static QformerConfig qformer(int image_width, bool text)
{
    return (QformerConfig){.width = 768,
                           .layers = 12,
                           .heads = 12,
                           .mlp = 3072,
                           .queries = 32,
                           .cross_every = 2,
                           .image_width = image_width,
                           .eps = 1e-12f,
                           .text = text,
                           .vocab = 30523, /* [DEC] beside BERT's */
                           .positions = 512};
}

/* The vocabulary has 50304 rows since the hub's files know the image token. */
static OptConfig opt(bool big)
{
    return (OptConfig){.width = big ? 4096 : 2560,
                       .layers = 32,
                       .heads = 32,
                       .mlp = big ? 16384 : 10240,
                       .vocab = 50304,
                       .positions = 2048};
}

static T5Config t5(bool big)
{
    return (T5Config){.width = big ? 4096 : 2048,
                      .key_width = 64,
                      .heads = big ? 64 : 32,
                      .mlp = big ? 10240 : 5120,
                      .layers = 24,
                      .decoder_layers = 24,
                      .vocab = 32128,
                      .buckets = 32,
                      .distance = 128,
                      .eps = 1e-6f};
}

static void fill(ModelConfig *c, Size s)
{
    *c = (ModelConfig){.kind = s.kind,
                       .parts = PARTS_GENERATION,
                       .feature = 256,
                       .image_token = s.kind == MODEL_T5 ? 32100 : 50265,
                       .mean = CLIP_MEAN,
                       .std = CLIP_STD};
    c->gen = GEN_NEUTRAL;
    c->start = -1;
    c->bos = 2;
    c->pad = 1;
    c->gen.eos[0] = 50118;
    c->gen.n_eos = 1;
    c->vit = s.vit_l ? vit_l() : vit_g(s.coco ? 364 : 224);
    c->qformer = qformer(c->vit.width, s.kind == MODEL_MATCHING);
    c->pixels = c->vit.image;
    if (s.kind == MODEL_OPT)
        c->opt = opt(s.big);
    if (s.kind == MODEL_T5) {
        c->t5 = t5(s.big);
        c->start = 0;
        c->bos = c->gen.eos[0] = 1;
        c->pad = 0;
    }
    if (s.kind == MODEL_MATCHING) {
        c->image_token = -1;
        c->parts = PARTS_RETRIEVAL | PART_WORD_HEAD | PART_TEMPERATURE;
        c->start = c->qformer.vocab - 1;
        config_bert_ids(c);
    } else if (s.coco)
        strcpy(c->prompt, "a photo of");
}

const char *zoo_name(int i)
{
    const HubModel *m = hub_at(i);
    return m ? m->name : NULL;
}

bool zoo_config(ModelConfig *c, const char *name, Error *e)
{
    const HubModel *m = hub_find(name);
    if (m) {
        fill(c, size_of(m->name));
        return true;
    }
    StrBuf known = {0};
    for (int i = 0; zoo_name(i); i++)
        strbuf_printf(&known, i ? ", %s" : "%s", zoo_name(i));
    if (known.failed)
        error_memory(e, name, known.cap);
    else
        error_set(e, ERR_NO_MODEL, "%.200s: model: expected one of %s, got something else", name,
                  known.data);
    strbuf_free(&known);
    return false;
}
