/* Loading a model: what a directory may look like (types, mixtures, shards, alignment) and what is
 * refused (missing, unexpected, misshapen, mistyped tensors), each by name. */
#include <math.h>

#include "test_ckpt_files.h"

#include "base/file.h"
#include "base/str.h"
#include "ckpt/ckpt.h"
#include "cpu/cpu.h"
#include "models/blip2.h"

#define GOLDEN SOURCE_DIR "/tests/golden/opt"
enum { SIZE = 56, NQ = 6, WIDTH = 40 };

/* --- writing variants of the tiny model ------------------------------------------------------- */

typedef struct Variant {
    DType (*type)(size_t i);        /* of the i-th tensor; NULL: as it is */
    bool rounded;                   /* values rounded to that type, stored as F32 */
    size_t pad;                     /* odd padding of the header: data lies unaligned */
    const char *drop, *rename, *to; /* leave one out, or call it otherwise */
    const char *extra;              /* one more tensor, empty */
    const char *before;             /* stands in front of every name */
    const char *into, *into_by;     /* replaced in every name */
    const char *reshape;            /* this one gets its shape reversed */
    const char *retype;             /* this one is said to be I32 */
    bool both;                      /* `rename` stays beside `to` */
    const char *split, *parts[3];   /* stored as equal parts of these names; "": not stored */
    bool mixed_parts;               /* each part has the type of the next tensor */
    const char *blank;              /* the middle third of this one is zeros */
    int shards;
} Variant;

static DType all_bf16(size_t i)
{
    return BF16;
}

static DType all_f16(size_t i)
{
    return F16;
}

static DType mixed(size_t i)
{
    static const DType TYPES[] = {F32, BF16, F16};
    return TYPES[i % 3];
}

static void add_value(StrBuf *data, const Variant *v, size_t i, float x)
{
    DType t = v->type ? v->type(i) : F32;
    uint16_t h = t == BF16 ? f32_to_bf16(x) : f32_to_f16(x);
    float wide = t == F32 ? x : t == BF16 ? bf16_to_f32(h) : f16_to_f32(h);
    if (t == F32 || v->rounded)
        strbuf_add(data, &wide, 4);
    else
        strbuf_add(data, &h, 2);
}

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* The part-th of `parts` equal parts of t, called `name`. */
static void add_part(StrBuf *head, StrBuf *data, const Variant *v, size_t i, const CkptTensor *t,
                     const char *name, size_t part, size_t parts)
{
    size_t from = data->len, all = t->bytes / 4, n = all / parts;
    DType type = v->type && !v->rounded ? v->type(i) : F32;
    for (size_t k = part * n; k < (part + 1) * n; k++) {
        float x;
        memcpy(&x, (const char *)t->data + 4 * k, 4);
        add_value(data, v, i, same(v->blank, t->name) && k >= all / 3 && k < all / 3 * 2 ? 0 : x);
    }
    const char *hit = v->into ? strstr(name, v->into) : NULL;
    strbuf_printf(head, "%s\"%s%.*s%s%s\":{\"dtype\":\"%s\",\"shape\":[", head->len > 1 ? "," : "",
                  v->before ? v->before : "", (int)(hit ? hit - name : 0), name,
                  hit ? v->into_by : "", hit ? hit + strlen(v->into) : name,
                  same(v->retype, name) ? "I32" : dtype_name(type));
    for (int d = 0; d < t->rank; d++) {
        int at_dim = same(v->reshape, name) ? t->rank - 1 - d : d;
        long long extent = t->shape[at_dim] / (at_dim ? 1 : (long long)parts);
        strbuf_printf(head, "%s%lld", d ? "," : "", extent);
    }
    strbuf_printf(head, "],\"data_offsets\":[%zu,%zu]}", from, data->len);
}

static void add_entry(StrBuf *head, StrBuf *data, const Variant *v, size_t i, const CkptTensor *t)
{
    bool split = same(v->split, t->name), renamed = same(v->rename, t->name);
    for (size_t p = 0; split && p < 3; p++)
        if (*v->parts[p] && !same(v->drop, v->parts[p]))
            add_part(head, data, v, i + p * v->mixed_parts, t, v->parts[p], p, 3);
    if (renamed)
        add_part(head, data, v, i, t, v->to, 0, 1);
    if (!split && (!renamed || v->both))
        add_part(head, data, v, i, t, t->name, 0, 1);
}

