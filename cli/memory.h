/* memory.h: allocation for the command. It cannot go on without memory, so these do not return
 * NULL: they report and exit with EXIT_MEMORY. Free with free(). */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <stddef.h>

_Noreturn void out_of_memory(void);
/* count elements of size bytes, zeroed; more than SIZE_MAX bytes is out of memory. */
void *need_array(size_t count, size_t size);
/* Grows p to at least count elements of size bytes, at least doubling *capacity. */
void *need_room(void *p, size_t *capacity, size_t count, size_t size);
char *need_copy(const char *text);
char *need_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
