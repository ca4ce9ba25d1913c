/* cpu/k_linear.c: y = act(x W^T + b) + residual. See cpu/linear.h for the parts. */
#include "cpu/linear.h"

static bool linear_forward(Stream *on, const LinearArgs *a)
{
    if (a->w->layout != LAYOUT_ROWS)
        BUG("linear: weights in panels"); /* no loader makes them, see cpu/linear.h */
    if (a->w->dtype != F32 && a->w->dtype != F16 && a->w->dtype != BF16 && a->w->dtype != I8)
        BUG("linear: weight type");
    if (a->x->rows == 0 || a->w->rows == 0)
        return true;
    return a->role == ROLE_DECODE ? ISA_SYM(linear_decode)(on, a) : ISA_SYM(linear_encode)(on, a);
}

void ISA_SYM(install_linear)(Backend *b)
{
    b->linear = linear_forward;
}
