/* base/: memory, strings, JSON, files, random numbers; and tensor/'s conversions, exhaustively. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "base/write.h"
#include "tensor/dtype.h"

static char dir[256];

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.200s/blip2-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    return rmdir(dir); /* every test removes what it wrote */
}

/* --- memory --------------------------------------------------------------------------------------- */

static void test_counted(void **state)
{
    size_t before = mem_in_use();
    char *p = mem_alloc(1000);
    assert_int_equal((uintptr_t)p % 64, 0);
    memset(p, 1, 1000);
    assert_int_equal(mem_in_use(), before + 1000);
    p = mem_realloc(p, 5000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 1);
    assert_int_equal(mem_in_use(), before + 5000);
    assert_true(mem_peak() >= before + 5000);
    mem_free(p);
    mem_free(NULL);
    assert_int_equal(mem_in_use(), before);
    assert_null(mem_alloc(SIZE_MAX));
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(mem_in_use(), before);
}

static void test_grow(void **state)
{
    size_t before = mem_in_use(), cap = 0;
    int *v = NULL;
    for (int i = 0; i < 1000; i++) {
        assert_true(MEM_GROW(v, &cap, (size_t)i + 1));
        v[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    assert_true(cap >= 1000 && cap <= 2000 && mem_in_use() == before + cap * sizeof *v);
    int *same = v;
    size_t had = cap;
    assert_true(MEM_GROW(v, &cap, had));           /* enough is there */
    assert_false(MEM_GROW(v, &cap, SIZE_MAX / 2)); /* no overflow */
    mem_fail_at(1);
    assert_false(MEM_GROW(v, &cap, had + 1));
    mem_fail_at(0);
    assert_true(v == same && cap == had);
    assert_true(MEM_GROW(v, &cap, 10000) && cap == 10000);
    mem_free(v);
    assert_int_equal(mem_in_use(), before);
}

static void test_fail_at(void **state)
{
    void *p[4];
    mem_fail_at(3);
    for (int i = 0; i < 4; i++)
        p[i] = mem_alloc(8);
    assert_true(p[0] && p[1] && !p[2] && p[3]);
    assert_true(mem_fail_hit());
    mem_fail_at(0);
    assert_false(mem_fail_hit());
    for (int i = 0; i < 4; i++)
        mem_free(p[i]);
}

static void test_arena(void **state)
{
    size_t before = mem_in_use();
    Arena a = {0};
    char *keep = arena_strdup(&a, "kept");
    ArenaMark mark = arena_mark(&a);
    char *first = arena_alloc(&a, 100), *big = arena_alloc(&a, 10 << 20);
    assert_true(first && big && (uintptr_t)big % 64 == 0);
    memset(big, 7, 10 << 20);
    assert_true(a.used >= (10 << 20) && a.peak == a.used);
    size_t held = mem_in_use();
    arena_release(&a, mark);
    assert_int_equal(a.used, mark.used);
    assert_ptr_equal(arena_alloc(&a, 100), first); /* the same place again */
    assert_non_null(arena_alloc(&a, 10 << 20));
    assert_int_equal(mem_in_use(), held); /* and no new memory */
    assert_string_equal(keep, "kept");
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    char *zero = arena_calloc(&a, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zero[i], 0);
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_free(&a);
    assert_int_equal(mem_in_use(), before);
}

/* Blocks of all sizes between marks never overlap: each keeps its own pattern. */
/* A source of its own: chunks come from there, and nothing is written to them. */
typedef struct Chunks {
    char *at[8];
    size_t size[8];
    int n, freed;
} Chunks;

static void *chunk_take(void *self, size_t n)
{
    Chunks *c = self;
    if (c->n == 8)
        return NULL;
    c->size[c->n] = n;
    c->at[c->n] = mem_alloc(n);
    memset(c->at[c->n], 0x5a, n);
    return c->at[c->n++];
}

static void chunk_give(void *self, void *p)
{
    Chunks *c = self;
    for (int i = 0; i < c->n; i++)
        if (c->at[i] == p)
            for (size_t j = 0; j < c->size[i]; j++)
                assert_int_equal(c->at[i][j], 0x5a);
    c->freed++;
    mem_free(p);
}

static void test_arena_source(void **state)
{
    (void)state;
    Chunks c = {.n = 0};
    Arena a = {.source = {chunk_take, chunk_give, &c}};
    void *was[6], *p;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            assert_non_null(p = arena_alloc(&a, (size_t)(i + 1) * 100000));
            assert_true(round == 0 || p == was[i]); /* the same shapes, the same addresses */
            was[i] = p;
        }
        arena_release(&a, (ArenaMark){0});
    }
    int chunks = c.n;
    assert_true(chunks > 1);
    arena_free(&a);
    assert_int_equal(c.freed, chunks);
    assert_non_null(arena_alloc(&a, 1)); /* the source stays */
    assert_int_equal(c.n, chunks + 1);
    c.n = 8;
    assert_null(arena_alloc(&a, 10 << 20));
    arena_free(&a);
}

