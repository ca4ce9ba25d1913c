/* config/config_parse.c: from the JSON files of a model directory to a ModelConfig; config.json itself.
 *
 * Names and defaults are those of transformers' Blip2Config, Blip2VisionConfig,
 * Blip2QFormerConfig (configuration_blip_2.py), OPTConfig and T5Config. A
 * setting that would change the numbers and that is not implemented is refused by name. */
#include <string.h>

#include "config/parse.h"
#include "image/image.h"

enum { LAYERS_MAX = 1000, GRID_MAX = 1024, BUCKETS_MAX = 4096 };

static int size(const JsonPart *p, const char *key, int def)
{
    return part_whole(p, key, def, 1, DIM_MAX);
}

static void heads_divide(const JsonPart *p, int width, int heads)
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

static void read_vision(const JsonPart *p, VitConfig *v)
{
    v->width = size(p, "hidden_size", 1408);
    v->mlp = size(p, "intermediate_size", 6144);
    v->layers = part_whole(p, "num_hidden_layers", 39, 1, LAYERS_MAX);
    v->heads = size(p, "num_attention_heads", 16);
    v->image = part_whole(p, "image_size", 224, 1, PICTURE_MAX);
    v->patch = part_whole(p, "patch_size", 14, 1, PICTURE_MAX);
    v->eps = (float)part_real(p, "layer_norm_eps", 1e-6, 0, 1);
    /* ours: transformers' one setting is for all norms, LAVIS' ln_vision has torch's 1e-5 */
    v->post_eps = (float)part_real(p, "post_layernorm_eps", v->eps, 0, 1);
    v->qkv_bias = part_flag(p, "qkv_bias", true);
    /* ours: transformers' BLIP-2 knows no such tower, LAVIS has it as clip_vit.py */
    v->clip = part_flag(p, "pre_layernorm", false);
    v->quick_gelu = strcmp(part_text(p, "hidden_act", "gelu"), "quick_gelu") == 0;
    if (!v->quick_gelu)
        part_must_be(p, "hidden_act", "gelu");
    heads_divide(p, v->width, v->heads);
    if (!p->e->code && (v->patch > v->image || v->image / v->patch > GRID_MAX))
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: patch_size: expected 1 to %d patches along image_size %d, got patches of %d",
                  p->where, GRID_MAX, v->image, v->patch);
}

static void read_qformer(const JsonPart *p, const VitConfig *vit, QformerConfig *q, Notes *notes)
{
    q->width = size(p, "hidden_size", 768);
    q->mlp = size(p, "intermediate_size", 3072);
    q->layers = part_whole(p, "num_hidden_layers", 12, 1, LAYERS_MAX);
    q->heads = size(p, "num_attention_heads", 12);
    q->cross_every = part_whole(p, "cross_attention_frequency", 2, 1, LAYERS_MAX);
    q->eps = (float)part_real(p, "layer_norm_eps", 1e-12, 0, 1);
    q->text = part_flag(p, "use_qformer_text_input", false);
    q->vocab = size(p, "vocab_size", 30522);
    q->positions = size(p, "max_position_embeddings", 512);
    q->image_width = size(p, "encoder_hidden_size", vit->width);
    part_must_be(p, "hidden_act", "gelu");
    part_must_be(p, "position_embedding_type", "absolute");
    heads_divide(p, q->width, q->heads);
    if (!p->e->code && q->image_width != vit->width)
        note_add(notes, "%s: encoder_hidden_size: %d, taken for vision_config's hidden_size, %d",
                 p->where, q->image_width, vit->width);
    q->image_width = vit->width; /* whatever it says: Blip2Config does the same */
}

static void read_opt(const JsonPart *p, OptConfig *o)
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

/* dense_act_fn wins over what feed_forward_proj implies, and "gated-gelu" alone means the tanh form
 * (T5Config.__init__). transformers 5 saves tie_word_embeddings true with scale_decoder_outputs false. */
