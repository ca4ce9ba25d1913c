/* eval/lines.c: one caption, one line. */
#include "eval/lines.h"

#include "base/utf8.h"

void line_add(StrBuf *out, const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    for (size_t at = 0, length; at < n; at += length) {
        length = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        bool ends =
            (cp >= 0x0a && cp <= 0x0d) || cp == 0x85 || cp == 0x2028 || cp == 0x2029 || cp == 0;
        if (ends)
            strbuf_add(out, " ", 1);
        else
            strbuf_add(out, s + at, length);
    }
    strbuf_add(out, "\n", 1);
}
