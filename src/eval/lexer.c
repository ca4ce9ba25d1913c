/* eval/lexer.c: the subset construction, one step at a time and remembered. */
#include "eval/lexer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { UNKNOWN = -2, DEAD = -1, NO_RULE = -1, HASH_SLOTS = 4 * LEXER_STATES };

/* A state of the deterministic automaton: those states of the other one in which a match may be that
 * read a character, and the first rule that accepts here. */
typedef struct State {
    size_t at, count; /* Lexer.members[at .. at + count), ascending */
    int rule;
} State;

struct Lexer {
    Nfa nfa;
    /* Classes of characters that no set tells apart: class i begins at cuts[i]'s code point. */
    uint32_t *cuts;
    int *class_of; /* of each interval between cuts */
    size_t cut_count, cut_cap, class_count;
    State states[LEXER_STATES];
    size_t count;
    int *next; /* [state][class]: a state, DEAD or UNKNOWN */
    int slots[HASH_SLOTS];
    int *members;
    size_t member_count, member_cap;
    int *stack, *seen, *list; /* of nfa.count, for closures */
    int mark;
    int ascii[128];
    int start, *starts;
    size_t start_count;
    uint32_t *samples; /* a code point of each class */
};

/* --- classes of characters ------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool find_cuts(Lexer *l)
{
    const Nfa *n = &l->nfa;
    size_t used = 0, want = 2 * n->range_count + 1;
    if (!MEM_GROW(l->cuts, &l->cut_cap, want))
        return false;
    l->cuts[0] = 0;
    for (size_t i = 0; i < n->range_count; i++) {
        l->cuts[2 * i + 1] = n->ranges[i].first;
        l->cuts[2 * i + 2] = n->ranges[i].last + 1;
    }
    qsort(l->cuts, want, sizeof *l->cuts, by_value);
    for (size_t i = 0; i < want; i++)
        if (i == 0 || l->cuts[i] != l->cuts[used - 1])
            l->cuts[used++] = l->cuts[i];
    l->cut_count = used;
    return true;
}

static bool alike(const Lexer *l, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < l->nfa.set_count; i++)
        if (nfa_set_has(&l->nfa, (int)i, a) != nfa_set_has(&l->nfa, (int)i, b))
            return false;
    return true;
}

static int class_like(Lexer *l, uint32_t cp)
{
    for (size_t k = 0; k < l->class_count; k++)
        if (alike(l, l->samples[k], cp))
            return (int)k;
    l->samples[l->class_count] = cp;
    return (int)l->class_count++;
}

static int find_class(const Lexer *l, uint32_t cp)
{
    size_t low = 0, high = l->cut_count;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (l->cuts[mid] <= cp)
            low = mid;
        else
            high = mid;
    }
    return l->class_of[low];
}

static bool find_classes(Lexer *l)
{
    if (!find_cuts(l))
        return false;
    l->class_of = mem_alloc(l->cut_count * sizeof *l->class_of);
    l->samples = mem_alloc(l->cut_count * sizeof *l->samples);
    if (!l->class_of || !l->samples)
        return false;
    for (size_t i = 0; i < l->cut_count; i++)
        l->class_of[i] = class_like(l, l->cuts[i]);
    for (uint32_t c = 0; c < 128; c++)
        l->ascii[c] = find_class(l, c);
    return true;
}

/* --- states --------------------------------------------------------------------------------------- */

/* Adds what is reached from `state` without reading; *rule becomes the first rule accepted. */
static void close_over(Lexer *l, int state, size_t *count, int *rule)
{
    size_t depth = 0;
    if (l->seen[state] == l->mark)
        return;
    l->seen[state] = l->mark;
    l->stack[depth++] = state;
    while (depth > 0) {
        int at = l->stack[--depth];
        const NfaState *s = &l->nfa.states[at];
        int to[2] = {s->set < 0 ? s->next : -1, s->set < 0 ? s->other : -1};
        if (s->set >= 0)
            l->list[(*count)++] = at;
        if (s->rule >= 0 && (*rule == NO_RULE || s->rule < *rule))
            *rule = s->rule;
        for (int i = 0; i < 2; i++)
            if (to[i] >= 0 && l->seen[to[i]] != l->mark) {
                l->seen[to[i]] = l->mark;
                l->stack[depth++] = to[i];
            }
    }
}

static int by_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

/* All but the automaton they are made from is forgotten. */
static void forget(Lexer *l)
{
    l->count = l->member_count = 0;
    l->start = UNKNOWN;
    for (int i = 0; i < HASH_SLOTS; i++)
        l->slots[i] = -1;
}

static size_t slot_of(const Lexer *l, size_t count, int rule)
{
    uint64_t h = 1469598103934665603u ^ (uint64_t)(rule + 1);
    for (size_t i = 0; i < count; i++)
        h = (h ^ (uint64_t)l->list[i]) * 1099511628211u;
    size_t slot = (size_t)(h >> 20) % HASH_SLOTS;
    for (; l->slots[slot] >= 0; slot = (slot + 1) % HASH_SLOTS) {
        const State *s = &l->states[l->slots[slot]];
        if (s->count == count && s->rule == rule &&
            memcmp(l->members + s->at, l->list, count * sizeof *l->list) == 0)
            break;
    }
    return slot;
}

