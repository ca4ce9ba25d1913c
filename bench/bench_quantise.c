/* bench/bench_quantise.c: the speed of making weights small, as loading and `blip2 quantize` do it.
 *
 *     bench_quantise [THREADS]
 *
 * Per line: type of the weights, to what, nanoseconds a weight: of all threads together, and of one thread's work. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "models/quantise.h"
#include "timing.h"

enum { ROWS = 2560, COLS = 2560 };

typedef struct Job {
    Quantiser q;
    Recipe r;
    DType to;
    void *out;
    float *scale;
} Job;

static void call(void *with)
{
    Job *j = with;
    if (!quantise(&j->q, &j->r, j->to, 0, ROWS, j->out, j->scale))
        exit(1);
}

static void store(void *data, DType t, size_t i, float x)
{
    uint16_t h = t == BF16 ? f32_to_bf16(x) : f32_to_f16(x);
    if (t == F32)
        ((float *)data)[i] = x;
    else
        ((uint16_t *)data)[i] = h;
}

static void measure(Job *j, void *data, DType from)
{
    CkptTensor t = {.data = data};
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++)
        store(data, from, i, 0.02f * (float)rng_normal(1, i % 100003));
    j->r = (Recipe){.piece = {{&t, 0, 0, ROWS}}, .n = 1, .dtype = from, .width = COLS};
    for (int k = 0; k < 2; k++) {
        j->to = k ? I4 : I8;
        double ns = 1e6 * time_calls(call, j).median / ((double)ROWS * COLS);
        printf("%-5s to %s: %5.2f ns a weight, %5.2f of one thread\n", dtype_name(from),
               dtype_name(j->to), ns, ns * j->q.threads);
    }
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : cpus_usable();
    Job j = {.q = {.pool = pool_new(threads), .threads = threads},
             .out = mem_alloc(panels_bytes(F32, ROWS, COLS)),
             .scale = mem_alloc(sizeof(float) * ROWS)};
    void *data = mem_alloc(sizeof(float) * ROWS * COLS);
    if (!j.q.pool || !j.out || !j.scale || !data)
        return 1;
    printf("%d threads, [%d,%d]\n", threads, ROWS, COLS);
    measure(&j, data, F32);
    measure(&j, data, BF16);
    measure(&j, data, F16);
    quantiser_free(&j.q);
    mem_free(data);
    mem_free(j.out);
    mem_free(j.scale);
    return 0;
}
