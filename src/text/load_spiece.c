/* text/load_spiece.c: spiece.model, a sentencepiece unigram model, with what lies beside it: T5's tokenizer as
 * transformers makes one of these files (convert_slow_tokenizer.py, T5Converter). The file is a protobuf message
 * (sentencepiece_model.proto), of which the pieces and the normalisation are read. */
#include <stdio.h>
#include <string.h>

#include "base/kind.h"
#include "base/mem.h"

#include "text/class.h"
#include "text/kind_unigram.h"
#include "text/load.h"

/* --- protobuf ------------------------------------------------------------------------------------ */

typedef struct Bytes {
    const unsigned char *at, *end;
} Bytes;

typedef struct Field {
    unsigned number, type; /* type: of its encoding */
    uint64_t value;        /* VARINT, FIXED32, FIXED64 */
    Bytes bytes;           /* BYTES */
} Field;

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static bool read_varint(Bytes *b, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        unsigned char c = *b->at++;
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

static bool read_fixed(Bytes *b, int n, uint64_t *v)
{
    if (b->end - b->at < n)
        return false;
    *v = 0;
    for (int i = 0; i < n; i++)
        *v |= (uint64_t)*b->at++ << 8 * i;
    return true;
}

/* The next field of a message. false: damaged. */
static bool read_field(Bytes *b, Field *f)
{
    uint64_t tag;
    if (!read_varint(b, &tag) || tag >> 3 == 0 || tag >> 3 > 1 << 29)
        return false;
    f->number = (unsigned)(tag >> 3);
    f->type = (unsigned)(tag & 7);
    switch (f->type) {
    case VARINT: return read_varint(b, &f->value);
    case FIXED64: return read_fixed(b, 8, &f->value);
    case FIXED32: return read_fixed(b, 4, &f->value);
    case BYTES:
        if (!read_varint(b, &f->value) || f->value > (uint64_t)(b->end - b->at))
            return false;
        f->bytes = (Bytes){b->at, b->at + f->value};
        b->at += f->value;
        return true;
    default: return false;
    }
}

/* --- the model ----------------------------------------------------------------------------------- */

enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_TYPE = 3, NORMALIZER_MAP = 2 };
enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_BYTE = 6 };
enum { TRAINED_UNIGRAM = 1 };

typedef struct Spiece {
    Tokenizer *t;
    const char *path;
    int unknown; /* id; -1: none yet */
    Error *e;
} Spiece;

static bool damaged(const Spiece *s)
{
    return error_set(s->e, ERR_BAD_MODEL, "%s: file: expected a sentencepiece model, damaged",
                     s->path);
}

/* Pieces that no text is made of, and those that are never taken apart, are added tokens (convert_slow_tokenizer.py,
 * SentencePieceExtractor). */
static bool take_piece(const Spiece *s, const char *text, size_t n, double score, uint64_t type)
{
    int id = unigram_of(s->t)->n;
    AddedToken flags = {.special = type == TYPE_CONTROL};
    if (!unigram_take(s->t, text, n, score, s->path, s->e))
        return false;
    return (type != TYPE_CONTROL && type != TYPE_USER_DEFINED) ||
           tokenizer_add(s->t, text, n, id, flags, s->path, s->e);
}

static bool read_piece(Spiece *s, Bytes b)
{
    Field f = {0};
    Bytes text = {0};
    uint32_t bits = 0;
    uint64_t type = 1;
    float score;
    while (b.at < b.end) {
        if (!read_field(&b, &f))
            return damaged(s);
        if (f.number == PIECE_TEXT && f.type == BYTES)
            text = f.bytes;
        else if (f.number == PIECE_SCORE && f.type == FIXED32)
            bits = (uint32_t)f.value;
        else if (f.number == PIECE_TYPE && f.type == VARINT)
            type = f.value;
    }
    memcpy(&score, &bits, sizeof score);
    if (type == TYPE_BYTE)
        return error_set(s->e, ERR_BAD_MODEL, "%s: byte fallback: not supported", s->path);
    if (type == TYPE_UNKNOWN)
        s->unknown = unigram_of(s->t)->n;
    return take_piece(s, text.at ? (const char *)text.at : "", (size_t)(text.end - text.at),
                      (double)score, type);
}

