/* config/config_parse.c: from the JSON files of a model directory to a ModelConfig.
 *
 * Names and defaults are those of transformers' Blip2Config, Blip2VisionConfig,
 * Blip2QFormerConfig (configuration_blip_2.py), OPTConfig, T5Config and BlipImageProcessor. A
 * setting that would change the numbers and that is not implemented is refused by name. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "config/config.h"
#include "config/part.h"
#include "image/image.h"

enum { DIM_MAX = 1000 * 1000, LAYERS_MAX = 1000, PICTURE_MAX = 4096, GRID_MAX = 1024 };

static int size(const Part *p, const char *key, int def)
{
    return part_whole(p, key, def, 1, DIM_MAX);
}

static void heads_divide(const Part *p, int width, int heads)
{
    if (!p->e->code && width % heads != 0)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: num_attention_heads: expected a divisor of hidden_size %d, got %d", p->where,
                  width, heads);
}

/* Copies a short text of a file if it is harmless to print, else leaves "". */
static void copy_label(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)from[i] < 0x20 || (unsigned char)from[i] > 0x7e)
            n = 0;
    if (n >= cap)
        n = 0;
    memcpy(to, from, n);
    to[n] = 0;
}

/* --- config.json --------------------------------------------------------------------------------- */

static void read_vision(const Part *p, VitConfig *v)
{
    v->width = size(p, "hidden_size", 1408);
    v->mlp = size(p, "intermediate_size", 6144);
    v->layers = part_whole(p, "num_hidden_layers", 39, 1, LAYERS_MAX);
    v->heads = size(p, "num_attention_heads", 16);
    v->image = part_whole(p, "image_size", 224, 1, PICTURE_MAX);
    v->patch = part_whole(p, "patch_size", 14, 1, PICTURE_MAX);
    v->eps = (float)part_real(p, "layer_norm_eps", 1e-6, 0, 1);
    v->qkv_bias = part_flag(p, "qkv_bias", true);
    part_must_be(p, "hidden_act", "gelu");
    heads_divide(p, v->width, v->heads);
    if (!p->e->code && (v->patch > v->image || v->image / v->patch > GRID_MAX))
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: patch_size: expected 1 to %d patches along image_size %d, got patches of %d",
                  p->where, GRID_MAX, v->image, v->patch);
}

static void read_qformer(const Part *p, const VitConfig *vit, QformerConfig *q)
{
    q->width = size(p, "hidden_size", 768);
    q->mlp = size(p, "intermediate_size", 3072);
    q->layers = part_whole(p, "num_hidden_layers", 12, 1, LAYERS_MAX);
    q->heads = size(p, "num_attention_heads", 12);
    q->cross_every = part_whole(p, "cross_attention_frequency", 2, 1, LAYERS_MAX);
    q->eps = (float)part_real(p, "layer_norm_eps", 1e-12, 0, 1);
    q->text = part_flag(p, "use_qformer_text_input", false);
    q->image_width = size(p, "encoder_hidden_size", vit->width);
    part_must_be(p, "hidden_act", "gelu");
    part_must_be(p, "position_embedding_type", "absolute");
    heads_divide(p, q->width, q->heads);
    if (!p->e->code && q->image_width != vit->width)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: encoder_hidden_size: expected %d as vision_config: hidden_size, got %d",
                  p->where, vit->width, q->image_width);
}

static void read_opt(const Part *p, OptConfig *o)
{
    o->width = size(p, "hidden_size", 768);
    o->layers = part_whole(p, "num_hidden_layers", 12, 1, LAYERS_MAX);
    o->heads = size(p, "num_attention_heads", 12);
    o->mlp = size(p, "ffn_dim", 3072);
    o->vocab = size(p, "vocab_size", 50272);
    o->positions = size(p, "max_position_embeddings", 2048);
    int proj = size(p, "word_embed_proj_dim", o->width);
    part_must_be(p, "activation_function", "relu");
    part_must_flag(p, "do_layer_norm_before", true);
    part_must_flag(p, "enable_bias", true);
    part_must_flag(p, "layer_norm_elementwise_affine", true);
    part_must_flag(p, "_remove_final_layer_norm", false);
    heads_divide(p, o->width, o->heads);
    if (!p->e->code && proj != o->width)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: word_embed_proj_dim: expected %d as hidden_size, got %d (projected "
                  "embeddings are not supported)",
                  p->where, o->width, proj);
}