/* The state of list[0..count); UNKNOWN: out of memory. There is room for one more state. */
static int intern(Lexer *l, size_t count, int rule)
{
    if (count == 0 && rule == NO_RULE)
        return DEAD;
    qsort(l->list, count, sizeof *l->list, by_int);
    size_t slot = slot_of(l, count, rule);
    if (l->slots[slot] >= 0)
        return l->slots[slot];
    if (!MEM_GROW(l->members, &l->member_cap, l->member_count + count))
        return UNKNOWN;
    if (count > 0)
        memcpy(l->members + l->member_count, l->list, count * sizeof *l->list);
    l->states[l->count] = (State){l->member_count, count, rule};
    l->member_count += count;
    for (size_t i = 0; i < l->class_count; i++)
        l->next[l->count * l->class_count + i] = UNKNOWN;
    l->slots[slot] = (int)l->count;
    return (int)l->count++;
}

static int first_state(Lexer *l)
{
    size_t count = 0;
    int rule = NO_RULE;
    l->mark++;
    for (size_t i = 0; i < l->start_count; i++)
        close_over(l, l->starts[i], &count, &rule);
    return intern(l, count, NO_RULE);
}

static int make_step(Lexer *l, int from, int class)
{
    size_t count = 0;
    int rule = NO_RULE;
    State s = l->states[from];
    l->mark++;
    for (size_t i = 0; i < s.count; i++) {
        const NfaState *n = &l->nfa.states[l->members[s.at + i]];
        if (nfa_set_has(&l->nfa, n->set, l->samples[class]))
            close_over(l, n->next, &count, &rule);
    }
    int to = intern(l, count, rule);
    if (to != UNKNOWN)
        l->next[(size_t)from * l->class_count + (size_t) class] = to;
    return to;
}

/* --- matching ------------------------------------------------------------------------------------- */

/* The table is full: it is begun anew with `state` alone. */
static int begin_anew(Lexer *l, int state)
{
    State s = l->states[state];
    memcpy(l->list, l->members + s.at, s.count * sizeof *l->list);
    forget(l);
    return intern(l, s.count, s.rule);
}

/* The state behind `from` and the bytes of the character; UNKNOWN: out of memory. */
static int step(Lexer *l, int from, const char *s, size_t n, size_t *length)
{
    int class;
    *length = 1;
    if ((unsigned char)*s < 128) {
        class = l->ascii[(unsigned char)*s];
    } else {
        uint32_t cp;
        bool valid;
        *length = (size_t)utf8_next(s, n, &cp, &valid);
        class = find_class(l, cp);
    }
    int to = l->next[(size_t)from * l->class_count + (size_t) class];
    if (to == UNKNOWN && l->count == LEXER_STATES)
        from = begin_anew(l, from);
    return to == UNKNOWN && from >= 0 ? make_step(l, from, class) : to;
}

size_t lexer_match(Lexer *l, const char *s, size_t n, int *rule, bool *failed)
{
    size_t best = 0, length;
    if (l->start == UNKNOWN && l->count == LEXER_STATES)
        forget(l);
    if (l->start == UNKNOWN)
        l->start = first_state(l);
    int state = l->start;
    for (size_t at = 0; state >= 0 && at < n;) {
        state = step(l, state, s + at, n - at, &length);
        at += length;
        if (state >= 0 && l->states[state].rule != NO_RULE) {
            *rule = l->states[state].rule;
            best = at;
        }
    }
    *failed = state == UNKNOWN;
    return *failed ? 0 : best;
}

/* --- life ----------------------------------------------------------------------------------------- */

static bool allocate(Lexer *l)
{
    l->stack = mem_alloc(l->nfa.count * sizeof *l->stack);
    l->seen = mem_calloc(l->nfa.count, sizeof *l->seen);
    l->list = mem_alloc(l->nfa.count * sizeof *l->list);
    if (!l->stack || !l->seen || !l->list || !find_classes(l))
        return false;
    l->next = mem_alloc(LEXER_STATES * l->class_count * sizeof *l->next);
    return l->next != NULL;
}

Lexer *lexer_new(const char *const *patterns, size_t count, const Macro *macros, Error *e)
{
    Lexer *l = mem_calloc(1, sizeof *l);
    if (l)
        l->starts = mem_alloc(count * sizeof *l->starts);
    for (size_t i = 0; l && l->starts && i < count; i++)
        l->starts[l->start_count++] = nfa_add(&l->nfa, patterns[i], (int)i, macros);
    if (!l || !l->starts || l->nfa.failed || !allocate(l)) {
        lexer_free(l);
        error_memory(e, "tokenizer", sizeof *l);
        return NULL;
    }
    forget(l);
    return l;
}

void lexer_free(Lexer *l)
{
    if (!l)
        return;
    void *all[] = {l->cuts, l->class_of, l->next,   l->members, l->stack,
                   l->seen, l->list,     l->starts, l->samples};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    nfa_free(&l->nfa);
    mem_free(l);
}
