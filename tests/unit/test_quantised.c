/* Weights quantised while loading and in packed files: which of them, how near they stay, the same numbers on both
 * ways; what is damaged, or cannot be quantised, by name. */
#include <math.h>

#include "test_lavis.h"

#include <dirent.h>

#include "models/convert.h"

#define T5    SOURCE_DIR "/tests/golden/t5"
#define LAYER "language_model.model.decoder.layers.0."
#define FC1   LAYER "fc1.weight"
#define TABLE "language_model.model.decoder.embed_tokens.weight"

static Device *dev;

static int setup(void **state)
{
    Error e = {0};
    golden = ckpt_open_file(GOLDEN "/model.safetensors", &e);
    dev = cpu_device(&e);
    return golden && dev ? scratch_make(state) : -1;
}

static int teardown(void **state)
{
    ckpt_close(golden);
    dev->close(dev);
    return scratch_remove(state);
}

static int clean(void **state)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch);
    return system(command);
}

static Blip2 *load(const char *path, Preset p, Error *e)
{
    ModelSource s = {0};
    Blip2 *m = source_find(&s, path, NULL, e) ? model_load(dev, &s, p, e) : NULL;
    source_free(&s);
    return m;
}

static Blip2 *must_load(const char *path, Preset p)
{
    Error e = {0};
    Blip2 *m = load(path, p, &e);
    if (!m)
        fail_msg("%s", e.message);
    return m;
}

static bool pack_with(const char *from, const char *to, const ConvertOptions *o, Error *e)
{
    ModelSource s = {0};
    bool ok = source_find(&s, from, NULL, e) && model_convert(&s, to, o, e);
    source_free(&s);
    return ok;
}

static void pack(const char *from, const char *to, Preset p)
{
    Error e = {0};
    if (!pack_with(from, to, &(ConvertOptions){.to = CONVERT_PACKED, .preset = p}, &e))
        fail_msg("%s", e.message);
}

/* --- all parameters, by name ------------------------------------------------------------------------ */

typedef struct One {
    char name[200];
    ParamKind kind;
    Param *p;
} One;

typedef struct All {
    Visitor base;
    One one[1000];
    int n;
} All;

static bool list(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    All *a = (All *)v;
    One *o = &a->one[a->n++];
    snprintf(o->name, sizeof o->name, "%s", name);
    o->kind = spec->kind;
    o->p = p;
    return true;
}

static All *all_of(Blip2 *m)
{
    All *a = calloc(1, sizeof *a);
    a->base.param = list;
    model_visit(&a->base, m);
    return a;
}

/* The types, said once more: of the ends of names, in the order in which they are tried. */
static DType expected(Preset p, const One *o)
{
    static const char *const KEPT[] = {"patch_embedding.weight", "vision_projection.weight",
                                       "text_projection.weight", "itm_head.weight"};
    if (o->kind == PARAM_VECTOR || o->kind == PARAM_TABLE)
        return F32; /* as stored here */
    for (size_t i = 0; i < sizeof KEPT / sizeof *KEPT; i++)
        if (str_ends(o->name, KEPT[i]))
            return F32;
    bool layer = strstr(o->name, "language_model.") == o->name && o->kind == PARAM_MATRIX;
    if (p == PRESET_INT8 || !layer)
        return I8;
    bool first = strstr(o->name, ".layers.0.") || strstr(o->name, ".block.0.");
    bool v = str_ends(o->name, ".v_proj.weight") || str_ends(o->name, ".v.weight");
    return p == PRESET_MIXED && (first || v) ? I8 : I4;
}

static void check_types(const char *dir, Preset p)
{
    Blip2 *m = must_load(dir, p);
    All *a = all_of(m);
    int seen[I4 + 1] = {0}, heads = 0;
    for (int i = 0; i < a->n; i++) {
        const One *o = &a->one[i];
        if (!o->p->data)
            continue;
        if (o->p->dtype != expected(p, o))
            fail_msg("%s: %s: expected %s, got %s", preset_name(p), o->name,
                     dtype_name(expected(p, o)), dtype_name(o->p->dtype));
        assert_int_equal(o->p->layout, o->p->dtype == I4 ? LAYOUT_PANEL : LAYOUT_ROWS);
        assert_int_equal(o->p->scale != NULL, o->p->dtype == I8);
        seen[o->p->dtype]++;
        heads += o->kind == PARAM_HEAD;
    }
    assert_true(seen[F32] > 50 && seen[I8] > 10 && (seen[I4] > 5) == (p != PRESET_INT8));
    assert_int_equal(heads, m->config.kind != MODEL_MATCHING);
    free(a);
    model_close(m);
}

