/* Arbitrary bytes as a packed model, or as any safetensors file without a config.json: its texts are read as
 * configuration and tokenizer, or a configuration is derived from its shapes. */
#include <string.h>

#include "ckpt/checkpoint.h"
#include "ckpt/derive.h"
#include "ckpt/packed.h"
#include "ckpt/safetensors.h"
#include "config/config.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const Error *e)
{
    if (ok != (e->code == ERR_NONE))
        BUG("no error, or one that is not one");
    if (strpbrk(e->message, "\n\r\x1b"))
        BUG("a message of several lines");
}

static void read_parts(const ModelSource *s)
{
    ModelConfig k;
    Error e = {0};
    check(config_open(&k, &s->config, &e), &e);
    e = (Error){0};
    Tokenizer *t = tokenizer_open(&s->tokenizer, &e);
    check(t != NULL, &e);
    tokenizer_free(t);
}

static void derive(Checkpoint *c, Arena *mem)
{
    Error e = {0};
    if (!ckpt_unwrap(c, "query_tokens", NULL, NULL, &e))
        BUG("out of memory");
    check(derive_config(c, NULL, mem, &e) != NULL, &e);
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
        if (ok)
            read_parts(&s);
    } else if (ok) {
        derive(s.ckpt, &s.mem);
    }
    source_free(&s);
    if (mem_in_use() != 0)
        BUG("leaked");
    return 0;
}
