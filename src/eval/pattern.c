/* eval/pattern.c: the parser of patterns; automata by Thompson's construction (CACM 11(6), 1968). */
#include "eval/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { LAST_CODE_POINT = 0x10ffff, MANY = -1, NOTHING = -1 };

typedef struct Parser {
    Nfa *nfa;
    const char *p;
    const Macro *macros;
    bool fold; /* ASCII letters match in either case */
} Parser;

/* A piece of an automaton: from `start` to `end`, a state that reads nothing and has no successor yet. */
typedef struct Piece {
    int start, end;
} Piece;

static Piece alternatives(Parser *s);

/* --- states and sets ------------------------------------------------------------------------------ */

static int add_state(Nfa *n, int set, int next, int other)
{
    if (n->failed || !MEM_GROW(n->states, &n->cap, n->count + 1)) {
        n->failed = true;
        return 0;
    }
    n->states[n->count] = (NfaState){.set = set, .rule = NOTHING, .next = next, .other = other};
    return (int)n->count++;
}

static void set_next(Nfa *n, int state, int next)
{
    if (!n->failed)
        n->states[state].next = next;
}

static void add_range(Nfa *n, uint32_t first, uint32_t last)
{
    if (n->failed || !MEM_GROW(n->ranges, &n->range_cap, n->range_count + 1)) {
        n->failed = true;
        return;
    }
    n->ranges[n->range_count++] = (CharRange){first, last};
}

