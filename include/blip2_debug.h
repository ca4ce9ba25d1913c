/* blip2_debug.h: plumbing for `blip2 debug`, `bench`, `doctor` and the tests. Unstable, not
 * installed. Same conventions as blip2.h. */
#ifndef BLIP2_DEBUG_H
#define BLIP2_DEBUG_H

#include "blip2.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Arrays handed out by this header are freed with this. */
BLIP2_API void blip2_debug_free(void *p);

/* Test hook: the n-th allocation of the library from now on fails, once; 0: off. */
BLIP2_API void blip2_debug_fail_alloc(long n);
BLIP2_API size_t blip2_debug_bytes_in_use(void);

/* --- tokenizer: dir_or_name needs tokenizer files only ------------------------------------------ */
typedef struct blip2_tokenizer blip2_tokenizer;
BLIP2_API blip2_tokenizer *blip2_tokenizer_load(const char *dir_or_name, blip2_error *err);
BLIP2_API void blip2_tokenizer_free(blip2_tokenizer *t);
/* Template included. text may hold U+0000. *ids is freed with blip2_debug_free. */
BLIP2_API bool blip2_tokenizer_encode(const blip2_tokenizer *t, const char *text, size_t n,
                                      int **ids, size_t *count, blip2_error *err);
/* Special tokens skipped. The text is freed with blip2_debug_free and may hold U+0000. */
BLIP2_API char *blip2_tokenizer_decode(const blip2_tokenizer *t, const int *ids, size_t count,
                                       size_t *n, blip2_error *err);

/* --- preprocessing ------------------------------------------------------------------------------ */
/* rgb [size,size,3] after the resize, chw float [3,size,size] normalised; either may be NULL. */
BLIP2_API bool blip2_debug_preprocess(const blip2_image *image, blip2_library library, int size,
                                      uint8_t *rgb, float *chw, blip2_error *err);

/* --- NPY ---------------------------------------------------------------------------------------- */
BLIP2_API float *blip2_npy_read(const char *path, int *rank, int64_t shape[8], blip2_error *err);
BLIP2_API bool blip2_npy_write(const char *path, const float *data, int rank, const int64_t *shape,
                               blip2_error *err);

/* --- files --------------------------------------------------------------------------------------- */
/* Whole or not at all; links are followed; a device or a pipe is written to as it is. */
BLIP2_API bool blip2_debug_write(const char *path, const void *bytes, size_t n, blip2_error *err);

/* --- one pass through a model ------------------------------------------------------------------- */
typedef struct blip2_debug_run {
    const float *pixels; /* [3, height, width]; or NULL: image */
    int height, width;
    const blip2_image *image; /* prepared as `library` does, with the model's mean and deviation */
    blip2_library library;
    const int *ids; /* text ids without image placeholders */
    size_t id_count;
    const int *
        decoder_ids; /* Flan-T5: what the decoder is fed, the start id included; none: that alone */
    size_t decoder_id_count;
    const char *dump_dir; /* NULL: none. One NAME.npy per activation. */
    bool generate;
    const blip2_options *options; /* for generate; from blip2_debug_options */
} blip2_debug_run;

typedef struct blip2_debug_output {
    size_t count; /* sequences */
    int **ids;
    size_t *id_counts;
    double *scores;
    char notice[256]; /* what is no error; "": nothing */
} blip2_debug_output;

/* Neutral options: 1 beam, penalties 1, 20 new tokens. */
BLIP2_API blip2_options blip2_debug_options(blip2_library library);
/* Whether a run makes sense, before its picture is read (image and pixels may be NULL). */
BLIP2_API bool blip2_debug_check(blip2_session *session, const blip2_debug_run *run,
                                 blip2_error *err);
/* out is zeroed first; free with blip2_debug_output_free. May be NULL without generate. */
BLIP2_API bool blip2_debug_forward(blip2_session *session, const blip2_debug_run *run,
                                   blip2_debug_output *out, blip2_error *err);
BLIP2_API void blip2_debug_output_free(blip2_debug_output *out);

/* As blip2_model_load; a model without a tokenizer is fine here: text is then not available. */
BLIP2_API blip2_model *blip2_debug_load(const char *path_or_name, const blip2_load_options *options,
                                        blip2_error *err);

