/* eval/pattern.h: regular expressions as a nondeterministic automaton, for lexer.c.
 *
 * A pattern is UTF-8: alternatives a|b, groups (...), one of * + ? {n} {n,m} behind a piece, (?i...) a
 * group in which ASCII letters match in either case, sets [a-z...] and [^...], {NAME} another pattern of the
 * macros or, also within a set, a named set of characters; \uXXXX is a code point, \n \t \r \f what they are in C, any other \c the
 * character c. A space is a space. Patterns are part of this program: one that is wrong is a bug. */
#ifndef EVAL_PATTERN_H
#define EVAL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct CharRange {
    uint32_t first, last;
} CharRange;

/* {NAME}: a pattern (text), or a set of characters (ranges, ascending and disjoint). */
typedef struct Macro {
    const char *name, *text;
    const CharRange *ranges;
    const size_t *count;
} Macro;

/* A state reads a character of set `set` and goes on to `next`; or reads nothing: goes on to next and other
 * (-1: none), or accepts rule `rule`. */
typedef struct NfaState {
    int set, rule; /* -1: not this kind */
    int next, other;
} NfaState;

typedef struct CharSet {
    size_t at, count; /* Nfa.ranges[at .. at + count), ascending and disjoint */
} CharSet;

typedef struct Nfa {
    NfaState *states;
    size_t count, cap;
    CharSet *sets;
    size_t set_count, set_cap;
    CharRange *ranges;
    size_t range_count, range_cap;
    bool failed; /* out of memory; what is there is not to be used */
} Nfa;

/* Adds a pattern that accepts `rule`; macros end with a NULL name. Returns its first state. n starts as
 * {0} and is freed by nfa_free. */
int nfa_add(Nfa *n, const char *pattern, int rule, const Macro *macros);
void nfa_free(Nfa *n);
bool nfa_set_has(const Nfa *n, int set, uint32_t cp);

#endif