/* The class decides; a file without one is a matching model when its Q-Former reads text. */
static bool is_matching(const Part *p, const QformerConfig *q)
{
    const json_t *list = part_member(p, "architectures"), *v;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return q->text;
    json_array_foreach(list, i, v)
    {
        const char *s = json_is_string(v) ? json_string_value(v) : "";
        if (strcmp(s, "Blip2ForImageTextRetrieval") == 0 ||
            strcmp(s, "Blip2TextModelWithProjection") == 0 ||
            strcmp(s, "Blip2VisionModelWithProjection") == 0)
            return true;
    }
    return false;
}

static ModelKind read_kind(const Part *p, const Part *lm, const QformerConfig *q)
{
    if (is_matching(p, q))
        return MODEL_MATCHING;
    const char *type = part_text(lm, "model_type", "opt");
    if (strcmp(type, "t5") == 0)
        return MODEL_T5;
    part_must_be(lm, "model_type", "opt");
    return MODEL_OPT;
}

/* Ids lie in the vocabulary; where another network's vocabulary counts, any id will do. */
static int id_max(const ModelConfig *c)
{
    return c->kind == MODEL_OPT ? c->opt.vocab - 1 : INT_MAX;
}

static void read_eos(const Part *p, const ModelConfig *c, GenOptions *g)
{
    const json_t *v = part_member(p, "eos_token_id");
    if (!json_is_array(v)) {
        g->eos[0] = part_whole(p, "eos_token_id", g->eos[0], 0, id_max(c));
        g->n_eos = v ? 1 : g->n_eos;
        return;
    }
    g->n_eos = 0;
    if (json_array_size(v) > MAX_EOS)
        error_set(p->e, ERR_BAD_MODEL, "%s: eos_token_id: expected 1 to %d ids, got %zu", p->where,
                  MAX_EOS, json_array_size(v));
    for (size_t i = 0; i < json_array_size(v) && !p->e->code; i++) {
        const json_t *id = json_array_get(v, i);
        bool ok = json_is_integer(id) && json_integer_value(id) >= 0 &&
                  json_integer_value(id) <= id_max(c);
        if (!ok) {
            error_set(p->e, ERR_BAD_MODEL,
                      "%s: eos_token_id: expected 1 to %d ids in [0, %d], got something else",
                      p->where, MAX_EOS, id_max(c));
            return;
        }
        g->eos[g->n_eos++] = (int)json_integer_value(id);
    }
    if (g->n_eos == 0)
        error_set(p->e, ERR_BAD_MODEL, "%s: eos_token_id: expected 1 to %d ids, got none", p->where,
                  MAX_EOS);
}

static void read_ids(const Part *p, ModelConfig *c)
{
    c->bos = part_whole(p, "bos_token_id", c->bos, 0, id_max(c));
    c->pad = part_whole(p, "pad_token_id", c->pad, 0, id_max(c));
    read_eos(p, c, &c->gen);
}

/* image_token_id is the newer spelling of image_token_index. Matching models drop these ids before
 * any embedding. */
static int read_image_token(const Part *p, const ModelConfig *c)
{
    int max = c->kind == MODEL_OPT ? id_max(c) : INT_MAX;
    int id = part_whole(p, "image_token_id", -1, 0, max);
    return part_whole(p, "image_token_index", id, 0, max);
}

static void read_model(const Part *p, ModelConfig *c)
{
    Part vision, qformer, lm;
    part_must_be(p, "model_type", "blip-2");
    part_child(&vision, p, "vision_config");
    part_child(&qformer, p, "qformer_config");
    part_child(&lm, p, "text_config");
    read_vision(&vision, &c->vit);
    read_qformer(&qformer, &c->vit, &c->qformer);
    c->qformer.queries = part_whole(p, "num_query_tokens", 32, 1, PICTURE_MAX);
    c->kind = read_kind(p, &lm, &c->qformer);
    if (c->kind == MODEL_OPT)
        read_opt(&lm, &c->opt);
    bool t5 = c->kind == MODEL_T5;
    c->gen = GEN_NEUTRAL;
    c->bos = c->gen.eos[0] = t5 ? 1 : 2;
    c->pad = t5 ? 0 : 1;
    c->gen.n_eos = 1;
    if (c->kind != MODEL_MATCHING)
        read_ids(&lm, c);
    c->image_token = read_image_token(p, c);
    copy_label(c->licence, sizeof c->licence, part_text(p, "license", ""));
}

/* --- generation_config.json ---------------------------------------------------------------------- */

const GenOptions GEN_NEUTRAL = {.library = LIB_HF,
                                .num_beams = 1,
                                .num_captions = 1,
                                .length_penalty = 1,
                                .repetition_penalty = 1,
                                .top_k = 50,
                                .top_p = 1,
                                .temperature = 1};

