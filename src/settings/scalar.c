/* settings/scalar.c: the patterns are those of PyYAML 6's resolver and of OmegaConf 2.3's addition to it. */
#include "settings/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS  "0123456789"
#define DIGITS_ DIGITS "_"

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool is_null(const char *s)
{
    static const char *const WORDS[] = {"", "~", "null", "Null", "NULL", NULL};
    return one_of(s, WORDS);
}

static const char *const TRUE_WORDS[] = {"yes",  "Yes", "YES", "true", "True",
                                         "TRUE", "on",  "On",  "ON",   NULL};
static const char *const FALSE_WORDS[] = {"no",    "No",  "NO",  "false", "False",
                                          "FALSE", "off", "Off", "OFF",   NULL};

/* --- integers ------------------------------------------------------------------------------------- */

/* All of s, at least one. */
static bool consists_of(const char *s, const char *set)
{
    return *s && strspn(s, set) == strlen(s);
}

/* The pieces of 1:30:00 behind the first. */
static size_t sixties(const char *s)
{
    size_t n = 0;
    while (s[n] == ':') {
        size_t k = n + 1;
        if (s[k] >= '0' && s[k] <= '5' && s[k + 1] && strchr(DIGITS, s[k + 1]))
            k += 2;
        else if (s[k] && strchr(DIGITS, s[k]))
            k++;
        else
            break;
        n = k;
    }
    return n;
}

typedef struct Whole {
    int base; /* 0: it is none; 60: with colons */
    const char *digits;
    bool negative;
} Whole;

