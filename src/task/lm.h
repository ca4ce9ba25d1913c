/* task/lm.h: a language model behind a picture, as generator and engine see it. opt_lm.c is OPT; another
 * language model is another file that fills an Lm.
 *
 * What it has read lies in live rows: a row is a sequence of token slots with a handle, an int that is
 * its own until it is dropped. Rows share what they have in common, and the logits of one do not
 * depend on which others there are. Used by one thread at a time. */
#ifndef TASK_LM_H
#define TASK_LM_H

#include "models/blip2.h"

/* A picture and the text behind it. */
typedef struct LmPrompt {
    const Tensor *image_embeds; /* [queries, D]; of the Q-Former alone the tower's tokens */
    const int *ids;
    int n;
    const int
        *decoder; /* for `forward` where there is a `start`: what the decoder is fed; none: start */
    int n_decoder;
    int rows, steps; /* live rows at most, and ids fed to each at most: so much room is kept */
} LmPrompt;

typedef struct Lm Lm;
struct Lm {
    int vocab;
    int prompt_max; /* ids of a prompt at most */
    /* The id that was there first, which lengths and penalties count under the rules of both libraries
     * (a decoder's start id); -1: none, what counts is each library's own. */
    int start;
    Ctx *c; /* the passes'; the logits below lie in it until the next pass begins */

    /* How many ids can be fed behind a prompt of n <= prompt_max before the model's positions run out. */
    int (*room)(const Lm *, int n);
    /* Prefill of n prompts in one pass: row[i] receives the handle of prompt i's one live row. Returns
     * the next-token logits [n, vocab]. NULL: ERR_FAILED (does not fit the positions, an id out of
     * range), ERR_MEMORY (also when the room asked for is not there); no row has changed then. */
    Tensor *(*prefill)(Lm *, const LmPrompt *prompt, int n, int *row, Error *e);
    /* Makes n new live rows: new row i continues row parent[i] with ids[i]. The parents stay as they
     * are. Returns the next-token logits [n, vocab], row[i] receives the new handles. NULL as above. */
    Tensor *(*advance)(Lm *, int n, const int *parent, const int *ids, int *row, Error *e);
    void (*drop)(Lm *, const int *row, int n);
    /* The room that `rows` and `steps` of a prompt reserved is given back; its rows have been dropped. */
    void (*release)(Lm *, const LmPrompt *prompt);
    /* One prompt, teacher-forced: logits of every row, image rows included, or where there is a `start`
     * of the decoder's; activations go to c->tap. No row remains. NULL: as prefill. */
    Tensor *(*forward)(Lm *, const LmPrompt *prompt, Error *e);
    void (*free)(Lm *);
};

/* The embeddings of n prompts, [picture, words] of each, one after another; pictures are `queries` rows. */
Tensor *lm_embed(Ctx *c, const Param *tokens, const LmPrompt *prompt, int n, int queries);

/* Whether n prompts have at most prompt_max ids each. ERR_FAILED. */
bool lm_check(const Lm *lm, const LmPrompt *prompt, int n, Error *e);

/* Copies a context's error out. Always false. */
bool lm_error(const Ctx *c, Error *e);

/* A prompt of n ids where at most `most` fit: ERR_FAILED. Always false. */
static inline bool lm_too_long(int most, size_t n, Error *e)
{
    return error_set(e, ERR_FAILED, "prompt: expected at most %d tokens beside the image, got %zu",
                     most, n);
}

/* The two above, as stages of a profile. */
Tensor *lm_prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e);
Tensor *lm_advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e);

/* The model's language model, of whatever kind. c and m stay the caller's. NULL: out of memory. */
Lm *lm_new(Ctx *c, const Blip2 *m, Error *e);

/* The kinds. */
Lm *opt_lm_new(Ctx *c, const Blip2 *m, Error *e);
Lm *t5_lm_new(Ctx *c, const Blip2 *m, Error *e);
Lm *qformer_lm_new(Ctx *c, const Blip2 *m, Error *e);

#endif
