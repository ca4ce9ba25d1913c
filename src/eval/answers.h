/* eval/answers.h: VQA and GQA accuracy, the normalisation of answers as VQA's official evaluation has it
 * (vqaEvaluation/vqaEval.py, in LAVIS common/vqa_tools/vqa_eval.py), peculiarities included.
 *
 * Strings are UTF-8 of n bytes and may hold U+0000. Pure; time is linear in the bytes, and for a question in the
 * square of its answers. */
#ifndef EVAL_ANSWERS_H
#define EVAL_ANSWERS_H

#include "base/error.h"
#include "base/str.h"

enum { ANSWERS_MAX = 1000 };

/* P: punctuation goes or becomes a blank. Appends to out; what out is out of memory, out.failed says. */
void answer_punctuation(const char *s, size_t n, StrBuf *out);
/* W: lower case, numbers as digits, no articles, contractions with their apostrophe, single blanks. */
void answer_words(const char *s, size_t n, StrBuf *out);

typedef struct Answer {
    const char *text;
    size_t n;
    size_t
        record; /* the number of the first answer of this question that is the same record in every member */
} Answer;

/* The accuracy of a prediction, 0 to 1: the mean over the answers of min(1, answers of the other records that are
 * equal to it / 3). One to ANSWERS_MAX answers. False: out of memory. */
bool vqa_accuracy(const char *prediction, size_t n, const Answer *answers, size_t count,
                  double *out, Error *e);

/* Whether both are equal after P and W. */
bool gqa_correct(const char *prediction, size_t n, const char *truth, size_t m, bool *out,
                 Error *e);

/* Python's round(x, 2). */
double round_cents(double x);

#endif
