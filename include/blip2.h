/* blip2.h: BLIP-2 in C. Caption pictures, answer questions about them.
 *
 *     blip2_error err = {0};
 *     blip2_model *model = blip2_model_load("path/to/blip2-opt-2.7b", NULL, &err);
 *     blip2_session *s = blip2_session_new(model, NULL, &err);
 *     blip2_item item = blip2_item_default();
 *     item.image = blip2_image_from_file("photo.jpg", &err);
 *     blip2_result *r = blip2_generate(s, &item, 1, &err);
 *     const char *text = blip2_result_text(r, 0);
 *     puts(text ? text : err.code ? err.message : blip2_result_error(r, 0)->message);
 *
 * Ownership: every object is freed by its own _free function; all of them accept NULL. The order does
 * not matter: a model lasts as long as its sessions, a session as long as its batch. Strings returned
 * belong to the object they came from. Strings taken are copied or used only during the call.
 *
 * Errors: functions return NULL or false and fill the blip2_error, which the caller owns and
 * zero-initialises (C: {0}, C++: {}). The message is one line, "FILE: OBJECT: what, expected vs got".
 * An error that is already there stays, also over calls that succeed, and a NULL object is an error
 * (BLIP2_USAGE) where one is needed and an empty answer where one is read: calls may follow each other
 * as above, and the first error, or a NULL text, is looked at once, at the end. err itself may be NULL.
 * The library never prints and never exits.
 *
 * Structs that the caller makes begin with their own size: start from what the _default function of the
 * struct gives, set what is to differ, and a program compiled against this header goes on working with
 * later libraries, whose structs may have more fields at the end. They have no padding there (hence
 * `reserved`, which must be 0): a later field never lies on bytes that nobody has set. Of the structs
 * without a size, blip2_error and blip2_turn, which the caller makes, never change, nor does
 * blip2_part, of which blip2_info holds an array. blip2_candidate, blip2_timings, blip2_score, blip2_feature, blip2_info, blip2_zoo
 * and blip2_pull_progress are handed out as pointers and may grow at the end. Enums may get more values, the _MAX_ENUM ones only
 * make room for them: an enum holds any int from 0 on.
 *
 * Threads: a model is immutable and may be shared by any number of sessions in any threads. A session
 * is used by one thread at a time. An image may be shared. A session makes its own threads when it
 * first computes, as many as it was asked for or the system gives; they take no signals but those that
 * a thread's own work raises (SIGBUS, SIGSEGV, ...), and blip2_session_free joins them. After fork() a
 * session that was idle works in the child as well. */
#ifndef BLIP2_H
#define BLIP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BLIP2_API __attribute__((visibility("default")))
#else
#define BLIP2_API
#endif

/* --- errors ------------------------------------------------------------------------------------- */

typedef enum blip2_error_code {
    BLIP2_OK = 0,
    BLIP2_FAILED = 1,    /* this picture or text could not be done */
    BLIP2_USAGE = 2,     /* options that make no sense */
    BLIP2_NO_MODEL = 4,  /* no such model, or out of reach */
    BLIP2_BAD_MODEL = 5, /* damaged or incomplete model file */
    BLIP2_MEMORY = 6,    /* out of memory */
    BLIP2_STOPPED = 7,   /* a callback returned false */
    BLIP2_ERROR_MAX_ENUM = 0x7fffffff,
} blip2_error_code;

typedef struct blip2_error {
    blip2_error_code code;
    char message[1024];
} blip2_error;

BLIP2_API const char *blip2_version(void);

/* --- models ------------------------------------------------------------------------------------- */

typedef struct blip2_model blip2_model;

