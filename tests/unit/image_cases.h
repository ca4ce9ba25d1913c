/* The recorded cases of tests/data/preprocess: one JSON object per line, one line per file of
 * tests/data/images. */
#ifndef IMAGE_CASES_H
#define IMAGE_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"
#include "sha256.h"

static inline const char *text_of(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    if (!v)
        fail_msg("case without %s", key);
    return v;
}

static inline int int_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v))
        fail_msg("case without %s", key);
    return (int)json_integer_value(v);
}

/* Calls fn for each line of tests/data/preprocess/TABLE; returns how many there were. */
static inline int each_case(const char *table, void (*fn)(const json_t *row))
{
    char path[512], line[1 << 14];
    int count = 0;
    snprintf(path, sizeof path, "%s/tests/data/preprocess/%s", SOURCE_DIR, table);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        json_t *row = json_loads(line, 0, NULL);
        assert_non_null(row);
        fn(row);
        json_decref(row);
        count++;
    }
    fclose(f);
    return count;
}

/* The bytes of tests/data/images/FOLDER/FILE; mem_free them. */
static inline unsigned char *case_bytes(const char *folder, const char *file, size_t *n)
{
    char path[512];
    Error e = {0};
    snprintf(path, sizeof path, "%s/tests/data/images/%s/%s", SOURCE_DIR, folder, file);
    unsigned char *bytes = file_read(path, 1 << 26, n, ERR_FAILED, &e);
    if (!bytes)
        fail_msg("%s", e.message);
    return bytes;
}

static inline void check_hash(const char *file, const char *what, const void *data, size_t n,
                              const char *want)
{
    char got[65];
    sha256_hex(got, data, n);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s: sha256 %s, expected %s", file, what, got, want);
}

/* The picture in one route at one size has these bytes. */
static inline void check_route(const Picture *p, const char *file, const char *what,
                               PrepareRoute route, int width, int height, const char *want)
{
    Error e = {0};
    uint8_t *rgb = picture_resize(p, route, width, height, &e);
    if (!rgb)
        fail_msg("%s: %s: %s", file, what, e.message);
    check_hash(file, what, rgb, (size_t)width * (size_t)height * 3, want);
    mem_free(rgb);
}

/* Decodes the row's file in FOLDER: as the row's "ok" says (no "ok": it must be read). check looks at what was
 * read, which is freed behind it. */
static inline void decode_case(const char *folder, const json_t *row,
                               void (*check)(const Picture *p, const json_t *row, const char *file))
{
    const char *file = text_of(row, "file");
    const json_t *ok = json_object_get(row, "ok");
    bool wanted = !ok || json_is_true(ok);
    size_t n;
    unsigned char *bytes = case_bytes(folder, file, &n);
    Picture p;
    Error e = {0};
    bool got = picture_decode(&p, bytes, n, file, &e);
    if (got != wanted)
        fail_msg("%s: %s", file, got ? "loaded, expected an error" : e.message);
    if (wanted)
        check(&p, row, file);
    else
        assert_int_equal(e.code, ERR_FAILED);
    picture_free(&p);
    mem_free(bytes);
}

#endif
