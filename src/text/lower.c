/* text/lower.c: see text/lower.h. */
#include "text/lower.h"

#include <stdbool.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum { CAPITAL_SIGMA = 0x3a3, SMALL_SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2 };
enum { CAPITAL_DOTTED_I = 0x130 };

/* The first character of s[0..n) that a sigma before it does not look past has case. */
static bool case_follows(const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t cp;
        bool valid;
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
        SigmaClass class = sigma_class(cp);
        if (class != SIGMA_IGNORED)
            return class == SIGMA_CASED;
    }
    return false;
}

/* Objects/unicodeobject.c, handle_capital_sigma (the Unicode standard, 3.13, Final_Sigma). */
void lower_add(StrBuf *out, const char *s, size_t n)
{
    bool in_word = false; /* the last character that is not looked past has case */
    for (size_t at = 0, k; at < n; at += k) {
        uint32_t cp;
        bool valid;
        char bytes[4];
        k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        uint32_t low = cp == CAPITAL_DOTTED_I ? 'i' : unicode_lower(cp);
        if (cp == CAPITAL_SIGMA)
            low = in_word && !case_follows(s + at + k, n - at - k) ? FINAL_SIGMA : SMALL_SIGMA;
        strbuf_add(out, bytes, (size_t)utf8_put(low, bytes));
        if (cp == CAPITAL_DOTTED_I) /* the one that becomes two */
            strbuf_puts(out, "\xcc\x87");
        SigmaClass class = sigma_class(cp);
        in_word = class == SIGMA_IGNORED ? in_word : class == SIGMA_CASED;
    }
}
