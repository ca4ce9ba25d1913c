/* task/reading.h: texts, alone or with a picture in front, that go through the Q-Former in one pass. For features.c
 * and match.c. */
#ifndef TASK_READING_H
#define TASK_READING_H

#include "task/engine.h"

enum { READING_MOST = 32 };

typedef struct Reading {
    QformerSeq seq[READING_MOST];
    const Encoded *image[READING_MOST]; /* the pictures, each once */
    int n, images;
} Reading; /* {0} is an empty one */

/* One text more, at most READING_MOST. image: with its ENCODED_VISION; NULL: none. ids stay the caller's. */
void reading_add(Reading *r, const Encoded *image, const int *ids, int n);

/* The states of all rows, text after text, the queries of a text with a picture before its words. NULL: c->err;
 * ERR_USAGE where pictures have different numbers of tokens. */
Tensor *reading_run(Ctx *c, const Qformer *q, const Reading *r);

/* The rows of text i: the first one and how many. */
int reading_row(const Reading *r, const Qformer *q, int i, int *n);

/* The first n rows of every text of what reading_run returned. */
Tensor *reading_heads(Ctx *c, const Qformer *q, const Reading *r, Tensor *states, int n);

/* The ids of a text, [CLS] and [SEP] included. LIB_LAVIS: cleaned as its data sets and notebooks do
 * (text/caption.h) and cut to LAVIS_PROMPT_IDS (blip2_qformer.py, max_txt_len), of which notice[256] is told;
 * LIB_HF: as it is. ERR_USAGE (none, not UTF-8), ERR_BAD_MODEL (no tokenizer), ERR_FAILED (more than
 * there are positions), ERR_MEMORY. */
bool reading_ids(const Engine *en, const char *text, Library library, Ids *out, char *notice,
                 Error *e);

/* Whether ids can be read: ERR_FAILED. */
bool reading_check(const QformerConfig *k, const int *ids, int n, Error *e);

#endif
