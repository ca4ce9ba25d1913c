/* cpu/k_linear.c: y = act(x W^T + b) + residual. See cpu/linear.h for the parts. */
#include "cpu/linear.h"

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
    return a->w->layout == LAYOUT_PANEL ? ISA_SYM(linear_panel)(on, a)
                                        : ISA_SYM(linear_decode)(on, a);
}

void ISA_SYM(install_linear)(Backend *b)
{
    b->linear = linear_forward;
}
