/* cuda/module/linear.cu: y = act(x W^T + b) + residual, and its gradient.
 *
 * The stream's precision and the weight's type choose the kernel, the role chooses between two of them, the number of
 * rows never does: PREC_F32, and F32 weights always, go through products in f32 (linear_tile.cuh), the others through
 * tensor cores (linear_mma.cuh). */
#include "cuda/module/linear_mma.cuh"

static Finish finish_of(const LinearArgs *a, const float *row_factor)
{
    Finish f = {};
    f.row_factor = row_factor;
    f.scale = a->w->dtype == I8 ? a->w->scale : NULL;
    f.bias = a->b ? (const float *)a->b->data : NULL;
    f.residual = a->residual ? f32(a->residual) : NULL;
    f.ldr = a->residual ? a->residual->ld : 0;
    f.y = f32(a->y);
    f.ldy = a->y->ld;
    f.act = (int)a->act;
    return f;
}

/* --- f32 ----------------------------------------------------------------------------------------------- */

template <class W> static void forward_f32(Stream *on, const LinearArgs *a, const void *w)
{
    Product<W> p = {};
    p.a = f32(a->x), p.a_i = (size_t)a->x->ld, p.a_t = 1;
    p.b = (const W *)w, p.b_j = (size_t)a->w->cols, p.b_t = 1;
    p.m = a->x->rows, p.n = a->w->rows, p.k = a->w->cols;
    p.to = finish_of(a, NULL);
    product<W, true, true>(on, p);
}

/* --- tensor cores ---------------------------------------------------------------------------------------- */

/* f16 ends at 65504: a row of x that comes near is multiplied by a power of two, which its sums are divided by. */
__global__ static void row_factors(float *factor, const float *x, int ldx, int cols)
{
    const float *row = row_at(x, (int)blockIdx.x, ldx);
    float most = 0;
    for (int i = (int)threadIdx.x; i < cols; i += (int)blockDim.x)
        most = fmaxf(most, fabsf(row[i]));
    most = block_max(most);
    int over = most > 16384.0f && most <= 3.4e38f ? ilogbf(most) - 13 : 0;
    if (threadIdx.x == 0) {
        factor[2 * blockIdx.x] = ldexpf(1.0f, -over);
        factor[2 * blockIdx.x + 1] = ldexpf(1.0f, over);
    }
}

/* Of each row its factor, and what takes it back; NULL: none are needed. false: out of memory. */
static bool factors_of(Stream *on, const LinearArgs *a, float **factor)
{
    *factor = NULL;
    if (a->w->dtype != F16)
        return true;
    *factor = (float *)cuda_scratch(on, SCRATCH_ROWS, sizeof(float) * 2 * (size_t)a->x->rows);
    if (!*factor)
        return false;
    LAUNCH(on, row_factors, (unsigned)a->x->rows, 256, 0, *factor, f32(a->x), a->x->ld, a->x->cols);
    return true;
}

static bool aligned(const void *p, size_t row_bytes, size_t to)
{
    return (uintptr_t)p % to == 0 && row_bytes % to == 0;
}

template <class W> static bool forward_fast(Stream *on, const LinearArgs *a, const void *w)
{
    MmaArgs<W> p = {};
    float *factor;
    if (!factors_of(on, a, &factor))
        return false;
    p.x = f32(a->x), p.ldx = a->x->ld;
    p.w = (const W *)w;
    p.factor = factor;
    p.m = a->x->rows, p.n = a->w->rows, p.k = a->w->cols;
    p.whole_x = aligned(p.x, sizeof(float) * (size_t)p.ldx, 16);
    p.whole_w = aligned(w, sizeof(W) * (size_t)p.k, 8 * sizeof(W));
    p.to = finish_of(a, factor ? factor + 1 : NULL);
    if (a->role == ROLE_DECODE)
        mma_few(on, p);
    else
        mma_many(on, p);
    return true;
}

/* --- weights of 4 bits ------------------------------------------------------------------------------------------ */

/* A block of I4 to floats. */
__global__ static void widen_i4(float *rows, const Nibbles *blocks, int outs, int ins)
{
    const Nibbles *b = blocks + (size_t)blockIdx.y * gridDim.x + blockIdx.x;
    for (int i = (int)threadIdx.x; i < PANEL * I4_BLOCK; i += (int)blockDim.x) {
        const int in = i % I4_BLOCK, out = i / I4_BLOCK, r = (int)blockIdx.y * PANEL + out;
        const int c = (int)blockIdx.x * I4_BLOCK + in;
        const uint32_t v = b->eight[in / 8][out] >> (in % 4 * 8 + in % 8 / 4 * 4);
        if (r < outs && c < ins)
            rows[(size_t)r * (size_t)ins + (size_t)c] =
                __half2float(b->scale[out]) * (float)((int)(v & 15) - 8);
    }
}

