/* Weights as bitsandbytes stores them, 8 and 4 bits: what they stand for, index by index; what of their neighbours is
 * missing, misshapen or not understood, by name. */
#include <math.h>

#include "test_lavis.h"

#include "base/rng.h"
#include "ckpt/st_write.h"
#include "models/convert.h"

#define FC1 "language_model.model.decoder.layers.0.fc1"
#define FC2 "language_model.model.decoder.layers.1.fc2"

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

/* --- files ------------------------------------------------------------------------------------------- */

/* The golden model as one safetensors file, with `more` tensors in place of those of the same name; one without data
 * is left out. */
static void put_model(const CkptTensor *more, size_t n_more)
{
    StEntry entry[700];
    const void *data[700];
    size_t n = 0;
    StrBuf file = {0};
    for (size_t i = 0; i < ckpt_count(golden) + n_more; i++) {
        bool own = i < ckpt_count(golden);
        const CkptTensor *t = own ? ckpt_at(golden, i) : &more[i - ckpt_count(golden)];
        bool replaced = !t->data;
        for (size_t k = 0; own && k < n_more; k++)
            replaced |= strcmp(more[k].name, t->name) == 0;
        if (replaced)
            continue;
        entry[n] =
            (StEntry){.name = t->name, .dtype = t->dtype, .rank = t->rank, .bytes = t->bytes};
        memcpy(entry[n].shape, t->shape, sizeof t->shape);
        data[n++] = t->data;
    }
    st_header(&file, entry, n, sizeof *entry, "\"format\":\"pt\"");
    for (size_t i = 0; i < n; i++)
        strbuf_add(&file, data[i], entry[i].bytes);
    put_configs("");
    put("model.safetensors", file.data, file.len);
    strbuf_free(&file);
}

static CkptTensor tensor(const char *name, DType t, int64_t a, int64_t b, const void *data)
{
    CkptTensor x = {.name = name, .dtype = t, .rank = b ? 2 : 1, .shape = {a, b}, .data = data};
    x.bytes = dtype_size(t) * (size_t)a * (size_t)(b ? b : 1);
    return x;
}

typedef struct Wanted {
    Visitor base;
    const char *name;
    Param *p;
} Wanted;

static bool pick(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Wanted *w = (Wanted *)v;
    if (strcmp(name, w->name) == 0)
        w->p = p;
    return true;
}

static Param *find(Blip2 *m, const char *name)
{
    Wanted w = {.base.param = pick, .name = name};
    model_visit(&w.base, m);
    assert_non_null(w.p);
    return w.p;
}

static Blip2 *load(Preset p)
{
    Error e = {0};
    Blip2 *m = model_open(dev, scratch, p, &e);
    if (!m)
        fail_msg("%s", e.message);
    return m;
}

static void refused(const char *object, const char *says)
{
    Error e = {0};
    size_t before = mem_in_use();
    assert_null(model_open(dev, scratch, PRESET_NONE, &e));
    check_error(&e, ERR_BAD_MODEL, scratch, object, says, NULL);
    assert_int_equal(mem_in_use(), before);
}

/* --- 8 bits ------------------------------------------------------------------------------------------ */

enum { ROWS = 88, COLS = 40 }; /* of fc1 in the golden model */

typedef struct Eight {
    int8_t q[ROWS * COLS];
    float top[ROWS];
    unsigned char format[4];
    CkptTensor t[3];
} Eight;

static void make_eight(Eight *x)
{
    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < ROWS * COLS; i++)
        x->q[i] = (int8_t)(rng_u64(5, i) % 255 - 127);
    for (size_t r = 0; r < ROWS; r++)
        x->top[r] = 0.02f + 0.003f * (float)r;
    x->t[0] = tensor(FC1 ".weight", I8, ROWS, COLS, x->q);
    x->t[1] = tensor(FC1 ".SCB", F32, ROWS, 0, x->top);
    x->t[2] = tensor(FC1 ".weight_format", U8, 1, 0, x->format);
    x->t[2].rank = 0; /* a number */
}

static void is_eight(const Eight *x, Blip2 *m)
{
    const Param *p = find(m, FC1 ".weight");
    assert_int_equal(p->dtype, I8);
    assert_int_equal(p->layout, LAYOUT_ROWS);
    assert_memory_equal(p->data, x->q, sizeof x->q);
    for (int r = 0; r < ROWS; r++)
        assert_true(fabs((double)p->scale[r] * 127 - (double)x->top[r]) <
                    1e-7 * (double)x->top[r] * 3);
    assert_string_equal(m->notes.text, "");
}

