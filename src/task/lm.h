/* task/lm.h: OPT behind a picture, as the generator sees it (task/generate.h's Lm): prefill of
 * several items at once, and steps for any number of live rows over shared cache slots. */
#ifndef TASK_LM_H
#define TASK_LM_H

#include "models/blip2.h"
#include "nn/kvcache.h"
#include "task/generate.h"

typedef struct LmItem {
    const float *soft; /* [queries, D]: the picture */
    const int *ids;    /* the prompt */
    int n;
} LmItem;

typedef struct OptLm {
    Lm lm; /* lm.self is this struct */
    Ctx *c;
    const Blip2 *m;
    KvCache cache; /* kept from call to call: fresh memory is slow */
    KvSeq *seq;    /* live rows */
    int live, room;
} OptLm;

void opt_lm_init(OptLm *l, Ctx *c, const Blip2 *m);
void opt_lm_free(OptLm *l);

/* Reads the prompts. rows: live rows that will be wanted at most; max_new: steps at most.
 * logits [items][vocab] receives the next-token logits. Afterwards l->lm is ready for generate().
 * Errors: ERR_FAILED (does not fit the model's positions, an id out of range), ERR_MEMORY. */
bool opt_lm_start(OptLm *l, const LmItem *item, int items, int rows, int max_new, float *logits,
                  Error *e);

/* One item, teacher-forced: logits of every row, image rows included, as a tensor in the context's
 * arena; activations go to c->tap. NULL with e set on error. */
Tensor *opt_lm_read(OptLm *l, const LmItem *item, Error *e);

#endif