static void test_arena_overlap(void **state)
{
    enum { BLOCKS = 200 };
    Arena a = {0};
    unsigned char *p[BLOCKS];
    size_t n[BLOCKS];
    for (int round = 0; round < 5; round++) {
        ArenaMark mark = arena_mark(&a);
        for (int i = 0; i < BLOCKS; i++) {
            n[i] = (size_t)(rng_u64((uint64_t)round, (uint64_t)i) % 20000);
            p[i] = arena_alloc(&a, n[i]);
            memset(p[i], i, n[i]);
        }
        for (int i = 0; i < BLOCKS; i++)
            for (size_t k = 0; k < n[i]; k++)
                assert_int_equal(p[i][k], i);
        if (round % 2)
            arena_release(&a, mark);
    }
    arena_free(&a);
}

/* --- strings -------------------------------------------------------------------------------------- */

static void test_strbuf(void **state)
{
    StrBuf s = {0};
    assert_string_equal(strbuf_cstr(&s), "");
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&s, "%d,", i);
    strbuf_add(&s, "\0x", 2);
    assert_int_equal(s.len, 10 * 2 + 90 * 3 + 900 * 4 + 2);
    assert_int_equal(s.data[s.len], 0);
    assert_memory_equal(s.data + s.len - 6, "999,\0x", 6);
    strbuf_free(&s);
    mem_fail_at(1);
    strbuf_puts(&s, "lost");
    strbuf_puts(&s, "lost too");
    assert_true(s.failed && s.len == 0);
    assert_null(strbuf_cstr(&s));
    mem_fail_at(0);
    strbuf_free(&s);
}

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        int d;
    } cases[] = {{"", "", 0},       {"abc", "", 3},           {"", "abcd", 4},
                 {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"caption", "captoin", 1},
                 {"ca", "abc", 3},  {"ask", "chat", 4},       {"flaw", "lawn", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(str_distance(cases[i].a, cases[i].b), cases[i].d);
        assert_int_equal(str_distance(cases[i].b, cases[i].a), cases[i].d);
    }
    char long_a[500], long_b[500];
    memset(long_a, 'a', 499);
    memset(long_b, 'b', 499);
    long_a[499] = long_b[499] = 0;
    assert_true(str_distance(long_a, long_b) >= 60); /* bounded, and no overflow */
    assert_true(str_starts("abc", "ab") && !str_starts("a", "ab"));
    assert_true(str_ends("abc", "bc") && !str_ends("c", "bc"));
}

