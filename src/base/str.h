/* base/str.h: a growing byte string, and small helpers.
 *
 * A StrBuf starts as {0}, grows as needed and is freed by strbuf_free. A failed allocation sets
 * `failed` and drops what follows; check it once at the end. data belongs to the StrBuf; it is NULL
 * until something was added and zero-terminated from then on. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct StrBuf {
    char *data;
    size_t len, cap;
    bool failed;
} StrBuf;

void strbuf_add(StrBuf *s, const void *bytes, size_t n);
void strbuf_puts(StrBuf *s, const char *text);
void strbuf_printf(StrBuf *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *strbuf_cstr(StrBuf *s); /* "" when empty; NULL when failed */
void strbuf_free(StrBuf *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Edit distance with transpositions (optimal string alignment), for "did you mean". Of longer
 * strings the first 64 bytes count. */
int str_distance(const char *a, const char *b);

#endif