static void read_t5(const JsonPart *p, T5Config *t)
{
    t->width = size(p, "d_model", 512);
    t->key_width = size(p, "d_kv", 64);
    t->mlp = size(p, "d_ff", 2048);
    t->layers = part_whole(p, "num_layers", 6, 1, LAYERS_MAX);
    t->decoder_layers = part_whole(p, "num_decoder_layers", t->layers, 1, LAYERS_MAX);
    t->heads = size(p, "num_heads", 8);
    t->vocab = size(p, "vocab_size", 32128);
    t->buckets = part_whole(p, "relative_attention_num_buckets", 32, 4, BUCKETS_MAX);
    t->distance =
        part_whole(p, "relative_attention_max_distance", 128, t->buckets / 2 + 1, DIM_MAX);
    t->eps = (float)part_real(p, "layer_norm_epsilon", 1e-6, 0, 1);
    t->tied = part_flag(p, "tie_word_embeddings", true);
    t->scaled = part_flag(p, "scale_decoder_outputs", t->tied);
    const char *act = part_text(p, "dense_act_fn", "gelu_new");
    t->gelu_tanh = strcmp(act, "gelu_new") == 0;
    if (!t->gelu_tanh)
        part_must_be(p, "dense_act_fn", "gelu");
    const char *feed = part_text(p, "feed_forward_proj", "relu");
    if (strcmp(feed, "gated-gelu") != 0)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: feed_forward_proj: expected \"gated-gelu\", got \"%.100s\" (not supported)",
                  p->where, feed);
}

/* The class decides; a file without one is a matching model when its Q-Former reads text. */
static unsigned read_parts(const JsonPart *p, const QformerConfig *q)
{
    static const struct {
        const char *name;
        unsigned parts;
    } CLASSES[] = {
        {"Blip2ForImageTextRetrieval", PARTS_RETRIEVAL},
        {"Blip2TextModelWithProjection", PART_TEXT | PART_TEXT_FEATURE},
        {"Blip2VisionModelWithProjection", PART_VISION | PART_IMAGE_FEATURE},
    };
    const json_t *list = part_member(p, "architectures"), *v;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return q->text ? PARTS_RETRIEVAL : PARTS_GENERATION;
    json_array_foreach(list, i, v)
    {
        const char *s = json_is_string(v) ? json_string_value(v) : "";
        for (size_t k = 0; k < sizeof CLASSES / sizeof *CLASSES; k++)
            if (strcmp(s, CLASSES[k].name) == 0)
                return CLASSES[k].parts;
    }
    return PARTS_GENERATION;
}

static ModelKind read_kind(unsigned parts, const JsonPart *lm)
{
    if (!(parts & PART_LANGUAGE))
        return MODEL_MATCHING;
    if (strcmp(part_text(lm, "model_type", "opt"), "t5") == 0)
        return MODEL_T5;
    part_must_be(lm, "model_type", "opt");
    return MODEL_OPT;
}

/* image_token_id is the newer spelling of image_token_index, which Blip2Config maps to it. */
static int read_image_token(const JsonPart *p)
{
    return config_read_id(p, "image_token_index", config_read_id(p, "image_token_id", -1));
}

/* Weights of another form than those we read, which config.json names. */
static void refuse_quantised(const JsonPart *p)
{
    JsonPart q;
    part_child(&q, p, "quantization_config");
    /* bitsandbytes' are read by what lies beside them (ckpt/bnb.h). Its first versions did not name themselves. */
    bool first = part_flag(&q, "load_in_8bit", false) || part_flag(&q, "load_in_4bit", false);
    const char *method =
        part_text(&q, "quant_method", first ? "bitsandbytes" : "an unnamed method");
    if (q.o && strcmp(method, "bitsandbytes") != 0)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: expected none, got weights quantised with %.60s, which are not supported: "
                  "take the "
                  "original model (--dtype int8, int4 or mixed quantises it while loading)",
                  q.where, method);
}

static void read_model(const JsonPart *p, ModelConfig *c)
{
    JsonPart vision, qformer, lm;
    part_must_be(p, "model_type", "blip-2");
    refuse_quantised(p);
    part_child(&vision, p, "vision_config");
    part_child(&qformer, p, "qformer_config");
    part_child(&lm, p, "text_config");
    read_vision(&vision, &c->vit);
    read_qformer(&qformer, &c->vit, &c->qformer, &c->notes);
    c->qformer.queries = part_whole(p, "num_query_tokens", 32, 1, PICTURE_MAX);
    c->parts = read_parts(p, &c->qformer);
    c->kind = read_kind(c->parts, &lm);
    c->feature = size(p, "image_text_hidden_size", 256);
    if (c->kind == MODEL_OPT)
        read_opt(&lm, &c->opt);
    bool t5 = c->kind == MODEL_T5;
    if (t5)
        read_t5(&lm, &c->t5);
    c->start = t5 ? config_read_id(&lm, "decoder_start_token_id", 0) : -1;
    c->gen = GEN_NEUTRAL;
    c->bos = c->gen.eos[0] = t5 ? 1 : 2;
    c->pad = t5 ? 0 : 1;
    c->gen.n_eos = 1;
    if (c->kind == MODEL_MATCHING)
        config_bert_ids(c);
    else
        config_read_ids(&lm, c);
    c->image_token = read_image_token(p);
    copy_label(c->licence, sizeof c->licence, part_text(p, "license", ""));
}