static void write_shard(const char *name, StrBuf *head, StrBuf *data, const Variant *v)
{
    StrBuf all = {0};
    if (v->extra)
        strbuf_printf(head, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[%zu,%zu]}",
                      v->extra, data->len, data->len);
    strbuf_puts(head, "}");
    while (head->len % 8 != v->pad)
        strbuf_puts(head, " ");
    uint64_t n = head->len;
    strbuf_add(&all, &n, 8);
    strbuf_add(&all, head->data, head->len);
    strbuf_add(&all, data->data, data->len);
    put(name, all.data, all.len);
    strbuf_free(&all);
    strbuf_free(head);
    strbuf_free(data);
}

static void copy_config(void)
{
    static const char *const FILES[] = {"config.json", "generation_config.json",
                                        "preprocessor_config.json", "processor_config.json"};
    for (size_t i = 0; i < 4; i++) {
        char path[512];
        size_t n;
        Error e = {0};
        snprintf(path, sizeof path, GOLDEN "/%s", FILES[i]);
        unsigned char *text = file_read(path, 1 << 16, &n, ERR_FAILED, &e);
        assert_non_null(text);
        put(FILES[i], text, n);
        mem_free(text);
    }
}

static void remove_weights(void)
{
    unlink(at("model.safetensors"));
    unlink(at("model.safetensors.index.json"));
}

static void write_variant(const Variant *v)
{
    Error e = {0};
    Checkpoint *c = ckpt_open_file(GOLDEN "/model.safetensors", &e);
    assert_non_null(c);
    remove_weights();
    int shards = v->shards ? v->shards : 1;
    StrBuf index = {0}, head[4] = {{0}}, data[4] = {{0}};
    strbuf_puts(&index, "{\"metadata\":{},\"weight_map\":{");
    for (size_t i = 0; i < ckpt_count(c); i++) {
        const CkptTensor *t = ckpt_at(c, i);
        int s = (int)i % shards;
        if (same(v->drop, t->name))
            continue;
        if (!head[s].len)
            strbuf_puts(&head[s], "{");
        add_entry(&head[s], &data[s], v, i, t);
        strbuf_printf(&index, "%s\"%s\":\"part%d.safetensors\"", i ? "," : "", t->name, s);
    }
    strbuf_puts(&index, "}}");
    for (int s = 0; s < shards; s++) {
        char name[32];
        snprintf(name, sizeof name, shards > 1 ? "part%d.safetensors" : "model.safetensors", s);
        write_shard(name, &head[s], &data[s], v);
    }
    if (shards > 1)
        put_text("model.safetensors.index.json", index.data);
    strbuf_free(&index);
    ckpt_close(c);
}

/* --- running them ----------------------------------------------------------------------------- */

static Device *dev;
static Stream *on;

static void soft_of(bool quantise, float *out)
{
    static float px[3 * SIZE * SIZE];
    Error e = {0};
    Blip2 *m = model_open(dev, scratch, quantise ? PRESET_INT8 : PRESET_NONE, &e);
    if (!m)
        fail_msg("%s", e.message);
    for (int i = 0; i < 3 * SIZE * SIZE; i++)
        px[i] = (float)(i % 101 - 50) * 0.03f;
    Ctx c;
    ctx_init(&c, on);
    ctx_begin(&c, ROLE_ENCODE);
    Tensor *x = tensor_upload(&c, px, 1, 3 * SIZE * SIZE);
    Tensor *image = vit_forward(&c, &m->vit, x, SIZE, SIZE);
    Tensor *t = model_project(&c, m, qformer_forward(&c, &m->qformer, image, 1));
    if (!tensor_download(&c, out, t))
        fail_msg("%s", c.err.message);
    assert_int_equal(t->rows * t->cols, NQ * WIDTH);
    ctx_free(&c);
    model_close(m);
}

static double distance(const float *a, const float *b)
{
    double top = 0, err = 0;
    for (int i = 0; i < NQ * WIDTH; i++) {
        top = fmax(top, fabs((double)a[i]));
        err = fmax(err, fabs((double)a[i] - (double)b[i]));
    }
    return err / top;
}

