/* dice.h: random settings of generation, the same each time. */
#ifndef DICE_H
#define DICE_H

#include "base/rng.h"
#include "config/generation.h"

enum { PLACES = 6, BANNED = 8 }; /* sequences of an item, banned ids: at most */

/* A source of choices. */
typedef struct Dice {
    uint64_t seed, n;
} Dice;

static inline int below(Dice *d, int n)
{
    return (int)(rng_unit(d->seed, d->n++) * n);
}

static inline bool chance(Dice *d, double p)
{
    return rng_unit(d->seed, d->n++) < p;
}

static inline void choose_lengths(Dice *d, GenOptions *o, int history)
{
    o->max_new_tokens = chance(d, 0.8) ? 1 + below(d, 20) : 0;
    o->max_length = chance(d, 0.3) ? below(d, 24) : 0;
    o->min_length = chance(d, 0.3) ? below(d, history + 12) : 0;
    o->min_new_tokens = chance(d, 0.3) ? below(d, 10) : 0;
}

static inline void choose_search(Dice *d, GenOptions *o)
{
    o->sample = chance(d, 0.4);
    o->num_beams = chance(d, 0.5) ? 1 : 2 + below(d, PLACES - 1);
    if (o->num_beams > 1)
        o->num_captions = 1 + below(d, o->num_beams);
    else
        o->num_captions = o->sample ? 1 + below(d, PLACES) : 1;
    o->early_stopping = (EarlyStopping)below(d, 3);
    o->length_penalty = below(d, 5) - 2;
    o->top_k = chance(d, 0.5) ? 0 : 1 + below(d, 12);
    o->top_p = chance(d, 0.5) ? 1 : 0.3 + 0.1 * below(d, 7);
    o->temperature = chance(d, 0.5) ? 1 : 0.25 * (1 + below(d, 8));
    o->seed = (uint64_t)below(d, 1000);
}

static inline void choose_processors(Dice *d, GenOptions *o, int vocab, int *banned)
{
    o->repetition_penalty = chance(d, 0.5) ? 1 : 0.8 + 0.1 * below(d, 9);
    o->no_repeat_ngram = chance(d, 0.7) ? 0 : 1 + below(d, 3);
    o->banned = banned;
    o->n_banned = chance(d, 0.5) ? 0 : below(d, BANNED);
    for (int i = 0; i < o->n_banned; i++)
        banned[i] = below(d, vocab + 2) - 1;
}

/* Everything but library and end ids. history: ids that are there. */
static inline void choose_options(Dice *d, GenOptions *o, int history, int vocab, int *banned)
{
    choose_search(d, o);
    choose_lengths(d, o, history);
    choose_processors(d, o, vocab, banned);
}

#endif
