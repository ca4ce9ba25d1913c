/* task/generate.h: from next-token logits to sequences: greedy, beam search in both libraries'
 * scoring, sampling, processors. A generator is a pool of items over one language model; items join
 * and leave between steps, each with settings, callback, length and errors of its own, and what an
 * item gets does not depend on which others are there.
 *
 * Source: transformers 4.33 (LAVIS) and 5.x, generation/utils.py; docs/MODEL.md says where the two
 * differ. */
#ifndef TASK_GENERATE_H
#define TASK_GENERATE_H

#include "config/config.h"
#include "config/generation.h"
#include "task/lm.h"

typedef struct GenSequence {
    int *ids; /* new ids, end id included where it was reached, no padding; mem_alloc'd */
    int n;
    double score; /* beams: the pool's score; greedy and sampling: the sum of the model's own
                     log-probabilities, before penalties and temperature */
} GenSequence;

/* Called for each new id of an item's first (best) sequence as soon as it is settled: at once when
 * greedy or sampling, at the end with beams. Returning false stops the item with ERR_STOPPED; what was
 * generated so far is in its result. */
typedef bool GenToken(void *user, int id);

/* Everything is copied when the item joins; image_embeds' data is not needed after that. */
typedef struct GenRequest {
    const Tensor *image_embeds; /* [queries, D] */
    const int *prompt;
    int n_prompt;
    const int
        *history; /* what processors and lengths take as already there. LAVIS: the one start id.
                           HF: image placeholders and prompt */
    int n_history;
    const GenOptions *options;
    GenToken *on_token; /* may be NULL */
    void *user;
} GenRequest;

typedef struct GenItem GenItem;
typedef struct Generator Generator;

/* lm stays the caller's. NULL: out of memory. */
Generator *generator_new(Lm *lm, Error *e);
void generator_free(Generator *g); /* all items leave */

/* Reads the prompts, in one pass where it can. item[i] is the new item, running or, when it alone
 * could not be done, ended with its error: ERR_USAGE (options that contradict each other, history at the
 * length limit), ERR_FAILED (does not fit the positions, an id out of range, logits that are not
 * numbers), ERR_MEMORY (no room beside those that run). Items that run are not touched. false: no
 * memory for the items themselves; none has joined. */
bool generator_join(Generator *g, const GenRequest *request, int n, GenItem **item, Error *e);
/* One more id for every running item. Items end by themselves. Returns how many still run. */
int generator_step(Generator *g);
/* Frees the item, ended or not, and everything that belongs to it. NULL is fine. */
void generator_leave(Generator *g, GenItem *item);

bool gen_running(const GenItem *it);
const Error *gen_error(const GenItem *it); /* of an item that ended; code ERR_NONE: it is whole */
/* The num_captions sequences of an item that ended, best first; NULL when it failed. The item owns
 * them; ids that are taken out are replaced by NULL. When a beam pool holds fewer sequences than asked
 * for (all others forbidden), the rest are empty with score -1e9. */
GenSequence *gen_sequences(const GenItem *it);

/* Whether these options make sense over that vocabulary: ERR_USAGE names the first that does not. */
bool generate_check(const GenOptions *o, int vocab, Error *e);
/* How many new ids an item may get: its length limit behind n_history ids, and one more than can be
 * fed (the last one never is). Below 1: the history is at the limit already. */
int generate_room(const GenOptions *o, int n_history, int feed);
/* The end ids are forbidden while history and new ids together are fewer than this. */
int generate_min_length(const GenOptions *o, int n_history);
/* Whether a prompt and a history leave room for at least one id; *room receives for how many. ERR_FAILED:
 * beyond the model's positions. ERR_USAGE: at the length limit. */
bool generate_fits(const Lm *lm, const GenOptions *o, int n_prompt, int n_history, int *room,
                   Error *e);
bool is_end(const GenOptions *o, int id);

/* Under HF's rules the model's generation_config counts, and nothing of it may be left out. false: e says
 * which setting. */
bool generate_can_follow(const ModelConfig *k, const GenOptions *o, Error *e);

#endif