/* A 16-bit file computes what an f32 file with the same values computes. */
static void test_types(void **state)
{
    static const struct {
        const char *name;
        DType (*type)(size_t);
    } CASES[] = {{"BF16", all_bf16}, {"F16", all_f16}, {"mixed", mixed}};
    for (size_t i = 0; i < 3; i++) {
        float stored[NQ * WIDTH], wide[NQ * WIDTH];
        write_variant(&(Variant){.type = CASES[i].type});
        soft_of(false, stored);
        write_variant(&(Variant){.type = CASES[i].type, .rounded = true});
        soft_of(false, wide);
        printf("%s against the same values in F32: %.1e\n", CASES[i].name, distance(stored, wide));
        assert_true(distance(stored, wide) < 1e-6);
    }
}

static void test_layouts(void **state)
{
    float plain[NQ * WIDTH], other[NQ * WIDTH];
    write_variant(&(Variant){0});
    soft_of(false, plain);
    static const Variant SAME[] = {{.pad = 3}, {.pad = 1, .shards = 3}, {.shards = 4}};
    for (size_t i = 0; i < 3; i++) {
        write_variant(&SAME[i]);
        soft_of(false, other);
        assert_memory_equal(plain, other, sizeof plain);
    }
    write_variant(&(Variant){.type = mixed, .pad = 0});
    soft_of(false, plain);
    write_variant(&(Variant){.type = mixed, .pad = 5});
    soft_of(false, other);
    assert_memory_equal(plain, other, sizeof plain);
}

/* int8 weights stay near: the bound is a few times what rounding each weight to 127 steps costs. */
static void test_quantised(void **state)
{
    float plain[NQ * WIDTH], low[NQ * WIDTH];
    write_variant(&(Variant){0});
    soft_of(false, plain);
    soft_of(true, low);
    printf("int8 against f32: %.1e of the largest value\n", distance(plain, low));
    assert_true(distance(plain, low) > 1e-5); /* it is quantised */
    assert_true(distance(plain, low) < 0.1);
}

/* --- refused ---------------------------------------------------------------------------------- */

static void refuse(const Variant *v, const char *object, const char *what)
{
    Error e = {0};
    size_t before = mem_in_use();
    write_variant(v);
    Blip2 *m = model_open(dev, scratch, PRESET_NONE, &e);
    assert_null(m);
    check_error(&e, ERR_BAD_MODEL, scratch, object, what, NULL);
    assert_int_equal(mem_in_use(), before);
}

/* Loads, and the notes say so. */
static void notices(const Variant *v, const char *what)
{
    Error e = {0};
    write_variant(v);
    Blip2 *m = model_open(dev, scratch, PRESET_NONE, &e);
    if (!m)
        fail_msg("%s", e.message);
    if (what ? !strstr(m->notes.text, what) : *m->notes.text)
        fail_msg("expected \"%s\" in: %s", what ? what : "", m->notes.text);
    model_close(m);
}

#define FC1 "vision_model.encoder.layers.1.mlp.fc1.weight"

static void test_refused(void **state)
{
    refuse(&(Variant){.drop = FC1}, "\"" FC1 "\"", "missing");
    refuse(&(Variant){.drop = "query_tokens"}, "\"query_tokens\"", "missing");
    refuse(&(Variant){.drop = "language_model.model.decoder.embed_tokens.weight"}, "embed_tokens",
           "missing");
    refuse(&(Variant){.rename = FC1, .to = FC1 "x"}, "\"" FC1 "\"", "missing");
    /* the nearest name that nobody else asks for: none here */
    Error e = {0};
    write_variant(&(Variant){.drop = FC1});
    assert_null(model_open(dev, scratch, PRESET_NONE, &e));
    assert_true(str_ends(e.message, "\": expected, but missing"));
    refuse(&(Variant){.rename = FC1, .to = FC1 "x"}, "\"" FC1 "\"",
           "expected, but missing; the file has \"" FC1 "x\"");
    refuse(&(Variant){.reshape = FC1}, "\"" FC1 "\"", "expected shape [104,48], got [48,104]");
    refuse(&(Variant){.retype = FC1}, "\"" FC1 "\"", "expected F32, F16 or BF16, got I32");
}

static void test_unused(void **state)
{
    notices(&(Variant){0}, NULL);
    notices(&(Variant){.extra = "vision_model.head.weight"},
            "model.safetensors: tensor \"vision_model.head.weight\": not used (1 in all)");
    notices(&(Variant){.extra = "qformer.embeddings.position_ids"}, NULL);
}

