/* text/class.h: what transformers' tokenizer classes say that is in no file, or whatever a file says; for the readers
 * of files. A class takes from tokenizer.json the vocabulary, merges, added tokens, a character map and, in GPT2's
 * case, the template, and makes all the rest anew by tokenizer_config.json (transformers 5.23,
 * convert_to_native_format, and models/gpt2, models/t5, models/bert). Errors: ERR_BAD_MODEL, ERR_MEMORY. */
#ifndef TEXT_CLASS_H
#define TEXT_CLASS_H

#include "text/beside.h"

/* The class that tokenizer_class or the model's type says, where it fits the model in tokenizer.json ("BPE" ...). */
TokenizerClass class_for(const Beside *b, const char *model);

/* doc becomes what the class makes of it. dir is for messages. */
bool class_rebuild(json_t *doc, const Beside *b, TokenizerClass as, const char *dir, Error *e);

/* BERT's normaliser as tokenizer_config.json wants it is the one that is known here. */
bool class_check_uncased(const Beside *b, const char *dir, Error *e);

/* The name of what is unknown to BERT's tokenizer. */
const char *class_unknown(const Beside *b);

/* Those tokens of the class that no file names are special, where the vocabulary has them. */
bool class_add_names(Tokenizer *t, const Beside *b, TokenizerClass as, const char *where, Error *e);

/* The class's own template, when all tokens are there; for AS_T5 and AS_BERT. */
bool class_template(Tokenizer *t, const Beside *b, TokenizerClass as, const char *where, Error *e);

/* How many <extra_id_N> T5's tokenizer has. */
bool class_extra_ids(const Beside *b, int *n, Error *e);

#endif