/* --- machine and speed -------------------------------------------------------------------------- */
typedef struct blip2_machine {
    char cpu[128], isa[32];
    const char *const *isas; /* all kernel sets usable here, NULL-terminated, best last */
    char bf16_kernel[16], f16_kernel[16];
    int threads;
    double gops_f32, gops_bf16, gops_fp16, gops_int8; /* peak of each instruction; 0: not there */
    double gbs_mapped, gbs_huge;                      /* read bandwidth */
    size_t memory, memory_available;
    bool probe_cached;   /* the choice of kernels was made earlier and stored */
    bool probe_doubtful; /* and what was measured now speaks for another one */
    char device[16];     /* what models are computed on: "cpu", "cuda:0" */
    char card[256];      /* cuda: its name; "": the CPU */
    char no_card[512];   /* why it is not a card; "": it is one, or the CPU was asked for */
    size_t card_memory, card_available;
    int driver; /* cuda: the version that the driver is for, 13000 is 13.0 */
} blip2_machine;
typedef enum blip2_measure {
    BLIP2_MEASURE_NOTHING, /* peaks and bandwidths are 0 */
    BLIP2_MEASURE_SPEED,   /* all of them, now: half a second */
    BLIP2_MEASURE_RENEW,   /* the same, and the stored choice of kernels is made anew */
} blip2_measure;
/* device: as in blip2_load_options. */
BLIP2_API bool blip2_debug_machine(blip2_machine *m, const char *device, int threads,
                                   blip2_measure how, blip2_error *err);
/* The names of the picture formats that are read here, and NULL; AVIF and HEIC only where libheif is. */
enum { BLIP2_DEBUG_FORMATS = 10 };
BLIP2_API void blip2_debug_formats(const char *name[BLIP2_DEBUG_FORMATS]);

/* The library that fetches models and pictures, "libcurl/7.88.1 OpenSSL/3.0.15 ..."; NULL: it is not there, or the build is
 * without. */
BLIP2_API const char *blip2_debug_downloads(void);
/* The library that unpacks archives, "libarchive 3.6.2"; NULL: it is not on this machine. */
BLIP2_API const char *blip2_debug_archives(void);

/* --- what the command shares with the library ---------------------------------------------------- */

/* Monotonic clock, in milliseconds. */
BLIP2_API double blip2_debug_now_ms(void);
/* Edits between two words (a letter more, less or other, two neighbours swapped); only the beginning of
 * long words is looked at. */
BLIP2_API int blip2_debug_distance(const char *a, const char *b);
/* The length (1..4) of the well-formed UTF-8 character that text[0..n) begins with, n >= 1, and its number
 * in *code_point. Where none begins: false, and *length is that of the maximal ill-formed part. */
BLIP2_API bool blip2_debug_utf8_next(const char *text, size_t n, uint32_t *code_point,
                                     size_t *length);

/* A zoo type ("blip2-opt-2.7b", "opt-2.7b", "blip2_opt/pretrain_opt2.7b") with random weights of
 * the given precision in memory, on small pages as a mapped file has them. */
BLIP2_API blip2_model *blip2_synthetic(const char *type, blip2_dtype dtype, const char *device,
                                       blip2_error *err);

/* --- where the time goes -------------------------------------------------------------------------- */
typedef struct blip2_profile_line {
    const char *name;
    uint64_t calls;
    double ms;        /* of a stage: without what interrupted it */
    double gops, gbs; /* products: arithmetic, and weights read; 0: does not apply */
} blip2_profile_line;

typedef struct blip2_profile {
    size_t stage_count, kind_count; /* those that were called */
    blip2_profile_line stages[12];  /* in the order of a picture's way */
    blip2_profile_line kinds[8];    /* of operations, in all stages and between them */
} blip2_profile;

/* From now on the session's work is counted; each operation is waited for, so that on a device that works beside
 * the host a whole takes longer than without. Results are the same. Errors: USAGE (NULL), MEMORY. */
BLIP2_API bool blip2_debug_profile_start(blip2_session *session, blip2_error *err);
/* What has been counted so far; nothing when nothing was started. */
BLIP2_API void blip2_debug_profile(const blip2_session *session, blip2_profile *out);

