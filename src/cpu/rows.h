/* cpu/rows.h: what the row kernels and their backward functions share: vectors with a tail, work over
 * rows on threads, the highest number, mean and variance of a row. */
#ifndef CPU_ROWS_H
#define CPU_ROWS_H

#include "cpu/kernels.h"
#include "cpu/vec.h"

/* Below so many floats to go through, or products to add up, sharing out the work costs more than it
 * saves (a few microseconds). */
#define PARALLEL_FLOATS   32768
#define PARALLEL_PRODUCTS 262144

/* Threads that go through t. */
VEC_INLINE int team_of(const Stream *on, const Tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols >= PARALLEL_FLOATS ? on->threads : 1;
}

/* Threads for m * n * k products in `jobs` parts. */
VEC_INLINE int team_for(const Stream *on, int jobs, int m, int n, int k)
{
    bool many = (double)m * n * k >= PARALLEL_PRODUCTS;
    return !many ? 1 : jobs < on->threads ? jobs : on->threads;
}

/* Calls fn(args, r) for each row r of t. */
static inline __attribute__((unused)) void each_row(Stream *on, const Tensor *t, EachFn fn,
                                                    const void *args)
{
    run_each(on, team_of(on, t), t->rows, fn, args);
}

/* Lanes of the vector at column i of a row of n, and that vector (missing lanes: zero). */
VEC_INLINE int lanes(int n, int i)
{
    return n - i < VL ? n - i : VL;
}

VEC_INLINE vf load_at(const float *x, int n, int i)
{
    return n - i >= VL ? vf_loadu(x + i) : vf_load_n(x + i, n - i);
}

VEC_INLINE void store_at(float *y, vf v, int n, int i)
{
    if (n - i >= VL)
        vf_storeu(y + i, v);
    else
        vf_store_n(y + i, v, n - i);
}

/* The same of a parameter, which may lie unaligned in a mapped file. */
VEC_INLINE vf param_at(const void *p, int n, int i)
{
    const char *at = (const char *)p + (size_t)i * sizeof(float);
    vf x = vf_zero();
    if (n - i >= VL)
        memcpy(&x, at, sizeof(x));
    else
        memcpy(&x, at, (size_t)(n - i) * sizeof(float));
    return x;
}

/* x, with the lanes from n - i on set to `fill` */
VEC_INLINE vf fill_from(vf x, int n, int i, float fill)
{
    float t[VL];
    if (n - i >= VL)
        return x;
    vf_storeu(t, x);
    for (int j = lanes(n, i); j < VL; j++)
        t[j] = fill;
    return vf_loadu(t);
}

static __attribute__((unused)) float row_max(const float *x, int n)
{
    vf m = vf_set1(-INFINITY);
    for (int i = 0; i < n; i += VL)
        m = vf_max(m, fill_from(load_at(x, n, i), n, i, -INFINITY));
    return vf_hmax(m);
}

/* --- moments ----------------------------------------------------------------------------------- */

static __attribute__((unused)) float row_sum(const float *x, int n)
{
    vf s[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    int i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
        for (int j = 0; j < 4; j++)
            s[j] += vf_loadu(x + i + j * VL);
    for (; i < n; i += VL)
        s[0] += load_at(x, n, i);
    return vf_hsum((s[0] + s[1]) + (s[2] + s[3]));
}

typedef struct Deviation {
    float sum, squares; /* of x - mean: the sum is the error of the mean, times n */
} Deviation;

/* In blocks, so that the error of the sums does not grow with n but with its root. */
static __attribute__((unused)) Deviation row_deviation(const float *x, int n, float mean)
{
    enum { BLOCK = 16 * VL };
    vf m = vf_set1(mean), sum = vf_zero(), squares = vf_zero();
    for (int from = 0; from < n; from += BLOCK) {
        vf s[2] = {vf_zero(), vf_zero()}, q[2] = {vf_zero(), vf_zero()};
        int i = from, end = n - from < BLOCK ? n : from + BLOCK;
        for (; i + 2 * VL <= end; i += 2 * VL)
            for (int j = 0; j < 2; j++) {
                vf e = vf_loadu(x + i + j * VL) - m;
                s[j] += e;
                q[j] = vf_fma(e, e, q[j]);
            }
        for (; i < end; i += VL) {
            vf e = fill_from(load_at(x, n, i) - m, n, i, 0);
            s[0] += e;
            q[0] = vf_fma(e, e, q[0]);
        }
        sum += s[0] + s[1];
        squares += q[0] + q[1];
    }
    return (Deviation){vf_hsum(sum), vf_hsum(squares)};
}

typedef struct Moments {
    float mean, off; /* the mean is mean + off: off is below the resolution of mean */
    float rstd;      /* 1 / sqrt(variance + eps), with the variance of n, not n - 1 */
} Moments;

/* Two passes. The second also finds how far the f32 mean is off, and corrects it. */
static __attribute__((unused)) Moments row_moments(const float *x, int n, float eps)
{
    Moments m = {.mean = row_sum(x, n) / (float)n};
    Deviation dev = row_deviation(x, n, m.mean);
    double off = (double)dev.sum / n;
    m.off = (float)off;
    m.rstd = (float)(1.0 / sqrt((double)dev.squares / n - off * off + (double)eps));
    return m;
}

/* sum of x^2 */
static inline __attribute__((unused)) float row_squares(const float *x, int n)
{
    return row_deviation(x, n, 0).squares;
}

/* 1 / sqrt(mean(x^2) + eps) */
static inline __attribute__((unused)) float row_rrms(const float *x, int n, float eps)
{
    return (float)(1.0 / sqrt((double)row_squares(x, n) / n + (double)eps));
}

/* The length of x, at least `least`. */
static inline __attribute__((unused)) float row_length(const float *x, int n, float least)
{
    float length = sqrtf(row_squares(x, n));
    return length < least ? least : length; /* a NaN stays one */
}

/* (x - mean) * rstd at column i */
VEC_INLINE vf normed_at(const float *x, int n, int i, const Moments *m)
{
    return ((load_at(x, n, i) - vf_set1(m->mean)) - vf_set1(m->off)) * vf_set1(m->rstd);
}

#endif
