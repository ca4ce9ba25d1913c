/* blip2.h: BLIP-2 in C. Caption pictures, answer questions about them.
 *
 *     blip2_error err = {0};
 *     blip2_model *model = blip2_model_load("path/to/blip2-opt-2.7b", NULL, &err);
 *     blip2_session *s = blip2_session_new(model, NULL, &err);
 *     blip2_image *image = blip2_image_from_file("photo.jpg", &err);
 *     blip2_request request = {.task = BLIP2_CAPTION};
 *     blip2_result *r = blip2_generate(s, &image, 1, &request, &err);
 *     const char *text = blip2_result_text(r, 0);
 *     puts(text ? text : err.message);
 *
 * Ownership: every object is freed by its own _free function; all of them accept NULL. Strings
 * returned belong to the object they came from. Strings taken are copied or used only during the
 * call.
 *
 * Errors: functions return NULL or false and fill the blip2_error, which the caller owns and
 * zero-initialises. The message is one line, "FILE: OBJECT: what, expected vs got". An error that
 * is already there stays, and a NULL object is an error (BLIP2_USAGE) where one is needed and an
 * empty answer where one is read: calls may follow each other as above, and the first error, or a
 * NULL text, is looked at once, at the end. err itself may be NULL. The library never prints and
 * never exits.
 *
 * Threads: a model is immutable and may be shared by any number of sessions in any threads. A
 * session is used by one thread at a time. An image may be shared. On machines that do other work
 * at the same time set GOMP_SPINCOUNT=10000 in the environment (docs/SPEED.md). */
#ifndef BLIP2_H
#define BLIP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    BLIP2_NO_MODEL = 4,  /* no such model */
    BLIP2_BAD_MODEL = 5, /* damaged or incomplete model file */
    BLIP2_MEMORY = 6,    /* out of memory */
    BLIP2_STOPPED = 7,   /* the token callback returned false */
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
    BLIP2_BF16,     /* bf16 products allowed */
    BLIP2_F16,      /* f16 products allowed */
    BLIP2_INT8,     /* weights quantised per row while loading */
    BLIP2_INT4,     /* not available yet: loading fails with BLIP2_USAGE */
} blip2_dtype;

typedef struct blip2_load_options {
    blip2_dtype dtype;
} blip2_load_options;

/* path_or_name: a Hugging Face directory, or a name ("scenes"); NULL: the embedded model. Weights
 * are mapped, not copied: the files must stay as they are while the model lives. options may be
 * NULL. Errors: NO_MODEL, BAD_MODEL (missing, superfluous or misshapen tensors are named; no
 * tokenizer, or one with more ids than the vocabulary), USAGE (no such dtype), MEMORY. */
BLIP2_API blip2_model *blip2_model_load(const char *path_or_name, const blip2_load_options *options,
                                        blip2_error *err);
BLIP2_API void blip2_model_free(blip2_model *model);

/* --- pictures ----------------------------------------------------------------------------------- */

typedef struct blip2_image blip2_image;

/* JPEG, PNG, WebP, GIF, BMP, PNM, told by content. "-" reads standard input. Errors: FAILED (no
 * picture, damaged, too large), MEMORY. */
BLIP2_API blip2_image *blip2_image_from_file(const char *path, blip2_error *err);
BLIP2_API blip2_image *blip2_image_from_memory(const void *bytes, size_t size, blip2_error *err);
/* pixels [height, width, channels], 8 bits, rows without padding; channels 1, 3 or 4; copied. */
BLIP2_API blip2_image *blip2_image_from_pixels(const uint8_t *pixels, int width, int height,
                                               int channels, blip2_error *err);
BLIP2_API void blip2_image_free(blip2_image *image);
BLIP2_API int blip2_image_width(const blip2_image *image);
BLIP2_API int blip2_image_height(const blip2_image *image);
BLIP2_API double blip2_image_decode_ms(const blip2_image *image);

/* --- sessions ----------------------------------------------------------------------------------- */

typedef struct blip2_session blip2_session;

typedef struct blip2_session_options {
    int threads;     /* 0: all processors this process may use */
    const char *isa; /* kernel set; NULL: $BLIP2_ISA, else the best this machine has */
} blip2_session_options;

/* The model must outlive the session. options may be NULL. Errors: USAGE (more than 1024 threads, an
 * instruction set that this machine does not have), MEMORY. */
BLIP2_API blip2_session *blip2_session_new(blip2_model *model, const blip2_session_options *options,
                                           blip2_error *err);
BLIP2_API void blip2_session_free(blip2_session *session);

/* --- generation --------------------------------------------------------------------------------- */

typedef enum blip2_task {
    BLIP2_CAPTION, /* describe the picture; LAVIS' Blip2OPT.generate */
    BLIP2_ASK,     /* short answer to a question; LAVIS' predict_answers */
    BLIP2_CHAT,    /* answer within a dialogue; as generate, the prompt is never cut on the right */
} blip2_task;