/* The weights of I4 as floats; NULL: out of memory. */
static const float *widened(Stream *on, const Param *w)
{
    float *rows = (float *)cuda_scratch(on, SCRATCH_LINEAR, sizeof(float) * param_count(w));
    dim3 grid((unsigned)i4_blocks((size_t)w->cols), (unsigned)panel_count((size_t)w->rows));
    if (rows)
        LAUNCH(on, widen_i4, grid, 256, 0, rows, (const Nibbles *)w->data, w->rows, w->cols);
    return rows;
}

/* The weights in rows (Device.rows_only), I4 as floats; NULL: out of memory. */
static const void *weights_in_rows(Stream *on, const Param *w)
{
    if (w->dtype == I4)
        return widened(on, w);
    if (w->layout != LAYOUT_ROWS)
        BUG("linear: weights in panels");
    return w->data;
}

static bool linear_forward(Stream *on, const LinearArgs *a)
{
    bool fast = on->precision == PREC_FAST;
    if (a->x->rows == 0 || a->w->rows == 0)
        return true;
    if (fast && a->w->dtype == I4)
        return forward_fast<Nibbles>(on, a, a->w->data);
    const void *w = weights_in_rows(on, a->w);
    if (!w)
        return false;
    switch (a->w->dtype) {
    case BF16:
        return fast ? forward_fast<__nv_bfloat16>(on, a, w)
                    : (forward_f32<__nv_bfloat16>(on, a, w), true);
    case F16: return fast ? forward_fast<__half>(on, a, w) : (forward_f32<__half>(on, a, w), true);
    case I8: return fast ? forward_fast<int8_t>(on, a, w) : (forward_f32<int8_t>(on, a, w), true);
    case I4:
    case F32: forward_f32<float>(on, a, w); return true;
    default: BUG("linear: weight type");
    }
}

/* --- backward ------------------------------------------------------------------------------------------------ */

/* dx[i, k] += sum over outputs of dy[i, o] W[o, k] */
template <class W> static void back_to_x(Stream *on, const LinearArgs *l, const void *w)
{
    Product<W> p = {};
    p.a = l->y->grad, p.a_i = (size_t)l->y->ld, p.a_t = 1;
    p.b = (const W *)w, p.b_j = 1, p.b_t = (size_t)l->w->cols;
    p.b_scale = l->w->dtype == I8 ? l->w->scale : NULL;
    p.m = l->y->rows, p.n = l->w->cols, p.k = l->w->rows;
    p.to.y = l->x->grad, p.to.ldy = l->x->ld, p.to.add = true;
    product<W, true, false>(on, p);
}

/* dw[o, k] += sum over rows of dy[i, o] x[i, k] */
static void back_to_w(Stream *on, const LinearArgs *l)
{
    Product<float> p = {};
    p.a = l->y->grad, p.a_i = 1, p.a_t = (size_t)l->y->ld;
    p.b = f32(l->x), p.b_j = 1, p.b_t = (size_t)l->x->ld;
    p.m = l->w->rows, p.n = l->w->cols, p.k = l->y->rows;
    p.to.y = l->w->grad, p.to.ldy = l->w->cols, p.to.add = true;
    product<float, false, false>(on, p);
}

__global__ static void add_rows(float *sum, const float *dy, int ld, int rows, int cols)
{
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= cols)
        return;
    float s = 0;
    for (int r = 0; r < rows; r++)
        s += row_at(dy, r, ld)[c];
    sum[c] += s;
}

static bool linear_back(Stream *on, const LinearArgs *l)
{
    const void *w = l->x->grad ? weights_in_rows(on, l->w) : l->w->data;
    if (!w)
        return false;
    if (l->x->grad)
        switch (l->w->dtype) {
        case BF16: back_to_x<__nv_bfloat16>(on, l, w); break;
        case F16: back_to_x<__half>(on, l, w); break;
        case I8: back_to_x<int8_t>(on, l, w); break;
        default: back_to_x<float>(on, l, w);
        }
    if (l->w->grad)
        back_to_w(on, l);
    if (l->b && l->b->grad)
        LAUNCH(on, add_rows, (unsigned)((l->y->cols + 127) / 128), 128, 0, l->b->grad, l->y->grad,
               l->y->ld, l->y->rows, l->y->cols);
    return true;
}

extern "C" void cuda_install_linear(Backend *b)
{
    b->linear = linear_forward;
    b->linear_back = linear_back;
}
