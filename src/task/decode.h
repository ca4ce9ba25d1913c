/* task/decode.h: an item inside the generator, and what greedy search, sampling and beam search share.
 * Only the generator's own files include this. */
#ifndef TASK_DECODE_H
#define TASK_DECODE_H

#include "base/top.h"
#include "task/generate.h"

/* Generated ids as a tree: a sequence is a node and its way back to the root (-1). Beams share
 * their common past, and reordering them moves no ids. */
typedef struct PathNode {
    int parent, id;
} PathNode;

typedef struct Paths {
    PathNode *node;
    int n;
    size_t cap;
} Paths;

typedef struct Ints {
    int *v;
    int n;
    size_t cap;
} Ints;

/* Working memory of whatever item is looked at. */
typedef struct Scratch {
    int vocab;
    float *row;          /* [vocab] sampling: the scores in work */
    unsigned char *seen; /* [vocab] all zero between uses */
    Ints history, ids;   /* a whole sequence; ids that processors change */
    Cand *cand;          /* continuations to choose from */
    size_t cap_cand;
    TopEntry *top; /* what the best-ids kernel found for all rows of a pass */
    size_t cap_top;
} Scratch;

/* What an item knows about the next id behind one of its live rows. */
typedef struct RowScores {
    int found;
    const TopEntry *top; /* the best ids, [found] */
    /* Sampling: all of the row, [vocab]; the one that the search asked for is processed. */
    float *logits, *logprobs;
} RowScores;

/* A new live row: it continues the item's live row `row` with an id. */
typedef struct NextRow {
    int row, id;
} NextRow;

/* A way to search. */
typedef struct Search {
    bool (*begin)(GenItem *it, Error *e); /* one live row: that of the prompt */
    /* What row r of the item is to be asked for: entries wanted and the score to add. k = 0: all
     * its scores (sampling). */
    void (*want)(const GenItem *it, int r, TopKRow *w);
    /* The ids behind row r. */
    void (*past)(const GenItem *it, int r, int *node, int *n);
    /* Chooses from it->scores and fills it->next and it->n_next: none: the item is done. */
    bool (*choose)(GenItem *it, Scratch *s, Error *e);
    bool (*finish)(GenItem *it, Error *e); /* fills it->out; also after a stop */
    void (*end)(GenItem *it);              /* frees what begin made */
} Search;

extern const Search search_drafts, search_beams;

struct GenItem {
    GenItem *next_item, *before; /* in the generator's list */
    GenOptions o;
    LmPrompt prompt; /* ids are gone after the prefill; what it reserved counts until release */
    const int *history;
    int n_history;
    int room; /* new ids at most */
    GenToken *on_token;
    void *user;

    bool running; /* the language model keeps room for it */
    Error error;
    const Search *search;
    void *state; /* the search's */
    Paths paths;

    int n_rows, max_rows;
    int *row;          /* [max_rows] handles of its live rows */
    RowScores *scores; /* [max_rows] */
    TopEntry *top;     /* [max_rows][stride] what scores point to */
    float *dense;      /* sampling: two rows of [vocab] for each live row */
    int stride;
    int n_next;
    NextRow *next; /* [max_rows] */
    GenSequence *out;
};

/* The pool. */
struct Generator {
    Lm *lm;
    GenItem *items;
    Scratch s;
    GenItem **running; /* lists of a step, made when items join: what runs does not fail for them */
    int *lists;        /* parents, ids and new rows */
    size_t cap_running, cap_lists;
    size_t n_items, n_rows; /* of all items: the rows that each may have at most */
};

/* The new rows of several items in one tensor of logits: item by item, n_next of each. */
typedef struct Pass {
    GenItem **item;
    int n, rows;
    Tensor *logits, *logprobs;
    TopKRow *want; /* [rows] */
    int *found;    /* [rows] */
    int stride;
} Pass;

/* --- decode.c --------------------------------------------------------------------------------- */
/* Index of the new node, or -1 with ERR_MEMORY. */
int path_add(Paths *p, int parent, int id, Error *e);
/* The n ids that end in node, oldest first. */
void path_ids(const Paths *p, int node, int n, int *ids);
/* Writes one result: the n ids that end in node. */
bool emit(const GenItem *it, GenSequence *out, int node, int n, double score, Error *e);
bool ints_reserve(Ints *a, int n, Error *e);
/* Room for n candidates. */
bool scratch_cand(Scratch *s, int n, Error *e);

/* --- scores.c --------------------------------------------------------------------------------- */
/* The best ids of all rows of a pass whose item, n and logits are filled; then pass_give for each item,
 * and pass_free. The items do not know of it yet: what fails here may be tried again, nothing is held. */
bool pass_read(Generator *g, Pass *p, Error *e);
/* The item, whose rows begin at `from`, gets what their logits say. false: its logits are no numbers
 * (ERR_FAILED, the step and id named), or ERR_MEMORY. */
bool pass_give(Generator *g, Pass *p, GenItem *it, int from, Error *e);
void pass_free(Pass *p);

/* --- process.c -------------------------------------------------------------------------------- */
/* What the processors change behind the n ids that end in node: appends to s->ids the ids that the
 * repetition penalty counts (each once), then those that are forbidden; w gets the place and numbers. */
bool process_ids(const GenItem *it, Scratch *s, int node, int n, TopKRow *w, Error *e);

/* --- select.c --------------------------------------------------------------------------------- */
/* Temperature, top-k, top-p over row: the ids that remain, with their scores, in cand (room for
 * vocab). At least min_keep remain where so many are allowed at all. Returns their number. */
int warp_row(const GenOptions *o, float *row, int vocab, int min_keep, Cand *cand);
/* Draws up to `want` of n candidates without replacement, each in proportion to exp(score) of those
 * left, in drawing order, into out (room for want). cand's keys are overwritten. Returns how many.
 * The same stream draws the same. */
int draw(Cand *cand, int n, int want, uint64_t stream, Cand *out);
/* The stream of one step of one sequence. */
uint64_t draw_stream(const GenOptions *o, int sequence, int step);

#endif
