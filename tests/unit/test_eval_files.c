/* Result files item by item, ids, programs of others, lemmas. */
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/items.h"
#include "eval/keys.h"
#include "eval/lemma.h"
#include "eval/process.h"

/* --- items ---------------------------------------------------------------------------------------- */

static bool collect(void *self, const json_t *item, const char *where, Error *e)
{
    StrBuf *s = self;
    char *text = json_dumps(item, JSON_COMPACT);
    strbuf_printf(s, "%s=%s\n", where, text);
    free(text);
    return true;
}

/* What the walk over text gives, or its error. */
static const char *walk(const char *text, const char *member, bool needed, StrBuf *s)
{
    Error e = {0};
    strbuf_free(s);
    if (!items_each_in(text, strlen(text), "f", member, needed, collect, s, &e)) {
        s->len = 0;
        strbuf_puts(s, e.message);
    }
    return strbuf_cstr(s);
}

static void items(void **state)
{
    StrBuf s = {0};
    assert_string_equal(walk("[]", NULL, true, &s), "");
    assert_string_equal(walk(" [ {\"a\": \"]}\\\"\"} , [1]\n]\n", NULL, true, &s),
                        "f: item 0={\"a\":\"]}\\\"\"}\nf: item 1=[1]\n");
    assert_string_equal(
        walk("{\"x\": [[{}]], \"y\": -1.5e3, \"l\": [{}], \"z\": \"l\"}", "l", true, &s),
        "f: l 0={}\n");
    assert_string_equal(walk("{}", "l", false, &s), "");
    assert_string_equal(walk("\xef\xbb\xbf[{}]", NULL, true, &s), "f: item 0={}\n");
    assert_string_equal(walk("{}", "l", true, &s), "f: l: expected a list, got nothing");
    assert_string_equal(walk("{\"l\": [], \"l\": []}", "l", true, &s),
                        "f: l: expected one, got another");
    assert_string_equal(walk("{\"l\" []}", "l", true, &s), "f: line 1: bad JSON: expected :");
    assert_string_equal(walk("{\"l\": [{}] \"x\": 1}", "l", true, &s),
                        "f: line 1: bad JSON: expected , or }");
    assert_string_equal(walk("{\"x\": , \"l\": []}", "l", true, &s),
                        "f: line 1: bad JSON: expected a value");
    assert_string_equal(walk("[{}\n,\n]", NULL, true, &s), "f: line 3: bad JSON: expected a value");
    assert_string_equal(walk("[{]", NULL, true, &s),
                        "f: item 0: line 1: bad JSON: string or '}' expected near ']'");
    assert_string_equal(walk("[{", NULL, true, &s),
                        "f: line 1: bad JSON: expected ] or }, got the end of the file");
    assert_string_equal(walk("[{\"a", NULL, true, &s),
                        "f: line 1: bad JSON: expected \", got the end of the file");
    assert_string_equal(walk("[{\"a\": 1, \"a\": 2}]", NULL, true, &s),
                        "f: item 0: line 1: bad JSON: duplicate object key near '\"a\"'");
    assert_string_equal(walk("[1]", NULL, true, &s), "f: item 0: expected an object or a list");
    strbuf_free(&s);
}

static void deep_items(void **state)
{
    char text[400];
    StrBuf s = {0};
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_string_equal(walk(text, NULL, true, &s),
                        "f: line 1: bad JSON: expected at most 128 nested levels");
    strbuf_free(&s);
}

typedef struct Watch {
    size_t most;   /* bytes allocated */
    json_t *keeps; /* a list of all items; NULL: none are kept */
} Watch;

static bool watch_memory(void *self, const json_t *item, const char *where, Error *e)
{
    Watch *w = self;
    size_t now = mallinfo2().uordblks;
    w->most = now > w->most ? now : w->most;
    if (w->keeps)
        json_array_append(w->keeps, (json_t *)(uintptr_t)item);
    return true;
}

/* The most that was allocated during a walk over so many entries, beyond what there was before. */
static size_t memory_of(size_t entries, bool keep)
{
    StrBuf text = {0};
    strbuf_puts(&text, "[");
    for (size_t i = 0; i < entries; i++)
        strbuf_printf(&text, "%s{\"id\": %zu, \"answer\": \"some words\"}", i ? ", " : "", i);
    strbuf_puts(&text, "]");
    size_t before = mallinfo2().uordblks;
    Watch w = {before, keep ? json_array() : NULL};
    Error e = {0};
    assert_true(items_each_in(text.data, text.len, "f", NULL, true, watch_memory, &w, &e));
    json_decref(w.keeps);
    strbuf_free(&text);
    return w.most - before;
}

/* Memory does not grow with the file; that it would be seen shows a walk whose items are kept. */
static void items_keep_nothing(void **state)
{
    if (mallinfo2().uordblks == 0)
        skip(); /* an allocator that does not count, AddressSanitizer's */
    assert_true(memory_of(20000, true) > 1000000);
    size_t few = memory_of(10, false), many = memory_of(100000, false);
    if (many > few + 4096)
        fail_msg("%zu bytes, and with more entries %zu", few, many);
}

/* --- ids ------------------------------------------------------------------------------------------ */

