/* path.h: paths as people type them where no shell reads the line, and what they lead to. */
#ifndef CLI_PATH_H
#define CLI_PATH_H

#include <stdbool.h>

/* The path that text stands for, which a terminal may have pasted in one of its ways: in quotes '..' or
 * "..", with \ before spaces and signs, or as file://.. with %20; ~/ is the home. What is already the
 * name of a file is that file. Free with free(). */
char *typed_path(const char *text);

/* "http://..." or "https://...", and no file of that name. */
bool is_url(const char *text);

bool is_folder(const char *path);

/* Whether there is a regular file, links followed: no directory, pipe or device. */
bool is_regular(const char *path);

/* Whether two paths lead to the same file, or would when it is written. Not what may be written to again and
 * again: a device, a pipe. */
bool same_file(const char *a, const char *b);

#endif
