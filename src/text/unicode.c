/* text/unicode.c: searches in the tables of ranges. */
#include "text/unicode.h"

/* The class of cp in a table; 0 where it is in none of its ranges. */
static int class_in(const UnicodeRange *range, size_t n, uint32_t cp)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > range[mid].last)
            lo = mid + 1;
        else if (cp < range[mid].first)
            hi = mid;
        else
            return range[mid].class;
    }
    return 0;
}

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
    return cp < 0x80 ? ascii_class((unsigned char)cp)
                     : (CharClass)class_in(UNICODE_RANGES, UNICODE_RANGE_COUNT, cp);
}

/* The white space of the splitter and four separators. */
bool unicode_python_space(uint32_t cp)
{
    return (cp >= 0x1c && cp <= 0x1f) || unicode_class(cp) == CLASS_SPACE;
}

/* --- clusters ------------------------------------------------------------------------------------ */

/* Grapheme_Cluster_Break=Control below U+10000; beyond, no cluster is short enough to matter. */
static const UnicodeRange CONTROLS[] = {
    {0x00, 0x1f, 1},     {0x7f, 0x9f, 1},     {0xad, 0xad, 1},     {0x61c, 0x61c, 1},
    {0x180e, 0x180e, 1}, {0x200b, 0x200b, 1}, {0x200e, 0x200f, 1}, {0x2028, 0x202e, 1},
    {0x2060, 0x206f, 1}, {0xfeff, 0xfeff, 1}, {0xfff0, 0xfffb, 1},
};

ClusterClass cluster_class(uint32_t cp)
{
    if (class_in(CONTROLS, sizeof CONTROLS / sizeof *CONTROLS, cp))
        return CLUSTER_CONTROL;
    return (ClusterClass)class_in(CLUSTER_RANGES, CLUSTER_RANGE_COUNT, cp);
}

/* --- BERT ---------------------------------------------------------------------------------------- */

/* The Unicode standard, 3.12: a syllable's two or three letters. */
static int hangul(uint32_t cp, uint32_t *to)
{
    uint32_t s = cp - 0xac00;
    if (cp < 0xac00 || cp > 0xd7a3)
        return 0;
    to[0] = 0x1100 + s / 588;
    to[1] = 0x1161 + s % 588 / 28;
    to[2] = 0x11a7 + s % 28;
    return s % 28 ? 3 : 2;
}

static int mapped(uint32_t cp, uint32_t *to)
{
    size_t lo = 0, hi = BERT_MAP_COUNT;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (BERT_MAPS[mid].from < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == BERT_MAP_COUNT || BERT_MAPS[lo].from != cp)
        return 0;
    const BertMap *m = &BERT_MAPS[lo];
    for (int i = 0; i < m->n; i++)
        to[i] = BERT_MAPPED[m->at + i];
    return m->n;
}

int bert_normalised(uint32_t cp, uint32_t to[BERT_MAPPED_MAX])
{
    switch ((BertClass)class_in(BERT_RANGES, BERT_RANGE_COUNT, cp)) {
    case BERT_DROP: return 0;
    case BERT_SPACE: to[0] = ' '; return 1;
    case BERT_CJK:
        to[0] = to[2] = ' ';
        to[1] = cp;
        return 3;
    default: break;
    }
    int n = hangul(cp, to);
    n = n ? n : mapped(cp, to);
    if (!n)
        to[n++] = cp;
    return n;
}

bool bert_is_punctuation(uint32_t cp)
{
    return class_in(BERT_PUNCTUATION, BERT_PUNCTUATION_COUNT, cp) != 0;
}

/* --- lower case ---------------------------------------------------------------------------------- */

uint32_t unicode_lower(uint32_t cp)
{
    size_t lo = 0, hi = LOWER_RANGE_COUNT;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const LowerRange *r = &LOWER_RANGES[mid];
        if (cp > r->last)
            lo = mid + 1;
        else if (cp < r->first)
            hi = mid;
        else
            return (cp - r->first) % (uint32_t)r->step ? cp : (uint32_t)((int)cp + r->by);
    }
    return cp;
}

SigmaClass sigma_class(uint32_t cp)
{
    return (SigmaClass)class_in(SIGMA_RANGES, SIGMA_RANGE_COUNT, cp);
}
