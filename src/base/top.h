/* base/top.h: the best few of many. For kernels and searches: both must rank alike. */
#ifndef BASE_TOP_H
#define BASE_TOP_H

/* Selections take the highest key, and the lowest index among equals. */
typedef struct Cand {
    double key;   /* what is compared: the score, or the score and its noise when drawing */
    double score; /* as the library adds it up */
    int index;    /* what it stands for; the caller's numbering */
} Cand;

/* The best `room` candidates seen so far, as a heap with the worst one on top. */
typedef struct Top {
    Cand *cand; /* the caller's, room for `room` >= 1 */
    int n, room;
} Top;

void top_push(Top *t, Cand c);
void top_sort(Top *t); /* best first; nothing may be pushed afterwards */

/* c becomes a heap of n with the best one on top; cand_heap_down restores it below i. */
void cand_heap(Cand *c, int n);
void cand_heap_down(Cand *c, int n, int i);

static inline void cand_swap(Cand *a, Cand *b)
{
    Cand t = *a;
    *a = *b;
    *b = t;
}

#endif