typedef enum blip2_dtype {
    BLIP2_AUTO = 0, /* weights as stored, the fastest kernels for them */
    BLIP2_F32,      /* weights as stored, products and sums in f32 (parity with the reference) */
    BLIP2_BF16,     /* bf16 products allowed; weights stay as stored, so as AUTO */
    BLIP2_F16,      /* f16 products allowed; likewise */
    /* Weights quantised while loading, each by all processors (docs/QUANTIZATION.md). What the files have quantised
     * already stays so, whatever is asked for. */
    BLIP2_INT8,  /* all large matrices as int8, a scale for each row */
    BLIP2_INT4,  /* the language model's layers as int4, a scale for 32 weights; the rest as int8 */
    BLIP2_MIXED, /* those of them as int4 that bear it, the rest as int8 */
    BLIP2_DTYPE_MAX_ENUM = 0x7fffffff,
} blip2_dtype;

typedef struct blip2_load_options {
    size_t size; /* of this struct */
    blip2_dtype dtype;
    int reserved; /* 0 */
    /* Of a model in LAVIS' files, what the files and their names do not tell; NULL: found or derived. */
    const char *type; /* which published model it is: "blip2_opt/pretrain_opt2.7b" */
    const char *vit;  /* file of the base vision tower (eva_vit_g.pth, clip_vit_L.pth) */
    const char
        *language; /* directory, or repository in Hugging Face's cache, of the language model */
    /* "cpu", "cuda" or "cuda:N": card N of NVIDIA's (0), through the module libblip2-cuda.so; "auto": card 0 where
     * module, driver, card and room on it are there, else the CPU. NULL: $BLIP2_DEVICE, else auto. */
    const char *device;
} blip2_load_options;

