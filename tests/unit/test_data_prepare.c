/* Archives of data sets, what is found missing and planned, what a check says. Downloads: tests/cli/data.bats. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/check.h"
#include "data/pathset.h"
#include "data/prepare.h"
#include "data/unpack.h"

#define DATA     SOURCE_DIR "/tests/data/datasets"
#define ARCHIVES DATA "/archives/"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/data_prepare.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, 512, "%s/%s", dir, name);
    return p;
}

static void copy_file(const char *from, const char *to, size_t most)
{
    Error e = {0};
    size_t n;
    unsigned char *bytes = file_read(from, 1 << 20, &n, ERR_FAILED, &e);
    char folder[512];
    snprintf(folder, sizeof folder, "mkdir -p $(dirname %s)", to);
    assert_int_equal(system(folder), 0);
    FILE *f = fopen(to, "wb");
    assert_true(bytes && f);
    n = n < most ? n : most;
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    mem_free(bytes);
}

static void same_file(const char *a, const char *b)
{
    Error e = {0};
    size_t n = 0, k = 1;
    unsigned char *x = file_read(a, 1 << 20, &n, ERR_FAILED, &e),
                  *y = file_read(b, 1 << 20, &k, ERR_FAILED, &e);
    if (!x || !y)
        fail_msg("%s", e.message);
    assert_int_equal(n, k);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
}

/* --- archives --------------------------------------------------------------------------------------------- */

