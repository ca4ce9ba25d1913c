/* task/decode.h: what greedy search, sampling and beam search share inside generate(). */
#ifndef TASK_DECODE_H
#define TASK_DECODE_H

#include "task/generate.h"

/* Generated ids as a tree: a sequence is a node and its way back to the root (-1). Beams share
 * their common past, and reordering them moves no ids. */
typedef struct PathNode {
    int parent, id;
} PathNode;

typedef struct Paths {
    PathNode *node;
    int n, cap;
} Paths;

/* One possible continuation. Selections take the highest key, and the lowest index among equals. */
typedef struct Cand {
    double key;  /* what is compared: the score, or the score and its noise when drawing */
    float score; /* as the library adds it up */
    int index;   /* id, or beam * vocab + id */
} Cand;

/* The best `room` candidates seen so far, as a heap with the worst one on top. */
typedef struct Top {
    Cand *cand; /* room for `room` */
    int n, room;
} Top;

typedef struct Decoder {
    const Lm *lm;
    const GenItem *item;
    int items;
    const GenOptions *o;
    GenToken on_token;
    void *user;
    Error *e;

    Paths paths;
    const float *logits; /* [live rows][vocab]: the caller's first, then next_logits */
    float *next_logits;  /* what advance fills */
    float *row;          /* [vocab] the scores in work */
    unsigned char *seen; /* [vocab] all zero between uses */
    Cand *cand;          /* [num_beams][vocab] where a step gathers candidates to draw from */
    int *parent, *ids;   /* the next advance: one entry per new row */
    int *history;        /* scratch of process_row */
    int cap_history;
} Decoder;

/* --- decode.c --------------------------------------------------------------------------------- */
/* Index of the new node, or -1 with ERR_MEMORY. */
int path_add(Decoder *d, int parent, int id);
/* The n ids that end in node, oldest first. */
void path_ids(const Paths *p, int node, int n, int *ids);
/* How many new ids the item may get at most; at least 1 (generate has checked that). */
int item_room(const Decoder *d, int item);
/* The end ids are forbidden while history and new ids together are fewer than this. */
int item_min_length(const Decoder *d, int item);
bool is_end(const GenOptions *o, int id);
/* Feeds ids[0..n) behind the rows parent[0..n); afterwards d->logits has n rows. */
bool decoder_advance(Decoder *d, int n);
/* Writes one result: the n ids that end in node. */
bool emit(Decoder *d, GenSequence *out, int node, int n, double score);

/* --- process.c -------------------------------------------------------------------------------- */
/* max and log(sum(exp(x - max))) of a row of logits, for log-probabilities x - max - log_sum.
 * Anything that is not a number, +inf, or a row of -inf is ERR_FAILED naming item, step and id. */
bool row_norm(Decoder *d, const float *x, int item, int step, float *max, float *log_sum);
/* The processors of models.md 6.1 on d->row, for the n new ids that end in node. */
bool process_row(Decoder *d, int item, int node, int n);

/* --- select.c --------------------------------------------------------------------------------- */
void top_push(Top *t, Cand c);
void top_sort(Top *t); /* best first; nothing may be pushed afterwards */
/* Temperature, top-k, top-p over d->row: the ids that remain, with their scores, in cand (room for
 * vocab). At least min_keep remain where so many are allowed at all. Returns their number. */
int warp_row(const Decoder *d, int min_keep, Cand *cand);
/* Draws up to `want` of n candidates without replacement, each in proportion to exp(score) of those
 * left, in drawing order, into out (room for want). cand's keys are overwritten. Returns how many.
 * The same stream draws the same. */
int draw(Cand *cand, int n, int want, uint64_t stream, Cand *out);
/* The stream of one step of one sequence of one item. */
uint64_t draw_stream(const Decoder *d, int item, int sequence, int step);

/* --- greedy.c, beam.c: the ways to search; out as in generate ----------------------------------- */
bool generate_streams(Decoder *d, GenSequence *out);
bool generate_beams(Decoder *d, GenSequence *out);

#endif