static void types(void **state)
{
    static const char *const DIRS[] = {GOLDEN, T5, SOURCE_DIR "/tests/golden/itm",
                                       SOURCE_DIR "/tests/golden/caption"};
    for (size_t d = 0; d < 2; d++)
        for (int p = PRESET_INT8; p < PRESET_COUNT; p++)
            check_types(DIRS[d], (Preset)p);
    for (size_t d = 2; d < 4; d++)
        check_types(DIRS[d], PRESET_INT8);
}

/* --- values ----------------------------------------------------------------------------------------- */

/* Each number within half a step of the weight's, where the largest of a row is 127 steps. */
static void near_int8(const Param *low, const float *w)
{
    const int8_t *q = low->data;
    for (int r = 0; r < low->rows; r++, w += low->cols, q += low->cols) {
        double top = 0;
        for (int k = 0; k < low->cols; k++)
            top = fmax(top, fabs((double)w[k]));
        assert_true(fabs((double)low->scale[r] * 127 - top) <= 1e-6 * top);
        for (int k = 0; k < low->cols; k++)
            if (fabs((double)w[k] - (double)low->scale[r] * q[k]) > 0.5001 * top / 127)
                fail_msg("%s: row %d, input %d is not near", low->name, r, k);
    }
}

/* The squared error of a block's weights, and that of a plain scale, the largest weight at 7. */
static double block_error(const float *w, const float *got, int n, double *plain)
{
    double top = 0, error = 0;
    for (int k = 0; k < n; k++)
        top = fmax(top, fabs((double)w[k]));
    *plain = 0;
    for (int k = 0; k < n && top > 0; k++) {
        double d = (double)w[k] - (double)got[k];
        double rest = (double)w[k] - rint((double)w[k] / top * 7) * top / 7;
        error += d * d;
        *plain += rest * rest;
    }
    return error;
}

/* All in all nearer than with plain scales; a block may be a little further away. */
static void near_int4(const Param *low, const float *w)
{
    float *row = calloc((size_t)low->cols, sizeof *row);
    double ours = 0, plain = 0;
    for (int r = 0; r < low->rows; r++, w += low->cols) {
        panel_i4_to_row(row, low->data, (size_t)r, 0, (size_t)low->cols, (size_t)low->cols);
        for (int b = 0; b < low->cols; b += 32) {
            int n = low->cols - b < 32 ? low->cols - b : 32;
            double others, error = block_error(w + b, row + b, n, &others);
            if (error > 1.3 * others + 1e-9)
                fail_msg("%s: row %d, block at %d: error %g, a plain scale has %g", low->name, r, b,
                         error, others);
            ours += error;
            plain += others;
        }
    }
    free(row);
    if (!(ours < 0.95 * plain && ours > 0.5 * plain))
        fail_msg("%s: error %g, plain scales have %g", low->name, ours, plain);
}

static const float *floats_of(const All *plain, const char *name)
{
    for (int i = 0; i < plain->n; i++)
        if (strcmp(plain->one[i].name, name) == 0 && plain->one[i].p->data)
            return plain->one[i].p->data;
    /* a tied head */
    return floats_of(plain, TABLE);
}

static void check_values(const char *dir, Preset p)
{
    Blip2 *m = must_load(dir, p), *plain = must_load(dir, PRESET_NONE);
    All *a = all_of(m), *b = all_of(plain);
    for (int i = 0; i < a->n; i++) {
        const Param *low = a->one[i].p;
        if (!low->data)
            continue;
        const float *w = floats_of(b, a->one[i].name);
        if (low->dtype == I8)
            near_int8(low, w);
        else if (low->dtype == I4)
            near_int4(low, w);
        else
            assert_memory_equal(low->data, w, 4 * param_count(low));
    }
    free(a);
    free(b);
    model_close(m);
    model_close(plain);
}

static void values(void **state)
{
    for (int p = PRESET_INT8; p < PRESET_COUNT; p++) {
        check_values(GOLDEN, (Preset)p);
        check_values(T5, (Preset)p);
    }
}

/* --- packed files ------------------------------------------------------------------------------------ */