static void eight_bits(void **state)
{
    static Eight x;
    make_eight(&x);
    for (size_t n = 2; n <= 3; n++) { /* without the format's mark: of the first versions */
        put_model(x.t, n);
        Blip2 *m = load(PRESET_NONE);
        is_eight(&x, m);
        assert_int_equal(find(m, FC2 ".weight")->dtype, F32);
        model_close(m);
    }
    /* it is quantised but once */
    Blip2 *m = load(PRESET_INT8);
    is_eight(&x, m);
    assert_int_equal(find(m, FC2 ".weight")->dtype, I8);
    model_close(m);
    /* into a file of ours, and out of it */
    Error e = {0};
    ModelSource s = {0};
    assert_true(source_find(&s, scratch, NULL, &e));
    assert_true(model_convert(&s, at("packed"), &(ConvertOptions){.to = CONVERT_PACKED}, &e));
    source_free(&s);
    assert_true(source_find(&s, at("packed"), NULL, &e));
    m = model_load(dev, &s, PRESET_NONE, &e);
    source_free(&s);
    assert_non_null(m);
    is_eight(&x, m);
    model_close(m);
}

static void eight_refused(void **state)
{
    static Eight x;
    make_eight(&x);
    put_model(x.t, 1);
    refused("tensor \"" FC1 ".weight\"", "expected F32, F16 or BF16, got I8");
    x.format[0] = 2;
    put_model(x.t, 3);
    refused("tensor \"" FC1 ".weight_format\"", "expected 0 (weights in rows)");
    x.format[0] = 0;
    x.t[1] = tensor(FC1 ".SCB", F32, ROWS - 1, 0, x.top);
    put_model(x.t, 3);
    refused("tensor \"" FC1 ".SCB\"", "expected 88 numbers of type F32");
    x.t[1] = tensor(FC1 ".SCB", F16, ROWS, 0, x.top);
    put_model(x.t, 3);
    refused("tensor \"" FC1 ".SCB\"", "expected 88 numbers of type F32");
    make_eight(&x);
    x.top[9] = NAN;
    put_model(x.t, 3);
    refused("tensor \"" FC1 ".SCB\"", "number 9: expected a number, got nan");
    make_eight(&x);
    x.t[0] = tensor(FC1 ".weight", I8, COLS, ROWS, x.q); /* turned */
    x.t[1] = tensor(FC1 ".SCB", F32, ROWS, 0, x.top);
    put_model(x.t, 3);
    refused("tensor \"" FC1 ".weight\"", "expected shape [88,40], got [40,88]");
    /* two numbers in a byte, in no order that is ours */
    CkptTensor nibbles = tensor(FC1 ".weight", I4, ROWS, COLS, x.q);
    nibbles.bytes = ROWS * COLS / 2;
    put_model(&nibbles, 1);
    refused("tensor \"" FC1 ".weight\"", "expected F32, F16 or BF16, got I4");
    /* not of what is looked up or added */
    static int8_t zeros[256 * COLS];
    CkptTensor bias = tensor(FC1 ".bias", I8, ROWS, 0, zeros);
    put_model(&bias, 1);
    refused("tensor \"" FC1 ".bias\"", "expected F32, F16 or BF16, got I8");
}

/* --- 4 bits ------------------------------------------------------------------------------------------ */

enum { NUMBERS = ROWS * COLS, BLOCK = 64, BLOCKS = NUMBERS / BLOCK, NESTED = 16, GROUPS = 4 };
_Static_assert(BLOCKS == 55 && GROUPS == (BLOCKS + NESTED - 1) / NESTED,
               "blocks go on across the ends of rows");

typedef struct Four {
    unsigned char code[NUMBERS / 2], absmax8[BLOCKS];
    float map[16], absmax[BLOCKS], nested_map[256], nested_absmax[GROUPS];
    char state[300], name[200];
    CkptTensor t[6];
    size_t n;
} Four;

static void set_state(Four *x, const char *kind, const char *json)
{
    snprintf(x->name, sizeof x->name, FC1 ".weight.quant_state.bitsandbytes__%s", kind);
    snprintf(x->state, sizeof x->state, "%s", json);
    x->t[3] = tensor(x->name, U8, (int64_t)strlen(x->state), 0, x->state);
}