static void unpacks(void **state)
{
    static const struct {
        const char *archive, *inside, *begin, *first;
        size_t files, other;
    } CASES[] = {
        {"val2014.zip", "val2014/", "val2014/", "coco/images/val2014/COCO_val2014_000000000042.jpg",
         3, 1},
        {"images.zip", "images/", "", "gqa/images/2354786.jpg", 2, 0},
        {"flickr30k-images.tar.gz", "flickr30k-images/", "flickr30k-images/",
         "flickr30k/images/flickr30k-images/101362133.jpg", 3, 1},
        {"archive.zip", "flickr30k_images/flickr30k_images/", "flickr30k-images/",
         "flickr30k/images/flickr30k-images/101362133.jpg", 3, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char archive[512], into[512], original[512];
        Error e = {0};
        Unpacked done;
        snprintf(archive, sizeof archive, "%s%s", ARCHIVES, CASES[i].archive);
        snprintf(into, sizeof into, "%s/u%zu/images", dir, i);
        snprintf(original, sizeof original, "%s/root/%s", DATA, CASES[i].first);
        Unpack u = {archive, CASES[i].inside, CASES[i].begin, into, NULL, NULL};
        if (!unpack(&u, &done, &e))
            fail_msg("%s", e.message);
        assert_int_equal(done.written, CASES[i].files);
        assert_int_equal(done.other, CASES[i].other);
        strcat(strcat(into, "/"), strstr(CASES[i].first, "images/") + 7);
        same_file(into, original);
        /* Again: nothing is written. One that has another size is. */
        assert_int_equal(truncate(into, 3), 0);
        snprintf(into, sizeof into, "%s/u%zu/images", dir, i);
        assert_true(unpack(&u, &done, &e));
        assert_int_equal(done.written, 1);
        assert_int_equal(done.here, CASES[i].files - 1);
    }
    assert_int_equal(mem_in_use(), 0);
}

static const char *refused(const char *archive, const char *inside)
{
    static Error e;
    Unpacked done;
    Unpack u = {archive, inside, "", in_dir("refused/images"), NULL, NULL};
    e = (Error){0};
    assert_false(unpack(&u, &done, &e));
    assert_int_equal(e.code, ERR_FAILED);
    assert_true(strncmp(e.message, archive, strlen(archive)) == 0);
    assert_null(strpbrk(e.message, "\r\n"));
    assert_int_equal(mem_in_use(), 0);
    return e.message + strlen(archive);
}

static void bad_archives(void **state)
{
    (void)state;
    assert_string_equal(refused(ARCHIVES "out.zip", "images/"),
                        ": images/../../../out.jpg: expected a path within the folder, got one "
                        "that leads out of it");
    assert_false(file_exists(in_dir("out.jpg")));
    assert_string_equal(refused(ARCHIVES "other.zip", "images/"),
                        ": archive: expected pictures below images/, got none among 1 entries");
    assert_string_equal(refused(in_dir("none.zip"), "images/"), ": No such file or directory");
    assert_string_equal(refused(dir, "images/"), ": expected a file, got something else");
    copy_file(DATA "/items.json", in_dir("text.zip"), SIZE_MAX);
    assert_non_null(strstr(refused(in_dir("text.zip"), "images/"), ": archive: "));
    copy_file(ARCHIVES "images.zip", in_dir("short.zip"), 400);
    refused(in_dir("short.zip"), "images/");
    copy_file(ARCHIVES "flickr30k-images.tar.gz", in_dir("short.tar.gz"), 500);
    refused(in_dir("short.tar.gz"), "flickr30k-images/");
    FILE *f = fopen(in_dir("a file"), "wb");
    fclose(f);
    Unpack u = {ARCHIVES "images.zip", "images/", "", in_dir("a file/x"), NULL, NULL};
    Unpacked done;
    Error e = {0};
    assert_false(unpack(&u, &done, &e));
    assert_non_null(strstr(e.message, "/a file: expected a directory, got something else"));
}

/* What fails or is stopped leaves no half of a file. */
static size_t files_below(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    for (const struct dirent *x; d && (x = readdir(d));)
        n += x->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static bool stop(void *user, uint64_t done, uint64_t total)
{
    (void)total;
    *(uint64_t *)user = done;
    return false;
}

static void failing_memory(void **state)
{
    bool ok = false;
    (void)state;
    for (long n = 1; n < 100 && !ok; n++) {
        Error e = {0};
        Unpacked done;
        Unpack u = {ARCHIVES "images.zip", "images/", "", in_dir("memory/images"), NULL, NULL};
        mem_fail_at(n);
        ok = unpack(&u, &done, &e) && !mem_fail_hit();
        mem_fail_at(0);
        assert_true(ok || e.code == ERR_MEMORY);
        assert_true(files_below(in_dir("memory/images")) <= 2);
        assert_int_equal(mem_in_use(), 0);
    }
    assert_true(ok);
}

static void inside(void **state)
{
    (void)state;
    assert_true(stays_inside("a/b.jpg") && stays_inside("..a/b..jpg") && stays_inside("a/.b"));
    assert_false(stays_inside("") || stays_inside("/a") || stays_inside("..") ||
                 stays_inside("a/.."));
    assert_false(stays_inside("a/../b") || stays_inside("../a"));
}

/* --- names ------------------------------------------------------------------------------------------------- */

static void path_sets(void **state)
{
    PathSet s = {0};
    char name[32];
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            snprintf(name, sizeof name, "val2014/%012d.jpg", i);
            assert_int_equal(pathset_add(&s, name), round == 0);
        }
    assert_int_equal(s.count, 5000);
    pathset_free(&s);
    assert_int_equal(mem_in_use(), 0);
}

/* --- plans -------------------------------------------------------------------------------------------------- */

static void plan_text(const DataPlan *p, char *out, size_t size)
{
    static const char *const DOING[] = {"download", "unpack", "ask"};
    size_t n = 0;
    *out = 0;
    for (size_t i = 0; i < p->count; i++) {
        const DataStep *s = &p->step[i];
        n += (size_t)snprintf(out + n, size - n, "%s %s %zu\n", DOING[s->doing], s->name,
                              s->pictures);
    }
}

static const char *pictures_plan(const char *set, const char *split, const char *const *archives,
                                 size_t count)
{
    static char text[4096];
    Error e = {0};
    DataPlan p = {0};
    if (!data_plan_pictures(&p, data_set(set, &e), split, dir, archives, count, &e))
        snprintf(text, sizeof text, "%s", e.message);
    else
        plan_text(&p, text, sizeof text);
    data_plan_free(&p);
    assert_int_equal(mem_in_use(), 0);
    return text;
}

static void annotation(const char *place)
{
    char from[512];
    snprintf(from, sizeof from, "%s/root/%s", DATA, place);
    copy_file(from, in_dir(place), SIZE_MAX);
}

static void plans(void **state)
{
    static const char *const TAR = ARCHIVES "flickr30k-images.tar.gz",
                             *const ZIP = ARCHIVES "archive.zip", *const OTHER = ARCHIVES "out.zip";
    (void)state;
    assert_string_equal(pictures_plan("flickr30k", NULL, NULL, 0), "");
    annotation("flickr30k/annotations/test.json");
    assert_string_equal(pictures_plan("flickr30k", "test", NULL, 0),
                        "ask flickr30k-images.tar.gz 3\n");
    assert_string_equal(pictures_plan("flickr30k", "test", &TAR, 1),
                        "unpack flickr30k-images.tar.gz 3\n");
    assert_string_equal(pictures_plan("flickr30k", "test", &ZIP, 1), "unpack archive.zip 3\n");
    assert_non_null(strstr(pictures_plan("flickr30k", "test", &OTHER, 1),
                           "out.zip: archive: expected one of flickr30k-images.tar.gz, "
                           "archive.zip, by its name, got another"));
    annotation("coco/annotations/coco_karpathy_train.json");
    annotation("coco/annotations/coco_karpathy_test.json");
    assert_string_equal(pictures_plan("coco", "train", NULL, 0),
                        "download train2014.zip 1\nunpack train2014.zip 1\ndownload val2014.zip "
                        "1\nunpack val2014.zip 1\n");
    annotation("coco/images/train2014/COCO_train2014_000000000009.jpg");
    copy_file(ARCHIVES "val2014.zip", in_dir("coco/download/val2014.zip"), SIZE_MAX);
    assert_string_equal(pictures_plan("coco", NULL, NULL, 0), "unpack val2014.zip 3\n");
    annotation("nocaps/annotations/nocaps_val.json");
    assert_string_equal(pictures_plan("nocaps", "val", NULL, 0),
                        "download nocaps/images/val/0013ea2087020901.jpg 1\ndownload "
                        "nocaps/images/val/0014c5e0a3f1b2d4.jpg 1\n");
    assert_non_null(strstr(pictures_plan("nocaps", "val", &TAR, 1),
                           "archive: expected none, nocaps has no archives"));
    assert_string_equal(pictures_plan("nocaps", "train", NULL, 0),
                        "nocaps: split: expected val or test, got train");
}

static void file_plans(void **state)
{
    Error e = {0};
    DataPlan p = {0};
    char text[4096];
    (void)state;
    annotation("okvqa/annotations/answer_list.json");
    assert_true(data_plan_files(&p, data_set("ok_vqa", &e), "test", dir, &e));
    plan_text(&p, text, sizeof text);
    assert_string_equal(text,
                        "download okvqa/annotations/vqa_val_eval.json 0\n"
                        "download okvqa/annotations/OpenEnded_mscoco_val2014_questions.json 0\n"
                        "download okvqa/annotations/mscoco_val2014_annotations.json 0\n");
    assert_string_equal(p.step[0].from,
                        "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/"
                        "datasets/okvqa/okvqa_val_eval.json");
    data_plan_free(&p);
    /* What two splits share is fetched once. */
    assert_true(data_plan_files(&p, data_set("coco_vqa", &e), NULL, dir, &e));
    assert_int_equal(p.count, 7);
    data_plan_free(&p);
}

static void carried_out(void **state)
{
    static const char *const TAR = ARCHIVES "flickr30k-images.tar.gz";
    Error e = {0};
    DataPlan p = {0};
    uint64_t unused = 0;
    (void)state;
    annotation("flickr30k/annotations/test.json");
    assert_true(data_plan_pictures(&p, data_set("flickr30k", &e), "test", dir, &TAR, 1, &e));
    if (!data_carry_out(&p, dir, NULL, NULL, &e))
        fail_msg("%s", e.message);
    data_plan_free(&p);
    assert_string_equal(pictures_plan("flickr30k", "test", NULL, 0), "");
    Unpacked done;
    Unpack u = {TAR, "flickr30k-images/", "", in_dir("stopped"), stop, &unused};
    assert_true(unpack(&u, &done, &e)); /* it asks every 64 entries */
    assert_int_equal(mem_in_use(), 0);
}

/* --- checks -------------------------------------------------------------------------------------------------- */

typedef struct Heard {
    char text[4096];
    size_t n, stop_after;
} Heard;

static bool hear(void *user, const DataFinding *f)
{
    static const char *const STATE[] = {"good", "missing", "broken"};
    Heard *h = user;
    h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s %s %s", f->split,
                             STATE[f->state], strrchr(f->path, '/') + 1);
    if (f->records)
        h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, " %zu", f->records);
    if (f->why)
        h->n +=
            (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s",
                             strstr(f->why, strrchr(f->path, '/')) + strlen(strrchr(f->path, '/')));
    h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "\n");
    return !h->stop_after || --h->stop_after > 0;
}