static EarlyStopping read_early(const Part *p)
{
    const json_t *v = part_member(p, "early_stopping");
    if (json_is_string(v) && strcmp(json_string_value(v), "never") == 0)
        return EARLY_NEVER;
    if (v && !json_is_boolean(v))
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: early_stopping: expected true, false or \"never\", got something else",
                  p->where);
    return json_is_true(v) ? EARLY_TRUE : EARLY_FALSE;
}

/* As if it were not there: null, false, "", [], {} or the number that changes nothing. */
static bool is_neutral(const json_t *v, double neutral)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_number(v) && json_number_value(v) == neutral);
}

/* Settings of transformers' GenerationConfig that change ids and are not implemented. */
static void refuse_unsupported(const Part *p)
{
    static const struct {
        const char *key;
        double neutral;
    } UNSUPPORTED[] = {
        {"forced_bos_token_id", -1},
        {"forced_eos_token_id", -1},
        {"suppress_tokens", 0},
        {"begin_suppress_tokens", 0},
        {"bad_words_ids", 0},
        {"force_words_ids", 0},
        {"constraints", 0},
        {"sequence_bias", 0},
        {"num_beam_groups", 1},
        {"diversity_penalty", 0},
        {"penalty_alpha", 0},
        {"min_p", 0},
        {"typical_p", 1},
        {"epsilon_cutoff", 0},
        {"eta_cutoff", 0},
        {"guidance_scale", 1},
        {"encoder_repetition_penalty", 1},
        {"encoder_no_repeat_ngram_size", 0},
        {"exponential_decay_length_penalty", 0},
        {"watermarking_config", 0},
    };
    for (size_t i = 0; i < sizeof UNSUPPORTED / sizeof *UNSUPPORTED; i++)
        if (!is_neutral(part_member(p, UNSUPPORTED[i].key), UNSUPPORTED[i].neutral))
            error_set(p->e, ERR_BAD_MODEL,
                      "%s: %s: expected it unset, got a setting that this version cannot follow",
                      p->where, UNSUPPORTED[i].key);
}

static void read_generation(const Part *p, ModelConfig *c)
{
    GenOptions *g = &c->gen;
    refuse_unsupported(p);
    read_ids(p, c);
    g->num_beams = part_whole(p, "num_beams", g->num_beams, 1, 1000);
    g->max_new_tokens = part_whole(p, "max_new_tokens", g->max_new_tokens, 0, DIM_MAX);
    g->min_new_tokens = part_whole(p, "min_new_tokens", g->min_new_tokens, 0, DIM_MAX);
    g->max_length = part_whole(p, "max_length", g->max_length, 0, DIM_MAX);
    g->min_length = part_whole(p, "min_length", g->min_length, 0, DIM_MAX);
    g->length_penalty = part_real(p, "length_penalty", g->length_penalty, -100, 100);
    g->repetition_penalty = part_real(p, "repetition_penalty", g->repetition_penalty, 1e-3, 1e3);
    g->no_repeat_ngram = part_whole(p, "no_repeat_ngram_size", g->no_repeat_ngram, 0, DIM_MAX);
    g->sample = part_flag(p, "do_sample", g->sample);
    g->top_k = part_whole(p, "top_k", g->top_k, 0, DIM_MAX);
    g->top_p = part_real(p, "top_p", g->top_p, 0, 1);
    g->temperature = part_real(p, "temperature", g->temperature, 0, 1e6);
    g->early_stopping = read_early(p);
}

/* --- preprocessor_config.json, processor_config.json --------------------------------------------- */

static int read_pixels(const Part *p, int def)
{
    Part size_part;
    const json_t *v = part_member(p, "size");
    if (!json_is_object(v))
        return part_whole(p, "size", def, 1, PICTURE_MAX);
    part_child(&size_part, p, "size");
    int height = part_whole(&size_part, "height", 0, 1, PICTURE_MAX);
    int width = part_whole(&size_part, "width", 0, 1, PICTURE_MAX);
    if (height == 0 || width != height)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: size: expected equal height and width, got height %d and width %d", p->where,
                  height, width);
    return p->e->code ? def : height;
}