#define STATE "\"shape\": [88, 40]}"

static void make_four(Four *x, bool nested)
{
    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < sizeof x->code; i++)
        x->code[i] = (unsigned char)(rng_u64(6, i) & 255);
    for (size_t i = 0; i < 16; i++)
        x->map[i] = (float)rng_normal(7, i);
    for (size_t i = 0; i < BLOCKS; i++) {
        x->absmax[i] = 0.05f + 0.001f * (float)i;
        x->absmax8[i] = (unsigned char)(rng_u64(8, i) & 255);
    }
    for (size_t i = 0; i < 256; i++)
        x->nested_map[i] = (float)i / 128 - 1;
    for (size_t i = 0; i < GROUPS; i++)
        x->nested_absmax[i] = 0.01f * (float)(i + 1);
    x->t[0] = tensor(FC1 ".weight", U8, NUMBERS / 2, 1, x->code);
    x->t[1] = nested ? tensor(FC1 ".weight.absmax", U8, BLOCKS, 0, x->absmax8)
                     : tensor(FC1 ".weight.absmax", F32, BLOCKS, 0, x->absmax);
    x->t[2] = tensor(FC1 ".weight.quant_map", F32, 16, 0, x->map);
    set_state(x, "nf4",
              nested
                  ? "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float16\", "
                    "\"nested_blocksize\": 16, \"nested_dtype\": \"float32\", "
                    "\"nested_offset\": 0.0625, " STATE
                  : "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", " STATE);
    x->t[4] = tensor(FC1 ".weight.nested_absmax", F32, GROUPS, 0, x->nested_absmax);
    x->t[5] = tensor(FC1 ".weight.nested_quant_map", F32, 256, 0, x->nested_map);
    x->n = nested ? 6 : 4;
}

/* Number i, by the words of ckpt/bnb.h. */
static float stands_for(const Four *x, bool nested, size_t i)
{
    unsigned code = i % 2 == 0 ? x->code[i / 2] / 16u : x->code[i / 2] % 16u;
    size_t block = i / BLOCK;
    float factor = x->absmax[block];
    if (nested) {
        factor = x->nested_map[x->absmax8[block]] * x->nested_absmax[block / NESTED];
        factor = factor + 0.0625f;
    }
    return x->map[code] * factor;
}

static void is_four(const Four *x, bool nested, const Param *p)
{
    assert_int_equal(p->dtype, nested ? F16 : BF16);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint16_t got;
        float want = stands_for(x, nested, i);
        memcpy(&got, (const char *)p->data + 2 * i, 2);
        if (got != (nested ? f32_to_f16(want) : f32_to_bf16(want)))
            fail_msg("number %zu: expected %g, got bits %04x", i, (double)want, got);
    }
}

static void four_bits(void **state)
{
    static Four x;
    for (int nested = 0; nested < 2; nested++) {
        make_four(&x, nested);
        put_model(x.t, x.n);
        Blip2 *m = load(PRESET_NONE);
        is_four(&x, nested, find(m, FC1 ".weight"));
        assert_string_equal(m->notes.text, "");
        model_close(m);
        /* quantised anew, from what it stands for */
        m = load(PRESET_INT8);
        const Param *p = find(m, FC1 ".weight");
        assert_int_equal(p->dtype, I8);
        for (size_t i = 0; i < NUMBERS; i++) {
            double step = (double)p->scale[i / COLS];
            double got = step * ((const int8_t *)p->data)[i];
            assert_true(fabs(got - (double)stands_for(&x, nested, i)) <= 0.501 * step);
        }
        model_close(m);
    }
    /* fp4 differs in the name and the map alone; float32 stays that */
    make_four(&x, false);
    set_state(&x, "fp4",
              "{\"quant_type\": \"fp4\", \"blocksize\": 64, \"dtype\": \"float32\", " STATE);
    put_model(x.t, x.n);
    Blip2 *m = load(PRESET_NONE);
    const Param *p = find(m, FC1 ".weight");
    assert_int_equal(p->dtype, F32);
    for (size_t i = 0; i < NUMBERS; i++)
        assert_true(((const float *)p->data)[i] == stands_for(&x, false, i));
    model_close(m);
}

