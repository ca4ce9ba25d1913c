/* base/top.c: the two heaps. */
#include "base/top.h"

#include <stdbool.h>

static bool better(const Cand *a, const Cand *b)
{
    return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static bool worse(const Cand *a, const Cand *b)
{
    return better(b, a);
}

typedef bool Order(const Cand *a, const Cand *b);

/* Restores a heap below i: nothing may lie under what it comes before. */
static inline void sift_down(Cand *c, int n, int i, Order *before)
{
    for (;;) {
        int first = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(&c[child], &c[first]))
                first = child;
        if (first == i)
            return;
        cand_swap(&c[i], &c[first]);
        i = first;
    }
}

static void sift_up(Cand *c, int i)
{
    while (i > 0 && worse(&c[i], &c[(i - 1) / 2])) {
        cand_swap(&c[i], &c[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

void top_push(Top *t, Cand c)
{
    if (t->n < t->room) {
        t->cand[t->n] = c;
        sift_up(t->cand, t->n++);
    } else if (better(&c, &t->cand[0])) {
        t->cand[0] = c;
        sift_down(t->cand, t->n, 0, worse);
    }
}

void top_sort(Top *t)
{
    for (int n = t->n - 1; n > 0; n--) {
        cand_swap(&t->cand[0], &t->cand[n]);
        sift_down(t->cand, n, 0, worse);
    }
}

void cand_heap(Cand *c, int n)
{
    for (int i = n / 2; i-- > 0;)
        sift_down(c, n, i, better);
}

void cand_heap_down(Cand *c, int n, int i)
{
    sift_down(c, n, i, better);
}
