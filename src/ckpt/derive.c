/* ckpt/derive.c: see ckpt/derive.h. */
#include "ckpt/derive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

enum { LAYERS_MAX = 1000, CONFIG_MAX = 1 << 20, PICTURE_SIDE = 4096 };

#define VIT  "vision_model."
#define BERT "qformer.encoder.layer."

typedef struct Derive {
    Checkpoint *c;
    Error *e;
} Derive;

int64_t derive_extent(Checkpoint *c, const char *name, int dim)
{
    const CkptTensor *t = ckpt_find(c, name);
    return t && dim <= t->rank ? t->shape[t->rank - dim] : 0;
}

static bool has(const Derive *d, const char *name)
{
    return ckpt_find(d->c, name) != NULL;
}

/* An extent that must be known; 0 with an error. */
static int extent(const Derive *d, const char *name, int dim)
{
    int64_t n = derive_extent(d->c, name, dim);
    if (n > 0 && n <= 1000 * 1000)
        return (int)n;
    if (!has(d, name))
        error_set(d->e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected, but missing", ckpt_path(d->c),
                  name);
    else
        error_set(d->e, ERR_BAD_MODEL,
                  "%s: tensor \"%s\": expected an extent of 1 to 1000000, got another shape",
                  ckpt_path(d->c), name);
    return 0;
}

/* How many layers there are of which `tail` is a weight: FRONT0TAIL, FRONT1TAIL, ... */
static int layers(const Derive *d, const char *front, const char *tail)
{
    char name[256];
    int n = 0;
    while (n < LAYERS_MAX) {
        snprintf(name, sizeof name, "%s%d%s", front, n, tail);
        if (!has(d, name))
            break;
        n++;
    }
    return n;
}

/* Heads of a width that LAVIS' code fixes. */
static int heads(const Derive *d, const char *part, int width, int each)
{
    if (d->e->code || width % each == 0)
        return width / each;
    error_set(
        d->e, ERR_BAD_MODEL,
        "%s: %s: expected a width of whole heads of %d, got %d: a config.json beside the file "
        "would say how many heads there are",
        ckpt_path(d->c), part, each, width);
    return 0;
}

/* --- vision tower --------------------------------------------------------------------------------- */

static bool is_clip(const Derive *d)
{
    return has(d, VIT "pre_layernorm.weight");
}

/* LAVIS builds ViT-g with 39 of EVA's 40 blocks and ViT-L with 23 of CLIP's 24; a tower that was trained with
 * the model is saved as it is. */
static int vit_layers(const Derive *d)
{
    static const char FRONT[] = VIT "encoder.layers.", TAIL[] = ".mlp.fc1.weight";
    char name[256];
    int n = layers(d, FRONT, TAIL);
    if (n == 0) {
        extent(d, VIT "encoder.layers.0.mlp.fc1.weight", 1);
        return 0;
    }
    snprintf(name, sizeof name, "%s%d%s", FRONT, n - 1, TAIL);
    return n - (n > 1 && ckpt_find(d->c, name)->piece == PIECE_VIT);
}

/* Pixels of a side, from the rows of the position table: the class token's and one for each patch. */
static int picture_side(const Derive *d, int patch)
{
    static const char TABLE[] = VIT "embeddings.position_embedding";
    int rows = extent(d, TABLE, 2), side = (int)sqrt((double)(rows > 0 ? rows - 1 : 0));
    if (d->e->code ||
        (side * side == rows - 1 && side > 0 && side * (int64_t)patch <= PICTURE_SIDE))
        return side * patch;
    error_set(d->e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected 1 + n * n rows, got %d",
              ckpt_path(d->c), TABLE, rows);
    return 0;
}

static int patch_side(const Derive *d)
{
    return extent(d, VIT "embeddings.patch_embedding.weight", 1);
}

static json_t *vision(const Derive *d)
{
    bool clip = is_clip(d);
    int width = extent(d, VIT "embeddings.class_embedding", 1);
    int patch = patch_side(d);
    const CkptTensor *norm = ckpt_find(d->c, VIT "post_layernorm.weight");
    bool lavis = norm && strstr(norm->given, "ln_vision") != NULL;
    double eps = clip ? 1e-5 : 1e-6;
    json_t *o = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:b}", "model_type",
        "blip_2_vision_model", "hidden_size", width, "intermediate_size",
        extent(d, VIT "encoder.layers.0.mlp.fc1.weight", 2), "num_hidden_layers", vit_layers(d),
        "num_attention_heads", heads(d, "vision tower", width, clip ? 64 : 88), "image_size",
        picture_side(d, patch), "patch_size", patch, "hidden_act", clip ? "quick_gelu" : "gelu",
        "layer_norm_eps", eps, "post_layernorm_eps", lavis ? 1e-5 : eps, "qkv_bias", 1);
    if (o && clip)
        json_object_set_new(o, "pre_layernorm", json_true());
    return o;
}

