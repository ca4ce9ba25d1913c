/* eval/lemma.h: an approximate lemmatiser for short answers.
 *
 * The reference asks spaCy's en_core_web_sm, a statistical tagger, which tokens are nouns or verbs, and replaces those
 * by their lemma. These are rules: plurals, -ing, -ed, -s, with a list of exceptions, on every word; no tagger. */
#ifndef EVAL_LEMMA_H
#define EVAL_LEMMA_H

#include <stddef.h>

#include "base/str.h"

/* Appends the words of s[0..n), UTF-8, with single blanks between them, contractions apart ("do n't"). */
void lemma_answer(const char *s, size_t n, StrBuf *out);

#endif
