/* eval/words.h: words as numbers, and counted n-grams of them; for the metrics of captions. */
#ifndef EVAL_WORDS_H
#define EVAL_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { NGRAMS = 4, SENTENCE_WORDS = 4096 };

/* The words met so far; number i is the i-th. Starts as {0}, freed by words_free. */
typedef struct Words {
    struct Word *list;
    size_t count, cap;
    uint32_t *slots; /* a power of two of them: number + 1, or 0 */
    size_t slot_count;
} Words;

void words_free(Words *w);

#define NO_WORD UINT32_MAX
/* The number of a word, NO_WORD where it is not yet known. */
uint32_t words_find(const Words *w, const char *text, size_t n);
/* The same, made known. text, which outlives w, is not copied. NO_WORD: out of memory. */
uint32_t words_number(Words *w, const char *text, size_t n);

/* Zero-terminated only if what was made known was. */
const char *words_text(const Words *w, uint32_t number);

/* A sentence as numbers. ids belongs to the Sentence and is used again; starts as {0}. */
typedef struct Sentence {
    uint32_t *ids;
    size_t count, cap;
} Sentence;

typedef enum SplitBy {
    SPLIT_SPACE, /* at white space as Python's str.split(): no empty words */
    SPLIT_BLANK, /* at each single blank, str.split(' '): of "" one empty word */
} SplitBy;

/* The words of text, UTF-8 that outlives w. False: out of memory, or more than SENTENCE_WORDS words (ERR_FAILED,
 * "caption: expected at most ..."). */
bool words_split(Words *w, const char *text, SplitBy by, Sentence *out, Error *e);
void sentence_free(Sentence *s);

/* n words in a row, those behind them 0; numbers are one more than in a Sentence. */
typedef struct Gram {
    uint32_t word[NGRAMS];
} Gram;

typedef struct GramCount {
    Gram gram;
    uint32_t count;
} GramCount;

/* Different grams in ascending order with their counts. Starts as {0}, its list is used again. */
typedef struct Grams {
    GramCount *list;
    size_t count, cap;
} Grams;

/* The grams of n words, 1 <= n <= NGRAMS, of a sentence. False: out of memory. */
bool grams_count(const Sentence *s, size_t n, Grams *out, Error *e);
uint32_t grams_of(const Grams *g, const Gram *gram); /* its count; 0: not there */
void grams_free(Grams *g);

/* Grams of any length and a number with each. Starts as {0}, freed by gram_table_free. */
typedef struct GramTable {
    GramCount *slots;
    size_t slot_count, used;
} GramTable;

bool gram_table_add(GramTable *t, const Gram *gram, Error *e); /* adds 1; false: out of memory */
uint32_t gram_table_get(const GramTable *t, const Gram *gram);
void gram_table_free(GramTable *t);

#endif
