/* config/generation.h: how to generate: the one list of settings that configuration files, the generator
 * and the public options (api/options.c) share. Names follow transformers' GenerationConfig. */
#ifndef CONFIG_GENERATION_H
#define CONFIG_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Library { LIB_LAVIS, LIB_HF } Library;
typedef enum EarlyStopping { EARLY_FALSE, EARLY_TRUE, EARLY_NEVER } EarlyStopping;

enum { MAX_EOS = 8 };

typedef struct GenOptions {
    Library library;    /* whose scoring and stop rules: transformers 4.33 (LAVIS) or 5.x */
    int num_beams;      /* 1: greedy or plain sampling */
    int num_captions;   /* sequences returned per item, best first */
    int max_length;     /* whole id sequence as the library counts it, history included; 0: none */
    int max_new_tokens; /* new ids only; 0: none; when both are given this one counts. With neither
                            the library's own default holds: 20 new ids (hf), 20 in all (lavis) */
    int min_length;     /* as max_length */
    int min_new_tokens; /* when both are given: hf takes this one, lavis the longer of the two */
    double length_penalty, repetition_penalty;
    int no_repeat_ngram;
    EarlyStopping early_stopping;
    bool sample;
    int top_k; /* 0: off */
    double top_p, temperature;
    uint64_t seed; /* an item draws the same alone and among others */
    const int
        *banned; /* ids never generated; as in the reference, end ids among them stay allowed */
    int n_banned;
    int eos[MAX_EOS], n_eos; /* end ids */
} GenOptions;

/* transformers' own defaults: 1 beam, penalties 1, top_k 50, top_p 1, temperature 1; no end ids. */
extern const GenOptions GEN_NEUTRAL;

#endif
