/* ckpt/packed.c: see ckpt/packed.h. */
#include "ckpt/packed.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "tensor/panel.h"

enum { FILE_MAX = 24 << 20 }; /* bytes; a tokenizer.json has up to ten million */

#define FORMAT "blip2.format"
#define FILES  "blip2.file."
#define BASE64 "blip2.base64."
#define LAYOUT "blip2.layout."
#define PANELS "panel32 "
#define INT4   "int4 "
#define PRESET "blip2.quantised"

static const char *const NAMES[] = {"config.json",
                                    "generation_config.json",
                                    "preprocessor_config.json",
                                    "processor_config.json",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "spiece.model",
                                    "vocab.txt",
                                    "README.md"};

const char *packed_file(size_t i)
{
    return i < sizeof NAMES / sizeof *NAMES ? NAMES[i] : NULL;
}

/* --- base64 (RFC 4648, 4) -------------------------------------------------------------------------------- */

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void add_base64(StrBuf *out, const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)s[i] << 16 | (i + 1 < n ? (unsigned)s[i + 1] << 8 : 0) |
                     (i + 2 < n ? s[i + 2] : 0);
        char four[4] = {LETTERS[v >> 18], LETTERS[v >> 12 & 63],
                        i + 1 < n ? LETTERS[v >> 6 & 63] : '=', i + 2 < n ? LETTERS[v & 63] : '='};
        strbuf_add(out, four, 4);
    }
}

/* Into out, which has room for 3 bytes of each 4; false: it is none. */
static bool read_base64(const char *s, size_t n, unsigned char *out, size_t *bytes)
{
    size_t pad = n > 0 && s[n - 1] == '=' ? 1 + (n > 1 && s[n - 2] == '=') : 0;
    unsigned v = 0;
    if (n % 4 != 0)
        return false;
    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = i < n - pad ? strchr(LETTERS, s[i]) : LETTERS;
        if (!at || !s[i])
            return false;
        v = v << 6 | (unsigned)(at - LETTERS);
        if (i % 4 != 3)
            continue;
        for (int k = 2; k >= 0; k--)
            out[(*bytes)++] = (unsigned char)(v >> 8 * k);
        v = 0;
    }
    *bytes -= pad;
    return true;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

static const CkptText *find_text(const Checkpoint *c, const char *key)
{
    const CkptText *t;
    for (size_t i = 0; (t = ckpt_text(c, i)); i++)
        if (strcmp(t->key, key) == 0)
            return t;
    return NULL;
}

bool packed_is(const Checkpoint *c)
{
    return find_text(c, FORMAT) != NULL;
}

const char *packed_made(const Checkpoint *c)
{
    const CkptText *t = c ? find_text(c, PRESET) : NULL;
    return t ? t->text : NULL;
}

static bool check_format(const Checkpoint *c, Error *e)
{
    const CkptText *format = find_text(c, FORMAT);
    return strcmp(format->text, PACKED_FORMAT) == 0 ||
           error_set(e, ERR_BAD_MODEL,
                     "%s: header: " FORMAT ": expected " PACKED_FORMAT
                     ", got \"%.40s\": a packed model of another version of the program: convert "
                     "the model again",
                     ckpt_path(c), format->text);
}

/* "panel32 [4,5]", or that behind "int4 " -> the extents, how many; 0: it is something else. */
static int read_layout(const char *s, int64_t shape[CKPT_MAX_RANK], bool *int4)
{
    int rank = 0;
    *int4 = str_starts(s, INT4);
    s += *int4 ? strlen(INT4) : 0;
    if (!str_starts(s, PANELS "["))
        return 0;
    s += strlen(PANELS);
    do {
        char *end;
        s++;
        shape[rank++] = *s >= '0' && *s <= '9' ? strtoll(s, &end, 10) : 0;
        if (shape[rank - 1] <= 0 || shape[rank - 1] > INT_MAX)
            return 0;
        s = end;
    } while (*s == ',' && rank < CKPT_MAX_RANK);
    return strcmp(s, "]") == 0 && rank >= 2 ? rank : 0;
}

/* Whether a tensor of so many bytes has the panels of a weight of that shape. Two int4 weights take a byte, and more. */
static bool fits_panels(const CkptTensor *t, DType type, int rank, const int64_t *shape)
{
    size_t rows = (size_t)shape[0], cols = 1, most = t->bytes * 2;
    if (type == I4 ? t->dtype != U8 : !dtype_is_float(t->dtype))
        return false;
    for (int i = 1; i < rank; i++) {
        if (cols > most / (size_t)shape[i])
            return false;
        cols *= (size_t)shape[i];
    }
    return rows <= most / cols && t->bytes == panels_bytes(type, rows, cols);
}

