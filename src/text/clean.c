/* text/clean.c: the clean-up of spaces, what of it later text may still change, stripping. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

/* Python's str.replace(from, to) where `to` is not longer than `from`; in place, the new length. */
static size_t replace(char *s, size_t n, const char *from, const char *to)
{
    size_t k = strlen(from), j = strlen(to), out = 0;
    for (size_t i = 0; i < n;) {
        if (s[i] == from[0] && n - i >= k && memcmp(s + i, from, k) == 0) {
            memcpy(s + out, to, j);
            out += j;
            i += k;
        } else {
            s[out++] = s[i++];
        }
    }
    return out;
}

static const char *const RULES[][2] = {
    {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};
enum { RULE_COUNT = sizeof RULES / sizeof *RULES, RULE_BYTES = 4 };

size_t text_cleanup(char *s, size_t n)
{
    for (size_t i = 0; i < RULE_COUNT; i++)
        n = replace(s, n, RULES[i][0], RULES[i][1]);
    return n;
}

/* Whether what follows could make a match of a rule out of the last k bytes. */
static bool may_match(const char *end, size_t k)
{
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (strlen(RULES[i][0]) > k && memcmp(end - k, RULES[i][0], k) == 0)
            return true;
    return false;
}

size_t text_settled(const char *s, size_t n)
{
    size_t k = 1;
    while (k < RULE_BYTES && k <= n) {
        bool open = may_match(s + n, k);
        n -= open ? k : 0; /* and again: what is left may end in such a beginning too */
        k = open ? 1 : k + 1;
    }
    return n;
}

static bool is_space(const char *s, size_t n, size_t *length)
{
    uint32_t cp;
    bool valid;
    *length = (size_t)utf8_next(s, n, &cp, &valid);
    return valid && unicode_python_space(cp);
}

size_t text_strip(char *s, size_t n)
{
    size_t start = 0, end = 0, k;
    while (start < n && is_space(s + start, n - start, &k))
        start += k;
    for (size_t i = start; i < n; i += k)
        if (!is_space(s + i, n - i, &k))
            end = i + k;
    if (end <= start)
        return 0;
    memmove(s, s + start, end - start);
    return end - start;
}