/* Every Param has the same bytes, scales included. */
static void same(Blip2 *x, Blip2 *y)
{
    All *a = all_of(x), *b = all_of(y);
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        const Param *p = a->one[i].p, *q = b->one[i].p;
        assert_int_equal(p->data != NULL, q->data != NULL);
        if (!p->data)
            continue;
        assert_int_equal(p->dtype, q->dtype);
        if (p->layout == q->layout)
            assert_memory_equal(p->data, q->data, param_data_bytes(p));
        assert_int_equal(param_scales(p), param_scales(q));
        if (p->scale)
            assert_memory_equal(p->scale, q->scale, 4 * param_scales(p));
    }
    free(a);
    free(b);
}

/* What a packed file holds is what loading would have made, and it is used where it lies. */
static void packed(void **state)
{
    static const char *const DIRS[] = {GOLDEN, T5, SOURCE_DIR "/tests/golden/caption",
                                       SOURCE_DIR "/models/scenes"};
    for (size_t d = 0; d < 4; d++)
        for (int p = PRESET_INT8; p < PRESET_COUNT; p++) {
            pack(DIRS[d], at("packed"), (Preset)p);
            Blip2 *want = must_load(DIRS[d], (Preset)p),
                  *got = must_load(at("packed"), PRESET_NONE),
                  *asked = must_load(at("packed"), (Preset)p);
            same(want, got);
            same(want, asked);
            assert_string_equal(got->notes.text, want->notes.text);
            assert_string_equal(asked->notes.text, want->notes.text);
            assert_null(got->owned); /* no copy */
            model_close(want);
            model_close(got);
            model_close(asked);
        }
}

/* Of bf16 in panels, in which the weights of a packed file lie, as of rows. */
static void from_panels(void **state)
{
    pack(SOURCE_DIR "/models/scenes", at("panels"), PRESET_NONE);
    pack(at("panels"), at("a"), PRESET_MIXED);
    pack(SOURCE_DIR "/models/scenes", at("b"), PRESET_MIXED);
    Blip2 *a = must_load(at("a"), PRESET_NONE), *b = must_load(at("b"), PRESET_NONE),
          *c = must_load(at("panels"), PRESET_MIXED);
    same(a, b);
    same(a, c);
    model_close(a);
    model_close(b);
    model_close(c);
}

static void refuses(const char *from, const ConvertOptions *o, ErrorCode code, const char *says)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_false(pack_with(from, at("to"), o, &e));
    assert_int_equal(e.code, code);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
    assert_int_equal(mem_in_use(), before);
    assert_false(file_exists(at("to")));
}

static bool same_files(const char *a, const char *b)
{
    Error e = {0};
    MappedFile x, y;
    assert_true(file_map(&x, a, ERR_FAILED, &e) && file_map(&y, b, ERR_FAILED, &e));
    bool equal = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    file_unmap(&x);
    file_unmap(&y);
    return equal;
}

static void again(void **state)
{
    for (int p = PRESET_INT8; p < PRESET_COUNT; p++) {
        pack(GOLDEN, at("packed"), (Preset)p);
        pack(at("packed"), at("again"), PRESET_NONE);
        assert_true(same_files(at("packed"), at("again")));
        refuses(at("packed"), &(ConvertOptions){.to = CONVERT_PACKED, .preset = PRESET_INT4},
                ERR_BAD_MODEL, "quantised already; take the original model");
        refuses(at("packed"), &(ConvertOptions){.to = CONVERT_HF}, ERR_USAGE,
                "only a packed file can hold quantised weights");
        Blip2 *m = must_load(at("packed"), p == PRESET_INT8 ? PRESET_INT4 : PRESET_INT8);
        assert_int_equal(strstr(m->notes.text, "stays as it is stored, quantised already") != NULL,
                         1);
        model_close(m);
    }
    refuses(GOLDEN, &(ConvertOptions){.to = CONVERT_HF, .preset = PRESET_INT8}, ERR_USAGE,
            "expected the packed form for int8, got hf");
    refuses(GOLDEN, &(ConvertOptions){.to = CONVERT_LAVIS, .preset = PRESET_MIXED}, ERR_USAGE,
            "expected the packed form for mixed, got lavis");
}

/* --- weights that are no numbers --------------------------------------------------------------------- */

