/* Pickles by hand: what each opcode builds, what is refused, and that neither time nor memory runs away. */
#include "test_ckpt_files.h"

#include "base/str.h"
#include "base/sys.h"
#include "ckpt/pickle.h"

static bool load(Pickle *p, const void *bytes, size_t n, Error *e)
{
    unsigned char *copy = malloc(n ? n : 1); /* so that a read beyond the end is seen */
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    *e = (Error){0};
    bool ok = pickle_read(p, copy, n, "f", "data.pkl", e);
    assert_int_equal(ok, e->code == ERR_NONE);
    assert_true(p->bytes <= n);
    free(copy);
    return ok;
}

/* --- what is built -------------------------------------------------------------------------------- */

/* Writes a value as Python would, but for what is no literal there. */
static void show(StrBuf *s, const Pickle *p, PickleValue v)
{
    static const char *const OPEN[] = {
        [PICKLE_GLOBAL] = "global(", [PICKLE_TUPLE] = "(",    [PICKLE_LIST] = "[",
        [PICKLE_DICT] = "{",         [PICKLE_CALL] = "call(", [PICKLE_PERSISTENT] = "persistent("};
    if (v.kind >= PICKLE_GLOBAL) {
        strbuf_puts(s, OPEN[v.kind]);
        for (size_t i = 0; i < pickle_count(p, v); i++) {
            strbuf_puts(s, i == 0 ? "" : v.kind == PICKLE_DICT && i % 2 ? ":" : ",");
            show(s, p, pickle_item(p, v, i));
        }
        strbuf_puts(s, v.kind == PICKLE_LIST ? "]" : v.kind == PICKLE_DICT ? "}" : ")");
    } else if (v.kind == PICKLE_BOOL) {
        strbuf_puts(s, v.number ? "True" : "False");
    } else if (v.kind == PICKLE_INT) {
        strbuf_printf(s, "%lld", (long long)v.number);
    } else if (v.kind == PICKLE_TEXT || v.kind == PICKLE_BYTES) {
        strbuf_printf(s, "%s'%.*s'", v.kind == PICKLE_BYTES ? "b" : "", (int)v.n, v.text);
    } else if (v.kind == PICKLE_BIG) {
        strbuf_printf(s, "big(%u)", v.n);
    } else {
        strbuf_puts(s, v.kind == PICKLE_NONE ? "None" : "float");
    }
}

#define P(text) text, sizeof text - 1

