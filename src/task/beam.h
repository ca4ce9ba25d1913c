/* task/beam.h: the state of one item's beam search, and the two libraries' rules for it. Internal to
 * beam.c, beam_lavis.c and beam_hf.c. */
#ifndef TASK_BEAM_H
#define TASK_BEAM_H

#include "task/decode.h"

#define BEAM_NEVER (-1e9f) /* the reference's score of what must not win */

typedef struct Beam {
    double score; /* sum of processed log-probabilities, without BeamState.base */
    int node;     /* its ids; -1: none yet */
    int row;      /* its scores in the last pass: a live row of the item */
} Beam;

typedef struct Hyp {
    double score;
    double behind; /* decides between equal scores; 0 but where BeamState.base is used */
    int node, n;   /* its new ids */
    bool finished; /* hf: not just a filler of an empty place */
} Hyp;

/* A candidate continuation, best first as the step has ranked them. */
typedef struct Ranked {
    double score;
    int node, row; /* its ids, and the row of the beam it continues */
    bool end;      /* its last id is an end id */
} Ranked;

typedef struct BeamState {
    int prompt, room; /* ids of the history; new ids at most */
    int n;            /* new ids of every running beam */
    Beam *run;        /* best first, at most num_beams */
    int n_run;
    Hyp *pool; /* the finished sequences: num_beams + 1 places */
    int n_pool;
    double base; /* lavis, sampling: what the scores of running beams and candidates lack; else 0 */
    double worst; /* lavis: the pool's lowest score */
    bool done;

    int want;       /* candidates per step */
    Cand *top;      /* [want] */
    Ranked *ranked; /* [want] */
} BeamState;

/* A library's rules. step takes the ranked candidates of one step: updates
 * pool, running beams, n and done. */
typedef struct BeamRules {
    void (*start)(const GenOptions *o, BeamState *b);
    void (*step)(const GenOptions *o, BeamState *b, const Ranked *next, int n);
    void (*finish)(const GenOptions *o, BeamState *b); /* brings the pool into order, best first */
} BeamRules;

extern const BeamRules beam_rules_hf, beam_rules_lavis;

#endif