/* The golden model with one other value. */
static void put_value(const char *name, size_t i, float value)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("c", &e);
    float *w = NULL;
    for (size_t k = 0; k < ckpt_count(golden); k++) {
        CkptTensor t = *ckpt_at(golden, k);
        if (strcmp(t.name, name) == 0) {
            w = malloc(t.bytes);
            memcpy(w, t.data, t.bytes);
            w[i] = value;
            t.data = w;
        }
        add_tensor(c, &t, t.name);
    }
    assert_non_null(w);
    put_configs("");
    put_torch("pytorch_model.bin", c, 0, 1);
    ckpt_close(c);
    free(w);
}

static const Param *named(const All *a, const char *name)
{
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->one[i].name, name) == 0)
            return a->one[i].p;
    fail_msg("%s is not there", name);
    return NULL;
}

/* Loaded they stay what they are; a file of them is not written. */
static void no_numbers(void **state)
{
    static const float ODD[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        put_value(FC1, 3 * 40 + 7, ODD[i]); /* row 3 */
        refuses(scratch, &(ConvertOptions){.to = CONVERT_PACKED, .preset = PRESET_INT8},
                ERR_BAD_MODEL,
                "tensor \"" FC1 "\": row 3: expected numbers within the range of I8");
        refuses(scratch, &(ConvertOptions){.to = CONVERT_PACKED, .preset = PRESET_INT4},
                ERR_BAD_MODEL,
                "tensor \"" FC1 "\": row 3: expected numbers within the range of I4");
        Blip2 *m = must_load(scratch, PRESET_INT8);
        All *a = all_of(m);
        assert_true(isnan(named(a, FC1)->scale[3]) && isfinite(named(a, FC1)->scale[2]));
        free(a);
        model_close(m);
        m = must_load(scratch, PRESET_INT4);
        a = all_of(m);
        float row[40];
        panel_i4_to_row(row, named(a, FC1)->data, 3, 0, 40, 40);
        assert_true(isnan(row[0]) && isnan(row[7]) && isfinite(row[32]));
        free(a);
        model_close(m);
    }
    put_value(FC1, 7, 1e6f);
    pack(scratch, at("packed"), PRESET_INT8);
    refuses(scratch, &(ConvertOptions){.to = CONVERT_PACKED, .preset = PRESET_INT4}, ERR_BAD_MODEL,
            "row 0: expected numbers within the range of I4");
    put_value("language_model.model.decoder.final_layer_norm.weight", 0, NAN); /* stays as it is */
    pack(scratch, at("packed"), PRESET_INT4);
}

/* --- damage ------------------------------------------------------------------------------------------ */

static unsigned char *file_bytes(size_t *n)
{
    Error e = {0};
    unsigned char *b = file_read(at("packed"), 1 << 24, n, ERR_FAILED, &e);
    assert_non_null(b);
    return b;
}

/* The packed file with the text `from` of its header, which stands there once, replaced by one as long. */
static void damage_text(const char *from, const char *to)
{
    size_t n, k = strlen(from);
    unsigned char *b = file_bytes(&n), *hit = NULL;
    assert_int_equal(k, strlen(to));
    for (size_t i = 0; i + k < n && !hit; i++)
        hit = memcmp(b + i, from, k) == 0 ? b + i : NULL;
    assert_non_null(hit);
    memcpy(hit, to, k);
    put("damaged", b, n);
    mem_free(b);
}

/* Number i of a tensor of F32 replaced. */
static void damage_value(const char *name, size_t i, float value)
{
    Error e = {0};
    Checkpoint *c = ckpt_open_file(at("packed"), &e);
    size_t n;
    unsigned char *b = file_bytes(&n);
    uint64_t header;
    memcpy(&header, b, 8);
    /* the first tensor that lies after the header tells where the buffer is in memory */
    const char *start = NULL;
    for (size_t k = 0; k < ckpt_count(c); k++) {
        const char *data = ckpt_at(c, k)->data;
        start = !start || data < start ? data : start;
    }
    const CkptTensor *t = ckpt_find(c, name);
    assert_non_null(t);
    memcpy(b + 8 + header + (size_t)((const char *)t->data - start) + 4 * i, &value, 4);
    put("damaged", b, n);
    mem_free(b);
    ckpt_close(c);
}

static void is_damaged(const char *object, const char *says)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_null(load(at("damaged"), PRESET_NONE, &e));
    check_error(&e, ERR_BAD_MODEL, "damaged", object, says, NULL);
    assert_int_equal(mem_in_use(), before);
}