/* --- Q-Former -------------------------------------------------------------------------------------- */

static json_t *qformer(const Derive *d, int image_width)
{
    int width = extent(d, "query_tokens", 1);
    int n = layers(d, BERT, ".intermediate_query.dense.weight");
    bool text = has(d, BERT "0.intermediate.dense.weight");
    int64_t vocab = derive_extent(d->c, "embeddings.word_embeddings.weight", 2);
    int64_t places = derive_extent(d->c, "embeddings.position_embeddings.weight", 2);
    int every = 1;
    char name[256];
    for (; every < n; every++) {
        snprintf(name, sizeof name, BERT "%d.crossattention.attention.query.weight", every);
        if (has(d, name))
            break;
    }
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:i, s:i, s:b}", "model_type",
                     "blip_2_qformer", "hidden_size", width, "intermediate_size",
                     extent(d, BERT "0.intermediate_query.dense.weight", 2), "num_hidden_layers", n,
                     "num_attention_heads", heads(d, "Q-Former", width, 64),
                     "cross_attention_frequency", every, "encoder_hidden_size", image_width,
                     "hidden_act", "gelu", "layer_norm_eps", 1e-12, "vocab_size",
                     (int)(vocab > 0 ? vocab : 30523), "max_position_embeddings",
                     (int)(places > 0 ? places : 512), "use_qformer_text_input", (int)text);
}

/* --- language model -------------------------------------------------------------------------------- */

enum { NEWLINE = 50118 }; /* "\n", at which LAVIS ends what OPT says (blip2_opt.py, eos_token_id) */

static json_t *read_language(const Derive *d, const Folder *from)
{
    static const char FILE[] = "config.json";
    size_t n;
    char *path = folder_path(from, FILE);
    char *text = path ? folder_read(from, FILE, CONFIG_MAX, &n, ERR_BAD_MODEL, d->e) : NULL;
    json_t *o = text ? json_parse(text, n, path, ERR_BAD_MODEL, d->e) : NULL;
    if (!path)
        error_memory(d->e, FILE, strlen(from->path));
    if (o && !json_is_object(o)) {
        error_set(d->e, ERR_BAD_MODEL, "%s: file: expected an object, got something else", path);
        json_decref(o);
        o = NULL;
    }
    mem_free(text);
    mem_free(path);
    return o;
}

/* What LAVIS sets where it opens a language model (blip2_opt.py, blip2_t5.py). */
static json_t *as_lavis(json_t *o)
{
    const char *type = json_string_value(json_object_get(o, "model_type"));
    if (type && strcmp(type, "t5") == 0) {
        json_object_set_new(o, "dense_act_fn", json_string("gelu"));
        json_object_set_new(o, "bos_token_id", json_integer(1));
    } else if (json_integer_value(json_object_get(o, "vocab_size")) > NEWLINE) {
        json_object_set_new(o, "eos_token_id", json_integer(NEWLINE));
    }
    return o;
}

/* Heads of the published sizes. */
static int opt_heads(const Derive *d, int width)
{
    static const int KNOWN[][2] = {{768, 12},  {1024, 16}, {2048, 32}, {2560, 32},
                                   {4096, 32}, {5120, 40}, {7168, 56}};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (KNOWN[i][0] == width)
            return KNOWN[i][1];
    error_set(d->e, ERR_BAD_MODEL,
              "%s: language model: expected a known width, got %d: the config.json of the language "
              "model, in its own directory, would say how many heads there are",
              ckpt_path(d->c), width);
    return 0;
}

#define OPT "language_model.model.decoder."
#define T5  "language_model."