static inline blip2_load_options blip2_load_options_default(void)
{
    blip2_load_options x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

/* path_or_name: a Hugging Face directory, a file (one that blip2_convert has packed, LAVIS' .pth, or weights with
 * a config.json beside them), or a name: "scenes", which comes with the library (and so
 * does NULL), or that of a model in Hugging Face's cache (blip2_pull). What
 * LAVIS keeps in files of its own (vision tower, language model) is looked for beside the .pth, where LAVIS
 * keeps its downloads, and in Hugging Face's cache. Weights are mapped, not copied: the files must stay as they are while the model lives.
 * options may be NULL. A model loads when everything that it needs is there and right; what of its files
 * is not used or does not fit is told by blip2_info's notice. Errors: NO_MODEL, BAD_MODEL (missing or
 * misshapen tensors are named; no tokenizer), USAGE (no such dtype, no such device, reserved not 0), MEMORY (a card: what
 * is needed and what is free). */
BLIP2_API blip2_model *blip2_model_load(const char *path_or_name, const blip2_load_options *options,
                                        blip2_error *err);
BLIP2_API void blip2_model_free(blip2_model *model);

/* --- pictures ----------------------------------------------------------------------------------- */

typedef struct blip2_image blip2_image;

/* Whose rules: of preparing pictures, of templates, of generating. */
typedef enum blip2_library {
    BLIP2_LAVIS,
    BLIP2_HF,
    BLIP2_LIBRARY_MAX_ENUM = 0x7fffffff,
} blip2_library;

/* JPEG, PNG, WebP, GIF, BMP, PNM, TIFF (AVIF and HEIC where libheif is), told by content. "-" reads
 * standard input; an address on the net is not fetched (blip2_image_from_url). Errors: FAILED (no picture, damaged, too large), USAGE (NULL), MEMORY. */
BLIP2_API blip2_image *blip2_image_from_file(const char *path, blip2_error *err);
BLIP2_API blip2_image *blip2_image_from_memory(const void *bytes, size_t size, blip2_error *err);
/* pixels [height, width, channels], 8 bits, rows without padding; channels 1, 3 or 4; copied. Errors:
 * USAGE (NULL, other channels, a negative size), FAILED (an empty or too large picture), MEMORY. */
BLIP2_API blip2_image *blip2_image_from_pixels(const uint8_t *pixels, int width, int height,
                                               int channels, blip2_error *err);
/* For who reads pictures ahead of a session, in whatever thread: does what a session of the model does first with an image
 * (turned, resized, normalised by the rules of the library), and lets go of its pixels. From then on it is for sessions of
 * models that take pictures of that size, mean and deviation, and for that library; with others it has the
 * error FAILED there. Nobody else may use the image meanwhile. One that is prepared already stays as it is. false, and nothing has
 * changed: USAGE (NULL, no such library), FAILED (as blip2_generate would say of it), MEMORY. */
BLIP2_API bool blip2_image_prepare(blip2_image *image, const blip2_model *model,
                                   blip2_library library, blip2_error *err);
BLIP2_API void blip2_image_free(blip2_image *image);
BLIP2_API int blip2_image_width(const blip2_image *image);
BLIP2_API int blip2_image_height(const blip2_image *image);
BLIP2_API double blip2_image_decode_ms(const blip2_image *image);

/* --- sessions ----------------------------------------------------------------------------------- */

typedef struct blip2_session blip2_session;

typedef struct blip2_session_options {
    size_t size;     /* of this struct */
    int threads;     /* 0: all processors this process may use */
    const char *isa; /* CPU: kernel set; NULL: $BLIP2_ISA, else the best this machine has */
    int pictures;    /* how many encoded pictures to remember; 0: 32, -1: none */
    int reserved;    /* 0 */
} blip2_session_options;

static inline blip2_session_options blip2_session_options_default(void)
{
    blip2_session_options x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

/* options may be NULL. Errors: USAGE (threads not 0 to 1024, pictures not -1 to 2^20, an instruction
 * set that this machine does not have, reserved not 0), MEMORY. A session remembers the pictures that
 * it used last: asking again about the same blip2_image does not encode it again. Where kernels have to
 * be measured to choose between them (AVX-512 BF16), the first session of a machine does so, for some
 * milliseconds, and keeps the outcome in $XDG_CACHE_HOME/blip2 (~/.cache/blip2) if it can. */
BLIP2_API blip2_session *blip2_session_new(blip2_model *model, const blip2_session_options *options,
                                           blip2_error *err);
BLIP2_API void blip2_session_free(blip2_session *session);

/* --- generation --------------------------------------------------------------------------------- */

typedef enum blip2_task {
    BLIP2_CAPTION, /* describe the picture; LAVIS' Blip2OPT.generate */
    BLIP2_ASK,     /* short answer to a question; LAVIS' predict_answers */
    BLIP2_CHAT,    /* answer within a dialogue; as generate, the prompt is never cut on the right */
    BLIP2_TASK_MAX_ENUM = 0x7fffffff,
} blip2_task;

typedef enum blip2_early {
    BLIP2_EARLY_FALSE,
    BLIP2_EARLY_TRUE,
    BLIP2_EARLY_NEVER,
    BLIP2_EARLY_MAX_ENUM = 0x7fffffff,
} blip2_early;

/* Names follow transformers, but for num_captions (num_return_sequences), no_repeat_ngram
 * (no_repeat_ngram_size), sample (do_sample) and banned (bad_words_ids of one id each). Start from
 * blip2_options_default. */
typedef struct blip2_options {
    size_t size; /* of this struct */
    blip2_library library;
    int num_beams, num_captions;
    int max_length, min_length; /* as the library counts; 0: not set */
    /* New ids only; 0: not set. They win over the two above, but in LAVIS the longer of the two least
     * lengths counts. */
    int max_new_tokens, min_new_tokens;
    double length_penalty, repetition_penalty;
    int no_repeat_ngram;
    blip2_early early_stopping;
    bool sample;
    int top_k;
    double top_p, temperature;
    uint64_t seed; /* of what is drawn: equal items with equal seeds draw the same ids */
    /* Ids of the vocabulary that must not be generated; end ids among them stay allowed, as in the
     * reference. */
    const int *banned;
    size_t banned_count;
} blip2_options;

/* Fills options, whose size says how much of it there is. LAVIS: caption and chat as generate (5 beams,
 * max_length 30), ask as predict_answers (5 beams, 10 new tokens, length penalty 0). HF: greedy, 20 new
 * tokens, and the model's generation_config (model NULL: the library's own defaults). Does nothing when
 * options is NULL or its size is none of a struct (below that of size_t, above 4096). */
BLIP2_API void blip2_options_init(blip2_options *options, const blip2_model *model, blip2_task task,
                                  blip2_library library);

static inline blip2_options blip2_options_default(const blip2_model *model, blip2_task task,
                                                  blip2_library library)
{
    blip2_options o;
    o.size = sizeof o;
    blip2_options_init(&o, model, task, library);
    return o;
}

/* Called for each new id of an item's best text as soon as it is final, once: at once when greedy or
 * sampling, at the end with beams. text is what it adds to the output (UTF-8, may be empty): a part
 * that later ids may still change (spaces, half a character) comes with one of those. Unless it was
 * stopped all texts of an item together are its blip2_result_text. item is its index in the call (its
 * ticket in a batch); those of different items alternate. Returning false stops this item, and no
 * other: it keeps what it has so far (with beams the search is over by then: all its texts) and has the
 * error BLIP2_STOPPED, or none when the last id had been told and nothing else of it was to come. */
typedef bool (*blip2_token_fn)(void *user, size_t item, int id, const char *text);

typedef struct blip2_turn {
    const char *question, *answer;
} blip2_turn;

/* One picture and what is asked about it. */
typedef struct blip2_item {
    size_t size; /* of this struct */
    blip2_image *image;
    blip2_task task;
    const blip2_options *options; /* NULL: the defaults of task, LAVIS */
    const char *text;             /* the question of ask and chat; caption does not read it */
    const char *prompt; /* caption: instead of the checkpoint's. ask, chat: a template with {}.
                         * LAVIS cuts what goes to the model to 32 ids, but in a chat: a notice */
    bool raw_prompt;    /* `prompt`, without one `text`, goes to the model as it is, no template */
    const blip2_turn *turns; /* chat: the rounds so far, oldest first */
    size_t turn_count;
    blip2_token_fn on_token; /* may be NULL */
    void *user;
} blip2_item;

static inline blip2_item blip2_item_default(void)
{
    blip2_item x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

typedef struct blip2_result blip2_result;

/* Encodes the pictures and generates for every item, all of them at once: each with its own picture,
 * task, text, options and callback. One result for all. What could not be done is that item's error
 * alone (blip2_result_error): FAILED (no picture, a prompt that does not fit the model), USAGE (options
 * that make no sense, a missing or invalid text), MEMORY, STOPPED. What an item gets does not depend on
 * the others, their number or their order. Where memory does not suffice for all at once they are done
 * in parts, and their notice says so. NULL only for USAGE (no session, no items, a first item of no size,
 * more than 2^20 items, a call from a token callback of the session) and MEMORY (for the list of the
 * items or the result itself). count may be 0. */
BLIP2_API blip2_result *blip2_generate(blip2_session *session, const blip2_item *items,
                                       size_t count, blip2_error *err);
/* Whether an item makes sense for the session's model, before any picture is read (item->image may be
 * NULL): the errors that blip2_generate would give it whatever its picture. */
BLIP2_API bool blip2_check(blip2_session *session, const blip2_item *item, blip2_error *err);
BLIP2_API void blip2_result_free(blip2_result *result);

/* Item i's best text, stripped; NULL when it failed. After a stop: as far as it came. */
BLIP2_API const char *blip2_result_text(const blip2_result *result, size_t item);
/* Never NULL; code BLIP2_OK: none. */
BLIP2_API const blip2_error *blip2_result_error(const blip2_result *result, size_t item);
/* Something the user should know and that is no error (a prompt that was cut); NULL: nothing. */
BLIP2_API const char *blip2_result_notice(const blip2_result *result, size_t item);

typedef struct blip2_candidate {
    const char *text;
    double score; /* the beam's score, or the sum of log-probabilities */
    const int *ids;
    size_t id_count;
    /* Of blip2_rank, else 0: */
    double probability; /* among the choices */
    size_t choice;      /* which one it is */
} blip2_candidate;

/* Candidates, best first (samples: as they were drawn): num_captions of them, or 0 when the item
 * failed. NULL: there is no such one. */
BLIP2_API size_t blip2_result_count(const blip2_result *result, size_t item);
BLIP2_API const blip2_candidate *blip2_result_candidate(const blip2_result *result, size_t item,
                                                        size_t candidate);

typedef struct blip2_timings {
    double decode_image, preprocess, encode, qformer, prefill, decode, total; /* milliseconds */
} blip2_timings;

/* What item i took. When items were done together, their share. Never NULL. */
BLIP2_API const blip2_timings *blip2_result_timings(const blip2_result *result, size_t item);

/* --- matching --------------------------------------------------------------------------------------- */

/* A picture and a text that may describe it. */
typedef struct blip2_pair {
    size_t size; /* of this struct */
    blip2_image *image;
    const char *text;
    blip2_library
        library;  /* whose preparation of the picture, and of the text: LAVIS' notebooks put it in
                            * lower case without most punctuation, its models cut it to 32 ids; HF: as it is */
    int reserved; /* 0 */
} blip2_pair;

static inline blip2_pair blip2_pair_default(void)
{
    blip2_pair x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

typedef struct blip2_score {
    double itm; /* the probability that they match: the softmax of the logits */
    double
        itc; /* the largest cosine of the text's feature and those of the picture's queries; not divided
                 * by the model's temperature */
    double itm_logits[2]; /* of not matching and of matching */
} blip2_score;

typedef struct blip2_scores blip2_scores;

/* LAVIS' Blip2ITM, HF's Blip2ForImageTextRetrieval (its logits_per_image with and without
 * use_image_text_matching_head). Pairs of one image share its encoding. What could not be done is that pair's error
 * alone: FAILED (no picture, a text that does not fit the model), USAGE (a missing or invalid text, a model
 * without the heads), MEMORY. What a pair gets does not depend on the others. NULL only as for
 * blip2_generate. count may be 0. */
BLIP2_API blip2_scores *blip2_match(blip2_session *session, const blip2_pair *pairs, size_t count,
                                    blip2_error *err);
/* Whether the session's model matches: USAGE. */
BLIP2_API bool blip2_match_check(blip2_session *session, blip2_error *err);
BLIP2_API void blip2_scores_free(blip2_scores *scores);
/* NULL: the pair failed, or there is none. */
BLIP2_API const blip2_score *blip2_scores_at(const blip2_scores *scores, size_t pair);
/* Never NULL; code BLIP2_OK: none. */
BLIP2_API const blip2_error *blip2_scores_error(const blip2_scores *scores, size_t pair);
/* What the user should know and is no error (a text that was cut); NULL: nothing. */
BLIP2_API const char *blip2_scores_notice(const blip2_scores *scores, size_t pair);

/* --- features --------------------------------------------------------------------------------------- */

/* Pictures and texts as numbers, named as LAVIS' extract_features names them; rows x columns for the
 * published sizes. */
typedef enum blip2_feature_kind {
    BLIP2_VISION,            /* the vision tower's tokens, its class token first: 257 x 1408 */
    BLIP2_IMAGE_EMBEDS,      /* the Q-Former's queries, having seen the picture: 32 x 768 */
    BLIP2_LANGUAGE_EMBEDS,   /* what the language model reads of the picture: 32 x 2560 */
    BLIP2_IMAGE_EMBEDS_PROJ, /* image_embeds, projected, of unit length: 32 x 256 */
    BLIP2_TEXT_EMBEDS,       /* the text's tokens, [CLS] first: ids x 768 */
    BLIP2_TEXT_EMBEDS_PROJ,  /* the same, projected, of unit length: ids x 256 */
    BLIP2_MULTIMODAL_EMBEDS, /* the queries, having seen picture and text: 32 x 768 */
    BLIP2_FEATURE_MAX_ENUM = 0x7fffffff,
} blip2_feature_kind;

/* Which rows of it. */
typedef enum blip2_pool {
    BLIP2_POOL_NONE,  /* all */
    BLIP2_POOL_FIRST, /* the first: the class token, the first query, [CLS] */
    BLIP2_POOL_MEAN,  /* one: the mean over the rows */
    BLIP2_POOL_MAX,   /* one: the largest over the rows, column by column */
    BLIP2_POOL_MAX_ENUM = 0x7fffffff,
} blip2_pool;

typedef struct blip2_embed_item {
    size_t size;        /* of this struct */
    blip2_image *image; /* of the kinds that need one */
    const char *text;   /* likewise */
    blip2_feature_kind kind;
    blip2_pool pool;
    blip2_library library; /* as in blip2_pair */
    int reserved;          /* 0 */
} blip2_embed_item;

static inline blip2_embed_item blip2_embed_item_default(void)
{
    blip2_embed_item x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

typedef struct blip2_feature {
    const float *values; /* rows x columns, row after row */
    size_t rows, columns;
} blip2_feature;

typedef struct blip2_features blip2_features;

/* LAVIS' extract_features, HF's get_image_features, get_qformer_features and projection classes. Errors as for
 * blip2_match; USAGE also for a kind that the model has not. */
BLIP2_API blip2_features *blip2_embed(blip2_session *session, const blip2_embed_item *items,
                                      size_t count, blip2_error *err);
/* Whether the session's model has such features: USAGE. */
BLIP2_API bool blip2_embed_check(blip2_session *session, blip2_feature_kind kind, blip2_error *err);
/* What a kind is made of. */
BLIP2_API bool blip2_feature_has_image(blip2_feature_kind kind);
BLIP2_API bool blip2_feature_has_text(blip2_feature_kind kind);
BLIP2_API void blip2_features_free(blip2_features *features);
/* NULL: the item failed, or there is none. */
BLIP2_API const blip2_feature *blip2_features_at(const blip2_features *features, size_t item);
BLIP2_API const blip2_error *blip2_features_error(const blip2_features *features, size_t item);
BLIP2_API const char *blip2_features_notice(const blip2_features *features, size_t item);

/* --- closed lists ------------------------------------------------------------------------------------ */

/* How likely each of the choices is as the answer to an item (picture, question or prompt; of its options only the
 * library counts, on_token is not called). A result as of blip2_generate, whose candidates are all
 * choices, the likeliest first: score is the sum of the log-probabilities of the choice's tokens and of
 * the end behind them, probability the softmax of the scores. LAVIS ranks candidates so (predict_class). Errors as
 * for blip2_generate; USAGE also for an empty list or choice. */
BLIP2_API blip2_result *blip2_rank(blip2_session *session, const blip2_item *items, size_t count,
                                   const char *const *choices, size_t choice_count,
                                   blip2_error *err);

/* --- items that come and go --------------------------------------------------------------------- */

/* For servers and streams of pictures: items join and leave while others run. blip2_generate is
 * join, step until all have ended, leave.
 *
 *     blip2_batch *b = blip2_batch_new(session, &err);
 *     blip2_batch_join(b, &item, 1, &ticket, &err);
 *     do {
 *         running = blip2_batch_step(b);
 *         if (ticket && !blip2_batch_running(b, ticket)) { // also after the last step
 *             result = blip2_batch_leave(b, ticket, &err); ticket = 0; ...
 *         }
 *         if (more is asked for)
 *             running += blip2_batch_join(b, &another, 1, &its_ticket, &err);
 *     } while (running > 0);
 *
 * An item that has ended stays, with its memory, until it leaves. Results belong to the caller and
 * outlive batch, session and model. */
typedef struct blip2_batch blip2_batch;

/* blip2_generate may be called meanwhile; until it is done it steps the batch's items as well, as often
 * as it steps its own. A token callback calls nothing of its session: generating, checking, joining and
 * leaving are USAGE there, stepping does nothing and returns 0, and what is freed goes when the call
 * ends, without being heard of again. NULL: USAGE (no session, or it has a batch already), MEMORY. */
BLIP2_API blip2_batch *blip2_batch_new(blip2_session *session, blip2_error *err);
/* All items leave. */
BLIP2_API void blip2_batch_free(blip2_batch *batch);

/* Encodes and prefills; the running items' texts do not change by it. tickets[i] receives what stands
 * for items[i] from now on: never 0, and never given twice by a batch. An item that cannot be done
 * has ended at once, with its error, as in blip2_generate; MEMORY: there is no room for it beside those
 * that run. Everything the items point to may go afterwards,
 * but for `user`. false: USAGE, MEMORY; none has joined. */
BLIP2_API bool blip2_batch_join(blip2_batch *batch, const blip2_item *items, size_t count,
                                size_t *tickets, blip2_error *err);
/* One more id for every running item (with beams the callback hears of them at the end). Returns how
 * many still run. */
BLIP2_API size_t blip2_batch_step(blip2_batch *batch);
/* false: it has ended, or there is no such item. */
BLIP2_API bool blip2_batch_running(const blip2_batch *batch, size_t ticket);
/* The item's result, as item 0 of its own; it is gone from the batch. One that still runs ends with
 * BLIP2_STOPPED and no text. NULL: USAGE (no such item), MEMORY. */
BLIP2_API blip2_result *blip2_batch_leave(blip2_batch *batch, size_t ticket, blip2_error *err);

/* --- facts about a model ------------------------------------------------------------------------ */

typedef struct blip2_part {
    const char *name; /* "vision", "Q-Former", "projection", "language model" */
    uint64_t parameters;
    uint64_t bytes;    /* as they lie in memory */
    const char *dtype; /* of the weights, those with the most bytes first: "BF16", "I4, BF16, I8" */
} blip2_part;

typedef struct blip2_info {
    const char *path, *architecture; /* "ViT 39x1408, Q-Former 12x768, OPT 32x2560" */
    const char *language_model;      /* "opt" */
    const char *tokenizer;           /* "BPE, 50266 tokens", or NULL: none found */
    const char *licence;             /* NULL: the directory does not say */
    const char *missing;             /* what the directory lacks, comma-separated; NULL: nothing */
    int image_size, query_tokens, vocabulary, positions;
    size_t part_count;
    blip2_part parts[8];
    uint64_t parameters, weight_bytes,
        working_bytes; /* working: beside the weights, for one caption */
    /* What in the files was not used or does not fit together, and is no error: one line for the
     * user; NULL: nothing. */
    const char *notice;
    const char *device; /* "cpu", "cuda:0 (NVIDIA H100 80GB HBM3)" */
} blip2_info;

BLIP2_API const blip2_info *blip2_model_info(const blip2_model *model);

/* --- files of another kind ------------------------------------------------------------------------ */

typedef enum blip2_layout {
    BLIP2_HF_LAYOUT,     /* a directory as transformers saves it */
    BLIP2_LAVIS_LAYOUT,  /* one safetensors file whose tensors have LAVIS' names */
    BLIP2_PACKED_LAYOUT, /* one safetensors file with everything: weights, tokenizer, all settings */
    BLIP2_LAYOUT_MAX_ENUM = 0x7fffffff,
} blip2_layout;

/* Called now and then with the bytes of weights that are written; false ends the call with STOPPED. */
typedef bool (*blip2_convert_fn)(void *user, uint64_t done, uint64_t total);

typedef struct blip2_convert_options {
    size_t size; /* of this struct */
    blip2_layout to;
    blip2_dtype
        dtype; /* AUTO: weights keep their types; INT8, INT4, MIXED: quantised, packed form only */
    const char *type, *vit, *language; /* as in blip2_load_options */
    blip2_convert_fn on_progress;
    void *user;
} blip2_convert_options;

static inline blip2_convert_options blip2_convert_options_default(void)
{
    blip2_convert_options x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    x.to = BLIP2_PACKED_LAYOUT;
    return x;
}

/* Writes the model `from` (as blip2_model_load takes it) to `to`, a file or a new directory. Weights stay as
 * they are stored but for those that `dtype` quantises, and every tensor has a place in the result or is known to be none of the model's, else
 * the call fails and names it. Weights pass through a small buffer. The result appears whole or
 * not at all. options may be NULL. Errors: those of blip2_model_load; FAILED (writing), BAD_MODEL (to be quantised, and no numbers or quantised already), USAGE (`to` is a directory
 * that is not empty, or no place for a file; another dtype), STOPPED. */
BLIP2_API bool blip2_convert(const char *from, const char *to, const blip2_convert_options *options,
                             blip2_error *err);

/* --- published models, and getting them ---------------------------------------------------------- */

typedef struct blip2_zoo {
    const char *name;           /* "opt-2.7b" */
    const char *repository;     /* "Salesforce/blip2-opt-2.7b"; NULL: published by LAVIS alone */
    const char *const *aliases; /* other names that are understood; ends with NULL */
    const char *good_for;       /* a phrase */
    const char *licence;        /* of the weights, and of a language model within */
    uint64_t bytes;             /* to download, about */
} blip2_zoo;

BLIP2_API size_t blip2_zoo_count(void);
/* NULL: there are not so many. It stays as long as the library. */
BLIP2_API const blip2_zoo *blip2_zoo_at(size_t i);

/* Where blip2_model_load would take a model from; nothing is loaded. path[0..size) receives it, and may
 * be NULL. Errors: NO_MODEL, USAGE (no room for the path), MEMORY. */
BLIP2_API bool blip2_find(const char *path_or_name, char *path, size_t size, blip2_error *err);

typedef struct blip2_pull_progress {
    const char *repository;           /* of several that a model may consist of, this one */
    const char *licence;              /* NULL: not known */
    const char *file;                 /* one of those that are coming; NULL: none */
    uint64_t bytes_done, bytes_total; /* of the repository; total 0: not known yet */
    size_t files_done, files_total;
} blip2_pull_progress;

/* Called some times a second in the thread that pulls; false ends the call with STOPPED. */
typedef bool (*blip2_pull_fn)(void *user, const blip2_pull_progress *progress);

typedef struct blip2_pull_options {
    size_t size; /* of this struct */
    blip2_pull_fn on_progress;
    void *user;
    int files;    /* at once; 0: 4 */
    int reserved; /* 0 */
} blip2_pull_options;

static inline blip2_pull_options blip2_pull_options_default(void)
{
    blip2_pull_options x;
    memset(&x, 0, sizeof x);
    x.size = sizeof x;
    return x;
}

/* Fetches a model into Hugging Face's cache, as huggingface_hub lays it out (HF_HOME, HF_HUB_CACHE,
 * HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are obeyed), where blip2_model_load finds it by the same name.
 * name: one of the zoo or its aliases, OWNER/NAME of a repository on the hub, or a .pth file of LAVIS,
 * which goes where LAVIS looks for it. Only what is needed is fetched: configs, tokenizer, weights. Each
 * file is checked; a call that was interrupted leaves what was there before, and the next one continues
 * it; several may run at once. path[0..size) receives the directory, or LAVIS' file, and may be NULL, as
 * may options. It takes libcurl, which the first call loads. Errors: NO_MODEL (no such model, offline, or
 * not for us), BAD_MODEL (a repository without weights that could be read), FAILED (transfer, disk),
 * USAGE, STOPPED, MEMORY. */
BLIP2_API bool blip2_pull(const char *name, const blip2_pull_options *options, char *path,
                          size_t size, blip2_error *err);

/* The picture at an http:// or https:// address. No other function fetches a picture: give it only
 * addresses that your user has named. At most 256 MiB, a minute, and 5 redirections, from https only to
 * https. Errors: FAILED, USAGE (no such address), MEMORY. */
BLIP2_API blip2_image *blip2_image_from_url(const char *url, blip2_error *err);

#ifdef __cplusplus
}
#endif

#endif