typedef struct blip2_stage {
    const char *name; /* preprocess gemm encode qformer, then encoder (Flan-T5), itm itm_batch8 itc
                           match features (matching models), and where it says something of pictures
                           prefill decode decode_beam5 caption */
    double ms;        /* median */
    const char *kernel;           /* NULL: not a product */
    double gops, gbs;             /* 0: does not apply, as below */
    double peak_gops, peak_gbs;   /* what the machine gave right before and after the runs */
    double of_peak, of_bandwidth; /* the shares of that */
} blip2_stage;

typedef struct blip2_bench {
    const char *dtype;
    uint64_t weights_bytes;
    size_t meter_bytes; /* memory that measuring the machine took, beside the model's */
    size_t stage_count;
    blip2_stage stages[16];
} blip2_bench;

/* Runs every stage `repeat` times on a synthetic picture. on_stage (may be NULL) is called before each stage, for progress. */
BLIP2_API bool blip2_debug_bench(blip2_session *session, int repeat,
                                 void (*on_stage)(void *user, const char *name), void *user,
                                 blip2_bench *out, blip2_error *err);

/* --- data sets ----------------------------------------------------------------------------------- */
/* Those of LAVIS' evaluations and trainings, in its folder layout. docs/EVALUATION.md, "Data". Strings last for ever. */
typedef struct blip2_data_set {
    const char *name, *type; /* type "default" where LAVIS has no others */
    const char *const *also; /* other names, ends with NULL */
    const char *what, *licence;
    const char *page;     /* NULL: comes with the program */
    const char *images;   /* folder of the pictures below the root */
    const char *download; /* folder where archives are looked for; NULL: none */
} blip2_data_set;

/* A file of a split, or where pictures of it come from. */
typedef struct blip2_data_need {
    const char *split;
    bool pictures;
    const char *file; /* below the root; pictures: the archive, "" for single files */
    const char
        *url; /* NULL: nobody may fetch it without an account, or it comes with the program */
    const char *page; /* of pictures */
    int64_t bytes;    /* -1: not published */
    const char *sum;  /* SHA-256 or, of 32 digits, MD5; NULL: not published */
} blip2_data_need;

/* false: there is no such one. */
BLIP2_API bool blip2_data_set_at(size_t i, blip2_data_set *out);
BLIP2_API bool blip2_data_need_at(size_t set, size_t i, blip2_data_need *out);
/* "NAME" or "NAME/TYPE", also another name; BLIP2_USAGE: there is none. */
BLIP2_API bool blip2_data_find(const char *name, size_t *set, blip2_error *err);

typedef enum blip2_data_state {
    BLIP2_DATA_GOOD,
    BLIP2_DATA_MISSING,
    BLIP2_DATA_BROKEN
} blip2_data_state;

typedef struct blip2_data_finding {
    const char *split, *path;
    bool picture; /* else an annotation; of pictures only what is not good is told */
    blip2_data_state state;
    const char *why; /* broken: what is wrong, the file in front */
    size_t records;  /* of a good annotation that has such */
} blip2_data_finding;

typedef struct blip2_data_checked {
    size_t files, files_missing, files_broken;
    size_t pictures, pictures_missing, pictures_broken; /* each counts once a split */
} blip2_data_checked;

typedef struct blip2_data_check_options {
    const char *split; /* NULL: all */
    const char *root;  /* NULL: where the data that came with the program lies */
    bool deep;         /* decode every picture, compare published checksums */
    bool (*on_finding)(void *user, const blip2_data_finding *f); /* false ends with STOPPED */
    void (*on_progress)(void *user, size_t pictures);            /* may be NULL */
    void *user;
} blip2_data_check_options;

BLIP2_API bool blip2_data_check(const char *name, const blip2_data_check_options *o,
                                blip2_data_checked *out, blip2_error *err);

/* What is to be done before a data set can be read; nothing is until blip2_data_carry_out. */
typedef enum blip2_data_doing {
    BLIP2_DATA_DOWNLOAD,
    BLIP2_DATA_UNPACK,
    BLIP2_DATA_ASK /* the user has to fetch it, from `from`, and put it to `to` */
} blip2_data_doing;

typedef struct blip2_data_step {
    blip2_data_doing doing;
    const char *name, *from, *to;
    size_t pictures; /* that are missing and come with it */
    bool single;     /* it is a picture by itself */
    int64_t bytes;   /* -1: not known */
} blip2_data_step;

typedef struct blip2_data_plan blip2_data_plan;
/* Annotations first; pictures when those are there, from archives that the user has named, that lie in the folder for
 * downloads, or that may be fetched. Servers are asked for sizes that are not known. split NULL: all. Freed with blip2_data_plan_free; steps belong to it. */
