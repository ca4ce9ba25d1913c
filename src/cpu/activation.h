/* cpu/activation.h: the activation functions, shared by `activate` and by the epilogue of `linear`
 * so that the fused and the separate form give the same bits. Included by k_*.c. */
#ifndef CPU_ACTIVATION_H
#define CPU_ACTIVATION_H

#include "cpu/vec.h"
#include "tensor/backend.h"

/* The lower tail of the normal distribution, P(X <= -t), for t >= 0: e^(-t^2/2) R(t), where R is a
 * polynomial in 1 / (1 + 0.3 t) (own minimax fit of the scaled complementary error function on
 * [0, 14.5], relative error 3.5e-9 before rounding). Good to a few ulp down to underflow, where
 * 0.5 * (1 + erf(x / sqrt 2)) has lost all its digits. */
VEC_INLINE vf act_normal_tail(vf t)
{
    vf z = vf_recip(vf_fma(t, vf_set1(0.3f), vf_set1(1.0f)));
    vf p = vf_set1(-2.06233683e-2f);
    p = vf_fma(p, z, vf_set1(1.12435098e-1f));
    p = vf_fma(p, z, vf_set1(-2.28212462e-1f));
    p = vf_fma(p, z, vf_set1(1.91783115e-1f));
    p = vf_fma(p, z, vf_set1(-7.94223903e-2f));
    p = vf_fma(p, z, vf_set1(9.61562837e-2f));
    p = vf_fma(p, z, vf_set1(7.83898251e-2f));
    p = vf_fma(p, z, vf_set1(1.10235390e-1f));
    p = vf_fma(p, z, vf_set1(1.19571818e-1f));
    p = vf_fma(p, z, vf_set1(1.19686690e-1f));
    return p * z * vf_exp(vf_set1(-0.5f) * t * t);
}

/* P(X <= x) of the normal distribution = 0.5 (1 + erf(x / sqrt 2)) */
VEC_INLINE vf act_normal_cdf(vf x)
{
    vf tail = act_normal_tail(vf_abs(x));
    return vf_select(x > vf_zero(), vf_set1(1.0f) - tail, tail);
}

/* The exact GELU of Hendrycks & Gimpel (2016): torch.nn.GELU() */
VEC_INLINE vf act_gelu(vf x)
{
    return x * act_normal_cdf(x);
}

/* x sigmoid(1.702 x): CLIP's QuickGELU */
VEC_INLINE vf act_quick_gelu(vf x)
{
    return x * vf_sigmoid(vf_set1(1.702f) * x);
}

/* 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3): Flan-T5's gelu_new */
VEC_INLINE vf act_gelu_tanh(vf x)
{
    vf u = vf_fma(vf_set1(0.044715f) * x * x, x, x);
    return x * vf_sigmoid(vf_set1(1.59576912f) * u);
}

/* max(x, 0); NaN stays NaN */
VEC_INLINE vf act_relu(vf x)
{
    return vf_select(x < vf_zero(), vf_zero(), x);
}

VEC_INLINE vf act_apply(vf x, Act act)
{
    switch (act) {
    case ACT_GELU: return act_gelu(x);
    case ACT_RELU: return act_relu(x);
    case ACT_QUICK_GELU: return act_quick_gelu(x);
    case ACT_GELU_TANH: return act_gelu_tanh(x);
    default: return x;
    }
}

VEC_INLINE void act_row_of(float *y, const float *x, int n, Act act)
{
    int i = 0;
    for (; i + VL <= n; i += VL)
        vf_storeu(y + i, act_apply(vf_loadu(x + i), act));
    if (i < n)
        vf_store_n(y + i, act_apply(vf_load_n(x + i, n - i), act), n - i);
}

/* y = act(x) over n numbers; y may be x */
static inline __attribute__((unused)) void act_row(float *y, const float *x, int n, Act act)
{
    switch (act) {
    case ACT_GELU: act_row_of(y, x, n, ACT_GELU); break;
    case ACT_RELU: act_row_of(y, x, n, ACT_RELU); break;
    case ACT_QUICK_GELU: act_row_of(y, x, n, ACT_QUICK_GELU); break;
    case ACT_GELU_TANH: act_row_of(y, x, n, ACT_GELU_TANH); break;
    default:
        if (y != x)
            memmove(y, x, (size_t)n * sizeof *y);
    }
}

#endif