static void builds(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *value;
    } CASES[] = {
        {P("\x80\2N."), "None"},
        {P("\x80\2\x88."), "True"},
        {P("\x80\2\x89."), "False"},
        {P("\x80\2K\xff."), "255"},
        {P("\x80\2M\1\2."), "513"},
        {P("\x80\2J\xfe\xff\xff\xff."), "-2"},
        {P("\x80\2J\0\0\0\1."), "16777216"},
        {P("\x80\2\x8a\0."), "0"},
        {P("\x80\2\x8a\1\xff."), "-1"},
        {P("\x80\2\x8a\2\xff\0."), "255"},
        {P("\x80\2\x8a\5\0\0\0\0\1."), "4294967296"},
        {P("\x80\2\x8a\x08\0\0\0\0\0\0\0\x80."), "-9223372036854775808"},
        {P("\x80\2\x8a\x09\0\0\0\0\0\0\0\x80\0."), "big(9)"},
        {P("\x80\2G\x3f\xf0\0\0\0\0\0\0."), "float"},
        {P("\x80\2X\3\0\0\0abc."), "'abc'"},
        {P("\x80\2U\3abc."), "'abc'"},
        {P("\x80\2T\3\0\0\0abc."), "'abc'"},
        {P("\x80\3C\3abc."), "b'abc'"},
        {P("\x80\3B\3\0\0\0abc."), "b'abc'"},
        {P("\x80\4\x95\6\0\0\0\0\0\0\0\x8c\3abc."), "'abc'"},
        {P("\x80\4\x8d\3\0\0\0\0\0\0\0abc."), "'abc'"},
        {P("\x80\4\x8e\3\0\0\0\0\0\0\0abc."), "b'abc'"},
        {P("\x80\5\x96\3\0\0\0\0\0\0\0abc."), "b'abc'"},
        {P("\x80\2)."), "()"},
        {P("\x80\2K\1\x85."), "(1)"},
        {P("\x80\2K\1K\2\x86."), "(1,2)"},
        {P("\x80\2K\1K\2K\3\x87."), "(1,2,3)"},
        {P("\x80\2(K\1K\2K\3K\4t."), "(1,2,3,4)"},
        {P("\x80\2(t."), "()"},
        {P("\x80\2]."), "[]"},
        {P("\x80\2]K\1a(K\2K\3eK\4a."), "[1,2,3,4]"},
        {P("\x80\2}K\1K\2s(K\3K\4K\5K\6u."), "{1:2,3:4,5:6}"},
        {P("\x80\2}(u."), "{}"},
        {P("\x80\4\x8f(K\1K\2\x90."), "[1,2]"},
        {P("\x80\4(K\1K\2\x91."), "[1,2]"},
        {P("\x80\2]q\1K\1h\1\x87."), "([],1,[])"},
        {P("\x80\2]r\1\0\0\0j\1\0\0\0\x86."), "([],[])"},
        {P("\x80\4]\x94h\0\x86."), "([],[])"},
        {P("\x80\2]q\0h\0K\1a\x86."), "([1],[1])"}, /* one list, two places */
        {P("\x80\2]q\0h\0\x86."), "([],[])"},
        {P("\x80\2cos\nsystem\n."), "global('os','system')"},
        {P("\x80\4\x8c\2os\x8c\6system\x93."), "global('os','system')"},
        {P("\x80\2cos\nsystem\nU\2ls\x85R."), "call(global('os','system'),('ls'))"},
        {P("\x80\2ca\nB\n)\x81}U\1xK\1sb."), "call(global('a','B'),())"},
        {P("\x80\4ca\nB\n)}\x92."), "call(global('a','B'),())"},
        {P("\x80\2ca\nB\n)R)R."), "call(call(global('a','B'),()),())"},
        {P("\x80\2ca\nB\n)RK\1a(K\2e(K\1K\2uK\3K\4s."), "call(global('a','B'),())"},
        {P("\x80\2ccollections\nOrderedDict\n)R."), "{}"},
        {P("\x80\2ccollections\nOrderedDict\n)R(K\1K\2u."), "{1:2}"},
        {P("\x80\2ccollections\nOrderedDict\n)RK\1K\2s}U\1xK\1sb."), "{1:2}"},
        {P("\x80\2ccollections\nOrderedDict\n](](K\1K\2e](K\3K\4ee\x85R."), "{1:2,3:4}"},
        {P("\x80\2ccollections\nOrderedDict\n]K\1K\2\x86"
           "a\x85R."),
         "{1:2}"},
        {P("\x80\2K\7Q."), "persistent(7)"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error e = {0};
        Pickle p;
        StrBuf s = {0};
        bool ok = pickle_read(&p, (const unsigned char *)CASES[i].bytes, CASES[i].n, "f", "o", &e);
        if (!ok)
            fail_msg("case %zu: %s", i, e.message);
        show(&s, &p, p.top);
        assert_string_equal(strbuf_cstr(&s), CASES[i].value);
        assert_int_equal(p.bytes, CASES[i].n);
        pickle_free(&p);
        strbuf_free(&s);
    }
}

/* What follows a pickle is not its business: the layout before 1.6 has five in a row. */
static void ends_at_stop(void **state)
{
    Error e;
    Pickle p;
    assert_true(load(&p, P("\x80\2K\1.\x80\2K\2."), &e));
    assert_int_equal(p.bytes, 5);
    assert_int_equal(p.top.number, 1);
    pickle_free(&p);
}

static void gets(void **state)
{
    Error e = {0};
    Pickle p;
    static const char BYTES[] = "\x80\2}(U\1aK\1U\1bK\2U\1aK\3K\4K\5u.";
    assert_true(pickle_read(&p, (const unsigned char *)BYTES, sizeof BYTES - 1, "f", "o", &e));
    assert_int_equal(pickle_get(&p, p.top, "a").number, 3); /* the last one, as in Python */
    assert_int_equal(pickle_get(&p, p.top, "b").number, 2);
    assert_int_equal(pickle_get(&p, p.top, "c").kind, PICKLE_NOTHING);
    assert_int_equal(pickle_get(&p, pickle_get(&p, p.top, "a"), "a").kind, PICKLE_NOTHING);
    assert_int_equal(pickle_item(&p, p.top, 99).kind, PICKLE_NOTHING);
    pickle_free(&p);
}

