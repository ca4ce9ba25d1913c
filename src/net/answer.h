/* net/answer.h: what a server says before the body. For net/http.c alone. */
#ifndef NET_ANSWER_H
#define NET_ANSWER_H

#include "net/http.h"

/* Takes a line of the header, n bytes with its end; a status line begins a new answer. *begins is where a
 * part of the whole begins (Content-Range); UINT64_MAX: not said. Of texts the first counts. */
void answer_line(HttpReply *p, uint64_t *begins, const char *line, size_t n);

#endif