static int by_first(const void *a, const void *b)
{
    const CharRange *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The ranges from `at` on, in order and without overlaps. */
static void tidy_ranges(Nfa *n, size_t at)
{
    size_t used = at;
    if (n->failed || n->range_count == at)
        return;
    qsort(n->ranges + at, n->range_count - at, sizeof *n->ranges, by_first);
    for (size_t i = at + 1; i < n->range_count; i++) {
        CharRange *last = &n->ranges[used], next = n->ranges[i];
        if (next.first > last->last + 1)
            n->ranges[++used] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    n->range_count = used + 1;
}

/* What the ranges from `at` on leave out takes their place. */
static void invert_ranges(Nfa *n, size_t at)
{
    size_t end = n->range_count, from = end;
    uint32_t next = 0;
    for (size_t i = at; i < end && !n->failed; i++) {
        CharRange r = n->ranges[i];
        if (r.first > next)
            add_range(n, next, r.first - 1);
        next = r.last + 1;
    }
    if (next <= LAST_CODE_POINT)
        add_range(n, next, LAST_CODE_POINT);
    if (n->failed)
        return;
    memmove(n->ranges + at, n->ranges + from, (n->range_count - from) * sizeof *n->ranges);
    n->range_count = at + (n->range_count - from);
}

static bool same_set(const Nfa *n, CharSet a, CharSet b)
{
    return a.count == b.count &&
           memcmp(n->ranges + a.at, n->ranges + b.at, a.count * sizeof *n->ranges) == 0;
}

/* The set of the ranges from `at` on; one that is there already is used again. */
static int end_set(Nfa *n, size_t at)
{
    if (n->failed)
        return 0;
    CharSet set = {at, n->range_count - at};
    for (size_t i = 0; i < n->set_count; i++)
        if (same_set(n, n->sets[i], set)) {
            n->range_count = at;
            return (int)i;
        }
    if (!MEM_GROW(n->sets, &n->set_cap, n->set_count + 1)) {
        n->failed = true;
        return 0;
    }
    n->sets[n->set_count] = set;
    return (int)n->set_count++;
}

bool nfa_set_has(const Nfa *n, int set, uint32_t cp)
{
    size_t low = n->sets[set].at, high = low + n->sets[set].count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cp > n->ranges[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n->sets[set].at + n->sets[set].count && n->ranges[low].first <= cp;
}

/* --- pieces of a pattern -------------------------------------------------------------------------- */

static Piece empty_piece(Parser *s)
{
    int state = add_state(s->nfa, NOTHING, NOTHING, NOTHING);
    return (Piece){state, state};
}

static Piece set_piece(Parser *s, size_t at)
{
    int set = end_set(s->nfa, at), end = add_state(s->nfa, NOTHING, NOTHING, NOTHING);
    return (Piece){add_state(s->nfa, set, end, NOTHING), end};
}

/* The character at the parser: one of the pattern, or an escape. */
static uint32_t one_char(Parser *s)
{
    static const char NAMES[] = "ntrf", CONTROLS[] = "\n\t\r\f";
    uint32_t cp;
    bool valid;
    if (*s->p != '\\') {
        s->p += utf8_next(s->p, strlen(s->p), &cp, &valid);
        return cp;
    }
    char c = s->p[1];
    if (c == 'u') {
        char digits[5] = {s->p[2], s->p[3], s->p[4], s->p[5], 0};
        s->p += 6;
        return (uint32_t)strtoul(digits, NULL, 16);
    }
    s->p += 2;
    const char *named = c ? strchr(NAMES, c) : NULL;
    return (uint32_t)(unsigned char)(named ? CONTROLS[named - NAMES] : c);
}

static const Macro *macro_at(Parser *s)
{
    size_t n = strcspn(s->p + 1, "}");
    for (const Macro *m = s->macros; m->name; m++)
        if (strlen(m->name) == n && memcmp(m->name, s->p + 1, n) == 0) {
            s->p += n + 2;
            return m;
        }
    BUG("a pattern names a macro that is not there");
}

static void add_folded(Parser *s, uint32_t first, uint32_t last)
{
    add_range(s->nfa, first, last);
    if (s->fold && first >= 'a' && last <= 'z')
        add_range(s->nfa, first - 32, last - 32);
    if (s->fold && first >= 'A' && last <= 'Z')
        add_range(s->nfa, first + 32, last + 32);
}

static void add_named(Parser *s, const Macro *m)
{
    for (size_t i = 0; i < *m->count; i++)
        add_range(s->nfa, m->ranges[i].first, m->ranges[i].last);
}

static void set_member(Parser *s)
{
    if (*s->p == '{') {
        add_named(s, macro_at(s));
        return;
    }
    uint32_t first = one_char(s), last = first;
    if (*s->p == '-' && s->p[1] != ']') {
        s->p++;
        last = one_char(s);
    }
    add_folded(s, first, last);
}

static Piece bracket(Parser *s)
{
    size_t at = s->nfa->range_count;
    bool inverted = *++s->p == '^';
    s->p += inverted;
    while (*s->p != ']') {
        if (!*s->p)
            BUG("a pattern with an open set");
        set_member(s);
    }
    s->p++;
    tidy_ranges(s->nfa, at);
    if (inverted)
        invert_ranges(s->nfa, at);
    return set_piece(s, at);
}

static Piece group(Parser *s)
{
    bool fold = s->fold;
    s->p++;
    if (strncmp(s->p, "?i", 2) == 0) {
        s->fold = true;
        s->p += 2;
    }
    Piece inner = alternatives(s);
    s->fold = fold;
    if (*s->p++ != ')')
        BUG("a pattern with an open group");
    return inner;
}

static Piece named(Parser *s)
{
    const Macro *m = macro_at(s);
    size_t at = s->nfa->range_count;
    if (m->text) {
        Parser inner = {s->nfa, m->text, s->macros, s->fold};
        return alternatives(&inner);
    }
    add_named(s, m);
    return set_piece(s, at);
}

static Piece atom(Parser *s)
{
    switch (*s->p) {
    case '(': return group(s);
    case '[': return bracket(s);
    case '{': return named(s);
    default: break;
    }
    size_t at = s->nfa->range_count;
    uint32_t cp = one_char(s);
    add_folded(s, cp, cp);
    tidy_ranges(s->nfa, at);
    return set_piece(s, at);
}

/* --- repetition, sequence, alternatives ----------------------------------------------------------- */

/* How often the piece in front: 1 when nothing is said. */
static void repetition(Parser *s, int *least, int *most)
{
    char c = *s->p;
    *least = c == '*' || c == '?' ? 0 : 1;
    *most = c == '*' || c == '+' ? MANY : 1;
    if (c == '*' || c == '+' || c == '?') {
        s->p++;
    } else if (c == '{' && s->p[1] >= '0' && s->p[1] <= '9') {
        char *end;
        *least = *most = (int)strtol(s->p + 1, &end, 10);
        if (*end == ',')
            *most = (int)strtol(end + 1, &end, 10);
        s->p = end + 1;
    }
}

static Piece join(Parser *s, Piece a, Piece b)
{
    set_next(s->nfa, a.end, b.start);
    return (Piece){a.start, b.end};
}

static Piece optional(Parser *s, Piece inner)
{
    int end = add_state(s->nfa, NOTHING, NOTHING, NOTHING);
    set_next(s->nfa, inner.end, end);
    return (Piece){add_state(s->nfa, NOTHING, inner.start, end), end};
}

static Piece star(Parser *s, Piece inner)
{
    int end = add_state(s->nfa, NOTHING, NOTHING, NOTHING);
    int loop = add_state(s->nfa, NOTHING, inner.start, end);
    set_next(s->nfa, inner.end, loop);
    return (Piece){loop, end};
}

/* The atom from `at` on once more: an automaton has no counters, so its states are repeated. */
static Piece again(Parser *s, const char *at)
{
    const char *behind = s->p;
    s->p = at;
    Piece copy = atom(s);
    s->p = behind;
    return copy;
}

static Piece repeated(Parser *s)
{
    const char *at = s->p;
    int least, most;
    Piece first = atom(s);
    repetition(s, &least, &most);
    if (least == 1 && most == 1)
        return first;
    if (most == MANY)
        return least ? join(s, first, star(s, again(s, at))) : star(s, first);
    Piece all = least ? first : optional(s, first);
    for (int i = 1; i < most; i++) {
        Piece next = again(s, at);
        all = join(s, all, i < least ? next : optional(s, next));
    }
    return all;
}

static Piece sequence(Parser *s)
{
    Piece all = empty_piece(s);
    while (*s->p && *s->p != '|' && *s->p != ')')
        all = join(s, all, repeated(s));
    return all;
}

static Piece alternatives(Parser *s)
{
    Piece all = sequence(s);
    while (*s->p == '|') {
        s->p++;
        Piece next = sequence(s);
        int end = add_state(s->nfa, NOTHING, NOTHING, NOTHING);
        set_next(s->nfa, all.end, end);
        set_next(s->nfa, next.end, end);
        all = (Piece){add_state(s->nfa, NOTHING, all.start, next.start), end};
    }
    return all;
}

int nfa_add(Nfa *n, const char *pattern, int rule, const Macro *macros)
{
    Parser s = {n, pattern, macros, false};
    Piece all = alternatives(&s);
    if (*s.p)
        BUG("a pattern with a superfluous bracket");
    if (!n->failed)
        n->states[all.end].rule = rule;
    return all.start;
}

void nfa_free(Nfa *n)
{
    mem_free(n->states);
    mem_free(n->sets);
    mem_free(n->ranges);
    *n = (Nfa){0};
}
