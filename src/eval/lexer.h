/* eval/lexer.h: text taken apart by the longest match of many patterns, as lex does it: of all patterns the
 * one with the longest match wins, of equal ones the first.
 *
 * The deterministic automaton is made while it is needed and kept, at most LEXER_STATES states of it. One
 * thread at a time uses a lexer. */
#ifndef EVAL_LEXER_H
#define EVAL_LEXER_H

#include "base/error.h"
#include "eval/pattern.h"

enum { LEXER_STATES = 4096 };

typedef struct Lexer Lexer;

/* Rule i is patterns[i] (pattern.h). The caller frees it with lexer_free. NULL: out of memory. */
Lexer *lexer_new(const char *const *patterns, size_t count, const Macro *macros, Error *e);
void lexer_free(Lexer *l); /* NULL is fine */

/* The bytes of the longest match at the start of s[0..n), valid UTF-8, and its rule in *rule; 0: no rule
 * matches a character, or memory ended (then *failed). Takes time for what it looks at, which may be more than
 * what matches. */
size_t lexer_match(Lexer *l, const char *s, size_t n, int *rule, bool *failed);

#endif
