/* Helpers of the checkpoint and configuration tests: a scratch directory, files made of strings,
 * errors that must say certain things. */
#ifndef TEST_CKPT_FILES_H
#define TEST_CKPT_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static char scratch[256];

static int scratch_make(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.200s/blip2-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

static int scratch_remove(void **state)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

/* The path of a file in the scratch directory; good until the fourth call after. */
static const char *at(const char *name)
{
    static char paths[4][1024];
    static int turn;
    char *p = paths[turn++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    return p;
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

__attribute__((unused)) static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* header + buffer as a safetensors file; returns its size. */
static size_t make_safetensors(unsigned char *out, const char *header, size_t buffer)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < buffer; i++)
        out[8 + n + i] = (unsigned char)i;
    return 8 + n + buffer;
}

__attribute__((unused)) static void put_safetensors(const char *name, const char *header,
                                                    size_t buffer)
{
    unsigned char *bytes = malloc(8 + strlen(header) + buffer);
    assert_non_null(bytes);
    put(name, bytes, make_safetensors(bytes, header, buffer));
    free(bytes);
}

/* The error has this code, is one line, and says each of the texts (NULL ends the list). */
__attribute__((unused)) static void check_error(const Error *e, ErrorCode code, ...)
{
    va_list ap;
    const char *part;
    if (e->code != code)
        fail_msg("expected code %d, got %d: %s", code, e->code, e->message);
    assert_null(strpbrk(e->message, "\n\r\x1b"));
    va_start(ap, code);
    while ((part = va_arg(ap, const char *)))
        if (!strstr(e->message, part))
            fail_msg("expected \"%s\" in: %s", part, e->message);
    va_end(ap);
}

#endif