/* Names as DistributedDataParallel, torch.compile and others leave them: the same numbers, and a note. */
static void test_wrapped(void **state)
{
    static const struct {
        const char *before, *into,
            *into_by; /* in front of every name; inside of those that hold `into` */
        const char *first;
    } CASES[] = {
        {"module.", NULL, NULL, "\"module.language_model."},
        {"_orig_mod.", NULL, NULL, "\"_orig_mod.language_model."},
        {"model.", NULL, NULL, "\"model.language_model."},
        {"module._orig_mod.", NULL, NULL, "\"module._orig_mod.language_model."},
        {"state.blip2.", NULL, NULL, "\"state.blip2.language_model."},
        {"", "vision_model.", "vision_model._fsdp_wrapped_module.",
         "\"vision_model._fsdp_wrapped_module.embeddings"},
        {"", ".layer_norm1.", "._checkpoint_wrapped_module.layer_norm1.",
         "\"vision_model.encoder.layers.0._checkpoint_wrapped_module.layer_norm1"},
    };
    float plain[NQ * WIDTH], other[NQ * WIDTH];
    write_variant(&(Variant){0});
    soft_of(false, plain);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Variant v = {.before = CASES[i].before, .into = CASES[i].into, .into_by = CASES[i].into_by};
        write_variant(&v);
        soft_of(false, other);
        assert_memory_equal(plain, other, sizeof plain);
        notices(&v, CASES[i].first);
        notices(&v, "read without the wrapper in its name");
    }
    /* not where two tensors would get one name */
    notices(&(Variant){.extra = "module.query_tokens"},
            "\"module.query_tokens\": not used (1 in all)");
    Error e = {0};
    Blip2 *m = model_open(dev, scratch, PRESET_NONE, &e);
    assert_non_null(m);
    assert_null(strstr(m->notes.text, "wrapper"));
    model_close(m);
    /* a name of its own stays in the message */
    refuse(&(Variant){.before = "module.", .reshape = FC1}, "tensor \"module." FC1 "\"",
           "expected shape");
    refuse(&(Variant){.before = "module.", .drop = "query_tokens"}, "\"query_tokens\"", "missing");
    refuse(&(Variant){.before = "student.", .extra = "teacher.query_tokens"}, "missing",
           "\"student.vision_model."); /* which of the two is the model? */
}

/* Weights that GPTQ packed are named as such, not as a wrong type or a missing tensor. */
static void test_quantised_elsewhere(void **state)
{
    refuse(&(Variant){.rename = FC1, .to = "vision_model.encoder.layers.1.mlp.fc1.qweight"}, "",
           "quantised with GPTQ or AWQ");
}

/* Buffers of older versions are no error, nor is the token table under the head's name. */
static void test_tolerated(void **state)
{
    float plain[NQ * WIDTH], other[NQ * WIDTH];
    write_variant(&(Variant){0});
    soft_of(false, plain);
    write_variant(&(Variant){.extra = "qformer.embeddings.position_ids"});
    soft_of(false, other);
    assert_memory_equal(plain, other, sizeof plain);
    write_variant(&(Variant){.rename = "language_model.model.decoder.embed_tokens.weight",
                             .to = "language_model.lm_head.weight"});
    soft_of(false, other);
    assert_memory_equal(plain, other, sizeof plain);
}

/* --- weights of several pieces ---------------------------------------------------------------- */

#define LAYER "vision_model.encoder.layers.1.self_attn."
#define LAVIS "visual_encoder.blocks.1.attn."

/* A copy of one Param, as it stands when its model is gone. */
typedef struct Kept {
    Visitor base;
    const char *name;
    Param p;
    unsigned char values[1 << 16], scales[1 << 12];
} Kept;

static bool keep(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Kept *k = (Kept *)v;
    if (strcmp(name, k->name) != 0 || !p->data)
        return true;
    size_t values = dtype_bytes(p->dtype, param_count(p)), scales = param_bytes(p) - values;
    assert_true(values <= sizeof k->values && scales <= sizeof k->scales);
    k->p = *p;
    memcpy(k->values, p->data, values);
    if (scales)
        memcpy(k->scales, p->scale, scales);
    return true;
}

