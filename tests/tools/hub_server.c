/* hub_server ROOT: Hugging Face's hub for tests, on this machine. Prints the two ports it listens on, the
 * hub's and that of the other host to which the hub redirects, and serves until its standard input ends.
 *
 *   ROOT/repos/OWNER/NAME/{files/FILE, tags/FILE, commit, licence}   a repository; a tag of 64 digits is that
 *                              of a file kept apart: its address redirects to the other host
 *   ROOT/files/FILE            GET /files/FILE; /hop/N/FILE redirects N times, /to-https/... to HTTPS,
 *                              /loop to itself
 *   ROOT/faults/FILE           a line for each answer that goes wrong; "api" stands for the list of files, and
 *                              HEAD-FILE for HEAD. A line "always X" stays.
 *      500, 401, ...           that status
 *      cut N                   N bytes of the body, then the connection is closed
 *      stall N                 N bytes, then nothing
 *      chop N                  N bytes and no Content-Length: as if that were all
 *      nolength                no Content-Length
 *      norange                 the whole, whatever was asked for
 *      wrong                   one byte differs
 *      slow N                  N bytes at a time, a pause between
 *      tag X                   another ETag
 *      moved                   the hub redirects to another address of its own, with an ETag of that answer
 *      size N                  X-Linked-Size says N
 *      raw                     a page of HTML for the list of files
 *   ROOT/token                 what a request to the hub must bring along
 *   ROOT/log                   a line for each request: PORT METHOD PATH RANGE AUTHORIZATION
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *root;
static int port[2]; /* hub, other */

typedef struct Request {
    int fd;
    bool hub; /* to which of the two */
    char method[16], path[1024], range[64], token[600];
    char fault[64];   /* "": none */
    long long number; /* of the fault */
} Request;

static char *in_root(char *path, size_t size, const char *format, ...)
{
    va_list list;
    int n = snprintf(path, size, "%s/", root);
    va_start(list, format);
    vsnprintf(path + n, size - (size_t)n, format, list);
    va_end(list);
    return path;
}

/* The whole file, ended by a zero; NULL: there is none. */
static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        return NULL;
    *size = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, *size + 1);
    if (!text || fread(text, 1, *size, f) != *size)
        exit(1);
    fclose(f);
    return text;
}

static void first_line(const char *path, char line[256])
{
    size_t n;
    char *text = read_all(path, &n);
    line[0] = 0;
    if (text)
        snprintf(line, 256, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
}

static void say(const Request *r, const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (write(r->fd, text, (size_t)n) < 0)
        exit(0);
}

static void put(const Request *r, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = write(r->fd, bytes + at, n - at);
        if (k <= 0)
            exit(0);
        at += (size_t)k;
    }
}

/* --- faults ---------------------------------------------------------------------------------------- */

/* Takes the first line of a file off, unless it says "always". */
static void take_fault(Request *r, const char *name)
{
    char path[2048], line[256];
    size_t n;
    int lock = open(in_root(path, sizeof path, "fault-lock"), O_CREAT | O_RDWR, 0666);
    flock(lock, LOCK_EX);
    in_root(path, sizeof path, "faults/%s", name);
    char *text = read_all(path, &n);
    if (text && *text) {
        first_line(path, line);
        char *rest = strchr(text, '\n');
        const char *what = strncmp(line, "always ", 7) == 0 ? line + 7 : line;
        if (what == line) {
            FILE *f = fopen(path, "wb");
            fputs(rest ? rest + 1 : "", f);
            fclose(f);
        }
        sscanf(what, "%63s %lld", r->fault, &r->number);
        if (strcmp(r->fault, "tag") == 0)
            snprintf(r->fault, sizeof r->fault, "%.60s", what);
    }
    free(text);
    close(lock);
}

static bool fault(const Request *r, const char *name)
{
    return strcmp(r->fault, name) == 0;
}

static void refuse(const Request *r, int status, const char *code)
{
    say(r, "HTTP/1.1 %d No\r\nContent-Length: 2\r\nX-Error-Code: %s\r\nConnection: close\r\n\r\nno",
        status, code);
}

/* --- bodies ------------------------------------------------------------------------------------------ */

static void send_part(const Request *r, const char *bytes, size_t n)
{
    size_t most = fault(r, "cut") || fault(r, "stall") || fault(r, "chop") ? (size_t)r->number : n;
    size_t step = fault(r, "slow") ? (size_t)r->number : n;
    for (size_t at = 0; at < n && at < most; at += step) {
        size_t left = (n < most ? n : most) - at;
        put(r, bytes + at, left < step ? left : step);
        if (fault(r, "slow"))
            usleep(20000);
    }
    if (fault(r, "stall"))
        sleep(30);
}

