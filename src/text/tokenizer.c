/* text/tokenizer.c: the public functions: added tokens first, the rest is the kind's. */
#include "text/tokenizer.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/beside.h"
#include "text/kind.h"
#include "text/load.h"
#include "text/unicode.h"

enum { TEXT_LIMIT = INT_MAX / 4, SHOWN_BYTES = 40 };

/* --- loading ------------------------------------------------------------------------------------ */

typedef bool ParseFn(Tokenizer *t, const char *bytes, size_t n, const char *path, const Folder *dir,
                     Error *e);

static bool load_file(Tokenizer *t, ParseFn *parse, const Folder *dir, const char *name, Error *e)
{
    size_t n;
    char *path = folder_path(dir, name);
    char *text = path ? folder_read(dir, name, TOKENIZER_FILE_MAX, &n, ERR_BAD_MODEL, e) : NULL;
    if (!path)
        error_memory(e, dir->path, strlen(dir->path));
    bool ok = text && parse(t, text, n, path, dir, e);
    mem_free(text);
    mem_free(path);
    return ok;
}

/* In the order in which they are looked for. Without a parse function: with another file. */
static const struct {
    const char *name;
    ParseFn *parse;
} FILES[] = {{"tokenizer.json", load_tokenizer_json},
             {"vocab.json", NULL},
             {"spiece.model", spiece_parse},
             {"vocab.txt", vocab_txt_parse}};

static bool load_dir(Tokenizer *t, const Folder *dir, Error *e)
{
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        int there = folder_has(dir, FILES[i].name);
        if (there < 0)
            return error_memory(e, dir->path, strlen(dir->path));
        if (there)
            return FILES[i].parse ? load_file(t, FILES[i].parse, dir, FILES[i].name, e)
                                  : load_vocab_and_merges(t, dir, e);
    }
    return error_set(
        e, ERR_NO_MODEL,
        "%s: tokenizer: no tokenizer.json, vocab.json with merges.txt, spiece.model or "
        "vocab.txt",
        dir->path);
}

/* What is looked for in normalised text is normalised itself, and is so in decoded text, too (huggingface/
 * tokenizers, added_vocabulary.rs). */
static bool normalise_added(Tokenizer *t, const char *where, Error *e)
{
    AddedSet *set = &t->added[1];
    StrBuf text = {0};
    bool ok = true;
    for (size_t i = 0, n; ok && t->kind->normalise && i < set->n; i++) {
        const char *s = vocab_text(&t->vocab, set->token[i].id, &n);
        text.len = 0;
        ok = t->kind->normalise(t, s, n, &text);
        if (ok && text.len > ADDED_BYTES_MAX)
            ok = error_set(
                e, ERR_BAD_MODEL,
                "%s: added token \"%.*s\": expected at most %d bytes when normalised, got "
                "%zu",
                where, (int)utf8_cut(s, n, SHOWN_BYTES), s, ADDED_BYTES_MAX, text.len);
        else if (!ok ||
                 !vocab_show(&t->vocab, set->token[i].id, text.len ? text.data : "", text.len))
            ok = error_memory(e, where, text.len);
    }
    strbuf_free(&text);
    return ok;
}

/* Ends all ways of loading. */
static Tokenizer *finish(Tokenizer *t, bool ok, const char *where, Error *e)
{
    if (!ok || !normalise_added(t, where, e)) {
        tokenizer_free(t);
        return NULL;
    }
    for (int pass = 0; pass < 2; pass++)
        added_sort(&t->added[pass], &t->vocab);
    return t;
}

Tokenizer *tokenizer_open(const Folder *dir, Error *e)
{
    Tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t) {
        error_memory(e, dir->path, sizeof *t);
        return NULL;
    }
    return finish(t, load_dir(t, dir, e), dir->path, e);
}

Tokenizer *tokenizer_load(const char *dir, Error *e)
{
    Folder folder = folder_of(dir);
    return tokenizer_open(&folder, e);
}

Tokenizer *tokenizer_parse(const char *bytes, size_t n, const char *name, Error *e)
{
    ParseFn *parse = load_tokenizer_json;
    Tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t) {
        error_memory(e, name, sizeof *t);
        return NULL;
    }
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        if (FILES[i].parse && str_ends(name, FILES[i].name))
            parse = FILES[i].parse;
    return finish(t, parse(t, bytes, n, name, NULL, e), name, e);
}

void tokenizer_free(Tokenizer *t)
{
    if (!t)
        return;
    if (t->data)
        t->kind->free(t->data);
    mem_free(t->data);
    vocab_free(&t->vocab);
    added_free(&t->added[0]);
    added_free(&t->added[1]);
    mem_free(t);
}

/* --- encoding ----------------------------------------------------------------------------------- */

typedef struct Encoder {
    const Tokenizer *t;
    bool split_special;
    Ids *out;
} Encoder;