/* --- what is refused ------------------------------------------------------------------------------ */

static void refuses(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } BAD[] = {
        {P(""), "f: data.pkl: byte 0: expected a pickle of protocol 2 to 5, got none"},
        {P("(dp0\n."), "expected a pickle of protocol 2 to 5"}, /* protocol 0 */
        {P("\x80\1N."), "byte 2: expected protocol 2 to 5, got 1"},
        {P("\x80\6N."), "expected protocol 2 to 5, got 6"},
        {P("\x80"), "byte 1: expected a number, got the end: truncated?"},
        {P("\x80\2N"), "byte 3: expected an opcode, got the end: truncated?"},
        {P("\x80\2."), "expected values on the stack, got too few"},
        {P("\x80\2(."), "expected values on the stack, got too few"},
        {P("\x80\2i__main__\nX\n."), "expected an opcode that data needs, got 0x69"},
        {P("\x80\2(oN."), "got 0x6f"},
        {P("\x80\2\x82\1."), "got 0x82"},
        {P("\x80\2Pid\n."), "got 0x50"},
        {P("\x80\5\x97."), "got 0x97"},
        {P("\x80\2I1\n."), "got 0x49"},
        {P("\x80\2\x8b\1\0\0\0\0."), "got 0x8b"},
        {P("\x80\2\xff."), "got 0xff"},
        {P("\x80\2K"), "expected a number, got the end: truncated?"},
        {P("\x80\2X\5\0\0\0abc."), "expected as many bytes as a text says, got fewer: truncated?"},
        {P("\x80\2T\xff\xff\xff\xff."), "expected as many bytes as a text says"},
        {P("\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), "expected as many bytes as a text says"},
        {P("\x80\4\x95\xff\0\0\0\0\0\0\0N."), "expected as many bytes as the frame says"},
        {P("\x80\2cos"), "expected a line with a module or a name, got none"},
        {P("\x80\2cos\nsystem"), "expected a line with a module or a name, got none"},
        {P("\x80\4K\1\x8c\1a\x93."), "expected the texts of a global, got an int"},
        {P("\x80\4\x8c\1aK\1\x93."), "expected the texts of a global, got an int"},
        {P("\x80\2K\1\x86."), "expected values on the stack, got too few"},
        {P("\x80\2(K\1\x86."), "expected values on the stack, got too few"},
        {P("\x80\2K\1t."), "expected a mark on the stack, got none"},
        {P("\x80\2K\1K\2a."), "expected a list to add to, got an int"},
        {P("\x80\2}K\2a."), "expected a list to add to, got a dict"},
        {P("\x80\2K\2a."), "expected a list to add to, got nothing"},
        {P("\x80\2(K\2a."), "expected a list to add to, got a mark"},
        {P("\x80\2]K\1K\2s."), "expected a dict to add to, got a list"},
        {P("\x80\2)K\1K\2s."), "expected a dict to add to, got a tuple"},
        {P("\x80\2}(K\1u."), "expected a value for each key, got one too few"},
        {P("\x80\2(u."), "expected a dict to add to, got nothing"},
        {P("\x80\2((u."), "expected a dict to add to, got a mark"},
        {P("\x80\2K\1)R."), "expected a global to call, got an int"},
        {P("\x80\2ca\nb\nK\1R."), "expected a tuple of arguments, got an int"},
        {P("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "pairs for an OrderedDict, got an int"},
        {P("\x80\2ccollections\nOrderedDict\n]K\1a\x85R."),
         "a pair for an OrderedDict, got an int"},
        {P("\x80\2ccollections\nOrderedDict\n])a\x85R."), "a pair for an OrderedDict, got a tuple"},
        {P("\x80\2ccollections\nOrderedDict\n]]\x86R."), "at most one argument"},
        {P("\x80\2Nb."), "expected values on the stack, got too few"},
        {P("\x80\2Q."), "expected values on the stack, got too few"},
        {P("\x80\2q\0."), "expected values on the stack, got too few"},
        {P("\x80\2h\0."), "expected what was put in the memo, got nothing"},
        {P("\x80\2Nq\1h\0."), "expected what was put in the memo, got nothing"},
        {P("\x80\2Nr\xff\xff\xff\x7fN."), "expected a smaller number in the memo"},
        {P("\x80\2Nq\x09N."), "expected a smaller number in the memo"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Error e;
        Pickle p;
        size_t before = mem_in_use();
        if (load(&p, BAD[i].bytes, BAD[i].n, &e))
            fail_msg("accepted: case %zu (%s)", i, BAD[i].says);
        check_error(&e, ERR_BAD_MODEL, "f: data.pkl: byte ", BAD[i].says, NULL);
        pickle_free(&p);
        assert_int_equal(mem_in_use(), before);
    }
}

static void names_of_strangers(void **state)
{
    Error e = {0};
    Pickle p;
    char buf[200];
    static const char BYTES[] = "\x80\2cevil\x1b[2J\nname\n)R.";
    assert_true(pickle_read(&p, (const unsigned char *)BYTES, sizeof BYTES - 1, "f", "o", &e));
    error_set(&e, ERR_BAD_MODEL, "got %s", pickle_describe(&p, p.top, buf, sizeof buf));
    assert_string_equal(e.message, "got an object of \"evil?[2J.name\"");
    pickle_free(&p);
}

/* --- limits -------------------------------------------------------------------------------------- */

/* head, then `times` times body: refused for what `says`, within time and memory. */
static void bounded(const char *head, size_t n_head, const char *body, size_t n_body, size_t times,
                    const char *says)
{
    Error e;
    Pickle p;
    StrBuf s = {0};
    strbuf_add(&s, head, n_head);
    for (size_t i = 0; i < times; i++)
        strbuf_add(&s, body, n_body);
    assert_false(s.failed);
    size_t before = mem_in_use();
    double t0 = now_ms();
    assert_false(load(&p, s.data, s.len, &e));
    assert_true(now_ms() - t0 < 10000);
    check_error(&e, ERR_BAD_MODEL, says, NULL);
    assert_true(mem_in_use() - before < (size_t)600 << 20);
    pickle_free(&p);
    strbuf_free(&s);
}

static void limits(void **state)
{
    bounded(P("\x80\2"), P("N"), PICKLE_STACK_MAX + 1, "expected a stack that is not as deep");
    bounded(P("\x80\2"), P("("), PICKLE_STACK_MAX + 1, "expected a stack that is not as deep");
    bounded(P("\x80\2]"), P("]a"), PICKLE_VALUES_MAX, "expected fewer values");
    bounded(P("\x80\2N"), P("\x85"), PICKLE_VALUES_MAX, "expected fewer values");
    bounded(P("\x80\4N"), P("\x94"), PICKLE_MEMO_MAX + 1, "expected a smaller number in the memo");
}

/* A list of pairs that is made a dict again and again: each counts. */
static void dicts_of_one_list(void **state)
{
    Error e;
    Pickle p;
    StrBuf s = {0};
    strbuf_add(&s, P("\x80\2ccollections\nOrderedDict\nq\0]q\1("));
    for (int i = 0; i < 10000; i++)
        strbuf_add(&s, P("NN\x86"));
    strbuf_add(&s, P("e\x85q\2"));
    for (int i = 0; i < 10000; i++)
        strbuf_add(&s, P("h\0h\2R"));
    assert_false(s.failed);
    size_t before = mem_in_use();
    assert_false(load(&p, s.data, s.len, &e));
    check_error(&e, ERR_BAD_MODEL, "expected fewer values", NULL);
    assert_true(mem_in_use() - before < (size_t)600 << 20);
    pickle_free(&p);
    strbuf_free(&s);
}

static void survives_lack_of_memory(void **state)
{
    static const char BYTES[] = "\x80\2}(U\1a]K\1aU\1bcos\nsystem\nq\0)Ru.";
    bool read = false;
    for (long n = 1; !read; n++) {
        Pickle p;
        Error e = {0};
        size_t before = mem_in_use();
        mem_fail_at(n);
        bool ok =
            pickle_read(&p, (const unsigned char *)BYTES, sizeof BYTES - 1, "f", "data.pkl", &e);
        read = !mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, read);
        if (!read)
            check_error(&e, ERR_MEMORY, "f: out of memory", NULL);
        pickle_free(&p);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds),
        cmocka_unit_test(ends_at_stop),
        cmocka_unit_test(gets),
        cmocka_unit_test(refuses),
        cmocka_unit_test(names_of_strangers),
        cmocka_unit_test(limits),
        cmocka_unit_test(dicts_of_one_list),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