static void send_file(const Request *r, char *bytes, size_t n, const char *headers)
{
    size_t from = 0;
    bool part = sscanf(r->range, "bytes=%zu-", &from) == 1 && !fault(r, "norange");
    bool head = strcmp(r->method, "HEAD") == 0;
    if (part && from >= n) {
        refuse(r, 416, "");
        return;
    }
    if (!part)
        from = 0;
    if (fault(r, "wrong"))
        bytes[n / 2] ^= 1;
    say(r, "HTTP/1.1 %s\r\n%s", part ? "206 Partial Content" : "200 OK", headers);
    if (part)
        say(r, "Content-Range: bytes %zu-%zu/%zu\r\n", from, n - 1, n);
    if (!fault(r, "nolength") && !fault(r, "chop"))
        say(r, "Content-Length: %zu\r\n", n - from);
    say(r, "Connection: close\r\n\r\n");
    if (!head)
        send_part(r, bytes + from, n - from);
}

/* --- the hub ------------------------------------------------------------------------------------------- */

static void list_repo(Request *r, const char *repo)
{
    char path[2048], commit[256], licence[256], text[1 << 16];
    size_t n = 0;
    const char *between = "";
    take_fault(r, "api");
    first_line(in_root(path, sizeof path, "repos/%s/commit", repo), commit);
    first_line(in_root(path, sizeof path, "repos/%s/licence", repo), licence);
    DIR *dir = opendir(in_root(path, sizeof path, "repos/%s/files", repo));
    if (!dir || (*r->fault >= '0' && *r->fault <= '9')) {
        int status = dir ? atoi(r->fault) : 404;
        if (dir)
            closedir(dir);
        refuse(r, status, status == 403 ? "GatedRepo" : "RepoNotFound");
        return;
    }
    n += (size_t)snprintf(text, sizeof text,
                          "{\"id\": \"%s\", \"sha\": \"%s\", \"cardData\": {\"license\": \"%s\"}, "
                          "\"siblings\": [",
                          repo, commit, licence);
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (*entry->d_name != '.') {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"rfilename\": \"%s\"}", between,
                                  entry->d_name);
            between = ", ";
        }
    closedir(dir);
    n += (size_t)snprintf(text + n, sizeof text - n, "]}");
    if (strncmp(r->fault, "raw", 3) == 0)
        n = (size_t)snprintf(text, sizeof text, "<html>maintenance</html>");
    send_file(r, text, n, "Content-Type: application/json\r\n");
}

