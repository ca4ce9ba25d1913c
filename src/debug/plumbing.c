/* debug/plumbing.c: tokenizer, preprocessing, NPY, memory: parts of the library by themselves. */
#include "blip2_debug.h"

#include <string.h>

#include "api/api.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "base/write.h"
#include "ckpt/source.h"

void blip2_debug_free(void *p)
{
    mem_free(p);
}

void blip2_debug_fail_alloc(long n)
{
    mem_fail_at(n);
}

size_t blip2_debug_bytes_in_use(void)
{
    return mem_in_use();
}

double blip2_debug_now_ms(void)
{
    return now_ms();
}

int blip2_debug_distance(const char *a, const char *b)
{
    return str_distance(a, b);
}

bool blip2_debug_utf8_next(const char *text, size_t n, uint32_t *code_point, size_t *length)
{
    bool valid;
    *length = (size_t)utf8_next(text, n, code_point, &valid);
    return valid;
}

/* --- tokenizer ----------------------------------------------------------------------------------- */

struct blip2_tokenizer {
    Tokenizer *t;
};

blip2_tokenizer *blip2_tokenizer_load(const char *dir_or_name, blip2_error *err)
{
    Error e = {0};
    ModelSource from = {0};
    bool found = source_find(&from, dir_or_name, NULL, &e);
    blip2_tokenizer *t = found ? mem_alloc(sizeof *t) : NULL;
    if (t)
        t->t = tokenizer_open(&from.tokenizer, &e);
    else if (found)
        error_memory(&e, "tokenizer", sizeof *t);
    source_free(&from);
    if (t && t->t)
        return t;
    mem_free(t);
    api_error(err, &e);
    return NULL;
}

void blip2_tokenizer_free(blip2_tokenizer *t)
{
    if (t)
        tokenizer_free(t->t);
    mem_free(t);
}

bool blip2_tokenizer_encode(const blip2_tokenizer *t, const char *text, size_t n, int **ids,
                            size_t *count, blip2_error *err)
{
    Error e = {0};
    Ids out = {0};
    if (!tokenizer_encode(t->t, text, n, true, false, &out, &e)) {
        ids_free(&out);
        return api_error(err, &e);
    }
    *ids = out.id;
    *count = out.n;
    return true;
}

char *blip2_tokenizer_decode(const blip2_tokenizer *t, const int *ids, size_t count, size_t *n,
                             blip2_error *err)
{
    Error e = {0};
    StrBuf s = {0};
    bool ok = tokenizer_decode(t->t, ids, count, true, &s);
    *n = s.len;
    char *text = ok && !s.data ? mem_strdup("") : s.data;
    if (ok && !s.failed && text)
        return text;
    strbuf_free(&s);
    error_memory(&e, "text", count);
    api_error(err, &e);
    return NULL;
}

/* --- preprocessing, NPY -------------------------------------------------------------------------- */

bool blip2_debug_preprocess(const blip2_image *image, blip2_library library, int size, uint8_t *rgb,
                            float *chw, blip2_error *err)
{
    Error e = {0};
    PrepareSpec spec = prepare_default(size);
    const PrepareRoute route = library == BLIP2_HF ? ROUTE_HF : ROUTE_LAVIS;
    uint8_t *u8 = NULL;
    if (!image->picture.data)
        error_set(&e, ERR_FAILED, "picture: expected its pixels, got one that is prepared");
    else
        u8 = picture_resize(&image->picture, route, size, size, &e);
    if (!u8)
        return api_error(err, &e);
    if (rgb)
        memcpy(rgb, u8, 3 * (size_t)size * (size_t)size);
    if (chw)
        picture_normalise(chw, u8, size, size, &spec);
    mem_free(u8);
    return true;
}

float *blip2_npy_read(const char *path, int *rank, int64_t shape[8], blip2_error *err)
{
    Error e = {0};
    float *data = npy_read(path, rank, shape, &e);
    if (!data)
        api_error(err, &e);
    return data;
}

bool blip2_npy_write(const char *path, const float *data, int rank, const int64_t *shape,
                     blip2_error *err)
{
    Error e = {0};
    return npy_write(path, data, rank, shape, &e) || api_error(err, &e);
}

bool blip2_debug_write(const char *path, const void *bytes, size_t n, blip2_error *err)
{
    Error e = {0};
    return file_write(path, &(Piece){bytes, n}, 1, WRITE_ANY, &e) || api_error(err, &e);
}
