/* bench/bench_select.c: the speed of what a step does with its logits: log_softmax and top_k over OPT's
 * vocabulary.
 *
 *     bench_select [THREADS]
 *
 * Per line: rows, entries per row, the median of each in microseconds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "ops/ops.h"
#include "timing.h"

enum { VOCAB = 50272, CALLS = 101, ROWS_MAX = 40, K_MAX = 10 };

static void measure(Ctx *c, const float *logits, int n_rows, int k)
{
    double norm[CALLS], best[CALLS];
    TopKRow want[ROWS_MAX];
    TopEntry out[ROWS_MAX * K_MAX];
    int found[ROWS_MAX];
    for (int i = 0; i < n_rows; i++)
        want[i] = (TopKRow){.k = k, .penalty = 1};
    for (int i = 0; i < CALLS; i++) {
        ctx_begin(c, ROLE_DECODE);
        Tensor *x = tensor_upload(c, logits, n_rows, VOCAB);
        double start = now_ms();
        Tensor *y = log_softmax(c, x);
        double middle = now_ms();
        if (!top_k(c, x, y, want, NULL, 0, k, out, found))
            exit(1);
        norm[i] = middle - start;
        best[i] = now_ms() - middle;
    }
    printf("%4d rows, %2d entries: log_softmax %8.1f us, top_k %7.1f us\n", n_rows, k,
           1000 * timing_of(norm, CALLS).median, 1000 * timing_of(best, CALLS).median);
}

int main(int argc, char **argv)
{
    Error e = {0};
    StreamOptions o = {.threads = argc > 1 ? atoi(argv[1]) : 0};
    Device *dev = cpu_device(&e);
    Stream *on = dev ? dev->stream(dev, &o, &e) : NULL;
    float *logits = mem_alloc(sizeof *logits * ROWS_MAX * VOCAB);
    Ctx c;
    if (!on || !logits)
        return 1;
    for (size_t i = 0; i < (size_t)ROWS_MAX * VOCAB; i++)
        logits[i] = (float)(4 * rng_normal(1, i));
    ctx_init(&c, on);
    printf("%s, %d threads\n", on->isa, on->threads);
    measure(&c, logits, 1, 1);
    measure(&c, logits, 1, 10);
    measure(&c, logits, 5, 10);
    measure(&c, logits, ROWS_MAX, 10);
    ctx_free(&c);
    mem_free(logits);
    on->close(on);
    dev->close(dev);
    return 0;
}