static DataChecked checked(const char *set, const char *split, bool deep, Heard *h)
{
    Error e = {0};
    DataChecked out;
    DataCheck how = {deep, hear, NULL, h};
    *h = (Heard){0};
    if (!data_check(data_set(set, &e), split, dir, &how, &out, &e))
        fail_msg("%s", e.message);
    assert_int_equal(mem_in_use(), 0);
    return out;
}

static void write_text(const char *place, const char *text)
{
    FILE *f = fopen(in_dir(place), "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void checks(void **state)
{
    Heard h;
    (void)state;
    annotation("gqa/annotations/testdev_balanced_questions.json");
    DataChecked c = checked("gqa", "val", false, &h);
    assert_string_equal(h.text, "val good testdev_balanced_questions.json 2\nval missing "
                                "n161313.jpg\nval missing 2354786.jpg\n");
    assert_int_equal(c.pictures, 2);
    assert_int_equal(c.pictures_missing, 2);
    annotation("gqa/images/n161313.jpg");
    write_text("gqa/images/2354786.jpg", "no picture");
    c = checked("gqa", "val", false, &h);
    assert_int_equal(c.pictures_missing + c.pictures_broken, 0);
    c = checked("gqa", "val", true, &h);
    assert_int_equal(c.pictures_broken, 1);
    assert_non_null(strstr(h.text, "val broken 2354786.jpg: picture: "));
    write_text("gqa/images/2354786.jpg", "");
    c = checked("gqa", "val", false, &h);
    assert_non_null(
        strstr(h.text, "val broken 2354786.jpg: picture: expected a file, got an empty one"));
    write_text("gqa/annotations/testdev_balanced_questions.json", "[{\"image\": \"a.jpg\"}]");
    c = checked("gqa", "val", false, &h);
    assert_string_equal(h.text, "val broken testdev_balanced_questions.json: item 0: question: "
                                "expected a string, got nothing\n");
    assert_int_equal(c.files_broken, 1);
    assert_int_equal(c.pictures, 0);
    c = checked("gqa", NULL, false, &h);
    assert_int_equal(c.files, 3);
    assert_int_equal(c.files_missing, 2);
    annotation("coco/annotations/coco_karpathy_test.json");
    c = checked("coco_retrieval", "test", true, &h);
    assert_non_null(strstr(h.text, "test broken coco_karpathy_test.json: checksum: expected "
                                   "3ff34b0ef2db02d01c37399f6a2a6cd1, got "));
}

static void ended_checks(void **state)
{
    Heard h = {.stop_after = 2};
    Error e = {0};
    DataChecked out;
    DataCheck how = {false, hear, NULL, &h};
    (void)state;
    assert_false(data_check(data_set("gqa", &e), NULL, dir, &how, &out, &e));
    assert_int_equal(e.code, ERR_STOPPED);
    e = (Error){0};
    assert_false(data_check(data_set("gqa", &e), "dev", dir, &how, &out, &e));
    assert_int_equal(e.code, ERR_USAGE);
    e = (Error){0};
    assert_false(data_check(data_set("gqa", &e), NULL, "/nowhere", &how, &out, &e));
    assert_string_equal(e.message, "/nowhere: expected a folder, got nothing");
    bool ok = false;
    for (long n = 1; n < 400 && !ok; n++) {
        e = (Error){0};
        h = (Heard){0};
        mem_fail_at(n);
        bool done = data_check(data_set("gqa", &e), "val", DATA "/root", &how, &out, &e);
        ok = done && !mem_fail_hit();
        mem_fail_at(0);
        assert_true(done ? out.pictures == 2 : e.code == ERR_MEMORY);
        assert_int_equal(mem_in_use(), 0);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unpacks, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(bad_archives, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(failing_memory, make_dir, drop_dir),
        cmocka_unit_test(inside),
        cmocka_unit_test(path_sets),
        cmocka_unit_test_setup_teardown(plans, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(file_plans, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(carried_out, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(checks, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(ended_checks, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
