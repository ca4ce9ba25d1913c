/* text/caption.c: the steps of LAVIS' pre_caption and pre_question, one after the other and in place. */
#include "text/caption.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "text/lower.h"
#include "text/unicode.h"

/* re.sub("[.!\"()*#:;~]", "", s), or " " instead of "" */
static size_t replace_marks(char *s, size_t n, bool by_space)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        bool mark = s[i] && strchr(".!\"()*#:;~", s[i]);
        if (!mark || by_space)
            s[out++] = mark ? ' ' : s[i];
    }
    return out;
}

/* The bytes of white space that s[0..n) begins with, and how many characters they are. */
static size_t space_run(const char *s, size_t n, size_t *characters)
{
    size_t at = 0;
    *characters = 0;
    while (at < n) {
        uint32_t cp;
        bool valid;
        size_t k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (!unicode_python_space(cp))
            break;
        at += k;
        ++*characters;
    }
    return at;
}

/* re.sub("\\s{2,}", " ", s) */
static size_t join_spaces(char *s, size_t n)
{
    size_t out = 0;
    for (size_t i = 0, k, characters; i < n; i += k) {
        k = space_run(s + i, n - i, &characters);
        if (characters >= 2) {
            s[out++] = ' ';
            continue;
        }
        k = k ? k : 1;
        memmove(s + out, s + i, k);
        out += k;
    }
    return out;
}

static size_t strip_end(const char *s, size_t n, char c)
{
    while (n > 0 && s[n - 1] == c)
        n--;
    return n;
}

/* " ".join(s.split(" ")[:words]) */
static size_t keep_words(const char *s, size_t n, size_t words)
{
    if (words == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] == ' ' && --words == 0)
            return i;
    return n;
}

bool caption_clean(const char *s, size_t n, size_t words, StrBuf *out)
{
    StrBuf low = {0};
    lower_add(&low, s, n);
    bool ok = !low.failed;
    if (ok && low.len) {
        size_t k = join_spaces(low.data, replace_marks(low.data, low.len, true)), from = 0;
        k = strip_end(low.data, strip_end(low.data, k, '\n'), ' ');
        while (from < k && low.data[from] == ' ')
            from++;
        strbuf_add(out, low.data + from, keep_words(low.data + from, k - from, words));
    }
    strbuf_free(&low);
    return ok && !out->failed;
}

bool question_clean(const char *s, size_t n, size_t words, StrBuf *out)
{
    StrBuf low = {0};
    lower_add(&low, s, n);
    bool ok = !low.failed;
    if (ok && low.len) {
        size_t k = strip_end(low.data, replace_marks(low.data, low.len, false), ' ');
        strbuf_add(out, low.data, keep_words(low.data, k, words));
    }
    strbuf_free(&low);
    return ok && !out->failed;
}
