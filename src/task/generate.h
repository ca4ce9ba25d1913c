/* task/generate.h: from next-token logits to sequences: greedy, beam search in both libraries'
 * scoring, sampling, processors. Knows nothing of tensors: a language model is the Lm below.
 *
 * Source: transformers 4.33 (LAVIS) and 5.x generation; models.md 6 is the checked statement. */
#ifndef TASK_GENERATE_H
#define TASK_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef enum Library { LIB_LAVIS, LIB_HF } Library;
typedef enum EarlyStopping { EARLY_FALSE, EARLY_TRUE, EARLY_NEVER } EarlyStopping;

typedef struct GenOptions {
    Library library;    /* scoring and stop rules of beam search (models.md 6.3 / 6.4) */
    int num_beams;      /* 1: greedy or plain sampling */
    int num_captions;   /* sequences returned per item, best first */
    int max_length;     /* whole id sequence as the library counts it, history included; 0: none */
    int max_new_tokens; /* new ids only; 0: none; when both are given this one counts. With neither
                            the library's own default holds: 20 new ids (hf), 20 in all (lavis) */
    int min_length;     /* as max_length */
    int min_new_tokens; /* when both are given: hf takes this one, lavis the longer of the two */
    double length_penalty, repetition_penalty;
    int no_repeat_ngram;
    EarlyStopping early_stopping;
    bool sample;
    int top_k; /* 0: off */
    double top_p, temperature;
    uint64_t seed;
    const int
        *banned; /* ids never generated; as in the reference, end ids among them stay allowed */
    int n_banned;
    int eos[8], n_eos; /* end ids */
    int pad;
} GenOptions;

/* A language model that has read the prompts of `items` items and can go on. */
typedef struct Lm {
    void *self;
    int vocab;
    int max_new; /* how many ids fit behind the prompt before the model's positions run out: so many
                    are fed at most. The last id generated is never fed, so a sequence ends by itself
                    after max_new + 1 ids, as if the length limit stood there */
    /* Makes n new live rows: row i continues the old live row parent[i] with ids[i]. Old rows that
     * are nobody's parent are dropped. At the start the live rows are the items, 0..items-1.
     * logits [n][vocab] receives the next-token logits. */
    bool (*advance)(void *self, int n, const int *parent, const int *ids, float *logits, Error *e);
} Lm;

/* One item: what the processors and lengths take as already there. LAVIS: the one start id. HF and
 * OPT: image placeholders and prompt ids. */
typedef struct GenItem {
    const int *history;
    int n_history;
    int max_new;  /* this item's own room, as Lm.max_new; 0: only Lm.max_new counts */
    uint64_t key; /* which random numbers sampling draws. Not the place in the batch, so that an
                     item samples the same alone and among others; 0 is fine for all */
} GenItem;

typedef struct GenSequence {
    int *ids; /* new ids, end id included where it was reached, no padding; mem_alloc'd */
    int n;
    double score; /* beams: the pool's score; greedy and sampling: the sum of the model's own
                     log-probabilities, before penalties and temperature */
} GenSequence;

/* Called for each new id of an item's first (best) sequence as soon as it is settled: at once when
 * greedy or sampling, at the end with beams. Returning false stops the whole call with ERR_STOPPED;
 * what was generated so far is still in the result. */
typedef bool (*GenToken)(void *user, int item, int id);

/* Whether these options make sense for `items` items at once over that vocabulary: ERR_USAGE names
 * the first that does not. Cheap: to be asked before the prompts are read. */
bool generate_check(const GenOptions *o, int vocab, int items, Error *e);

/* How many new ids an item may get: its length limit behind n_history ids, and max_new + 1 (Lm).
 * Below 1: the history is at the limit already. */
int generate_room(const GenOptions *o, int n_history, int max_new);

/* logits [items][vocab] are those after the prompts (destroyed). out receives items *
 * num_captions sequences, item-major; zero it before, generate_free it after, also on error.
 * When a beam pool holds fewer sequences than asked for (all others forbidden), the rest are empty
 * with score -1e9.
 * Errors: ERR_USAGE (options that contradict each other, e.g. several greedy captions), ERR_STOPPED,
 * ERR_MEMORY, ERR_FAILED (history already at the length limit, logits that are not numbers, every
 * id forbidden; the message names the item), and what advance reports. An item's result does not
 * depend on the other items. */
bool generate(const Lm *lm, float *logits, const GenItem *item, int items, const GenOptions *o,
              GenToken on_token, void *user, GenSequence *out, Error *e);
void generate_free(GenSequence *s, int n);

#endif
