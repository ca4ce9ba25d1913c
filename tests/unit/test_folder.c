/* Small files by name, on disk and in memory; a file that is written piece by piece. */
#include <dirent.h>
#include <sys/resource.h>

#include "test_ckpt_files.h"

#include "base/file.h"
#include "base/folder.h"
#include "base/write.h"

static const FolderFile FILES[] = {{"a", "one\0two!", 7}, {"c", "", 0}};

static void reads(const Folder *f, const char *name, const char *want, size_t n)
{
    Error e = {0};
    size_t got;
    char *text = folder_read(f, name, 100, &got, ERR_BAD_MODEL, &e);
    if (!text)
        fail_msg("%s", e.message);
    assert_int_equal(got, n);
    assert_memory_equal(text, want, n);
    assert_int_equal(text[n], 0);
    mem_free(text);
}

static void refuses(const Folder *f, const char *name, size_t limit, const char *says)
{
    Error e = {0};
    size_t n;
    assert_null(folder_read(f, name, limit, &n, ERR_BAD_MODEL, &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    if (!strstr(e.message, says))
        fail_msg("expected \"%s\" in: %s", says, e.message);
}

static void test_folder(void **state)
{
    put_text("a", "of the disk");
    put_text("b", "also");
    Folder disk = folder_of(scratch), memory = {.path = "packed", .file = FILES, .files = 2},
           both = {.path = scratch, .dir = scratch, .file = FILES, .files = 2};
    reads(&disk, "a", "of the disk", 11);
    reads(&memory, "a", "one\0two", 7);
    reads(&memory, "c", "", 0);
    reads(&both, "a", "one\0two", 7);
    reads(&both, "b", "also", 4);
    assert_int_equal(folder_has(&disk, "c"), 0);
    assert_int_equal(folder_has(&memory, "c"), 1);
    assert_int_equal(folder_has(&memory, "b"), 0);
    assert_int_equal(folder_has(&both, "b"), 1);
    refuses(&memory, "b", 100, "packed/b: no such file");
    refuses(&memory, "a", 6, "packed/a: expected at most 6 bytes, got 7");
    refuses(&disk, "a", 6, "/a: expected at most 6 bytes, got 11");
    refuses(&disk, "c", 6, "/c: No such file");
}

/* How many entries the scratch directory has. */
static int entries(void)
{
    int n = 0;
    DIR *d = opendir(scratch);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void holds(const char *name, const char *want)
{
    Folder disk = folder_of(scratch);
    reads(&disk, name, want, strlen(want));
}

static void test_out_file(void **state)
{
    Error e = {0};
    put_text("out", "old");
    int before = entries();
    OutFile *f = out_begin(at("out"), &e);
    assert_non_null(f);
    assert_true(out_add(f, "new", 3, &e) && out_add(f, "er", 2, &e));
    holds("out", "old"); /* until it is whole */
    out_drop(f);
    holds("out", "old");
    assert_int_equal(entries(), before);
    f = out_begin(at("out"), &e);
    assert_true(f && out_add(f, "new", 3, &e) && out_add(f, "er", 2, &e) && out_commit(f, &e));
    holds("out", "newer");
    assert_int_equal(entries(), before);
    assert_null(out_begin(at("none/out"), &e));
    assert_int_equal(e.code, ERR_FAILED);
    e = (Error){0};
    assert_null(out_begin(scratch, &e));
    assert_non_null(strstr(e.message, "expected a file, got a directory"));
    e = (Error){0};
    assert_null(out_begin("/dev/null", &e));
    assert_non_null(strstr(e.message, "expected a file, got something else"));
}

static void test_out_full(void **state)
{
    Error e = {0};
    struct rlimit before, low;
    int there = entries();
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){4, before.rlim_max};
    OutFile *f = out_begin(at("full"), &e);
    setrlimit(RLIMIT_FSIZE, &low);
    bool ok = out_add(f, "abcdefgh", 8, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    out_drop(f);
    assert_false(ok);
    assert_non_null(strstr(e.message, "/full: File too large"));
    assert_int_equal(entries(), there);
}

static void test_memory(void **state)
{
    size_t before = mem_in_use();
    bool done = false;
    for (long n = 1; !done; n++) {
        Error e = {0};
        mem_fail_at(n);
        OutFile *f = out_begin(at("m"), &e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(f != NULL, done);
        assert_int_equal(e.code, done ? ERR_NONE : ERR_MEMORY);
        out_drop(f);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_out_file),
        cmocka_unit_test(test_out_full),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