/* Start of the white space that s[0..n) ends with; not before `from`. */
static size_t space_before(const char *s, size_t from, size_t n)
{
    uint32_t cp;
    bool valid;
    size_t start = from;
    for (size_t at = from, k; at < n; at += k) {
        k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (unicode_class(cp) != CLASS_SPACE)
            start = at + k;
    }
    return start;
}

static size_t space_after(const char *s, size_t at, size_t n)
{
    uint32_t cp;
    bool valid;
    while (at < n) {
        size_t k = (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (unicode_class(cp) != CLASS_SPACE)
            break;
        at += k;
    }
    return at;
}

static bool encode_piece(const Encoder *c, int pass, const char *s, size_t n);

/* Cuts a piece at the added tokens of this pass and hands what is left to the next one. As huggingface/tokenizers,
 * added_vocabulary.rs, find_matches. */
static bool cut_piece(const Encoder *c, int pass, const char *s, size_t n)
{
    size_t done = 0;
    for (size_t at = 0; at < n;) {
        const AddedToken *a = added_match(&c->t->added[pass], s + at, n - at);
        size_t start = at, end = at + (a ? a->n : 1);
        at = end;
        if (!a || (c->split_special && tokenizer_is_special(c->t, a->id)))
            continue;
        if (a->lstrip)
            start = space_before(s, done, start);
        if (a->rstrip)
            at = end = space_after(s, end, n);
        if (!encode_piece(c, pass + 1, s + done, start - done) || !ids_push(c->out, a->id))
            return false;
        done = end;
    }
    return encode_piece(c, pass + 1, s + done, n - done);
}

/* The first pass is over the text, the second over it normalised, and then it is the kind's. */
static bool encode_piece(const Encoder *c, int pass, const char *s, size_t n)
{
    const TokenizerKind *kind = c->t->kind;
    if (n == 0)
        return true;
    if (pass == 2)
        return kind->encode(c->t, s, n, c->out);
    if (pass == 0 || !kind->normalise)
        return cut_piece(c, pass, s, n);
    StrBuf text = {0};
    bool ok = kind->normalise(c->t, s, n, &text) &&
              (text.len == 0 || cut_piece(c, pass, text.data, text.len));
    strbuf_free(&text);
    return ok;
}

bool tokenizer_encode(const Tokenizer *t, const char *text, size_t n, bool template,
                      bool split_special, Ids *out, Error *e)
{
    long bad = utf8_invalid(text, n);
    if (bad >= 0)
        return error_set(e, ERR_USAGE, "text: invalid UTF-8 at byte %ld", bad);
    if (n > TEXT_LIMIT)
        return error_set(e, ERR_USAGE, "text: expected at most %d bytes, got %zu", TEXT_LIMIT, n);
    size_t before = out->n;
    Encoder c = {t, split_special || t->split_special, out};
    bool ok = (!template || ids_append(out, t->prefix, (size_t)t->prefix_n)) &&
              encode_piece(&c, 0, text, n) &&
              (!template || ids_append(out, t->suffix, (size_t)t->suffix_n));
    if (ok)
        return true;
    out->n = before;
    return error_memory(e, "text", n);
}

void tokenizer_truncate(const Tokenizer *t, Ids *ids, size_t max, bool keep_tail)
{
    size_t prefix = (size_t)t->prefix_n, suffix = (size_t)t->suffix_n;
    if (ids->n <= max || ids->n <= prefix + suffix)
        return;
    size_t text = ids->n - prefix - suffix,
           room = max > prefix + suffix ? max - prefix - suffix : 0;
    size_t from = keep_tail ? prefix + text - room : prefix;
    memmove(ids->id + prefix, ids->id + from, room * sizeof *ids->id);
    memmove(ids->id + prefix + room, ids->id + prefix + text, suffix * sizeof *ids->id);
    ids->n = prefix + room + suffix;
}

/* --- decoding and looking up -------------------------------------------------------------------- */

bool tokenizer_decode(const Tokenizer *t, const int *ids, size_t n, bool skip_special, StrBuf *out)
{
    Ids kept = {0};
    bool ok = true;
    for (size_t i = 0, k; ok && i < n; i++)
        if (vocab_text(&t->vocab, ids[i], &k) && !(skip_special && tokenizer_is_special(t, ids[i])))
            ok = ids_push(&kept, ids[i]);
    ok = ok && (kept.n == 0 || t->kind->decode(t, kept.id, kept.n, out));
    ids_free(&kept);
    return ok;
}

int tokenizer_size(const Tokenizer *t)
{
    return t->vocab.size;
}

const char *tokenizer_kind(const Tokenizer *t)
{
    return t->kind->name;
}

int tokenizer_id(const Tokenizer *t, const char *token)
{
    return vocab_find(&t->vocab, token, strlen(token));
}

bool tokenizer_has(const Tokenizer *t, int id)
{
    return id >= 0 && id < t->vocab.size && t->vocab.token[id].present;
}

const Notes *tokenizer_notes(const Tokenizer *t)
{
    return &t->notes;
}

bool tokenizer_is_special(const Tokenizer *t, int id)
{
    return id >= 0 && id < t->vocab.size && t->vocab.token[id].special;
}