static void read_triple(const Part *p, const char *key, bool positive, float out[3])
{
    const json_t *v = part_member(p, key);
    if (!v)
        return;
    bool ok = json_is_array(v) && json_array_size(v) == 3;
    for (size_t i = 0; ok && i < 3; i++) {
        const json_t *x = json_array_get(v, i);
        double d = json_is_number(x) ? json_number_value(x) : NAN;
        ok = fabs(d) <= 1000 && (!positive || d >= 1e-6); /* false for NaN, too */
        out[i] = ok ? (float)d : 0;
    }
    if (!ok)
        error_set(p->e, ERR_BAD_MODEL, "%s: %s: expected 3 numbers%s, got something else", p->where,
                  key, positive ? " above 0" : "");
}

static void read_image_processor(const Part *p, ModelConfig *c)
{
    c->pixels = read_pixels(p, c->pixels);
    read_triple(p, "image_mean", false, c->mean);
    read_triple(p, "image_std", true, c->std);
    part_must_flag(p, "do_resize", true);
    part_must_flag(p, "do_rescale", true);
    part_must_flag(p, "do_normalize", true);
    part_must_flag(p, "do_center_crop", false);
    int resample = part_whole(p, "resample", 3, 0, 100);
    if (resample != 3)
        error_set(p->e, ERR_BAD_MODEL, "%s: resample: expected 3 (bicubic), got %d (not supported)",
                  p->where, resample);
    double factor = part_real(p, "rescale_factor", 1.0 / 255, 0, 1);
    if (fabs(factor * 255 - 1) > 1e-6)
        error_set(p->e, ERR_BAD_MODEL, "%s: rescale_factor: expected 1/255, got %g (not supported)",
                  p->where, factor);
}

/* Newer files nest the picture settings here, where they win. */
static void read_processor(const Part *p, ModelConfig *c)
{
    Part image;
    part_child(&image, p, "image_processor");
    read_image_processor(&image, c);
    int queries = part_whole(p, "num_query_tokens", 0, 1, DIM_MAX);
    c->legacy_layout = queries == 0;
    if (queries && queries != c->qformer.queries)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: num_query_tokens: expected %d as in config.json, got %d", p->where,
                  c->qformer.queries, queries);
}

/* --- all together -------------------------------------------------------------------------------- */

static void finish(ModelConfig *c, const char *dir, Error *e)
{
    int grid = e->code ? 1 : c->pixels / c->vit.patch;
    if (grid < 1 || grid > GRID_MAX)
        error_set(
            e, ERR_BAD_MODEL,
            "%s/preprocessor_config.json: size: expected 1 to %d patches of %d, got %d pixels", dir,
            GRID_MAX, c->vit.patch, c->pixels);
    for (int i = -2; i < c->gen.n_eos && !e->code; i++) {
        int id = i == -2 ? c->bos : i == -1 ? c->pad : c->gen.eos[i];
        if (id > id_max(c)) /* a default that a tiny vocabulary does not reach */
            error_set(e, ERR_BAD_MODEL,
                      "%s/config.json: text_config: vocab_size: expected more "
                      "than the id %d, got %d",
                      dir, id, c->opt.vocab);
    }
    /* LAVIS' caption checkpoints, which alone see 364 pixels, were tuned with this prompt
     * (lavis/projects/blip2/train/caption_coco_ft.yaml); the HF files do not say so. */
    if (c->kind != MODEL_MATCHING && (c->vit.image == 364 || c->pixels == 364))
        strcpy(c->prompt, "a photo of");
}

static void read_file(ModelConfig *c, ConfigFile file, const Part *p)
{
    switch (file) {
    case CONFIG_MODEL:
        read_model(p, c);
        c->pixels = c->vit.image;
        break;
    case CONFIG_GENERATION: read_generation(p, c); break;
    case CONFIG_PREPROCESSOR: read_image_processor(p, c); break;
    default: read_processor(p, c);
    }
}

const char *config_file_name(ConfigFile file)
{
    static const char *const NAMES[CONFIG_FILES] = {"config.json", "generation_config.json",
                                                    "preprocessor_config.json",
                                                    "processor_config.json"};
    return NAMES[file];
}

bool config_parse(ModelConfig *c, const ConfigText texts[CONFIG_FILES], const char *dir, Error *e)
{
    Error first = {0};
    *c = (ModelConfig){.mean = CLIP_MEAN, .std = CLIP_STD};
    for (int i = 0; i < CONFIG_FILES && !first.code; i++) {
        Part p;
        json_t *doc = part_open(&p, texts[i].text, texts[i].size, dir,
                                config_file_name((ConfigFile)i), &first);
        read_file(c, (ConfigFile)i, &p);
        json_decref(doc);
    }
    finish(c, dir, &first);
    return !first.code || error_set(e, first.code, "%s", first.message);
}