static void ids(void **state)
{
    Keys k = {0};
    bool fresh;
    Error e = {0};
    json_t *seven = json_pack("{s:i}", "id", 7), *text = json_pack("{s:s}", "id", "7"),
           *real = json_pack("{s:f}", "id", 7.0);
    assert_int_equal(keys_add(&k, seven, "id", &fresh, "f", &e), 0);
    assert_true(fresh);
    assert_int_equal(keys_add(&k, text, "id", &fresh, "f", &e), 0);
    assert_false(fresh);
    assert_string_equal(keys_text(&k, 0), "7");
    assert_true(keys_find(&k, real, "id", "these", "f", &e) == NO_WORD);
    assert_string_equal(e.message, "f: id: expected an integer or a string");
    for (int i = 0; i < 5000; i++) {
        json_t *o = json_pack("{s:i}", "id", i * 3);
        uint32_t at = keys_add(&k, o, "id", &fresh, "f", &e);
        assert_true(fresh && at == (uint32_t)i + 1u);
        assert_true(keys_find(&k, o, "id", "these", "f", &e) == at);
        json_decref(o);
    }
    json_decref(seven);
    json_decref(text);
    json_decref(real);
    keys_free(&k);
}

/* --- programs ------------------------------------------------------------------------------------- */

static void filter(const char *command, const char *in, size_t limit, const char *want)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    StrBuf out = {0};
    Error e = {0};
    bool ok = process_filter(argv, in, strlen(in), limit, &out, &e);
    const char *got = ok ? strbuf_cstr(&out) : e.message;
    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s: got \"%s\", expected \"%s\"", command, got, want);
    strbuf_free(&out);
}

static void programs(void **state)
{
    filter("cat", "one\ntwo\n", 100, "one\ntwo\n");
    filter("exec <&-; echo done", "not read", 100, "done\n");
    filter("echo x >&2; exit 4", "", 100, "sh: program: expected exit code 0, got 4: x");
    filter("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", "", 100,
           "sh: program: expected exit code 0, got 1: xxx");
    filter("kill -15 $$", "", 100, "sh: program: ended by signal 15");
    filter("yes", "", 100, "sh: answer: expected at most 100 bytes, got more");
    filter("cat >&2", "to the wrong end\n", 100, "");
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* More than the ends hold, a program that does not read, no SIGPIPE; nothing stays open. */
static void programs_without_reader(void **state)
{
    enum { N = 1 << 22 };
    char *text = mem_alloc(N);
    StrBuf out = {0};
    Error e = {0};
    int before = open_files();
    const char *const same[] = {"cat", NULL}, *const deaf[] = {"true", NULL};
    signal(SIGPIPE, SIG_DFL);
    memset(text, 'x', N);
    assert_true(process_filter(same, text, N, N, &out, &e));
    assert_true(out.len == N && memcmp(out.data, text, N) == 0);
    out.len = 0;
    assert_true(process_filter(deaf, text, N, N, &out, &e));
    assert_int_equal(out.len, 0);
    const char *const none[] = {"/no/such/program", NULL};
    assert_false(process_filter(none, text, N, N, &out, &e));
    assert_string_equal(e.message,
                        "/no/such/program: program: not found; is it installed, and in PATH?");
    assert_int_equal(open_files(), before);
    strbuf_free(&out);
    mem_free(text);
}

/* A dialogue: an answer before the input ends. */
static void programs_that_talk(void **state)
{
    const char *const argv[] = {"sh", "-c",
                                "read a; echo $a$a; read b; echo $b; echo end; exec cat", NULL};
    StrBuf out = {0};
    Error e = {0};
    Process *p = process_start(argv, &e);
    assert_non_null(p);
    assert_true(process_ask(p, "one\n", 4, 1, 100, &out, &e));
    assert_string_equal(out.data, "oneone\n");
    assert_true(process_ask(p, "two\n", 4, 2, 100, &out, &e));
    assert_string_equal(out.data, "oneone\ntwo\nend\n");
    assert_true(process_end(p, &e));
    strbuf_free(&out);
}

/* --- lemmas --------------------------------------------------------------------------------------- */

static void lemmas(void **state)
{
    static const char *const ROWS[][2] = {
        {"dogs", "dog"},
        {"two red buses", "two red bus"},
        {"sitting", "sit"},
        {"riding a horse", "ride a horse"},
        {"skateboarding", "skateboard"},
        {"stopped", "stop"},
        {"babies", "baby"},
        {"men", "man"},
        {"glasses", "glasses"},
        {"boxes", "box"},
        {"dishes", "dish"},
        {"closed", "close"},
        {"eating", "eat"},
        {"standing", "stand"},
        {"don't know", "do n't know"},
        {"tennis", "tennis"},
        {"waves", "wave"},
        {"baking", "bake"},
        {"dancing", "dance"},
        {"yes", "yes"},
        {"grass", "grass"},
        {"carried", "carry"},
        {"Dogs", "Dogs"},
        {"", ""},
        {"  a  b ", "a b"},
        {"caf\u00e9s", "caf\u00e9s"},
        {"skiing", "ski"},
        {"playing", "play"},
        {"horses", "horse"},
        {"houses", "house"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        StrBuf out = {0};
        lemma_answer(ROWS[i][0], strlen(ROWS[i][0]), &out);
        if (strcmp(out.len ? out.data : "", ROWS[i][1]) != 0)
            fail_msg("%s: got %s, expected %s", ROWS[i][0], out.data, ROWS[i][1]);
        strbuf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items),
        cmocka_unit_test(deep_items),
        cmocka_unit_test(items_keep_nothing),
        cmocka_unit_test(ids),
        cmocka_unit_test(programs),
        cmocka_unit_test(programs_without_reader),
        cmocka_unit_test(programs_that_talk),
        cmocka_unit_test(lemmas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
