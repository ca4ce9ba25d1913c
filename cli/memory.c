/* memory.c: allocation that reports and exits. */
#define _GNU_SOURCE
#include "memory.h"

#include "output.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void out_of_memory(void)
{
    complain("out of memory");
    exit(EXIT_MEMORY);
}

void *need_array(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        out_of_memory();
    return p;
}

void *need_room(void *p, size_t *capacity, size_t count, size_t size)
{
    size_t wanted = *capacity ? *capacity : 16;
    if (count <= *capacity)
        return p;
    while (wanted < count) {
        if (wanted > SIZE_MAX / 2 / size)
            out_of_memory();
        wanted *= 2;
    }
    p = realloc(p, wanted * size);
    if (!p)
        out_of_memory();
    *capacity = wanted;
    return p;
}

char *need_copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = need_array(n, 1);
    return memcpy(copy, text, n);
}

char *need_format(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int n = vasprintf(&text, format, list);
    va_end(list);
    if (n < 0)
        out_of_memory();
    return text;
}