static void test_error(void **state)
{
    Error e = {0};
    assert_false(error_set(&e, ERR_FAILED, "a\nb\x1b[31m: %d", 5));
    assert_string_equal(e.message, "a?b?[31m: 5");
    error_set(&e, ERR_MEMORY, "later");
    assert_int_equal(e.code, ERR_FAILED);
    error_prefix(&e, "file");
    assert_string_equal(e.message, "file: a?b?[31m: 5");
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    error_prefix(&e, big);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    assert_non_null(strstr(e.message, "xx ... xx"));
    assert_non_null(strstr(e.message, "xx: file: a?b?[31m: 5")); /* the reason stays */
    for (int shift = 0; shift < 3; shift++) { /* and no character is cut in two */
        for (size_t i = 0; i + 3 < sizeof big; i += 3)
            memcpy(big + i, "\xe2\x82\xac", 4);
        e = (Error){0};
        error_set(&e, ERR_FAILED, "%.*s%s: why", shift, "ab", big);
        assert_true(utf8_invalid(e.message, strlen(e.message)) == -1);
        assert_string_equal(e.message + strlen(e.message) - 5, ": why");
    }
    assert_false(error_set(NULL, ERR_FAILED, "nobody listens"));
}

/* --- JSON ------------------------------------------------------------------------------------------ */

