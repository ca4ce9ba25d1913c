/* ops/param.c: refuses Params that the kernels would misread. */
#include "ops/tape.h"

const char *param_name(const Param *p)
{
    return p->name ? p->name : "parameter";
}

static bool refuse(Ctx *c, const Param *p, const char *what, const char *want, const char *got)
{
    return error_set(&c->err, ERR_BAD_MODEL, "%s: %s: expected %s, got %s", param_name(p), what,
                     want, got);
}

static bool there(Ctx *c, const Param *p)
{
    return p->data || refuse(c, p, "values", "some", "none");
}

static bool rows_ok(Ctx *c, const Param *p)
{
    return there(c, p) && (p->layout == LAYOUT_ROWS || refuse(c, p, "layout", "rows", "panels"));
}

bool matrix_ok(Ctx *c, const Param *w)
{
    if (w->dtype == I8 && !w->scale)
        return refuse(c, w, "scale", "one factor per row", "none");
    if (w->dtype != I8 && w->dtype != I4 && !dtype_is_float(w->dtype))
        return refuse(c, w, "type", "F32, F16, BF16, I8 or I4", dtype_name(w->dtype));
    if (w->dtype == I4 && w->layout != LAYOUT_PANEL)
        return refuse(c, w, "layout", "panels", "rows");
    if (w->block)
        return refuse(c, w, "scale", "one factor per row", "one per block of it");
    /* the backward reads rows alone */
    return c->record || w->dtype == I8 ? rows_ok(c, w) : there(c, w);
}

bool table_ok(Ctx *c, const Param *table)
{
    if (!dtype_is_float(table->dtype))
        return refuse(c, table, "type", "F32, F16 or BF16", dtype_name(table->dtype));
    return rows_ok(c, table);
}

bool vector_ok(Ctx *c, const Param *v, int n)
{
    if (v->dtype != F32)
        return refuse(c, v, "type", "F32", dtype_name(v->dtype));
    if (v->cols != n)
        return error_set(&c->err, ERR_BAD_MODEL, "%s: length: expected %d, got %d", param_name(v),
                         n, v->cols);
    return rows_ok(c, v);
}