static json_t *derive_opt(const Derive *d)
{
    int width = extent(d, OPT "embed_tokens.weight", 1);
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "opt",
                     "hidden_size", width, "num_hidden_layers",
                     layers(d, OPT "layers.", ".fc1.weight"), "ffn_dim",
                     extent(d, OPT "layers.0.fc1.weight", 2), "num_attention_heads",
                     opt_heads(d, width), "vocab_size", extent(d, OPT "embed_tokens.weight", 2),
                     "max_position_embeddings", extent(d, OPT "embed_positions.weight", 2) - 2,
                     "word_embed_proj_dim", width, "bos_token_id", 2, "pad_token_id", 1,
                     "eos_token_id", NEWLINE);
}

static json_t *derive_t5(const Derive *d)
{
    static const char BIAS[] =
        T5 "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    int n_heads = extent(d, BIAS, 1);
    int inner = extent(d, T5 "encoder.block.0.layer.0.SelfAttention.q.weight", 2);
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:b, s:b, s:i, s:i}",
                     "model_type", "t5", "d_model", extent(d, T5 "shared.weight", 1), "d_kv",
                     n_heads > 0 ? inner / n_heads : 0, "d_ff",
                     extent(d, T5 "encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 2),
                     "num_layers", layers(d, T5 "encoder.block.", ".layer.0.layer_norm.weight"),
                     "num_decoder_layers",
                     layers(d, T5 "decoder.block.", ".layer.0.layer_norm.weight"), "num_heads",
                     n_heads, "relative_attention_num_buckets", extent(d, BIAS, 2), "vocab_size",
                     extent(d, T5 "shared.weight", 2), "feed_forward_proj", "gated-gelu",
                     "dense_act_fn", "gelu", "tie_word_embeddings", 0, "scale_decoder_outputs", 0,
                     "bos_token_id", 1, "decoder_start_token_id", 0);
}

static json_t *language_model(const Derive *d, const Folder *from)
{
    if (from) {
        json_t *o = read_language(d, from);
        return o ? as_lavis(o) : NULL;
    }
    return has(d, T5 "encoder.block.0.layer.0.layer_norm.weight") ? derive_t5(d) : derive_opt(d);
}

/* --- all together ---------------------------------------------------------------------------------- */

static void add_matching(const Derive *d, json_t *o)
{
    int64_t width = derive_extent(d->c, "text_projection.weight", 2);
    json_object_set_new(o, "architectures", json_pack("[s]", "Blip2ForImageTextRetrieval"));
    json_object_set_new(o, "image_text_hidden_size", json_integer(width > 0 ? width : 256));
}

static json_t *all(const Derive *d, const Folder *language)
{
    json_t *o = json_pack("{s:s, s:i}", "model_type", "blip-2", "num_query_tokens",
                          extent(d, "query_tokens", 2));
    json_t *v = d->e->code ? NULL : vision(d);
    json_t *q =
        d->e->code ? NULL : qformer(d, (int)json_integer_value(json_object_get(v, "hidden_size")));
    json_object_set_new(o, "vision_config", v);
    json_object_set_new(o, "qformer_config", q);
    if (has(d, "language_projection.weight")) {
        json_object_set_new(o, "architectures", json_pack("[s]", "Blip2ForConditionalGeneration"));
        if (!d->e->code)
            json_object_set_new(o, "text_config", language_model(d, language));
    } else {
        add_matching(d, o);
    }
    return o;
}

const char *derive_config(Checkpoint *c, const Folder *language, Arena *mem, Error *e)
{
    Error first = {0};
    Derive d = {c, &first};
    json_t *o = all(&d, language);
    char *text = o && !first.code ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL,
         *kept = NULL;
    if (text)
        kept = arena_strdup(mem, text);
    free(text);
    json_decref(o);
    if (first.code)
        error_set(e, first.code, "%s", first.message);
    else if (!kept)
        error_memory(e, ckpt_path(c), CONFIG_MAX);
    return kept;
}

const char *derive_pictures(Checkpoint *c, Arena *mem)
{
    Error ignored = {0};
    Derive d = {c, &ignored};
    int side = picture_side(&d, patch_side(&d));
    return arena_printf(
        mem,
        "{\n \"image_processor_type\": \"BlipImageProcessor\",\n \"do_resize\": true,\n "
        "\"size\": {\"height\": %d, \"width\": %d},\n \"resample\": 3,\n "
        "\"do_rescale\": true,\n \"rescale_factor\": 0.00392156862745098,\n "
        "\"do_normalize\": true,\n \"do_convert_rgb\": true,\n "
        "\"image_mean\": [0.48145466, 0.4578275, 0.40821073],\n "
        "\"image_std\": [0.26862954, 0.26130258, 0.27577711]\n}\n",
        side, side);
}
