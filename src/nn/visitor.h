/* nn/visitor.h: one walk that names every parameter of a model once.
 *
 * Each network has one function `NET_visit(v, net)` that names its parameters with shape and kind
 * in the order of the layers. Loading, random weights and the counts of `show` are visitors over it:
 * no second list of parameters exists anywhere. Names are those of the files that transformers
 * writes today; what a tensor is called elsewhere, or made of, is the loader's to know
 * (ckpt/names.h, models/recipe.h).
 *
 * The networks call visit_*; whoever wants to walk fills a Visitor and calls model_visit
 * (models/blip2.h). A walk writes to the model (Block.trainable), so nobody else may be using the
 * model meanwhile. Names and specs are good during the call only. */
#ifndef NN_VISITOR_H
#define NN_VISITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ops/ops.h"

typedef enum ParamKind {
    PARAM_MATRIX, /* weight of a product: used in place, may be quantised */
    PARAM_HEAD,   /* output head: a product with the vocabulary; used in place, not quantised */
    PARAM_TABLE,  /* rows are looked up: used in place, never quantised */
    PARAM_VECTOR, /* bias or norm: kept in f32 */
} ParamKind;

typedef struct ParamSpec {
    ParamKind kind;
    bool optional; /* may be absent: data stays NULL */
    int rank;
    int64_t shape[4]; /* as in the checkpoint */
    int rows, cols;   /* as a Param */
} ParamSpec;

typedef struct Visitor Visitor;
struct Visitor {
    /* Called with the full name. false ends the walk; the visitor keeps the reason. */
    bool (*param)(Visitor *v, const char *name, Param *p, const ParamSpec *spec);
    bool stopped;
    bool trains;    /* a parameter of the block now entered has a gradient */
    char name[256]; /* the prefix now in force, then the whole name */
    size_t len;
};

/* Enter a part ("encoder.layers.%d."); leave with the value it returned. */
size_t visit_enter(Visitor *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void visit_leave(Visitor *v, size_t mark);

/* Enter a layer; leaving it sets block->trainable: some parameter inside has a gradient buffer. So
 * it is right after every whole walk, whatever the walk was for. Blocks do not nest. */
size_t visit_block(Visitor *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void visit_leave_block(Visitor *v, Block *block, size_t mark);

/* A vector [n]; a number, which the file keeps without dimensions. */
void visit_vector(Visitor *v, const char *name, Param *p, int n);
void visit_scalar(Visitor *v, const char *name, Param *p);
/* A matrix [out,in] and, with bias, a vector [out], at NAME.weight and NAME.bias. */
void visit_linear(Visitor *v, const char *name, Linear *l, int in, int out, bool bias);
/* gamma and beta [width] at NAME.weight and NAME.bias. */
void visit_norm(Visitor *v, const char *name, Norm *n, int width);
/* gamma [width] at NAME.weight. */
void visit_rms(Visitor *v, const char *name, Rms *n, int width);
/* A table [rows, cols] that the file keeps with `rank` dimensions, ones in front. */
void visit_table(Visitor *v, const char *name, Param *p, int rank, int rows, int cols);
/* The output head [vocabulary, width]. tied: it may be absent, the token table is the head then. */
void visit_head(Visitor *v, const char *name, Param *p, int vocab, int width, bool tied);
/* Anything else: shape as in the file. */
void visit_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec);

#endif
