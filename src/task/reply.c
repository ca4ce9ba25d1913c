/* task/reply.c: a text in the making: what later ids may still change is held back. */
#include "task/reply.h"

#include <string.h>

/* Characters of which only the first bytes are there show up as U+FFFD at the end. */
static size_t whole_characters(const char *s, size_t n)
{
    while (n >= 3 && memcmp(s + n - 3, "\xef\xbf\xbd", 3) == 0)
        n -= 3;
    return n;
}

bool reply_text(const Reply *r, const int *ids, size_t n, bool whole, StrBuf *out)
{
    strbuf_puts(out, ""); /* so that there is a terminator even without text */
    if (!tokenizer_decode(r->tokenizer, ids, n, true, out) || !strbuf_cstr(out))
        return false;
    if (!whole)
        out->len = whole_characters(out->data, out->len);
    if (!whole && r->clean)
        out->len = text_settled(out->data, out->len);
    if (r->clean)
        out->len = text_cleanup(out->data, out->len);
    out->len = text_strip(out->data, out->len);
    out->data[out->len] = 0;
    return true;
}

/* What text says beyond what was shown; "" when it says something else, which no later text mends. */
static const char *beyond(const StrBuf *text, const StrBuf *shown)
{
    if (text->len < shown->len || (shown->len && memcmp(text->data, shown->data, shown->len) != 0))
        return "";
    return text->data + shown->len;
}

bool reply_add(Reply *r, int id, bool last, StrBuf *text, const char **piece)
{
    size_t before = r->ids.n;
    *piece = "";
    bool ok = ids_push(&r->ids, id) && reply_text(r, r->ids.id, r->ids.n, last, text);
    if (ok) {
        *piece = beyond(text, &r->shown);
        strbuf_puts(&r->shown, *piece);
    }
    if (ok && !r->shown.failed)
        return true;
    r->ids.n = before;
    r->shown.failed = false;
    return false;
}

void reply_free(Reply *r)
{
    ids_free(&r->ids);
    strbuf_free(&r->shown);
}
