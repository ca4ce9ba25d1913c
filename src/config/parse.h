/* config/parse.h: the parts of config_parse.c that have files of their own. All of them put what they
 * find into a ModelConfig that holds the defaults, or what files before said. */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/config.h"
#include "config/part.h"

enum { DIM_MAX = 1000 * 1000, PICTURE_MAX = 4096 };

/* An id of a file: it may lie beyond the vocabulary, and -1 is a way to say that there is none. */
int config_read_id(const JsonPart *p, const char *key, int def);
/* bos_token_id, pad_token_id, eos_token_id. */
void config_read_ids(const JsonPart *p, ModelConfig *c);

/* The special ids of generation_config.json count for every call; of its settings, which only
 * --generation hf reads, a wrong one is a reason to refuse that. text_says_eos: config.json named end
 * ids, too. */
void config_read_generation(const JsonPart *p, bool text_says_eos, ModelConfig *c);

/* How pictures are prepared, and whether there are placeholders for them. Returns the file that says the
 * former. */
const char *config_read_processor(const JsonPart *preprocessor, const JsonPart *processor,
                                  ModelConfig *c);

/* Sets c->hf_fault[when] unless there is one. */
void config_hf_fault(ModelConfig *c, GenWhen when, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