/* --- all together -------------------------------------------------------------------------------- */

static void check_grid(ModelConfig *c, const char *dir, const char *file, Error *e)
{
    int trained = c->vit.image / c->vit.patch, grid = c->pixels / c->vit.patch;
    int most = VIT_GRID_TIMES * trained < GRID_MAX ? VIT_GRID_TIMES * trained : GRID_MAX;
    if (grid < 1 || grid > most)
        error_set(e, ERR_BAD_MODEL,
                  "%s/%s: size: expected %d to %d pixels, at most %d times the %d that "
                  "the vision tower was trained with (config.json), got %d",
                  dir, file, c->vit.patch, most * c->vit.patch, VIT_GRID_TIMES, c->vit.image,
                  c->pixels);
    else if (c->pixels != c->vit.image)
        note_add(&c->notes,
                 "%s/%s: size: %d pixels, where the vision tower was trained with %d "
                 "(config.json: image_size): its positions are interpolated",
                 dir, file, c->pixels, c->vit.image);
}

static void note_ids(ModelConfig *c, const char *dir)
{
    int vocab = config_language(c).vocab;
    if (c->kind == MODEL_MATCHING)
        return;
    for (int i = 0; i < c->gen.n_eos; i++) /* of whichever file counts */
        if (c->gen.eos[i] >= vocab)
            note_add(&c->notes, "%s: eos_token_id: %d, beyond the vocabulary of %d", dir,
                     c->gen.eos[i], vocab);
    if (c->image_token >= vocab)
        note_add(&c->notes, "%s/config.json: image_token_index: %d, beyond the vocabulary of %d",
                 dir, c->image_token, vocab);
}

static void finish(ModelConfig *c, const char *dir, const char *file, Error *e)
{
    if (e->code)
        return;
    check_grid(c, dir, file, e);
    note_ids(c, dir);
    /* LAVIS' caption checkpoints, which alone see 364 pixels, were tuned with this prompt
     * (lavis/projects/blip2/train/caption_coco_ft.yaml); the HF files do not say so. */
    if (c->kind != MODEL_MATCHING && (c->vit.image == 364 || c->pixels == 364))
        strcpy(c->prompt, "a photo of");
}

const char *config_file_name(ConfigFile file)
{
    static const char *const NAMES[CONFIG_FILES] = {"config.json", "generation_config.json",
                                                    "preprocessor_config.json",
                                                    "processor_config.json"};
    return NAMES[file];
}

/* Returns the file that says how pictures are prepared. */
static const char *read_all(const JsonPart p[CONFIG_FILES], ModelConfig *c)
{
    JsonPart text;
    part_child(&text, &p[CONFIG_MODEL], "text_config");
    read_model(&p[CONFIG_MODEL], c);
    c->pixels = c->vit.image;
    config_read_generation(&p[CONFIG_GENERATION], part_member(&text, "eos_token_id") != NULL, c);
    return config_read_processor(&p[CONFIG_PREPROCESSOR], &p[CONFIG_PROCESSOR], c);
}

bool config_parse(ModelConfig *c, const ConfigText texts[CONFIG_FILES], const char *dir, Error *e)
{
    Error first = {0};
    JsonPart p[CONFIG_FILES];
    json_t *doc[CONFIG_FILES];
    *c = (ModelConfig){.mean = CLIP_MEAN, .std = CLIP_STD};
    for (int i = 0; i < CONFIG_FILES; i++)
        doc[i] = part_open(&p[i], texts[i].text, texts[i].size, dir,
                           config_file_name((ConfigFile)i), &first);
    const char *pictures = read_all(p, c);
    finish(c, dir, pictures, &first);
    for (int i = 0; i < CONFIG_FILES; i++)
        json_decref(doc[i]);
    return !first.code || error_set(e, first.code, "%s", first.message);
}