BLIP2_API blip2_data_plan *blip2_data_plan_files(const char *name, const char *split,
                                                 const char *root, blip2_error *err);
BLIP2_API blip2_data_plan *blip2_data_plan_pictures(const char *name, const char *split,
                                                    const char *root, const char *const *archives,
                                                    size_t archive_count, blip2_error *err);
BLIP2_API size_t blip2_data_plan_count(const blip2_data_plan *p);
BLIP2_API blip2_data_step blip2_data_plan_at(const blip2_data_plan *p, size_t i);
BLIP2_API bool blip2_data_carry_out(const blip2_data_plan *p, const char *root,
                                    blip2_pull_fn on_progress, void *user, blip2_error *err);
BLIP2_API void blip2_data_plan_free(blip2_data_plan *p); /* NULL is fine */

/* --- scoring ------------------------------------------------------------------------------------- */
/* Any system's result files against a ground truth; no model is needed. docs/EVALUATION.md has the formats. */
typedef enum blip2_score_kind {
    BLIP2_SCORE_CAPTION,
    BLIP2_SCORE_VQA,
    BLIP2_SCORE_GQA,
    BLIP2_SCORE_RETRIEVAL
} blip2_score_kind;

typedef struct blip2_score_files {
    const char *const *results;
    size_t
        result_count;  /* several: shards of one result, of which the first entry of an id counts */
    const char *truth; /* NULL with GQA, whose results have it */
    bool only_predicted; /* captions: leave out pictures without a prediction instead of refusing */
    /* What the user has: of captions the programs behind these metrics, run by java; NULL: not computed, or tokens by
     * the library's own tokenizer. */
    const char *ptb_jar, *meteor_jar, *spice_jar;
    /* Answers: lemmas first, by the library's rules (approximately) or by a shell command, a line in, a line out. */
    bool lemmatize;
    const char *lemmatizer;
} blip2_score_files;

/* A number in the unit in which LAVIS reports it. Strings belong to the blip2_metrics. */
typedef struct blip2_metric {
    const char *group; /* a domain of captions, "question_type" of VQA; "": of all */
    const char *name;
    double value;
    bool computed; /* false: what it needs was not given */
} blip2_metric;

typedef struct blip2_metrics blip2_metrics;
/* NULL: an error, BLIP2_FAILED for files that do not fit. Freed with blip2_metrics_free. */
BLIP2_API blip2_metrics *blip2_score_run(blip2_score_kind kind, const blip2_score_files *files,
                                         blip2_error *err);
BLIP2_API size_t blip2_metrics_count(const blip2_metrics *m);
BLIP2_API blip2_metric blip2_metrics_at(const blip2_metrics *m, size_t i); /* i < count */
/* What a reader of the numbers should know, on one line; NULL: nothing. */
BLIP2_API const char *blip2_metrics_notice(const blip2_metrics *m);
BLIP2_API void blip2_metrics_free(blip2_metrics *m); /* NULL is fine */

/* --- configurations ------------------------------------------------------------------------------ */
/* A YAML file for an evaluation or a training, as LAVIS reads it, with all defaults. docs/CONFIG.md has the keys. */
typedef struct blip2_config blip2_config;
/* path "-": standard input. options: "a.b=value", or keys and values in turn. NULL: an error, BLIP2_USAGE for the options.
 * Freed with blip2_config_free; what the others return belongs to it. */
BLIP2_API blip2_config *blip2_config_load(const char *path, const char *const *options,
                                          size_t option_count, blip2_error *err);
BLIP2_API const char *blip2_config_yaml(const blip2_config *c); /* with the origin of every value */
BLIP2_API const char *blip2_config_json(const blip2_config *c); /* one line */
/* Lines for the user, keys that nothing knows; NULL: no more. */
BLIP2_API const char *blip2_config_notice(const blip2_config *c, size_t i);
BLIP2_API void blip2_config_free(blip2_config *c); /* NULL is fine */
/* The table of keys in Markdown; NULL: out of memory. Freed with blip2_config_keys_free. */
BLIP2_API char *blip2_config_keys(void);
BLIP2_API void blip2_config_keys_free(char *keys);

#ifdef __cplusplus
}
#endif

#endif