/* Through files of both kinds it is what it stands for. */
static void four_converted(void **state)
{
    static Four x;
    Error e = {0};
    make_four(&x, true);
    put_model(x.t, x.n);
    for (int to = CONVERT_HF; to <= CONVERT_PACKED; to += CONVERT_PACKED - CONVERT_HF) {
        ModelSource s = {0};
        assert_true(source_find(&s, scratch, NULL, &e));
        if (!model_convert(&s, at("to"), &(ConvertOptions){.to = (ConvertTo)to}, &e))
            fail_msg("%s", e.message);
        source_free(&s);
        assert_true(source_find(&s, at("to"), NULL, &e));
        Blip2 *m = model_load(dev, &s, PRESET_NONE, &e);
        source_free(&s);
        assert_non_null(m);
        Param p = *find(m, FC1 ".weight");
        static uint16_t rows[NUMBERS];
        for (size_t r = 0; p.layout == LAYOUT_PANEL && r < ROWS; r++)
            panel_to_row(rows + r * COLS, p.data, r, 0, COLS, F16, COLS);
        p.data = p.layout == LAYOUT_PANEL ? rows : p.data;
        is_four(&x, true, &p);
        model_close(m);
        char command[1100];
        snprintf(command, sizeof command, "rm -rf '%s'", at("to"));
        assert_int_equal(system(command), 0);
    }
}

static void wrong_state(Four *x, const char *json, const char *says)
{
    make_four(x, true);
    set_state(x, "nf4", json);
    put_model(x->t, x->n);
    refused("quant_state.bitsandbytes__nf4", says);
}

static void four_refused(void **state)
{
    static const char *const NAMES[] = {
        "weight", "weight.absmax",        "weight.quant_map",
        NULL,     "weight.nested_absmax", "weight.nested_quant_map"};
    static Four x;
    for (size_t i = 1; i < 6; i++) { /* a neighbour is missing, or too short */
        char object[200];
        if (!NAMES[i])
            continue;
        snprintf(object, sizeof object, "tensor \"" FC1 ".%s\"", NAMES[i]);
        make_four(&x, true);
        x.t[i].data = NULL;
        put_model(x.t, x.n);
        if (i == 4) /* without it the other form is expected */
            refused("tensor \"" FC1 ".weight.absmax\"", "expected 55 numbers of type F32");
        else
            refused(object, "expected, but missing");
        make_four(&x, true);
        x.t[i].shape[0]--;
        x.t[i].bytes -= dtype_size(x.t[i].dtype);
        put_model(x.t, x.n);
        refused(object, "numbers of type");
    }
    make_four(&x, true);
    put_model(x.t, 3); /* no state */
    refused("tensor \"" FC1 ".weight\"", "expected F32, F16 or BF16, got U8");
    make_four(&x, true);
    x.t[0].shape[0]--;
    x.t[0].bytes--;
    put_model(x.t, x.n);
    refused("tensor \"" FC1 ".weight\"", "expected 1760 numbers of type U8");
    wrong_state(&x, "{\"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [40, 88]}",
                "shape: expected that of the weight");
    wrong_state(&x, "{\"blocksize\": 63, \"dtype\": \"float16\", " STATE,
                "blocksize: expected a power of two, got 63");
    wrong_state(&x, "{\"blocksize\": 0, \"dtype\": \"float16\", " STATE, "blocksize");
    wrong_state(&x, "{\"blocksize\": 64, \"dtype\": \"int8\", " STATE,
                "dtype: expected float32, float16 or bfloat16");
    wrong_state(&x, "{\"blocksize\": 64", "JSON");
    make_four(&x, false);
    x.absmax[3] = INFINITY;
    put_model(x.t, x.n);
    refused("tensor \"" FC1 ".weight.absmax\"", "number 3: expected a number, got inf");
}

static void no_memory(void **state)
{
    static Four x;
    make_four(&x, true);
    put_model(x.t, x.n);
    size_t before = mem_in_use();
    bool done = false;
    for (long n = 1; !done; n += 1 + n / 40) {
        Error e = {0};
        mem_fail_at(n);
        Blip2 *m = model_open(dev, scratch, PRESET_NONE, &e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(e.code, m ? ERR_NONE : ERR_MEMORY);
        model_close(m);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_bits),   cmocka_unit_test(eight_refused),
        cmocka_unit_test(four_bits),    cmocka_unit_test(four_converted),
        cmocka_unit_test(four_refused), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
