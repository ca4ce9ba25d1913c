/* cpu/k_linear.c: y = act(x W^T + b) + residual. See cpu/linear.h for the parts. */
#include "cpu/linear.h"

/* Rows of x from which on decoding is limited by its arithmetic (docs/SPEED.md). The sums are the same on both sides. */
enum { BATCH_ROWS = 24 };

static bool decode_floats(Stream *on, const LinearArgs *a)
{
    if (a->w->layout == LAYOUT_PANEL)
        return ISA_SYM(linear_panel)(on, a);
    return a->x->rows < BATCH_ROWS ? ISA_SYM(linear_decode)(on, a) : ISA_SYM(linear_batch)(on, a);
}

static bool linear_forward(Stream *on, const LinearArgs *a)
{
    const DType t = a->w->dtype;
    if (!dtype_is_float(t) && (t != I4 || a->w->layout != LAYOUT_PANEL) &&
        (t != I8 || a->w->layout != LAYOUT_ROWS))
        BUG("linear: weight type");
    if (a->x->rows == 0 || a->w->rows == 0)
        return true;
    if (a->role == ROLE_ENCODE)
        return ISA_SYM(linear_encode)(on, a);
    if (linear_integers(on, a))
        return t == I4 ? ISA_SYM(linear_i4)(on, a) : ISA_SYM(linear_int)(on, a);
    return decode_floats(on, a);
}

void ISA_SYM(install_linear)(Backend *b)
{
    b->linear = linear_forward;
}