static bool read_trainer(const Spiece *s, Bytes b)
{
    Field f = {0};
    while (b.at < b.end) {
        if (!read_field(&b, &f))
            return damaged(s);
        if (f.number == TRAINER_TYPE && f.type == VARINT && f.value != TRAINED_UNIGRAM)
            return error_set(s->e, ERR_BAD_MODEL, "%s: model_type: expected 1 (unigram), got %llu",
                             s->path, (unsigned long long)f.value);
    }
    return true;
}

static bool read_normalizer(const Spiece *s, Bytes b)
{
    Field f = {0};
    Charsmap *map = &unigram_of(s->t)->normal;
    while (b.at < b.end) {
        if (!read_field(&b, &f))
            return damaged(s);
        if (f.number != NORMALIZER_MAP || f.type != BYTES)
            continue;
        charsmap_free(map);
        if (!charsmap_read(map, f.bytes.at, (size_t)(f.bytes.end - f.bytes.at), s->path, s->e))
            return false;
    }
    return true;
}

static bool read_model(Spiece *s, Bytes b)
{
    Field f = {0};
    while (b.at < b.end) {
        if (!read_field(&b, &f))
            return damaged(s);
        if (f.type != BYTES)
            continue;
        if ((f.number == MODEL_PIECES && !read_piece(s, f.bytes)) ||
            (f.number == MODEL_TRAINER && !read_trainer(s, f.bytes)) ||
            (f.number == MODEL_NORMALIZER && !read_normalizer(s, f.bytes)))
            return false;
    }
    if (unigram_of(s->t)->n == 0)
        return damaged(s);
    return s->unknown >= 0 ||
           error_set(s->e, ERR_BAD_MODEL, "%s: expected a piece for what is unknown, got none",
                     s->path);
}

/* --- T5Tokenizer ---------------------------------------------------------------------------------- */

/* <extra_id_99> .. <extra_id_0>, behind the pieces. */
static bool add_extra_ids(Spiece *s, const Beside *b)
{
    int n;
    bool ok = class_extra_ids(b, &n, s->e);
    for (int i = n; ok && i-- > 0;) {
        char name[32];
        int length = snprintf(name, sizeof name, "<extra_id_%d>", i);
        ok = unigram_take(s->t, name, (size_t)length, 0, s->path, s->e);
    }
    return ok;
}

static bool load_parts(Spiece *s, Bytes b, const Folder *dir)
{
    Beside beside = {0};
    Tokenizer *t = s->t;
    bool ok =
        (!dir || beside_read(&beside, dir, s->e)) && read_model(s, b) && add_extra_ids(s, &beside);
    if (ok)
        unigram_ready(unigram_of(t), &t->vocab, s->unknown);
    ok = ok && class_add_names(t, &beside, AS_T5, s->path, s->e) &&
         (!dir || beside_add_tokens(t, &beside, dir->path, s->e)) &&
         class_template(t, &beside, AS_T5, s->path, s->e);
    beside_free(&beside);
    return ok;
}

bool spiece_parse(Tokenizer *t, const char *bytes, size_t n, const char *path, const Folder *dir,
                  Error *e)
{
    const char *kind = file_kind(bytes, n);
    Spiece s = {.t = t, .path = path, .unknown = -1, .e = e};
    Bytes b = {(const unsigned char *)bytes, (const unsigned char *)bytes + n};
    if (kind)
        return error_set(e, ERR_BAD_MODEL, "%s: file: expected a sentencepiece model, got %s", path,
                         kind);
    return tokenizer_set_kind(t, &KIND_UNIGRAM, path, e) && load_parts(&s, b, dir);
}
