/* text/unicode.c: a search in the table of ranges. */
#include "text/unicode.h"

static CharClass ascii_class(unsigned char c)
{
    unsigned char lower = c | 0x20;
    if (lower >= 'a' && lower <= 'z')
        return CLASS_LETTER;
    if (c >= '0' && c <= '9')
        return CLASS_NUMBER;
    return c == ' ' || (c >= '\t' && c <= '\r') ? CLASS_SPACE : CLASS_OTHER;
}

CharClass unicode_class(uint32_t cp)
{
    if (cp < 0x80)
        return ascii_class((unsigned char)cp);
    size_t lo = 0, hi = UNICODE_RANGE_COUNT;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > UNICODE_RANGES[mid].last)
            lo = mid + 1;
        else if (cp < UNICODE_RANGES[mid].first)
            hi = mid;
        else
            return UNICODE_RANGES[mid].class;
    }
    return CLASS_OTHER;
}
