/* api/api.h: what stands behind the opaque types of include/blip2.h. */
#ifndef API_API_H
#define API_API_H

#include "base/file.h"
#include "base/str.h"
#include "blip2.h"
#include "image/image.h"
#include "models/blip2.h"
#include "task/lm.h"
#include "task/prompt.h"
#include "text/tokenizer.h"

struct blip2_model {
    Blip2 *net;
    Tokenizer *tokenizer; /* NULL: the directory has none (debug run works without) */
    Error no_tokenizer;   /* why */
    blip2_dtype dtype;
    Arena mem; /* strings of info */
    blip2_info info;
};

struct blip2_image {
    Picture picture;
    char *name; /* path, or what stands for it in messages */
    double decode_ms;
    uint64_t serial; /* differs for every image of the process */
};

/* Soft tokens of a picture that was encoded before. */
typedef struct Encoded {
    uint64_t serial;
    float *soft; /* [queries, D] */
    uint64_t last_use;
} Encoded;

/* More are kept than a batch has, so that a batch never drops its own pictures. */
enum { ENCODED_KEPT = 32, BATCH_MAX = 8 };
_Static_assert((int)ENCODED_KEPT >= (int)BATCH_MAX, "a batch must fit what is kept");

struct blip2_session {
    blip2_model *model;
    Stream *dev;
    Ctx ctx;
    OptLm lm;
    Encoded encoded[ENCODED_KEPT];
    uint64_t clock; /* for last_use */
};

/* Copies an error out; code names are the same on both sides. Always returns false. */
bool api_error(blip2_error *to, const Error *from);

/* ERR_USAGE when this version has no such type. */
bool api_check_dtype(blip2_dtype dtype, Error *e);

/* model may have no tokenizer when `need_tokenizer` is false. */
blip2_model *api_load(const char *path_or_name, blip2_dtype dtype, bool need_tokenizer, Error *e);
bool api_describe(blip2_model *m, const char *path, Error *e); /* fills info */
Precision api_precision(const blip2_model *m);

/* Public options -> generator options with the model's special ids; `ids` of the public options
 * must outlive the result. */
GenOptions api_gen_options(const blip2_model *m, const blip2_options *o);

/* What processors and lengths take as already there, for a prompt of n ids: LAVIS' one phantom start
 * id, or all prompt ids with the image placeholders in front (HF; not in the old layout without
 * placeholders). Appends to out; false: out of memory. */
bool api_history(const ModelConfig *k, Library library, const int *ids, size_t n, Ids *out);

/* Soft tokens of count <= BATCH_MAX pictures; soft[i] points into the session's memory until the next call.
 * Adds to timings[i]. */
bool api_encode(blip2_session *s, blip2_image *const *images, size_t count, const float **soft,
                blip2_timings *timings, Error *e);

#endif