/* OWNER/NAME/resolve/COMMIT/FILE at the hub, and OWNER/NAME/FILE at the other host. */
static void resolve(Request *r, char *repo, const char *file)
{
    char path[2048], tag[256], commit[256], headers[2048], name[300];
    size_t n;
    bool head = strcmp(r->method, "HEAD") == 0;
    char *bytes = read_all(in_root(path, sizeof path, "repos/%s/files/%s", repo, file), &n);
    first_line(in_root(path, sizeof path, "repos/%s/tags/%s", repo, file), tag);
    first_line(in_root(path, sizeof path, "repos/%s/commit", repo), commit);
    bool apart = strlen(tag) == 64;
    snprintf(name, sizeof name, "%s%s", head ? "HEAD-" : "", file);
    if (head || !r->hub || !apart)
        take_fault(r, name);
    if (strncmp(r->fault, "tag ", 4) == 0)
        snprintf(tag, sizeof tag, "%s", r->fault + 4);
    if (!bytes) {
        refuse(r, 404, "EntryNotFound");
    } else if (*r->fault >= '0' && *r->fault <= '9') {
        refuse(r, atoi(r->fault), "");
    } else if (fault(r, "moved")) {
        say(r,
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /%s/resolve/%s/%s?moved\r\n"
            "ETag: W/\"17-moved\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            repo, commit, file);
    } else if (r->hub && apart) {
        say(r,
            "HTTP/1.1 302 Found\r\nLocation: http://localhost:%d/%s/%s?Signature=secret\r\n"
            "X-Repo-Commit: %s\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n"
            "Content-Length: 5\r\nConnection: close\r\n\r\n%s",
            port[1], repo, file, commit, tag, fault(r, "size") ? (size_t)r->number : n,
            head ? "" : "there");
    } else {
        snprintf(headers, sizeof headers, "X-Repo-Commit: %s\r\nETag: %s%s\"\r\n", commit,
                 r->hub ? "W/\"" : "\"other-", tag);
        send_file(r, bytes, n, headers);
    }
    free(bytes);
}

/* --- files, redirections --------------------------------------------------------------------------------- */

static void plain_file(Request *r, const char *file)
{
    char path[2048], name[300];
    size_t n;
    char *bytes = read_all(in_root(path, sizeof path, "files/%s", file), &n);
    snprintf(name, sizeof name, "%s%s", strcmp(r->method, "HEAD") == 0 ? "HEAD-" : "", file);
    take_fault(r, name);
    if (!bytes)
        refuse(r, 404, "");
    else if (*r->fault >= '0' && *r->fault <= '9')
        refuse(r, atoi(r->fault), "");
    else
        send_file(r, bytes, n, "ETag: \"0123456789abcdef0123456789abcdef\"\r\n");
    free(bytes);
}

static void redirect(const Request *r, const char *to)
{
    say(r, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        to);
}

static void answer(Request *r)
{
    char owner[128], name[128], commit[128], file[256], repo[300], to[600], want[256], path[2048];
    int hops;
    first_line(in_root(path, sizeof path, "token"), want);
    if (r->hub && *want && strcmp(r->token, want) != 0)
        refuse(r, 401, "RepoNotFound");
    else if (sscanf(r->path, "/api/models/%127[^/]/%127[^/?]", owner, name) == 2 && r->hub) {
        snprintf(repo, sizeof repo, "%s/%s", owner, name);
        list_repo(r, repo);
    } else if (sscanf(r->path, "/hop/%d/%255s", &hops, file) == 2) {
        snprintf(to, sizeof to, hops > 1 ? "/hop/%d/%s" : "http://localhost:%d/files/%s",
                 hops > 1 ? hops - 1 : port[1], file);
        redirect(r, to);
    } else if (strcmp(r->path, "/loop") == 0)
        redirect(r, "/loop");
    else if (strcmp(r->path, "/to-file") == 0)
        redirect(r, "file:///etc/passwd");
    else if (sscanf(r->path, "/files/%255[^?]", file) == 1)
        plain_file(r, file);
    else if (sscanf(r->path, "/%127[^/]/%127[^/]/resolve/%127[^/]/%255[^?]", owner, name, commit,
                    file) == 4 &&
             r->hub) {
        snprintf(repo, sizeof repo, "%s/%s", owner, name);
        resolve(r, repo, file);
    } else if (sscanf(r->path, "/%127[^/]/%127[^/]/%255[^?]", owner, name, file) == 3 && !r->hub) {
        snprintf(repo, sizeof repo, "%s/%s", owner, name);
        resolve(r, repo, file);
    } else
        refuse(r, 404, "");
}

/* --- connections ------------------------------------------------------------------------------------------ */

static void header(const char *text, const char *name, char *value, size_t size)
{
    const char *at = strcasestr(text, name);
    if (at)
        snprintf(value, size, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

static void note(const Request *r)
{
    char path[2048], line[2048];
    int fd = open(in_root(path, sizeof path, "log"), O_WRONLY | O_CREAT | O_APPEND, 0666);
    int n = snprintf(line, sizeof line, "%s %s %s %s %s\n", r->hub ? "hub" : "other", r->method,
                     r->path, *r->range ? r->range : "-", *r->token ? r->token : "-");
    if (write(fd, line, (size_t)n) != n)
        exit(1);
    close(fd);
}

static void serve(int fd, bool hub)
{
    Request r = {.fd = fd, .hub = hub};
    char text[8192] = "";
    size_t n = 0;
    while (!strstr(text, "\r\n\r\n") && n + 1 < sizeof text) {
        ssize_t k = read(fd, text + n, sizeof text - 1 - n);
        if (k <= 0)
            exit(0);
        n += (size_t)k;
        text[n] = 0;
    }
    if (sscanf(text, "%15s %1023s", r.method, r.path) != 2)
        exit(1);
    header(text, "\nRange: ", r.range, sizeof r.range);
    header(text, "\nAuthorization: Bearer ", r.token, sizeof r.token);
    note(&r);
    answer(&r);
    shutdown(fd, SHUT_WR);
    exit(0);
}

static int listen_on(int *number)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        perror("hub_server");
        exit(1);
    }
    *number = ntohs(a.sin_port);
    return fd;
}

static void accept_all(int listener, bool hub)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0)
            serve(fd, hub);
        if (fd >= 0)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    char byte;
    pid_t child[2];
    int listener[2];
    if (argc != 2)
        return 2;
    root = argv[1];
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2; i++)
        listener[i] = listen_on(&port[i]);
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            close(STDIN_FILENO);
            close(STDOUT_FILENO);
            accept_all(listener[i], i == 0);
        }
    }
    printf("%d %d\n", port[0], port[1]);
    fclose(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    for (int i = 0; i < 2; i++)
        kill(child[i], SIGTERM);
    return 0;
}