static void keep_param(Kept *k, const Variant *v, const char *name, bool quantise)
{
    Error e = {0};
    memset(k, 0, sizeof *k);
    k->base.param = keep;
    k->name = name;
    write_variant(v);
    Blip2 *m = model_open(dev, scratch, quantise ? PRESET_INT8 : PRESET_NONE, &e);
    if (!m)
        fail_msg("%s", e.message);
    model_visit(&k->base, m);
    assert_int_equal(k->p.rows > 0, 1);
    model_close(m);
}

static void same_param(const Variant *whole, const Variant *pieces, const char *name, bool quantise)
{
    static Kept a, b;
    keep_param(&a, whole, name, quantise);
    keep_param(&b, pieces, name, quantise);
    assert_int_equal(a.p.dtype, b.p.dtype);
    assert_int_equal(a.p.rows, b.p.rows);
    assert_int_equal(a.p.cols, b.p.cols);
    assert_memory_equal(a.values, b.values, sizeof a.values);
    assert_memory_equal(a.scales, b.scales, sizeof a.scales);
}

static const Variant LAVIS_BIAS = {.split = LAYER "qkv.bias",
                                   .parts = {LAVIS "q_bias", "", LAVIS "v_bias"}},
                     CLIP_BIAS = {.split = LAYER "qkv.bias",
                                  .parts = {LAYER "q_proj.bias", LAYER "k_proj.bias",
                                            LAYER "v_proj.bias"}},
                     CLIP_WEIGHT = {.split = LAYER "qkv.weight",
                                    .parts = {LAYER "q_proj.weight", LAYER "k_proj.weight",
                                              LAYER "v_proj.weight"}};

static void test_pieces(void **state)
{
    for (int quantise = 0; quantise < 2; quantise++) {
        same_param(&(Variant){.blank = LAYER "qkv.bias"}, &LAVIS_BIAS, LAYER "qkv.bias", quantise);
        same_param(&(Variant){0}, &CLIP_BIAS, LAYER "qkv.bias", quantise);
        same_param(&(Variant){0}, &CLIP_WEIGHT, LAYER "qkv.weight", quantise);
        Variant half = CLIP_WEIGHT;
        half.type = all_bf16;
        half.pad = 3;
        same_param(&(Variant){.type = all_bf16}, &half, LAYER "qkv.weight", quantise);
    }
}

static void test_pieces_refused(void **state)
{
    static const char K[] = LAYER "k_proj.weight",
                      SAID[] = "model.safetensors: tensor \"" LAYER "k_proj.weight\": expected ";
    Variant v = LAVIS_BIAS;
    v.drop = LAVIS "v_bias";
    refuse(&v, "\"" LAVIS "v_bias\"", "missing");
    v = CLIP_WEIGHT;
    v.drop = K;
    refuse(&v, "\"" LAYER "k_proj.weight\"", "missing");
    v.extra = K;
    refuse(&v, SAID, "expected shape [48,48], got [0]");
    v = CLIP_WEIGHT;
    v.retype = K;
    refuse(&v, SAID, "expected F32, F16 or BF16, got I32");
    v.retype = NULL;
    v.type = mixed;
    v.mixed_parts = true;
    refuse(&v, SAID, " as \"" LAYER "q_proj.weight\", got ");
    /* another weight of the layer is not made of them */
    v = LAVIS_BIAS;
    v.drop = LAYER "projection.weight";
    refuse(&v, "\"" LAYER "projection.weight\"", "missing");
    /* none of the pieces: the weight itself is what is missing */
    refuse(&(Variant){.drop = LAYER "qkv.bias"}, "\"" LAYER "qkv.bias\"", "missing");
    /* beside the weight, its pieces are not looked at */
    notices(&(Variant){.extra = LAVIS "q_bias"}, "\"" LAVIS "q_bias\": not used (1 in all)");
}

/* --- the tied head ---------------------------------------------------------------------------- */

#define TOKENS "language_model.model.decoder.embed_tokens.weight"
#define HEAD   "language_model.lm_head.weight"

static Blip2 *open_variant(const Variant *v)
{
    Error e = {0};
    write_variant(v);
    Blip2 *m = model_open(dev, scratch, PRESET_NONE, &e);
    if (!m)
        fail_msg("%s", e.message);
    return m;
}

