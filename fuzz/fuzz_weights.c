/* Arbitrary bytes as a safetensors file, packed or not, of which two weights are asked for, of every form in which a weight
 * may be stored: floats, panels, int8 and int4, bitsandbytes' 8 and 4 bits. All their numbers are read. */
#include <string.h>

#include "base/mem.h"
#include "ckpt/checkpoint.h"
#include "ckpt/packed.h"
#include "ckpt/safetensors.h"
#include "models/quantise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT = 33, IN = 40 };

static float numbers[OUT * IN];

static void check(bool ok, const Error *e)
{
    if (ok != (e->code == ERR_NONE))
        BUG("no error, or one that is not one");
    if (strpbrk(e->message, "\n\r\x1b"))
        BUG("a message of several lines");
}

static void read_all(const Recipe *r)
{
    static unsigned char copy[4 * OUT * IN + 2 * OUT * IN * 4];
    float scale[OUT];
    recipe_floats(r, numbers, 0, OUT);
    if (r->dtype == I8)
        recipe_scales(r, scale, 0, OUT);
    if (r->dtype != I4)
        recipe_rows(r, copy, 0, OUT);
}

static void quantise_all(const Recipe *r)
{
    static unsigned char out[OUT * IN * 4];
    float scale[OUT];
    Quantiser q = {.pool = pool_new(1), .threads = 1};
    if (!q.pool || !quantise(&q, r, I8, 0, OUT, out, scale) ||
        !quantise(&q, r, I4, 0, OUT, out, NULL))
        BUG("out of memory");
    quantiser_free(&q);
}

static void read_weight(Checkpoint *c, const char *name, ParamKind kind)
{
    Error e = {0};
    Recipe r;
    ParamSpec spec = {.kind = kind, .rank = 2, .shape = {OUT, IN}, .rows = OUT, .cols = IN};
    bool ok = recipe_take(&r, c, name, &spec, &e);
    check(ok, &e);
    if (!ok || r.n == 0)
        return;
    read_all(&r);
    quantise_all(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error e = {0};
    ModelSource s = {.path = "fuzz", .ckpt = ckpt_new("fuzz", &e)};
    if (!s.ckpt)
        return 0;
    bool ok = safetensors_parse(&s.ckpt->list, data, size, "fuzz", &e);
    check(ok, &e);
    if (ok && packed_is(s.ckpt)) {
        ok = packed_open(&s, &e);
        check(ok, &e);
    }
    if (ok && ckpt_unwrap(s.ckpt, "query_tokens", NULL, NULL, &e)) {
        read_weight(s.ckpt, "w.weight", PARAM_MATRIX);
        read_weight(s.ckpt, "t.weight", PARAM_TABLE);
    }
    source_free(&s);
    if (mem_in_use() != 0)
        BUG("leaked");
    return 0;
}
