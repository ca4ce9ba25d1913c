/* ckpt/st_write.c: see ckpt/st_write.h. Source: safetensors' README, "Format". */
#include "ckpt/st_write.h"

#include <string.h>

enum { ALIGNED = 64 };

int st_order(const void *a, const void *b)
{
    const StEntry *x = a, *y = b;
    size_t m = dtype_size(x->dtype), n = dtype_size(y->dtype);
    if (x->place != y->place)
        return x->place - y->place;
    return m != n ? (m < n) - (m > n) : strcmp(x->name, y->name);
}

static void add_entry(StrBuf *out, const StEntry *t, uint64_t at)
{
    strbuf_printf(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        strbuf_printf(out, "%s%lld", i ? "," : "", (long long)t->shape[i]);
    strbuf_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                  (unsigned long long)(at + t->bytes));
}

void st_header(StrBuf *out, const void *entries, size_t n, size_t size, const char *metadata)
{
    uint64_t at = 0;
    unsigned char length[8] = {0};
    size_t start = out->len;
    strbuf_add(out, length, 8);
    strbuf_printf(out, "{\"__metadata__\":{");
    strbuf_puts(out, metadata);
    strbuf_puts(out, "}");
    for (size_t i = 0; i < n; i++) {
        const StEntry *t = (const StEntry *)((const char *)entries + i * size);
        add_entry(out, t, at);
        at += t->bytes;
    }
    strbuf_puts(out, "}");
    while (!out->failed && (out->len - start) % ALIGNED != 0)
        strbuf_puts(out, " ");
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((out->len - start - 8) >> 8 * i);
    if (!out->failed)
        memcpy(out->data + start, length, 8);
}
