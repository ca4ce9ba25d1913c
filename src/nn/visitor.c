/* nn/visitor.c: the name of a parameter grows while a walk goes down. */
#include "nn/visitor.h"

#include <stdarg.h>
#include <stdio.h>

static size_t enter(Visitor *v, const char *fmt, va_list ap)
{
    size_t mark = v->len;
    int n = vsnprintf(v->name + v->len, sizeof v->name - v->len, fmt, ap);
    if (n < 0 || (size_t)n >= sizeof v->name - v->len)
        BUG("a parameter's name is too long");
    v->len += (size_t)n;
    return mark;
}

size_t visit_enter(Visitor *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t mark = enter(v, fmt, ap);
    va_end(ap);
    return mark;
}

void visit_leave(Visitor *v, size_t mark)
{
    v->len = mark;
    v->name[mark] = 0;
}

size_t visit_block(Visitor *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t mark = enter(v, fmt, ap);
    va_end(ap);
    v->trains = false;
    return mark;
}

void visit_leave_block(Visitor *v, Block *block, size_t mark)
{
    if (!v->stopped) /* a walk that ended early has not seen all of it */
        block->trainable = v->trains;
    visit_leave(v, mark);
}

void visit_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    if (v->stopped)
        return;
    size_t mark = visit_enter(v, "%s", name);
    v->stopped = !v->param(v, v->name, p, spec);
    v->trains |= p->grad != NULL;
    visit_leave(v, mark);
}

void visit_vector(Visitor *v, const char *name, Param *p, int n)
{
    visit_param(v, name, p,
                &(ParamSpec){.kind = PARAM_VECTOR, .rank = 1, .shape = {n}, .rows = 1, .cols = n});
}

void visit_scalar(Visitor *v, const char *name, Param *p)
{
    visit_param(v, name, p, &(ParamSpec){.kind = PARAM_VECTOR, .shape = {1}, .rows = 1, .cols = 1});
}

void visit_linear(Visitor *v, const char *name, Linear *l, int in, int out, bool bias)
{
    size_t mark = visit_enter(v, "%s.", name);
    visit_param(
        v, "weight", &l->w,
        &(ParamSpec){.kind = PARAM_MATRIX, .rank = 2, .shape = {out, in}, .rows = out, .cols = in});
    if (bias)
        visit_vector(v, "bias", &l->b, out);
    visit_leave(v, mark);
}

void visit_norm(Visitor *v, const char *name, Norm *n, int width)
{
    size_t mark = visit_enter(v, "%s.", name);
    visit_vector(v, "weight", &n->w, width);
    visit_vector(v, "bias", &n->b, width);
    visit_leave(v, mark);
}

void visit_rms(Visitor *v, const char *name, Rms *n, int width)
{
    size_t mark = visit_enter(v, "%s.", name);
    visit_vector(v, "weight", &n->w, width);
    visit_leave(v, mark);
}

void visit_table(Visitor *v, const char *name, Param *p, int rank, int rows, int cols)
{
    ParamSpec s = {
        .kind = PARAM_TABLE, .rank = rank, .shape = {1, 1, 1, 1}, .rows = rows, .cols = cols};
    s.shape[rank - 1] = cols;
    s.shape[rank - 2] = rows;
    visit_param(v, name, p, &s);
}

void visit_head(Visitor *v, const char *name, Param *p, int vocab, int width, bool tied)
{
    visit_param(v, name, p,
                &(ParamSpec){.kind = PARAM_HEAD,
                             .optional = tied,
                             .rank = 2,
                             .shape = {vocab, width},
                             .rows = vocab,
                             .cols = width});
}
