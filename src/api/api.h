/* api/api.h: what stands behind the opaque types of include/blip2.h, and what the files of api/ share.
 * debug/, the other implementer of a header, includes it too. */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>

#include "base/sized.h"
#include "base/str.h"
#include "blip2.h"
#include "task/engine.h"

struct blip2_model {
    atomic_int holders; /* its owner, until it frees it, and every session */
    Device *dev;        /* owns the weights */
    Blip2 *net;
    Tokenizer *tokenizer; /* NULL: the directory has none (debug run works without) */
    Error no_tokenizer;   /* why */
    blip2_dtype dtype;
    Arena mem; /* strings of info */
    blip2_info info;
};

struct blip2_image {
    Picture picture;   /* without data when it is prepared */
    Prepared prepared; /* pixels NULL: it is not */
    double decode_ms;
    uint64_t serial; /* differs for every image of the process */
};

struct blip2_session {
    blip2_model *model;
    Stream *on;
    Engine engine;
    int holders;        /* its owner, until it frees it, its batch, and a call that is under way */
    blip2_batch *batch; /* NULL: none */
};

/* --- error.c ------------------------------------------------------------------------------------ */
/* Copies an error out; code names are the same on both sides. Always returns false. */
bool api_error(blip2_error *to, const Error *from);
/* ERR_USAGE: "WHAT: expected one, got NULL". Always returns false. */
static inline bool api_missing(const char *what, Error *e)
{
    return error_set(e, ERR_USAGE, "%s: expected one, got NULL", what);
}

/* Of a struct in whose middle it lies, it must be 0, as what stands behind one of this version. */
static inline bool api_reserved(int reserved, const char *what, Error *e)
{
    return reserved == 0 ||
           error_set(e, ERR_USAGE, "%s: expected the fields of this version, got newer ones", what);
}

/* --- device.c ----------------------------------------------------------------------------------- */
typedef struct DeviceChoice {
    enum { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA } kind;
    int card;
} DeviceChoice;
/* What "auto", "cpu", "cuda" or "cuda:N" says; asked NULL or "": $BLIP2_DEVICE, else auto. ERR_USAGE: none of them. */
bool api_device_choice(const char *asked, DeviceChoice *choice, Error *e);
/* AUTO: card 0 where there is one, else the CPU. Errors: those of cuda_device and cpu_device. */
Device *api_device_open(const DeviceChoice *choice, Error *e);
bool api_on_card(const Device *dev);

/* --- image.c ------------------------------------------------------------------------------------ */
/* A picture from its file's bytes; `name` is what messages call it. */
blip2_image *api_image_decode(const void *bytes, size_t size, const char *name, Error *e);
/* The picture, prepared as our verbs do (upright, alpha over white), or for BLIP2_HF as transformers does. */
EncodeJob api_image_job(const blip2_image *image, blip2_library library);
/* Adds what its user should know of the picture to notice[256]. */
void api_note_image(char *notice, const blip2_image *image);

/* --- model.c ------------------------------------------------------------------------------------ */
/* ERR_USAGE when this version has no such type. */
bool api_check_dtype(blip2_dtype dtype, Error *e);
Preset api_preset(blip2_dtype dtype); /* how it quantises */
/* An empty model with its device. NULL: ERR_MEMORY, or the device cannot be opened. blip2_model_free frees it, filled or
 * not. */
blip2_model *api_model_new(blip2_dtype dtype, const DeviceChoice *on, const char *name, Error *e);
/* blip2_model_load; the model may have no tokenizer when `need_tokenizer` is false. */
blip2_model *api_load(const char *path_or_name, const blip2_load_options *options,
                      bool need_tokenizer, blip2_error *err);
bool api_describe(blip2_model *m, const char *path, Error *e); /* fills info */

/* --- session.c ---------------------------------------------------------------------------------- */
/* Around a call that runs token callbacks, which may free the session or its batch: what they freed
 * goes when the call ends. */
void api_enter(blip2_session *s);
void api_exit(blip2_session *s);

/* --- batch.c ------------------------------------------------------------------------------------ */
/* Frees the batch if its owner has done so while it could not go. */
void api_sweep_batch(blip2_session *s);

/* --- options.c ---------------------------------------------------------------------------------- */
/* Whether a value of an enum is one of 0 to last: ERR_USAGE. */
bool api_choice(const char *what, int value, int last, Error *e);
/* The caller's options (NULL: the defaults of task, LAVIS) as the generator takes them, without the
 * model's end ids. `banned` stays the caller's. */
bool api_gen_options(const blip2_model *m, blip2_task task, const blip2_options *o, GenOptions *out,
                     Error *e);

/* --- request.c ---------------------------------------------------------------------------------- */
/* An item of the caller's from its joining to its result. It must not move: callbacks point to it. */
typedef struct Ticket {
    size_t number; /* as the caller counts */
    blip2_token_fn on_token;
    void *user;
    double decode_ms;
    bool gone;        /* its batch was freed by a callback: it is not to be heard any more */
    EngineItem *item; /* NULL: it never came so far, for this reason */
    Error error;
} Ticket;

/* What a call may not get wrong: session, items (each is a `what`), count, their size. */
bool api_check_call(const blip2_session *s, const void *items, size_t count, const char *what,
                    Error *e);
/* Element i of an array whose elements begin with their size and have that of the first one: theirs into ours
 * of `size` bytes, of which `known` are this version's (sized_take). ERR_USAGE. */
bool api_element(void *ours, size_t size, size_t known, const void *theirs, size_t i,
                 const char *what, Error *e);
/* Item i of an array whose elements have the caller's size, that of the first, as the engine takes it;
 * but for its callback, which asked (may be NULL) receives. need_image: it must have a picture. Nothing
 * is copied that the item points to. */
bool api_request(const blip2_session *s, const blip2_item *items, size_t i, bool need_image,
                 EngineRequest *r, Ticket *asked, Error *e);

/* engine_join, or engine_run. */
typedef bool EngineStart(Engine *en, const EngineRequest *r, int n, EngineItem **item, Error *e);
/* All items to the engine, each under its ticket, whose number is there already. An item that is
 * refused here has its error. false: none has joined. */
bool api_start(EngineStart *start, blip2_session *s, const blip2_item *items, size_t count,
               Ticket *const *ticket, Error *e);

/* --- result.c ----------------------------------------------------------------------------------- */
blip2_result *result_new(size_t count, Error *e);
/* What has become of t's item, moved to place i. Errors, memory's included, become its error there. */
void result_take(blip2_result *r, size_t i, const Ticket *t);

/* Item i's candidates are n choices, copied, best first. false: ERR_MEMORY, it has none. */
bool result_rank(blip2_result *r, size_t i, const char *const *text, const Ids *ids,
                 const double *score, size_t n, Error *e);
/* The rest of an item that was no Ticket's. */
void result_settle(blip2_result *r, size_t i, const EngineTimes *t, double decode_ms,
                   const char *notice, const Error *e);

#endif
