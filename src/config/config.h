/* config/config.h: what a model directory says about itself (config.json, generation_config.json,
 * preprocessor_config.json, processor_config.json), checked and complete.
 *
 * The room between the files and the networks: models/ and everything above read these structs and
 * no JSON. It opens no weights and knows no network; a value that is here lies in its range and
 * fits the others. Names and defaults are those of transformers' configuration classes. A
 * ModelConfig owns no memory and may be copied. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/folder.h"
#include "base/note.h"
#include "config/generation.h"

typedef struct VitConfig {
    int width, layers, heads, mlp, image, patch; /* image: pixels of the trained grid */
    float eps, post_eps;                         /* of the blocks' norms; of the one behind them */
    bool qkv_bias;
    bool quick_gelu; /* the activation is x * sigmoid(1.702 x) and not the exact GELU */
    bool clip;       /* as CLIP's tower: patches without a bias, a norm in front of the blocks */
} VitConfig;

typedef struct QformerConfig {
    int width, layers, heads, mlp, queries, cross_every, image_width;
    float eps;
    bool text;            /* has a text branch (matching models) */
    int vocab, positions; /* of its words, where the model has PART_TEXT */
} QformerConfig;

typedef struct OptConfig {
    int width, layers, heads, mlp, vocab, positions;
} OptConfig;

/* Encoder and decoder of T5 1.1 (gated feed-forward, no biases). */
typedef struct T5Config {
    int width, key_width, heads, mlp, layers, decoder_layers, vocab; /* key_width: of one head */
    int buckets, distance; /* of the bias by relative position; beyond distance all is one bucket */
    float eps;
    bool gelu_tanh; /* the activation is GELU's tanh form and not the exact one */
    bool tied;      /* the head may be the token table: it is when the file has none of its own */
    bool scaled;    /* what the head reads is multiplied by width^-0.5 */
} T5Config;

/* Only the kind's own sizes are filled. T5 and matching models are recognised here; whether they can run is
 * for the caller to say. */
typedef enum ModelKind { MODEL_OPT, MODEL_T5, MODEL_MATCHING } ModelKind;

/* What a model has beside Q-Former and queries: sets of these. The classes of transformers differ in it, and
 * what only LAVIS' files have (PART_WORD_HEAD, PART_TEMPERATURE) is known when the weights are. */
typedef enum ModelPart {
    PART_VISION = 1,
    PART_LANGUAGE = 2,      /* projection and language model */
    PART_TEXT = 4,          /* embeddings of the Q-Former's words */
    PART_IMAGE_FEATURE = 8, /* vision_projection */
    PART_TEXT_FEATURE = 16, /* text_projection */
    PART_MATCH = 32,        /* itm_head */
    PART_WORD_HEAD = 64,    /* next words from the Q-Former: captions */
    PART_TEMPERATURE = 128, /* of the contrastive loss */
    PARTS_GENERATION = PART_VISION | PART_LANGUAGE,
    PARTS_RETRIEVAL = PART_VISION | PART_TEXT | PART_IMAGE_FEATURE | PART_TEXT_FEATURE | PART_MATCH,
} ModelPart;

/* When a setting of generation_config.json counts. */
typedef enum GenWhen { GEN_ALWAYS, GEN_SAMPLING, GEN_BEAMS, GEN_WHENS } GenWhen;

/* The positions of the vision tower are interpolated for pictures of another size than it was trained
 * with, up to so many times as many patches along a side. Fine-tuning goes to 1.6 times (224 to 364
 * pixels); beyond four times each trained position stands for sixteen patches and more, and the time
 * of attention, which grows with the fourth power of the side, is more than 256 times the trained one. */
enum { VIT_GRID_TIMES = 4 };

typedef struct ModelConfig {
    ModelKind kind;
    unsigned parts; /* a set of ModelPart */
    int feature;    /* width of image and text features (PART_IMAGE_FEATURE, PART_TEXT_FEATURE) */
    VitConfig vit;
    QformerConfig qformer;
    OptConfig opt;
    T5Config t5;
    int start;      /* id that a decoder begins with (T5; captions of the Q-Former); -1: none */
    int bos, pad;   /* ids; fall back to text_config, as the end ids in gen do. Ids of the files may
                       lie beyond the vocabulary: such a one is never generated, nor an error */
    GenOptions gen; /* defaults of --generation hf: what generation_config.json sets. Lengths are 0
                       where it sets none, the others then as in GEN_NEUTRAL */
    int image_token;    /* id of <image>; -1: none */
    bool legacy_layout; /* processor_config has no num_query_tokens: no placeholders (HF) */
    int pixels;         /* preprocessor_config size; falls back to vit.image */
    float mean[3], std[3];
    char prompt[256]; /* the checkpoint's own caption prompt ("" when it has none) */
    char licence[64]; /* from README.md front matter or config; "" unknown */
    /* Why --generation hf, which would have to obey it, must be refused: the first setting of
     * generation_config.json, or disagreement of files, that cannot be followed. "": none */
    char hf_fault[GEN_WHENS][400];
    Notes notes; /* what does not fit together and is no error */
} ModelConfig;

/* What every language model has, whichever it is. */
typedef struct LanguageConfig {
    const char *name, *title; /* "opt", "OPT" */
    int width, layers, mlp, vocab;
    int positions; /* 0: as many as memory allows */
} LanguageConfig;

/* Of a kind that has none (MODEL_MATCHING): names, and zeros. */
LanguageConfig config_language(const ModelConfig *c);

/* The ids of bert-base-uncased, which matching models read and write. */
void config_bert_ids(ModelConfig *c);

/* Reads all files of `dir`. Missing optional files give the documented defaults. Every size is
 * checked to lie in a sane range (1 .. 1e6, layers <= 1000, pictures <= 4096 pixels and VIT_GRID_TIMES
 * the trained grid, heads divide width, patch <= image). Where two files state a value and differ, the
 * one that transformers follows counts, and a note names both. Errors: ERR_NO_MODEL (no directory or no
 * config.json), ERR_BAD_MODEL (file: key: expected, got), ERR_MEMORY. */
bool config_load(ModelConfig *c, const char *dir, Error *e);
/* The same from a folder, which may lie in memory. */
bool config_open(ModelConfig *c, const Folder *dir, Error *e);

typedef enum ConfigFile {
    CONFIG_MODEL,        /* config.json; must be there */
    CONFIG_GENERATION,   /* generation_config.json */
    CONFIG_PREPROCESSOR, /* preprocessor_config.json */
    CONFIG_PROCESSOR,    /* processor_config.json */
    CONFIG_FILES
} ConfigFile;

typedef struct ConfigText {
    const char *text;
    size_t size;
} ConfigText;

const char *config_file_name(ConfigFile file); /* "config.json" */

/* As config_load from texts in memory, one per file, NULL where there is none. dir is for messages.
 * The licence is then known only where config.json says it. Errors: ERR_BAD_MODEL, ERR_MEMORY. */
bool config_parse(ModelConfig *c, const ConfigText text[CONFIG_FILES], const char *dir, Error *e);

/* The sizes of the published models by any accepted spelling: "opt-2.7b",
 * "blip2-opt-2.7b", "Salesforce/blip2-opt-2.7b", "blip2_opt/pretrain_opt2.7b",
 * "pretrain_opt2.7b". ERR_NO_MODEL names the known ones. */
bool zoo_config(ModelConfig *c, const char *name, Error *e);
const char *zoo_name(int i); /* the short names, NULL behind the last one */

#endif