typedef enum blip2_library { BLIP2_LAVIS, BLIP2_HF } blip2_library;
typedef enum blip2_early { BLIP2_EARLY_FALSE, BLIP2_EARLY_TRUE, BLIP2_EARLY_NEVER } blip2_early;

/* Names follow transformers. Get the defaults of a task from blip2_options_default, then change. */
typedef struct blip2_options {
    blip2_library library;
    int num_beams, num_captions;
    int max_length, min_length;         /* as the library counts; 0: not set */
    int max_new_tokens, min_new_tokens; /* new ids only; 0: not set; win over the two above */
    double length_penalty, repetition_penalty;
    int no_repeat_ngram;
    blip2_early early_stopping;
    bool sample;
    int top_k;
    double top_p, temperature;
    uint64_t seed;
    const int *banned; /* ids that must not be generated */
    size_t banned_count;
} blip2_options;

/* LAVIS: caption and chat as generate (5 beams, max_length 30), ask as predict_answers (5 beams, 10
 * new tokens, length penalty 0). HF: greedy, 20 new tokens, and the model's generation_config (model
 * NULL: the library's own defaults). */
BLIP2_API blip2_options blip2_options_default(const blip2_model *model, blip2_task task,
                                              blip2_library library);

/* Called for each new id of a picture's best text as soon as it is final, once: at once when greedy
 * or sampling, at the end with beams. text is what it adds to the output (UTF-8, may be empty): a
 * part that later ids may still change (spaces, half a character) comes with one of those. All texts
 * of a picture together are its blip2_result_text. image is the index of the picture; those of
 * different pictures alternate. Returning false stops the call: see blip2_generate. */
typedef bool (*blip2_token_fn)(void *user, size_t image, int id, const char *text);

typedef struct blip2_turn {
    const char *question, *answer;
} blip2_turn;

typedef struct blip2_request {
    blip2_task task;
    const blip2_options *options; /* NULL: the defaults of task, LAVIS */
    const char *text;             /* the question of ask and chat; else NULL */
    const char *prompt; /* caption: instead of the checkpoint's. ask, chat: a template with {} */
    bool raw_prompt;    /* `prompt` goes to the model as it is, no template */
    const blip2_turn *turns; /* chat: the rounds so far, oldest first */
    size_t turn_count;
    blip2_token_fn on_token; /* may be NULL */
    void *user;
} blip2_request;

typedef struct blip2_result blip2_result;

/* Encodes the pictures and generates for each of them. One result for all; pictures that could not
 * be done have an error of their own (blip2_result_error), the others are not touched by it: the
 * results of a picture do not depend on the others, their number or their order. An images[i] that
 * is NULL is such an error. NULL when what is asked for is wrong for every picture: USAGE (options
 * that make no sense, a missing or invalid text), FAILED (a prompt that does not fit the model),
 * MEMORY. count may be 0.
 *
 * When on_token returns false, the pictures in work keep what they have so far, and they and those
 * not reached have the error BLIP2_STOPPED; pictures whose text was complete have none.
 *
 * A session remembers the 32 pictures that it used last: asking again about the same blip2_image
 * does not encode it again. */
BLIP2_API blip2_result *blip2_generate(blip2_session *session, blip2_image *const *images,
                                       size_t count, const blip2_request *request,
                                       blip2_error *err);
BLIP2_API void blip2_result_free(blip2_result *result);

/* Picture i's best text, stripped; NULL when it failed. After a stop: as far as it came. */
BLIP2_API const char *blip2_result_text(const blip2_result *result, size_t image);
/* Never NULL; code BLIP2_OK: none. */
BLIP2_API const blip2_error *blip2_result_error(const blip2_result *result, size_t image);
/* Something the user should know and that is no error (a prompt that was cut); NULL: nothing. */
BLIP2_API const char *blip2_result_notice(const blip2_result *result, size_t image);

typedef struct blip2_candidate {
    const char *text;
    double score; /* the beam's score, or the sum of log-probabilities */
    const int *ids;
    size_t id_count;
} blip2_candidate;

/* Candidates, best first: num_captions of them, or 0 when the picture failed. One that is not there
 * is all zero. */
BLIP2_API size_t blip2_result_count(const blip2_result *result, size_t image);
BLIP2_API blip2_candidate blip2_result_candidate(const blip2_result *result, size_t image,
                                                 size_t candidate);

typedef struct blip2_timings {
    double decode_image, preprocess, encode, qformer, prefill, decode, total; /* milliseconds */
} blip2_timings;

/* What picture i took. When pictures were done together, their share. */
BLIP2_API blip2_timings blip2_result_timings(const blip2_result *result, size_t image);

/* --- facts about a model ------------------------------------------------------------------------ */

typedef struct blip2_part {
    const char *name; /* "vision", "qformer", "projection", "language model" */
    uint64_t parameters;
    uint64_t bytes;    /* as they lie in memory */
    const char *dtype; /* "BF16", "F32", "mixed", "I8" */
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
} blip2_info;

BLIP2_API const blip2_info *blip2_model_info(const blip2_model *model);

#ifdef __cplusplus
}
#endif

#endif