static void refuse_json(const char *text, size_t n, const char *part)
{
    Error e = {0};
    assert_null(json_parse(text, n, "x.json", ERR_BAD_MODEL, &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    if (!strstr(e.message, "x.json") || !strstr(e.message, part))
        fail_msg("expected \"%s\", got \"%s\"", part, e.message);
}

static json_t *nested(size_t levels, Error *e)
{
    size_t n = 2 * levels;
    char *s = malloc(n);
    memset(s, '[', levels);
    memset(s + levels, ']', levels);
    json_t *doc = json_parse(s, n, "x.json", ERR_BAD_MODEL, e);
    free(s);
    return doc;
}

static void test_json(void **state)
{
    Error e = {0};
    json_t *doc = nested(128, &e);
    assert_non_null(doc);
    json_decref(doc);
    assert_null(nested(129, &e));
    assert_non_null(strstr(e.message, "128 nested levels"));
    e = (Error){0};
    assert_null(nested(1000000, &e));
    doc = json_parse("{\"a\": \"[[[\\\"[[\"}", 16, "x.json", ERR_BAD_MODEL, &e);
    assert_non_null(doc); /* brackets inside a string are not levels */
    json_decref(doc);
    static const char PYTHON[] = /* as its json writes and reads them */
        "[1e999, -99999999999999999999999, NaN, -Infinity, \"NaN 99999999999999999999\"]";
    doc = json_parse(PYTHON, sizeof PYTHON - 1, "x.json", ERR_BAD_MODEL, &e);
    assert_int_equal(json_array_size(doc), 5);
    assert_true(json_real_value(json_array_get(doc, 0)) > 1e307);
    assert_true(json_integer_value(json_array_get(doc, 1)) == -999999999999999999);
    assert_true(json_is_object(json_array_get(doc, 2)) && json_is_object(json_array_get(doc, 3)));
    assert_string_equal(json_string_value(json_array_get(doc, 4)), "NaN 99999999999999999999");
    json_decref(doc);
#define REFUSE(text, part) refuse_json(text, sizeof text - 1, part)
    REFUSE("{\"a\": 1, \"a\": 2}", "duplicate");
    REFUSE("{\"a\": 1", "bad JSON");
    REFUSE("", "file: expected JSON, got an empty file");
    REFUSE(" ", "bad JSON");
    REFUSE("\n<!DOCTYPE html>\n<html>", "got an HTML page");
    REFUSE("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "got a Git LFS pointer");
    REFUSE("{\"a\": \"\xff\"}", "bad JSON");
    REFUSE("{} x", "bad JSON");
    REFUSE("[1, 2", "bad JSON");
#undef REFUSE
}

static void test_json_members(void **state)
{
    static const char TEXT[] = "{\"n\": 7, \"x\": 1.5, \"s\": \"t\", \"b\": true, \"z\": null}";
    Error e = {0};
    int64_t n;
    double x;
    bool b;
    const char *s;
    json_t *o = json_parse(TEXT, sizeof TEXT - 1, "f", ERR_BAD_MODEL, &e);
    assert_true(json_get_int(o, "n", 1, 0, 10, &n, "f", &e) && n == 7);
    assert_true(json_get_int(o, "z", 3, 0, 10, &n, "f", &e) && n == 3);
    assert_true(json_get_int(o, "none", 4, 0, 10, &n, "f", &e) && n == 4);
    assert_true(json_get_real(o, "n", 0, &x, "f", &e) && x == 7);
    assert_true(json_get_real(o, "x", 0, &x, "f", &e) && x == 1.5);
    assert_true(json_get_flag(o, "b", false, &b, "f", &e) && b);
    assert_true(json_get_text(o, "s", "", &s, "f", &e) && strcmp(s, "t") == 0);
    assert_false(json_get_int(o, "n", 1, 0, 6, &n, "f", &e));
    assert_string_equal(e.message, "f: n: expected an integer in [0, 6], got 7");
    e = (Error){0};
    assert_false(json_get_int(o, "x", 1, 0, 6, &n, "f", &e));
    assert_string_equal(e.message, "f: x: expected an integer, got a number");
    e = (Error){0};
    assert_false(json_get_real(o, "s", 0, &x, "f", &e));
    assert_false(json_get_flag(o, "n", 0, &b, "f", &e));
    assert_false(json_get_text(o, "b", 0, &s, "f", &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    json_decref(o);
}

/* --- files ------------------------------------------------------------------------------------------ */

static void write_file(const char *name, size_t n)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        fputc((int)(i * 31 & 255), f);
    assert_int_equal(fclose(f), 0);
}

static void test_file_read(void **state)
{
    Error e = {0};
    size_t n = 0;
    write_file("f", 1000);
    unsigned char *p = file_read(at("f"), 1000, &n, ERR_FAILED, &e);
    assert_non_null(p);
    assert_int_equal(n, 1000);
    assert_int_equal(p[1000], 0);
    assert_int_equal(p[999], 999 * 31 & 255);
    mem_free(p);
    assert_null(file_read(at("f"), 999, &n, ERR_FAILED, &e));
    assert_non_null(strstr(e.message, "at most 999 bytes"));
    e = (Error){0};
    assert_null(file_read(dir, 999, &n, ERR_NO_MODEL, &e));
    assert_int_equal(e.code, ERR_NO_MODEL);
    assert_non_null(strstr(e.message, "directory"));
    e = (Error){0};
    assert_null(file_read(at("none"), 999, &n, ERR_FAILED, &e));
    assert_memory_equal(e.message, at("none"), strlen(at("none")));
    e = (Error){0};
    assert_null(file_read("/dev/zero", 1 << 20, &n, ERR_FAILED, &e)); /* without end */
    assert_string_equal(e.message, "/dev/zero: expected a file, got a device");
    e = (Error){0};
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_null(
        file_read(at("fifo"), 999, &n, ERR_FAILED, &e)); /* and does not wait for a writer */
    assert_non_null(strstr(e.message, "expected a file, got a pipe"));
    unlink(at("fifo"));
    unlink(at("f"));
}

static bool starts_with_f(const unsigned char *head, size_t n)
{
    assert_true(n >= FILE_HEAD);
    return head[0] == 'f';
}

static void *write_pieces(void *fifo)
{
    int fd = open(fifo, O_WRONLY);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "from a pipe", 11), 11);
    close(fd);
    return NULL;
}

static void test_file_read_named(void **state)
{
    Error e = {0};
    size_t n = 0;
    pthread_t writer;
    char fifo[512];
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_pieces, fifo), 0);
    unsigned char *p = file_read_named(fifo, 11000, starts_with_f, &n, ERR_FAILED, &e);
    pthread_join(writer, NULL);
    assert_non_null(p);
    assert_int_equal(n, 11000);
    assert_memory_equal(p + 10989, "from a pipe", 12);
    mem_free(p);
    unlink(fifo);
    static const char *const devices[] = {"/dev/zero", "/dev/null"};
    for (int i = 0; i < 2; i++) {
        e = (Error){0};
        assert_null(file_read_named(devices[i], 1 << 20, NULL, &n, ERR_FAILED, &e));
        assert_non_null(strstr(e.message, "expected a file or a pipe, got a device"));
    }
    e = (Error){0};
    write_file("f", 100000); /* begins with 0 */
    p = file_read_named(at("f"), 100000, starts_with_f, &n, ERR_FAILED, &e);
    assert_non_null(p);
    assert_true(n >= FILE_HEAD && n < 100000);
    mem_free(p);
    assert_null(file_read_named(at("f"), 99999, NULL, &n, ERR_FAILED, &e));
    assert_non_null(strstr(e.message, "expected at most 99999 bytes, got 100000"));
    unlink(at("f"));
}

