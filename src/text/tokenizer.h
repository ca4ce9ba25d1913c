/* text/tokenizer.h: text to ids and back; all that is needed outside of text/. One interface; a
 * kind per file (kind_bpe.c, kind_unigram.c, kind_wordpiece.c). A Tokenizer is immutable
 * after loading and may be used by many threads. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/folder.h"
#include "base/note.h"
#include "base/str.h"
#include "text/ids.h"

typedef struct Tokenizer Tokenizer;

/* Opens the tokenizer of a model directory: tokenizer.json, else vocab.json + merges.txt, spiece.model (T5),
 * vocab.txt (BERT); and the files beside them (added_tokens.json, special_tokens_map.json, tokenizer_config.json; of
 * config.json what model it is), which win where transformers lets them (text/beside.h, text/class.h). LAVIS' [DEC]
 * is a special_tokens_map.json {"bos_token": "[DEC]"} beside BERT's files. Errors: ERR_BAD_MODEL naming
 * the file; ERR_NO_MODEL "DIR: tokenizer: no tokenizer.json ..." when there is none; ERR_MEMORY.
 * Free with tokenizer_free. */
Tokenizer *tokenizer_load(const char *dir, Error *e);
/* The same from a folder, which may lie in memory. */
Tokenizer *tokenizer_open(const Folder *dir, Error *e);
void tokenizer_free(Tokenizer *t);

/* The same from the bytes of a tokenizer.json, spiece.model or vocab.txt alone (need not be zero-terminated).
 * name is used in messages, and its end says which: any other is a tokenizer.json. */
Tokenizer *tokenizer_parse(const char *bytes, size_t n, const char *name, Error *e);

/* Appends the ids of text[0..n) to out, the single-sequence template included (OPT: 2 first) when
 * `template` is set. text is UTF-8 and may contain U+0000; invalid UTF-8 is ERR_USAGE naming the
 * byte offset. With `split_special` special tokens in the text are ordinary characters. */
bool tokenizer_encode(const Tokenizer *t, const char *text, size_t n, bool template,
                      bool split_special, Ids *out, Error *e);

/* Appends the text of the ids, special tokens skipped when asked, unknown ids skipped. The output
 * is valid UTF-8 (invalid parts become U+FFFD). false: out of memory. */
bool tokenizer_decode(const Tokenizer *t, const int *ids, size_t n, bool skip_special, StrBuf *out);

/* Cuts ids that were encoded with the template to `max`: text ids go at the end, or at the start with
 * keep_tail (HF's truncation_side "left"); the ids of the template always stay. */
void tokenizer_truncate(const Tokenizer *t, Ids *ids, size_t max, bool keep_tail);

int tokenizer_size(const Tokenizer *t);                  /* highest id + 1, added tokens included */
const char *tokenizer_kind(const Tokenizer *t);          /* "BPE", "Unigram", "WordPiece" */
int tokenizer_id(const Tokenizer *t, const char *token); /* of a whole token's text; -1: none */
bool tokenizer_is_special(const Tokenizer *t, int id);
bool tokenizer_has(const Tokenizer *t, int id); /* ids need not be without gaps */
/* What in its files was not used or contradicts them, and is no error. */
const Notes *tokenizer_notes(const Tokenizer *t);

/* The clean-up of decoded text (" ." becomes "." and so on), in place. transformers 4.33,
 * PreTrainedTokenizerBase.clean_up_tokenization. Returns the new length. */
size_t text_cleanup(char *s, size_t n);

/* How many bytes of s[0..n) the clean-up treats the same whatever comes behind: text that grows can
 * be shown up to there. */
size_t text_settled(const char *s, size_t n);

/* Removes Unicode white space at both ends, as Python's str.strip(). In place; the new length. */
size_t text_strip(char *s, size_t n);

#endif
