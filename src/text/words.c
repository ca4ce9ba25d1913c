/* text/words.c: where the word ends that begins here. */
#include "text/words.h"

#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

static CharClass class_at(const char *s, size_t n, size_t at, size_t *next)
{
    uint32_t cp;
    bool valid;
    *next = at + (size_t)utf8_next(s + at, n - at, &cp, &valid);
    return unicode_class(cp);
}

/* The end of the run of one class that starts at `at`; *last is where its last character starts. */
static size_t run_end(const char *s, size_t n, size_t at, CharClass class, size_t *last)
{
    size_t next;
    while (at < n && class_at(s, n, at, &next) == class) {
        *last = at;
        at = next;
    }
    return at;
}

/* Length of the contraction suffix at s, or 0. */
static size_t contraction(const char *s, size_t n)
{
    static const char *const SUFFIXES[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        size_t k = strlen(SUFFIXES[i]);
        if (n >= k && memcmp(s, SUFFIXES[i], k) == 0)
            return k;
    }
    return 0;
}

/* A run of white space leaves its last character to the word behind it, unless it has only one. */
static size_t space_end(const char *s, size_t n, size_t at)
{
    size_t last = at, end = run_end(s, n, at, CLASS_SPACE, &last);
    return end == n || last == at ? end : last;
}

size_t word_end(const char *s, size_t n, size_t at)
{
    size_t next, last, k = s[at] == '\'' ? contraction(s + at, n - at) : 0;
    if (k)
        return at + k;
    CharClass class = class_at(s, n, at, &next);
    if (s[at] == ' ' && next < n)
        class = class_at(s, n, next, &last);
    if (class == CLASS_SPACE)
        return space_end(s, n, at);
    return run_end(s, n, s[at] == ' ' ? next : at, class, &last);
}