static void test_file_read_pipe(void **state)
{
    int fd[2];
    char path[64];
    Error e = {0};
    size_t n;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], "from a pipe", 11), 11);
    close(fd[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    unsigned char *p = file_read_named(path, 100, starts_with_f, &n, ERR_FAILED, &e);
    assert_non_null(p);
    assert_int_equal(n, 11);
    assert_string_equal((char *)p, "from a pipe");
    mem_free(p);
    close(fd[0]);
}

static void test_file_map(void **state)
{
    Error e = {0};
    MappedFile m;
    write_file("m", 100);
    assert_true(file_map(&m, at("m"), ERR_FAILED, &e));
    assert_int_equal(m.size, 100);
    assert_int_equal(m.data[99], 99 * 31 & 255);
    file_unmap(&m);
    unlink(at("m"));
    write_file("empty", 0);
    assert_true(file_map(&m, at("empty"), ERR_FAILED, &e));
    assert_int_equal(m.size, 0);
    file_unmap(&m);
    unlink(at("empty"));
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_false(file_map(&m, at("fifo"), ERR_FAILED, &e)); /* and does not wait for a writer */
    assert_non_null(strstr(e.message, "expected a file"));
    unlink(at("fifo"));
    e = (Error){0};
    assert_false(file_map(&m, dir, ERR_BAD_MODEL, &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
}

static void expect_content(const char *name, const char *want)
{
    Error e = {0};
    size_t n;
    unsigned char *p = file_read(at(name), 1000, &n, ERR_FAILED, &e);
    assert_non_null(p);
    assert_string_equal((char *)p, want);
    mem_free(p);
}

static bool write_text(const char *name, const char *text, Error *e)
{
    return file_write(at(name), &(Piece){text, strlen(text)}, 1, WRITE_ANY, e);
}

/* The size limit of a file stands for a full disk: what was there stays, nothing else remains (the
 * directory can be removed at the end), and the signal that the limit raises reaches nobody. */
static void test_write(void **state)
{
    static char much[100000];
    Error e = {0};
    struct rlimit old, small;
    sigset_t before, after;
    memset(much, 'x', sizeof much);
    assert_true(write_text("a", "old", &e));
    expect_content("a", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){10000, old.rlim_max};
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = file_write(at("a"), &(Piece){much, sizeof much}, 1, WRITE_ANY, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGXFSZ), sigismember(&after, SIGXFSZ));
    assert_false(ok);
    assert_int_equal(e.code, ERR_FAILED);
    assert_memory_equal(e.message, at("a"), strlen(at("a")));
    assert_non_null(strstr(e.message, "File too large"));
    expect_content("a", "old");
    e = (Error){0};
    assert_true(write_text("a", "new", &e));
    expect_content("a", "new");
    unlink(at("a"));
    assert_false(write_text("no/such", "x", &e));
    assert_int_equal(e.code, ERR_FAILED);
}

/* A link stays, also one that leads to no file yet, and the file keeps its permissions, whatever the
 * process gives to new files. */
static void test_write_links(void **state)
{
    Error e = {0};
    struct stat st;
    mode_t mask = umask(077);
    assert_int_equal(mkdir(at("d"), 0700), 0);
    assert_int_equal(symlink("d/second", at("first")), 0);
    assert_int_equal(symlink("end", at("d/second")), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(write_text("first", i ? "again" : "once", &e));
        expect_content("d/end", i ? "again" : "once");
        assert_true(lstat(at("first"), &st) == 0 && S_ISLNK(st.st_mode));
        assert_true(lstat(at("d/second"), &st) == 0 && S_ISLNK(st.st_mode));
        assert_true(lstat(at("d/end"), &st) == 0 && S_ISREG(st.st_mode));
        assert_int_equal(st.st_mode & 0777, i ? 0664 : 0600);
        assert_int_equal(chmod(at("d/end"), 0664), 0);
    }
    umask(mask);
    unlink(at("d/second"));
    assert_int_equal(symlink("../first", at("d/second")), 0);
    assert_false(write_text("first", "round and round", &e));
    assert_non_null(strstr(e.message, "symbolic links"));
    unlink(at("first"));
    unlink(at("d/second"));
    unlink(at("d/end"));
    rmdir(at("d"));
}

/* What is no file is written to when a user named it and refused, unopened, otherwise. */
static void test_write_no_file(void **state)
{
    Error e = {0};
    struct stat st;
    char got[8] = {0}, name[32];
    int fd[2], file;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_false(file_write(at("fifo"), &(Piece){"x", 1}, 1, WRITE_FILE, &e));
    assert_non_null(strstr(e.message, "expected a file"));
    e = (Error){0};
    int reader = open(at("fifo"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0 && write_text("fifo", "fifo", &e));
    assert_int_equal(read(reader, got, sizeof got), 4);
    close(reader);
    assert_true(lstat(at("fifo"), &st) == 0 && S_ISFIFO(st.st_mode));
    unlink(at("fifo"));
    assert_true(file_write("/dev/null", &(Piece){"x", 1}, 1, WRITE_ANY, &e));
    assert_true(lstat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    assert_int_equal(pipe(fd), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", fd[1]);
    assert_int_equal(symlink(name, at("link")), 0); /* to a name of a descriptor */
    assert_true(write_text("link", "pipe", &e));
    assert_int_equal(read(fd[0], got, sizeof got), 4);
    unlink(at("link"));
    close(fd[0]); /* nobody reads: an error, and no signal */
    assert_false(file_write(name, &(Piece){"x", 1}, 1, WRITE_ANY, &e));
    assert_non_null(strstr(e.message, "Broken pipe"));
    close(fd[1]);
    e = (Error){0};
    file = open(at("log"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(file, "begun ", 6), 6);
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    assert_true(file_write(name, &(Piece){"ended", 5}, 1, WRITE_ANY, &e));
    expect_content("log", "begun ended"); /* and not over what was there */
    close(file);
    unlink(at("log"));
    assert_false(write_text("", "x", &e));
    assert_non_null(strstr(e.message, "directory"));
}

static void write_text_at(const char *text, Error *e)
{
    char path[512];
    snprintf(path, sizeof path, "%s/t", dir);
    file_write(path, &(Piece){text, strlen(text)}, 1, WRITE_FILE, e);
}

/* Threads that write the same name at once: one whole text wins, and nothing else remains. */
static void *write_often(void *text)
{
    Error e = {0};
    for (int i = 0; i < 100; i++)
        write_text_at(text, &e);
    return e.code ? text : NULL;
}

static void test_write_threads(void **state)
{
    static char texts[4][20000];
    pthread_t threads[4];
    size_t n = 0;
    Error e = {0};
    for (int i = 0; i < 4; i++) {
        memset(texts[i], 'a' + i, sizeof texts[i] - 1);
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, texts[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    unsigned char *p = file_read(at("t"), sizeof texts[0], &n, ERR_FAILED, &e);
    assert_non_null(p);
    assert_int_equal(n, sizeof texts[0] - 1);
    assert_true(p[0] == p[n - 1]);
    mem_free(p);
    unlink(at("t"));
}

static void test_paths(void **state)
{
    char *p = path_join("a", "b"), *q = path_join("a/", "b"), *r = path_join("", "b");
    assert_string_equal(p, "a/b");
    assert_string_equal(q, "a/b");
    assert_string_equal(r, "b");
    mem_free(p);
    mem_free(q);
    mem_free(r);
    assert_true(file_exists(dir) && file_is_dir(dir) && !file_exists(at("none")));
}

static void test_machine(void **state)
{
    double t = now_ms();
    assert_true(now_ms() >= t);
    assert_in_range(cpus_usable(), 1, 100000);
    assert_true(mem_physical() > (1 << 20));
}

/* --- random numbers --------------------------------------------------------------------------------- */

/* No known answers: the numbers are ours. What must hold: the same inputs give the same number, the
 * streams are even, and neighbours in seed and counter have nothing to do with each other. */
static void test_rng(void **state)
{
    enum { N = 200000 };
    double sum = 0, squares = 0, product = 0, across = 0, normal = 0, variance = 0, kurtosis = 0;
    int bucket[64] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_unit(5, i), z = rng_normal(5, i);
        assert_true(u >= 0 && u < 1);
        assert_true(u == rng_unit(5, i));
        bucket[(int)(u * 64)]++;
        sum += u;
        squares += u * u;
        product += (u - 0.5) * (rng_unit(5, i + 1) - 0.5);
        across += (u - 0.5) * (rng_unit(6, i) - 0.5);
        normal += z;
        variance += z * z;
        kurtosis += z * z * z * z;
    }
    double chi = 0, expected = N / 64.0;
    for (int i = 0; i < 64; i++)
        chi += (bucket[i] - expected) * (bucket[i] - expected) / expected;
    assert_true(chi > 20 && chi < 120); /* 63 degrees of freedom: 5 sigma */
    assert_true(fabs(sum / N - 0.5) < 0.0033);
    assert_true(fabs(squares / N - 1.0 / 3) < 0.0034);
    assert_true(fabs(product / N) < 0.001 && fabs(across / N) < 0.001);
    assert_true(fabs(normal / N) < 0.0112 && fabs(variance / N - 1) < 0.016);
    assert_true(fabs(kurtosis / N - 3) < 0.12);
}

static void test_rng_bits(void **state)
{
    enum { N = 20000 };
    int ones[64] = {0}, flips = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t x = rng_u64(i, 0);
        for (int b = 0; b < 64; b++)
            ones[b] += (int)(x >> b & 1);
        flips += __builtin_popcountll(x ^ rng_u64(i ^ 1, 0));
    }
    for (int b = 0; b < 64; b++)
        assert_in_range(ones[b], N / 2 - 360, N / 2 + 360); /* 5 sigma */
    assert_true(fabs((double)flips / N - 32) < 0.2);
}

/* --- conversions --------------------------------------------------------------------------------- */

/* The value of a small float by its definition: sign, exponent, fraction as numbers. */
static double small_float(uint16_t h, int exp_bits, int man_bits)
{
    int bias = (1 << (exp_bits - 1)) - 1, exp = h >> man_bits & ((1 << exp_bits) - 1);
    double man = h & ((1 << man_bits) - 1), sign = h >> 15 ? -1 : 1;
    if (exp == (1 << exp_bits) - 1)
        return man > 0 ? NAN : sign * INFINITY;
    if (exp == 0)
        return sign * ldexp(man, 1 - bias - man_bits);
    return sign * ldexp(man + ldexp(1, man_bits), exp - bias - man_bits);
}

typedef struct Format {
    int exp_bits, man_bits;
    float (*wide)(uint16_t h);
    uint16_t (*narrow)(float f);
} Format;

static float wide_bf16(uint16_t h)
{
    return bf16_to_f32(h);
}

static const Format FORMATS[] = {{5, 10, f16_to_f32, f32_to_f16}, {8, 7, wide_bf16, f32_to_bf16}};

static void test_all_halves(void **state)
{
    for (int k = 0; k < 2; k++)
        for (int h = 0; h < 65536; h++) {
            const Format *f = &FORMATS[k];
            double want = small_float((uint16_t)h, f->exp_bits, f->man_bits);
            float got = f->wide((uint16_t)h);
            if (isnan(want)) {
                assert_true(isnan(got));
                assert_true(isnan(f->wide(f->narrow(got))));
                continue;
            }
            if ((double)got != want || !signbit(got) != !signbit(want) || f->narrow(got) != h)
                fail_msg("format %d, %#x: expected %g, got %g and back %#x", k, (unsigned)h, want,
                         (double)got, f->narrow(got));
        }
}

/* Between neighbours: below the middle the lower one, above it the upper one, in the middle the even
 * one. Beyond the largest value, the next one up counts as infinity. */
static void check_rounding(const Format *f, int h)
{
    int inf = ((1 << f->exp_bits) - 1) << f->man_bits;
    double low = small_float((uint16_t)h, f->exp_bits, f->man_bits);
    double high = h + 1 < inf ? small_float((uint16_t)(h + 1), f->exp_bits, f->man_bits)
                              : 2 * low - small_float((uint16_t)(h - 1), f->exp_bits, f->man_bits);
    float middle = (float)((low + high) / 2);
    if ((double)middle != (low + high) / 2)
        return; /* beyond f32: the last step of bf16's subnormals */
    float below = nextafterf(middle, 0), above = nextafterf(middle, INFINITY);
    int even = h % 2 ? h + 1 : h;
    if (f->narrow(middle) != even || f->narrow(-middle) != (even | 0x8000) ||
        f->narrow(below) != h || f->narrow(above) != h + 1)
        fail_msg("%d exponent bits, after %#x: middle to %#x, below to %#x, above to %#x",
                 f->exp_bits, (unsigned)h, f->narrow(middle), f->narrow(below), f->narrow(above));
}

static void test_rounding(void **state)
{
    for (int k = 0; k < 2; k++) {
        int inf = ((1 << FORMATS[k].exp_bits) - 1) << FORMATS[k].man_bits;
        for (int h = 0; h < inf; h++)
            check_rounding(&FORMATS[k], h);
        assert_int_equal(FORMATS[k].narrow(INFINITY), inf);
        assert_int_equal(FORMATS[k].narrow(-INFINITY), inf | 0x8000);
        assert_true(isnan(FORMATS[k].wide(FORMATS[k].narrow(NAN))));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counted),         cmocka_unit_test(test_grow),
        cmocka_unit_test(test_fail_at),         cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_overlap),   cmocka_unit_test(test_arena_source),
        cmocka_unit_test(test_strbuf),          cmocka_unit_test(test_distance),
        cmocka_unit_test(test_error),           cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_members),    cmocka_unit_test(test_file_read),
        cmocka_unit_test(test_file_read_named), cmocka_unit_test(test_file_read_pipe),
        cmocka_unit_test(test_file_map),        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_links),     cmocka_unit_test(test_write_no_file),
        cmocka_unit_test(test_write_threads),   cmocka_unit_test(test_paths),
        cmocka_unit_test(test_machine),         cmocka_unit_test(test_rng),
        cmocka_unit_test(test_rng_bits),        cmocka_unit_test(test_all_halves),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