/* Under whichever name it is stored, a tied weight is the token table, and one Param. */
static void test_tied(void **state)
{
    static const char OLD[] = "language_model.decoder.embed_tokens.weight";
    static const Variant TIED[] = {
        {0}, {.rename = TOKENS, .to = HEAD}, {.rename = TOKENS, .to = OLD}};
    for (size_t i = 0; i < 3; i++) {
        Blip2 *m = open_variant(&TIED[i]);
        assert_ptr_equal(opt_head(&m->opt), &m->opt.tokens);
        assert_null(m->opt.head.data);
        assert_string_equal(m->opt.tokens.name, TOKENS);
        model_close(m);
    }
    Blip2 *m = open_variant(&(Variant){.rename = TOKENS, .to = HEAD, .both = true});
    assert_ptr_equal(opt_head(&m->opt), &m->opt.head);
    assert_string_equal(m->opt.head.name, HEAD);
    assert_ptr_not_equal(m->opt.head.data, m->opt.tokens.data);
    assert_memory_equal(m->opt.head.data, m->opt.tokens.data, param_bytes(&m->opt.tokens));
    model_close(m);
    refuse(&(Variant){.drop = TOKENS}, "\"" TOKENS "\"",
           "expected, but missing (and no lm_head.weight either)");
}

/* --- random weights ---------------------------------------------------------------------------- */

typedef struct Types {
    Visitor base;
    DType want[4]; /* by kind */
    bool head;     /* one of its own */
    int seen, low;
} Types;

static bool check_type(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Types *t = (Types *)v;
    if (spec->kind == PARAM_HEAD && !t->head) {
        assert_null(p->data);
        return true;
    }
    assert_string_equal(p->name, name);
    assert_non_null(p->data);
    bool patch = spec->kind == PARAM_MATRIX && strstr(name, "patch_embedding");
    assert_int_equal(p->dtype, t->want[patch && t->head ? PARAM_TABLE : spec->kind]);
    t->low += p->dtype == I8;
    assert_true((p->scale != NULL) == (param_scales(p) > 0));
    t->seen++;
    return true;
}

/* Every parameter has data of the right type; the head is the token table, but for a quantised one. */
static void test_random(void **state)
{
    static const DType ASKED[] = {F32, F16, BF16, BF16};
    ModelConfig k;
    Error e = {0};
    assert_true(config_load(&k, scratch, &e));
    for (size_t i = 0; i < 4; i++) {
        Types t = {.base.param = check_type,
                   .want = {[PARAM_MATRIX] = i == 3 ? I8 : ASKED[i],
                            [PARAM_HEAD] = I8,
                            [PARAM_TABLE] = ASKED[i],
                            [PARAM_VECTOR] = F32},
                   .head = i == 3};
        Blip2 *m = model_random(dev, &k, ASKED[i], i == 3 ? PRESET_INT8 : PRESET_NONE, 1, &e);
        assert_non_null(m);
        model_visit(&t.base, m);
        assert_true(t.seen > 100 && (t.low > 10) == t.head);
        assert_ptr_equal(opt_head(&m->opt), t.head ? &m->opt.head : &m->opt.tokens);
        model_close(m);
    }
}

static void test_no_memory(void **state)
{
    Variant v = CLIP_WEIGHT; /* among whose copies is one of several pieces */
    v.type = mixed;
    v.pad = 3;
    write_variant(&v);
    size_t before = mem_in_use();
    for (long n = 1;; n++) {
        Error e = {0};
        mem_fail_at(n);
        Blip2 *m = model_open(dev, scratch, PRESET_INT8, &e);
        bool hit = mem_fail_hit();
        mem_fail_at(0);
        if (!hit) {
            assert_non_null(m);
            model_close(m);
            break;
        }
        assert_null(m);
        assert_int_equal(e.code, ERR_MEMORY);
        assert_int_equal(mem_in_use(), before);
    }
    assert_int_equal(mem_in_use(), before);
}

static int setup(void **state)
{
    Error e = {0};
    dev = cpu_device(&e);
    on = dev ? dev->stream(dev, &(StreamOptions){.threads = 1, .precision = PREC_F32}, &e) : NULL;
    if (!on || scratch_make(state) != 0)
        return -1;
    copy_config();
    return 0;
}

static int teardown(void **state)
{
    on->close(on);
    dev->close(dev);
    return scratch_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_quantised),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_wrapped),
        cmocka_unit_test(test_quantised_elsewhere),
        cmocka_unit_test(test_tolerated),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_pieces_refused),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
