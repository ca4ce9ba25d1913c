/* bench/peers/products.h: what the programs that time another library's products have in common: copies of weights that
 * are no longer in the caches when their turn comes again, and the median of many calls, as bench/bench_linear has it.
 *
 *     PROGRAM THREADS FORMAT ROWSxIN-OUT...
 *
 * One line of JSON for each shape; a shape that the library has nothing for gives a line on standard error. */
#ifndef PEERS_PRODUCTS_H
#define PEERS_PRODUCTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Shape {
    int rows, in, out;
} Shape;

/* Bytes of weights, all copies together; the same in bench_linear.c and products.py. */
static const size_t FOOTPRINT = (size_t)400 << 20;

static inline size_t copies_of(size_t bytes)
{
    return FOOTPRINT / bytes ? FOOTPRINT / bytes : 1;
}

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static inline int compare_ms(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the calls of a quarter of a second, 5 to 400; call gets a counter that chooses the copy. The first call
 * does not count. */
static inline double median_ms(void (*call)(void *, size_t), void *with)
{
    enum { MOST = 400, LEAST = 5 };
    static double ms[MOST];
    int n = 0;
    call(with, 0);
    for (double start = now_ms(); n < MOST && (n < LEAST || now_ms() - start < 250); n++) {
        double from = now_ms();
        call(with, (size_t)n + 1);
        ms[n] = now_ms() - from;
    }
    qsort(ms, (size_t)n, sizeof *ms, compare_ms);
    return ms[n / 2];
}

static inline bool parse_shape(const char *text, Shape *s)
{
    char rest;
    return sscanf(text, "%dx%d-%d%c", &s->rows, &s->in, &s->out, &rest) == 3 && s->rows > 0 &&
           s->in > 0 && s->out > 0;
}

static inline void print_time(Shape s, const char *kernel, double ms, size_t bytes)
{
    printf("{\"rows\": %d, \"in\": %d, \"out\": %d, \"kernel\": \"%s\", \"ms\": %.5f, \"bytes\": "
           "%zu}\n",
           s.rows, s.in, s.out, kernel, ms, bytes);
    fflush(stdout);
}

/* time_shape: times one shape and prints it; false when the library has nothing for it. */
static inline int products_main(int argc, char **argv,
                                bool (*time_shape)(Shape s, const char *format, int threads))
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s THREADS FORMAT ROWSxIN-OUT...\n", argv[0]);
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        Shape s;
        if (!parse_shape(argv[i], &s)) {
            fprintf(stderr, "%s: expected ROWSxIN-OUT\n", argv[i]);
            return 2;
        }
        if (!time_shape(s, argv[2], atoi(argv[1])))
            fprintf(stderr, "%s: no product in %s here\n", argv[i], argv[2]);
    }
    return 0;
}

#endif