static void damaged(void **state)
{
    pack(GOLDEN, at("packed"), PRESET_INT8);
    damage_text(FC1 ".scale\"", FC1 ".scalf\"");
    is_damaged("tensor \"" FC1 "\"", "expected F32, F16 or BF16, got I8");
    damage_value(FC1 ".scale", 2, NAN);
    is_damaged("tensor \"" FC1 ".scale\"", "scale 2: expected a number, got nan");
    damage_value(FC1 ".scale", 0, INFINITY);
    is_damaged("tensor \"" FC1 ".scale\"", "scale 0: expected a number, got inf");
    damage_text(FC1 ".scale\":{\"dtype\":\"F32\",\"shape\":[",
                FC1 ".scale\":{\"dtype\":\"I32\",\"shape\":[");
    is_damaged("tensor \"" FC1 ".scale\"", "scales of type F32, got");
    pack(GOLDEN, at("packed"), PRESET_INT4);
    damage_text("blip2.layout." FC1 "\":\"int4 panel32 [",
                "blip2.layout." FC1 "\":\"int3 panel32 [");
    is_damaged("tensor \"" FC1 "\"",
               "layout: expected \"panel32 [OUT,IN]\", or that of int4, got \"int3");
    damage_text("blip2.layout." FC1 "\":\"int4 panel32 [",
                "blip2.layout." FC1 "\":\"int4 panel32 (");
    is_damaged("tensor \"" FC1 "\"", "layout: expected");
    damage_text("blip2.layout." FC1 "\":\"int4 panel32 [",
                "blip3.layout." FC1 "\":\"int4 panel32 [");
    is_damaged("tensor \"" FC1 "\"", "expected F32, F16 or BF16, got U8");
}

/* --- interrupted, and without memory ----------------------------------------------------------------- */

typedef struct Stop {
    uint64_t at, last, total;
} Stop;

static bool stop_at(void *user, uint64_t done, uint64_t total)
{
    Stop *s = user;
    assert_true(done >= s->last && done <= total);
    s->last = done;
    s->total = total;
    return done < s->at;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(scratch);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void stops(void **state)
{
    for (int p = PRESET_INT8; p < PRESET_COUNT; p++) {
        Stop whole = {.at = UINT64_MAX};
        Error e = {0};
        ConvertOptions o = {CONVERT_PACKED, stop_at, &whole, (Preset)p};
        assert_true(pack_with(GOLDEN, at("to"), &o, &e));
        assert_int_equal(whole.last, whole.total);
        unlink(at("to"));
        for (int part = 0; part < 8; part++) {
            Stop s = {.at = whole.total / 8 * (uint64_t)part};
            o.user = &s;
            e = (Error){0};
            assert_false(pack_with(GOLDEN, at("to"), &o, &e));
            assert_int_equal(e.code, ERR_STOPPED);
            assert_int_equal(entries(), 0);
        }
    }
}

static void no_memory(void **state)
{
    size_t before = mem_in_use();
    char to[300];
    snprintf(to, sizeof to, "%s", at("to"));
    for (int loads = 0; loads < 2; loads++) {
        bool done = false;
        for (long n = 1; !done; n += 1 + n / 40) {
            Error e = {0};
            ConvertOptions o = {.to = CONVERT_PACKED, .preset = PRESET_MIXED};
            clean(NULL);
            mem_fail_at(n);
            Blip2 *m = loads ? load(GOLDEN, PRESET_MIXED, &e) : NULL;
            bool ok = loads ? m != NULL : pack_with(GOLDEN, to, &o, &e);
            done = !mem_fail_hit();
            mem_fail_at(0);
            model_close(m);
            assert_true(ok || !done);
            assert_int_equal(e.code, ok ? ERR_NONE : ERR_MEMORY);
            assert_int_equal(mem_in_use(), before);
            assert_int_equal(entries(), !loads && ok);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(types, clean),     cmocka_unit_test_setup(values, clean),
        cmocka_unit_test_setup(packed, clean),    cmocka_unit_test_setup(from_panels, clean),
        cmocka_unit_test_setup(again, clean),     cmocka_unit_test_setup(no_numbers, clean),
        cmocka_unit_test_setup(damaged, clean),   cmocka_unit_test_setup(stops, clean),
        cmocka_unit_test_setup(no_memory, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