static bool take_layout(Checkpoint *c, const CkptText *text, Error *e)
{
    int64_t shape[CKPT_MAX_RANK];
    const char *name = text->key + strlen(LAYOUT);
    bool int4;
    int rank = read_layout(text->text, shape, &int4);
    CkptTensor *t = ckpt_find(c, name);
    if (!rank)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": layout: expected \"" PANELS
                         "[OUT,IN]\", or that of int4, got \"%.40s\": convert the model again",
                         ckpt_path(c), name, text->text);
    if (!t || t->panels || !fits_panels(t, int4 ? I4 : t->dtype, rank, shape))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": layout: expected %s, got \"%.60s\"", ckpt_path(c),
                         name, t ? "one that the tensor's size fits" : "a tensor of that name",
                         text->text);
    t->panels = true;
    t->dtype = int4 ? I4 : t->dtype;
    t->rank = rank;
    memcpy(t->shape, shape, sizeof *shape * (size_t)rank);
    return true;
}

static bool take_layouts(Checkpoint *c, Error *e)
{
    const CkptText *t;
    for (size_t i = 0; (t = ckpt_text(c, i)); i++)
        if (str_starts(t->key, LAYOUT) && !take_layout(c, t, e))
            return false;
    return true;
}

/* One file of the list; *n is how many it has by then. */
static bool take_text(ModelSource *s, const CkptText *t, FolderFile *file, size_t *n, Error *e)
{
    if (str_starts(t->key, FILES)) {
        file[(*n)++] = (FolderFile){t->key + strlen(FILES), t->text, t->size};
        return true;
    }
    if (!str_starts(t->key, BASE64))
        return true;
    size_t bytes;
    unsigned char *data = arena_alloc(&s->mem, t->size / 4 * 3 + 1);
    if (!data)
        return error_memory(e, s->path, t->size);
    if (!read_base64(t->text, t->size, data, &bytes))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: header: %.200s: expected base64, got something else", s->path,
                         t->key);
    file[(*n)++] = (FolderFile){t->key + strlen(BASE64), (const char *)data, bytes};
    return true;
}

bool packed_open(ModelSource *s, Error *e)
{
    size_t texts = 0, n = 0;
    while (ckpt_text(s->ckpt, texts))
        texts++;
    FolderFile *file = arena_alloc(&s->mem, texts * sizeof *file);
    if (!file)
        return error_memory(e, s->path, texts * sizeof *file);
    if (!check_format(s->ckpt, e) || !take_layouts(s->ckpt, e))
        return false;
    for (size_t i = 0; i < texts; i++)
        if (!take_text(s, ckpt_text(s->ckpt, i), file, &n, e))
            return false;
    s->config = s->tokenizer = (Folder){.path = s->path, .file = file, .files = n};
    return folder_has(&s->config, "config.json") == 1 ||
           error_set(e, ERR_BAD_MODEL, "%s: header: " FILES "config.json: expected, but missing",
                     s->path);
}

/* --- writing ---------------------------------------------------------------------------------------------- */

/* A JSON string. The text is UTF-8 without zeros. */
static void add_json(StrBuf *out, const char *s, size_t n)
{
    strbuf_puts(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            strbuf_printf(out, "\\%c", c);
        else if (c < 0x20)
            strbuf_printf(out, "\\u%04x", c);
        else
            strbuf_add(out, &s[i], 1);
    }
    strbuf_puts(out, "\"");
}

static bool add_file(StrBuf *out, const Folder *f, const char *name, Error *e)
{
    size_t n;
    char *text = folder_read(f, name, FILE_MAX, &n, ERR_BAD_MODEL, e);
    if (!text)
        return false;
    bool plain = utf8_invalid(text, n) < 0 && !memchr(text, 0, n);
    strbuf_printf(out, ",\"%s%s\":", plain ? FILES : BASE64, name);
    if (plain) {
        add_json(out, text, n);
    } else {
        strbuf_puts(out, "\"");
        add_base64(out, (const unsigned char *)text, n);
        strbuf_puts(out, "\"");
    }
    mem_free(text);
    return true;
}

void packed_preset(StrBuf *out, const char *preset)
{
    strbuf_printf(out, ",\"" PRESET "\":\"%s\"", preset);
}

void packed_layout(StrBuf *out, const char *name, DType t, int rank, const int64_t *shape)
{
    strbuf_printf(out, ",\"" LAYOUT "%s\":\"%s" PANELS "[", name, t == I4 ? INT4 : "");
    for (int i = 0; i < rank; i++)
        strbuf_printf(out, "%s%lld", i ? "," : "", (long long)shape[i]);
    strbuf_puts(out, "]\"");
}

const Folder *packed_folder(const Folder *config, const Folder *tokenizer, const char *name)
{
    enum { CONFIGS = 4 };
    for (size_t i = 0; i < CONFIGS; i++)
        if (strcmp(NAMES[i], name) == 0)
            return config;
    return strcmp(name, "README.md") == 0 ? config : tokenizer;
}

bool packed_texts(StrBuf *out, const Folder *config, const Folder *tokenizer, Error *e)
{
    strbuf_puts(out, "\"" FORMAT "\":\"" PACKED_FORMAT "\"");
    for (size_t i = 0; packed_file(i); i++) {
        const Folder *f = packed_folder(config, tokenizer, packed_file(i));
        int there = folder_has(f, packed_file(i));
        if (there < 0)
            return error_memory(e, f->path, strlen(f->path));
        if (there && !add_file(out, f, packed_file(i), e))
            return false;
    }
    return !out->failed || error_memory(e, config->path, out->len);
}
