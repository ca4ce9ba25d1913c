/* text/charsmap.c: see text/charsmap.h. */
#include "text/charsmap.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

/* --- the trie ------------------------------------------------------------------------------------ */

static uint32_t read32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A longer one would make a long text of a short one; real ones have at most 33 bytes. */
enum { REPLACEMENT_MAX = 256 };

static bool texts_are_short(const Charsmap *c)
{
    for (size_t at = 0; at < c->text_n;) {
        size_t k = strlen(c->text + at);
        if (k > REPLACEMENT_MAX)
            return false;
        at += k + 1;
    }
    return true;
}

bool charsmap_read(Charsmap *c, const void *blob, size_t n, const char *where, Error *e)
{
    const unsigned char *p = blob;
    size_t bytes = n >= 4 ? read32(p) : 0;
    *c = (Charsmap){0};
    if (n == 0)
        return true;
    if (n < 4 || bytes == 0 || bytes % 4 != 0 || bytes > n - 4)
        return error_set(e, ERR_BAD_MODEL, "%s: precompiled_charsmap: damaged", where);
    c->unit_n = bytes / 4;
    c->text_n = n - 4 - bytes;
    c->unit = mem_alloc(bytes);
    c->text = mem_alloc(c->text_n + 1);
    if (!c->unit || !c->text) {
        charsmap_free(c);
        return error_memory(e, where, n);
    }
    for (size_t i = 0; i < c->unit_n; i++)
        c->unit[i] = read32(p + 4 + 4 * i);
    memcpy(c->text, p + 4 + bytes, c->text_n);
    c->text[c->text_n] = '\0';
    return texts_are_short(c) ||
           error_set(e, ERR_BAD_MODEL,
                     "%s: precompiled_charsmap: expected replacements of at most %d bytes", where,
                     REPLACEMENT_MAX);
}

void charsmap_free(Charsmap *c)
{
    mem_free(c->unit);
    mem_free(c->text);
    *c = (Charsmap){0};
}

/* Units of darts-clone. */
static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 512) >> 6);
}

static uint32_t label_of(uint32_t unit)
{
    return unit & 0x800000ff;
}

/* The text that replaces the shortest key that s[0..n) begins with; NULL: no key does. A damaged trie leads out
 * of itself, and there it ends. */
static const char *shortest(const Charsmap *c, const char *s, size_t n)
{
    uint32_t node = c->unit_n ? offset_of(c->unit[0]) : 0;
    for (size_t i = 0; i < n; i++) {
        node ^= (unsigned char)s[i];
        if (node >= c->unit_n || label_of(c->unit[node]) != (unsigned char)s[i])
            return NULL;
        uint32_t unit = c->unit[node];
        node ^= offset_of(unit);
        if (unit >> 8 & 1) {
            uint32_t at = node < c->unit_n ? c->unit[node] & 0x7fffffff : UINT32_MAX;
            return at < c->text_n ? c->text + at : NULL;
        }
    }
    return NULL;
}

/* --- clusters ------------------------------------------------------------------------------------ */

/* The length of the cluster at s[0..n): CR LF; a character with what continues it, after those that join it;
 * a control alone (Unicode annex 29; rules that no key can tell apart are left out). */
static size_t cluster(const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    size_t at = (size_t)utf8_next(s, n, &cp, &valid);
    if (cp == '\r' && at < n && s[at] == '\n')
        return at + 1;
    while (cluster_class(cp) == CLUSTER_PREPEND && at < n) {
        size_t k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (cluster_class(cp) == CLUSTER_CONTROL)
            return at;
        at += k;
    }
    if (cluster_class(cp) == CLUSTER_CONTROL)
        return at;
    while (at < n) {
        size_t k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (cluster_class(cp) != CLUSTER_EXTEND)
            break;
        at += k;
    }
    return at;
}

enum { WHOLE_BYTES = 6 }; /* clusters of so many bytes are looked up by code points only */

void charsmap_apply(const Charsmap *c, const char *s, size_t n, StrBuf *out)
{
    for (size_t at = 0, k; at < n; at += k) {
        k = cluster(s + at, n - at);
        const char *whole = k < WHOLE_BYTES ? shortest(c, s + at, k) : NULL;
        if (whole)
            strbuf_puts(out, whole);
        for (size_t i = 0, m; !whole && i < k; i += m) {
            uint32_t cp;
            bool valid;
            m = (size_t)utf8_next(s + at + i, k - i, &cp, &valid);
            const char *one = shortest(c, s + at + i, m);
            strbuf_add(out, one ? one : s + at + i, one ? strlen(one) : m);
        }
    }
}
