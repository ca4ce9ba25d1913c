/* net/answer.c: header lines, as strangers write them (RFC 9110). */
#include "net/answer.h"

#include <string.h>
#include <strings.h>

/* The value of header NAME: in line[0..n), without blanks around; NULL: another header. */
static const char *value_of(const char *line, size_t n, const char *name, size_t *length)
{
    size_t k = strlen(name);
    if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0)
        return NULL;
    const char *at = line + k + 1, *end = line + n;
    while (at < end && strchr(" \t\r\n", *at))
        at++;
    while (end > at && strchr(" \t\r\n", end[-1]))
        end--;
    *length = (size_t)(end - at);
    return at;
}

/* What does not fit is left out: half of an ETag would be another one. The first value counts. */
static void keep_text(char *to, size_t cap, const char *value, size_t n)
{
    if (*to || n >= cap)
        return;
    memcpy(to, value, n);
    to[n] = 0;
}

/* W/"x" and "x" are both x here: what is compared with is a checksum. */
static void keep_tag(char to[160], const char *value, size_t n)
{
    if (n > 2 && value[0] == 'W' && value[1] == '/') {
        value += 2;
        n -= 2;
    }
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value++;
        n -= 2;
    }
    keep_text(to, 160, value, n);
}

/* A whole number of at most 18 digits; -1: none. */
static int64_t number(const char *value, size_t n)
{
    int64_t x = 0;
    if (n == 0 || n > 18)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -1;
        x = 10 * x + (value[i] - '0');
    }
    return x;
}

/* "bytes 100-199/200" */
static void take_range(HttpReply *p, uint64_t *begins, const char *value, size_t n)
{
    if (n < 6 || strncasecmp(value, "bytes ", 6) != 0)
        return;
    const char *at = value + 6, *end = value + n;
    const char *dash = memchr(at, '-', (size_t)(end - at));
    const char *slash = memchr(at, '/', (size_t)(end - at));
    int64_t from = dash ? number(at, (size_t)(dash - at)) : -1;
    *begins = from < 0 ? UINT64_MAX : (uint64_t)from;
    p->whole = slash ? number(slash + 1, (size_t)(end - slash - 1)) : -1;
}

/* A status line begins a new answer: what the one before said of its body does not count. */
static void take_status(HttpReply *p, uint64_t *begins, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    int64_t status = space && line + n - space > 3 ? number(space + 1, 3) : -1;
    p->status = status < 0 ? 0 : (int)status;
    p->length = p->whole = -1;
    *begins = UINT64_MAX;
}

static void take_numbers(HttpReply *p, uint64_t *begins, const char *line, size_t n)
{
    size_t k;
    const char *v;
    if ((v = value_of(line, n, "content-length", &k)))
        p->length = number(v, k);
    else if ((v = value_of(line, n, "content-range", &k)))
        take_range(p, begins, v, k);
    else if ((v = value_of(line, n, "x-linked-size", &k)) && p->linked_size < 0)
        p->linked_size = number(v, k);
    else if ((v = value_of(line, n, "retry-after", &k)))
        p->wait = k < 6 && number(v, k) > 0 ? (int)number(v, k) : 0;
}

void answer_line(HttpReply *p, uint64_t *begins, const char *line, size_t n)
{
    size_t k;
    const char *v;
    if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0)
        take_status(p, begins, line, n);
    else if ((v = value_of(line, n, "etag", &k)))
        keep_tag(p->etag, v, k);
    else if ((v = value_of(line, n, "x-linked-etag", &k)))
        keep_tag(p->linked, v, k);
    else if ((v = value_of(line, n, "x-repo-commit", &k)))
        keep_text(p->commit, sizeof p->commit, v, k);
    else if ((v = value_of(line, n, "x-error-code", &k)))
        keep_text(p->code, sizeof p->code, v, k);
    else
        take_numbers(p, begins, line, n);
}
