/* cpu/k_linear.c: y = act(x W^T + b) + residual. See cpu/linear.h for the parts. */
#include "cpu/linear.h"

static bool linear_forward(Stream *on, const LinearArgs *a)
{
    if (a->w->layout == LAYOUT_PANEL && !dtype_is_float(a->w->dtype))
        BUG("linear: panels of integers");
    if (a->w->dtype != F32 && a->w->dtype != F16 && a->w->dtype != BF16 && a->w->dtype != I8)
        BUG("linear: weight type");
    if (a->x->rows == 0 || a->w->rows == 0)
        return true;
    if (a->role == ROLE_ENCODE)
        return ISA_SYM(linear_encode)(on, a);
    if (linear_integers(on, a))
        return ISA_SYM(linear_int)(on, a);
    return a->w->layout == LAYOUT_PANEL ? ISA_SYM(linear_panel)(on, a)
                                        : ISA_SYM(linear_decode)(on, a);
}

void ISA_SYM(install_linear)(Backend *b)
{
    b->linear = linear_forward;
}
