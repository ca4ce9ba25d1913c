/* models/recipe.h: what a Param is made of in a checkpoint.
 *
 * The visitor (nn/visitor.h) names a Param once, as the files of today's transformers do. Other
 * files keep the same weight in pieces, or under the name of the weight it is tied to. A Recipe is
 * the answer for one Param and one checkpoint: the stored tensors, or parts of them, or zeros, that
 * follow one another in it. Mostly that is one piece, whole. A further file family is a further
 * entry of the table in recipe.c (what is merely called otherwise, of that in ckpt/names.c).
 *
 * For the loader. A Recipe points into the checkpoint and owns nothing. */
#ifndef MODELS_RECIPE_H
#define MODELS_RECIPE_H

#include "ckpt/bnb.h"
#include "nn/visitor.h"

enum { RECIPE_PIECES = 3 };

/* A row is what the first extent of the Param's shape counts: a row of a matrix, one number of a
 * vector. */
typedef struct RecipePiece {
    const CkptTensor *from; /* NULL: zeros */
    size_t first;           /* the row of it that comes first */
    size_t to, rows;        /* the rows of the Param that it fills */
} RecipePiece;

typedef struct Recipe {
    char missing[256]; /* the tensor that is, when recipe_take fails for that */
    RecipePiece piece[RECIPE_PIECES];
    int n;        /* 0: the checkpoint has no such weight, nor need it */
    DType dtype;  /* of every stored piece: F32, F16 or BF16; or of its one piece, I8 or I4 */
    size_t width; /* numbers in a row */
    bool panels;  /* its one piece lies in panels (tensor/panel.h), as I4 always does */
    const CkptTensor
        *scale; /* I8: F32, one for each row; multiplied by scale_by, that of its integers */
    float scale_by;
    Bnb4 four; /* four.code: its one piece is bitsandbytes' 4 bits, and dtype what they stand for */
} Recipe;

/* Finds the pieces of the Param of that name and marks their tensors as used. The Param's own
 * tensor is always preferred; pieces serve when it is missing and all of them are there. An
 * optional Param whose tensor another Param has been made of is tied to that one: n = 0.
 * Errors: ERR_BAD_MODEL, naming the tensor that is missing, misshapen or of a wrong type. */
bool recipe_take(Recipe *r, Checkpoint *c, const char *name, const ParamSpec *spec, Error *e);

/* The recipe of a head (PARAM_HEAD) that the checkpoint lacks: that of the token table which it is tied to. Errors as
 * recipe_take. */
bool recipe_tied(Recipe *r, Checkpoint *c, const ParamSpec *spec, Error *e);

/* Whether it is stored as small integers already. */
bool recipe_quantised(const Recipe *r);

/* Where the whole weight lies in the file, if it does in one piece and kernels can read it there
 * (every number aligned to its own size); else NULL. */
const void *recipe_in_place(const Recipe *r);

/* Writes the whole weight as it is stored, in panels if it is. */
void recipe_copy(const Recipe *r, void *out);

/* Writes n rows of it, from row `first` on, in its type; not of I4. */
void recipe_rows(const Recipe *r, void *out, size_t first, size_t n);

/* Writes n rows of it, from row `first` on, as floats. */
void recipe_floats(const Recipe *r, float *out, size_t first, size_t n);

/* I8: where the scales lie in the file, if kernels can read them there; else NULL. */
const float *recipe_scales_in_place(const Recipe *r);

/* I8: writes the scales of n rows, from row `first` on. */
void recipe_scales(const Recipe *r, float *out, size_t first, size_t n);

/* The weight has been copied: the file's pages may go (ckpt_done_with). */
void recipe_done(const Recipe *r);

/* The same of n rows, from row `first` on, where they lie in rows; else nothing. */
void recipe_done_rows(const Recipe *r, size_t first, size_t n);

#endif