static Whole whole_form(const char *s)
{
    Whole w = {0, s + (*s == '-' || *s == '+'), *s == '-'};
    const char *d = w.digits;
    if (d[0] == '0' && d[1] == 'b' && consists_of(d + 2, "01_"))
        w.base = 2;
    else if (d[0] == '0' && d[1] == 'x' && consists_of(d + 2, "0123456789abcdefABCDEF_"))
        w.base = 16;
    else if (d[0] == '0' && consists_of(d + 1, "01234567_"))
        w.base = 8;
    else if (strcmp(d, "0") == 0 || (*d >= '1' && *d <= '9' && consists_of(d, DIGITS_)))
        w.base = 10;
    else if (*d >= '1' && *d <= '9') {
        size_t n = strspn(d, DIGITS_), more = sixties(d + n);
        w.base = more && !d[n + more] ? 60 : 0;
    }
    if (w.base == 2 || w.base == 16)
        w.digits += 2;
    return w;
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* False: too large. */
static bool whole_value(Whole w, int64_t *out)
{
    int base = w.base == 60 ? 10 : w.base;
    int64_t value = 0, before = 0; /* before: what stands left of the last colon */
    for (const char *p = w.digits;; p++) {
        if (*p == '_')
            continue;
        if (*p == ':' || !*p) {
            if (__builtin_mul_overflow(before, 60, &before) ||
                __builtin_add_overflow(before, value, &before))
                return false;
            value = 0;
            if (!*p)
                break;
        } else if (__builtin_mul_overflow(value, base, &value) ||
                   __builtin_add_overflow(value, digit(*p), &value)) {
            return false;
        }
    }
    *out = w.negative ? -before : before;
    return true;
}

/* --- reals ---------------------------------------------------------------------------------------- */

/* [0-9]+(_[0-9]+)*: its length, 0: none. */
static size_t grouped(const char *s)
{
    size_t n = strspn(s, DIGITS);
    while (n && s[n] == '_' && strspn(s + n + 1, DIGITS))
        n += 1 + strspn(s + n + 1, DIGITS);
    return n;
}

/* [eE][-+]?[0-9]+, the sign needed when `sign`: its length, 0: none. */
static size_t exponent(const char *s, bool sign)
{
    if (*s != 'e' && *s != 'E')
        return 0;
    size_t signs = s[1] == '-' || s[1] == '+', n = strspn(s + 1 + signs, DIGITS);
    return n && (signs || !sign) ? 1 + signs + n : 0;
}

/* [0-9][0-9_]*: likewise. PyYAML's pattern has it, and is there beside OmegaConf's. */
static size_t loose(const char *s)
{
    return *s >= '0' && *s <= '9' ? strspn(s, DIGITS_) : 0;
}

/* Nothing more, or an exponent and nothing more. */
static bool ends(const char *s, bool sign)
{
    return !*s || (exponent(s, sign) && !s[exponent(s, sign)]);
}

static bool is_real(const char *s)
{
    if (*s == '.') /* no sign here, and an exponent with one: the patterns are so */
        return loose(s + 1) && ends(s + 1 + loose(s + 1), true);
    s += *s == '-' || *s == '+';
    size_t n = loose(s), more = sixties(s + n);
    bool strict = grouped(s) == n;
    s += n + more;
    if (n && *s == '.') {
        s += 1 + strspn(s + 1, DIGITS_);
        return more ? !*s : ends(s, !strict);
    }
    return n && strict && !more && *s && ends(s, false);
}

static bool special_real(const char *s, double *out)
{
    static const char *const INF[] = {".inf", ".Inf", ".INF", NULL}, *const NOT[] = {".nan", ".NaN",
                                                                                     ".NAN", NULL};
    bool sign = *s == '-' || *s == '+';
    *out = *s == '-' ? -INFINITY : INFINITY;
    if (one_of(s + sign, INF))
        return true;
    *out = NAN;
    return one_of(s, NOT);
}

/* s without "_", and with colons, as a number. */
static double real_value(const char *s)
{
    char digits[64];
    double before = 0, sign = *s == '-' ? -1 : 1;
    s += *s == '-' || *s == '+';
    for (size_t n = 0;; s++) {
        if (*s == '_')
            continue;
        if (*s && *s != ':') {
            if (n + 1 < sizeof digits)
                digits[n++] = *s;
            continue;
        }
        digits[n] = '\0';
        before = before * 60 + strtod(digits, NULL);
        n = 0;
        if (!*s)
            return sign * before;
    }
}

/* --- all together --------------------------------------------------------------------------------- */

static bool resolve_whole(Node *n, Whole w, Error *e)
{
    if (!whole_value(w, &n->whole))
        return node_error(n, e, "expected an integer of 64 bits, got %.60s", n->text);
    n->kind = NODE_WHOLE;
    n->real = (double)n->whole;
    return true;
}

/* Longer ones exist, but nobody wrote them. */
enum { REAL_LENGTH_MAX = 63 };

bool scalar_resolve(Node *n, Error *e)
{
    const char *s = n->text;
    Whole w = whole_form(s);
    n->kind = NODE_TEXT;
    if (is_null(s))
        n->kind = NODE_NULL;
    else if (one_of(s, TRUE_WORDS) || one_of(s, FALSE_WORDS)) {
        n->kind = NODE_BOOL;
        n->flag = one_of(s, TRUE_WORDS);
    } else if (special_real(s, &n->real)) {
        n->kind = NODE_REAL;
    } else if (w.base) {
        return resolve_whole(n, w, e);
    } else if (strlen(s) <= REAL_LENGTH_MAX && is_real(s)) {
        n->kind = NODE_REAL;
        n->real = real_value(s);
    }
    return true;
}

bool scalar_tagged(Node *n, const char *tag, Error *e)
{
    static const struct {
        const char *tag;
        NodeKind kind;
    } TAGS[] = {{"null", NODE_NULL},
                {"bool", NODE_BOOL},
                {"int", NODE_WHOLE},
                {"float", NODE_REAL},
                {"str", NODE_TEXT}};
    static const char PREFIX[] = "tag:yaml.org,2002:";
    NodeKind want = NODE_MAP;
    for (size_t i = 0; str_starts(tag, PREFIX) && i < sizeof TAGS / sizeof *TAGS; i++)
        if (strcmp(tag + sizeof PREFIX - 1, TAGS[i].tag) == 0)
            want = TAGS[i].kind;
    if (want == NODE_MAP)
        return node_error(n, e, "tag: expected one of YAML's own, got %.60s", tag);
    if (!scalar_resolve(n, e))
        return false;
    if (want == NODE_REAL && n->kind == NODE_WHOLE)
        n->kind = NODE_REAL;
    if (want == NODE_TEXT)
        n->kind = NODE_TEXT;
    char what[96];
    return n->kind == want || node_error(n, e, "expected a value of its tag %.60s, got %s", tag,
                                         node_described(n, what));
}

const char *scalar_real(double x, char buffer[32])
{
    if (isnan(x) || isinf(x))
        return isnan(x) ? ".nan" : x < 0 ? "-.inf" : ".inf";
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, 32, "%.*g", digits, x);
        if (strtod(buffer, NULL) == x)
            break;
    }
    if (strchr(buffer, 'e') && fabs(x) >= 1e-4 && fabs(x) < 1e16)
        snprintf(buffer, 32, "%.1f", x);
    else if (!strpbrk(buffer, ".e"))
        strcat(buffer, ".0");
    return buffer;
}
