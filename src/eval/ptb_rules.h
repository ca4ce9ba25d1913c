/* eval/ptb_rules.h: the rules of the PTB tokenizer as data; for ptb.c. */
#ifndef EVAL_PTB_RULES_H
#define EVAL_PTB_RULES_H

#include "eval/pattern.h"

/* What becomes of the text that a rule matches. */
typedef enum PtbAct {
    PTB_TEXT,    /* a token, in lower case */
    PTB_WORD,    /* the same without soft hyphens */
    PTB_TAG,     /* a token, blanks in it as U+00A0 */
    PTB_AND,     /* a token, with & for &amp; */
    PTB_QUOTES,  /* quotation marks as TeX writes them */
    PTB_DROP,    /* nothing: blanks, and tokens that the metrics leave out */
    PTB_NEWLINE, /* the end of a line */
    PTB_FIXED,   /* the token `as` */
    PTB_CLITIC,  /* a token whose apostrophe, whichever it is, becomes "'" */
} PtbAct;

/* How much of the match is the token, the rest being only looked at: all; a number of characters; all but a number
 * (negative); up to the last apostrophe; up to the first blank; up to and with
 * the first full stop. */
enum {
    KEEP_ALL = 0,
    KEEP_TO_APOSTROPHE = 1000,
    KEEP_TO_BLANK,
    KEEP_TO_DOT,
    KEEP_TO_NT,
    KEEP_TO_I_OR_W
};

typedef struct PtbRule {
    const char *pattern;
    PtbAct act;
    int keep;
    const char *as;
} PtbRule;

extern const PtbRule PTB_RULES[];
extern const size_t PTB_RULE_COUNT;
extern const Macro PTB_MACROS[];

extern const CharRange PTB_LETTERS[], PTB_MARKS[], PTB_DIGITS[], PTB_SYMBOLS[];
extern const size_t PTB_LETTER_COUNT, PTB_MARK_COUNT, PTB_DIGIT_COUNT, PTB_SYMBOL_COUNT;

#endif
