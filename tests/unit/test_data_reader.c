/* Data sets: the table, records against those of LAVIS' own classes (tests/data/datasets/make.py), shards, bad annotations. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "data/reader.h"

#define DATA SOURCE_DIR "/tests/data/datasets"

static DataReader *open_part(const char *set, const char *split, DataShard shard, Arena *mem)
{
    Error e = {0};
    DataSource s;
    const DataSet *d = data_set(set, &e);
    const DataSplit *p = d ? data_split(d, split, &e) : NULL;
    assert_true(p && data_source(&s, d, p, DATA "/root", mem, &e));
    DataReader *r = data_open(&s, shard, &e);
    if (!r)
        fail_msg("%s", e.message);
    return r;
}

/* --- records ------------------------------------------------------------------------------------------ */

static void same_id(const json_t *want, const char *got)
{
    int64_t whole = 0;
    if (!want)
        return;
    assert_non_null(got);
    if (json_is_integer(want)) {
        assert_true(data_id_whole(got, &whole));
        assert_int_equal(whole, json_integer_value(want));
    } else {
        assert_string_equal(got, json_string_value(want));
    }
}

static void same_texts(const json_t *want, const DataItem *item)
{
    const json_t *texts = json_object_get(want, "texts"),
                 *weights = json_object_get(want, "weights");
    if (!texts)
        return;
    assert_int_equal(item->text_count, json_array_size(texts));
    for (size_t i = 0; i < item->text_count; i++) {
        const json_t *w = json_array_get(weights, i);
        assert_string_equal(item->texts[i].text, json_string_value(json_array_get(texts, i)));
        assert_true(item->texts[i].weight == (w ? json_number_value(w) : 1));
    }
}

static void same_item(const json_t *want, const DataItem *item)
{
    const char *question = json_string_value(json_object_get(want, "question"));
    char instance[24];
    snprintf(instance, sizeof instance, "%zu", item->index);
    assert_string_equal(instance, json_string_value(json_object_get(want, "instance_id")));
    assert_true(strncmp(item->image, DATA "/root/", sizeof DATA "/root/" - 1) == 0);
    assert_string_equal(item->image + sizeof DATA "/root/" - 1,
                        json_string_value(json_object_get(want, "image")));
    assert_int_equal(access(item->image, R_OK), 0);
    same_id(json_object_get(want, "image_id"), item->image_id);
    same_id(json_object_get(want, "question_id"), item->question_id);
    assert_int_equal(question != NULL, item->question != NULL);
    if (question)
        assert_string_equal(item->question, question);
    same_texts(want, item);
}

static void as_lavis(void **state)
{
    Error e = {0};
    size_t i, sets = 0, k;
    json_t *cases = json_load_path(DATA "/items.json", 1 << 20, ERR_FAILED, &e), *c, *want;
    (void)state;
    json_array_foreach(cases, i, c)
    {
        Arena mem = {0};
        const json_t *items = json_object_get(c, "items");
        DataReader *r =
            open_part(json_string_value(json_object_get(c, "set")),
                      json_string_value(json_object_get(c, "split")), (DataShard){0, 1}, &mem);
        assert_int_equal(data_count(r), json_array_size(items));
        json_array_foreach(items, k, want)
        {
            DataItem *item = data_next(r, &e), *again = data_item(r, k, &e);
            assert_non_null(item);
            same_item(want, item);
            same_item(want, again);
            data_item_free(item);
            data_item_free(again);
        }
        assert_null(data_next(r, &e));
        assert_int_equal(e.code, ERR_NONE);
        assert_null(data_item(r, k, &e));
        assert_int_equal(e.code, ERR_USAGE);
        e = (Error){0};
        data_close(r);
        arena_free(&mem);
        sets++;
    }
    assert_int_equal(sets, 16);
    json_decref(cases);
    assert_int_equal(mem_in_use(), 0);
}

/* --- the table ------------------------------------------------------------------------------------------- */

static const char *set_error(const char *name)
{
    static Error e;
    e = (Error){0};
    assert_null(data_set(name, &e));
    assert_int_equal(e.code, ERR_USAGE);
    return e.message;
}

static void names(void **state)
{
    Error e = {0};
    (void)state;
    assert_string_equal(data_set("vqav2", &e)->name, "coco_vqa");
    assert_string_equal(data_set("coco_vqa/default", &e)->name, "coco_vqa");
    assert_string_equal(data_set("vqav2/eval", &e)->name, "coco_vqa");
    assert_string_equal(data_set("gqa", &e)->type, "balanced_testdev");
    assert_string_equal(data_set("gqa/balanced_val", &e)->type, "balanced_val");
    assert_string_equal(set_error("gqa/default"),
                        "gqa: type: expected balanced_testdev or balanced_val, got default");
    assert_string_equal(set_error("okvqa/eval"), "ok_vqa: type: expected default, got eval");
    assert_string_equal(set_error("coco_captoin"),
                        "coco_captoin: data set: expected one that blip2 data list shows, got "
                        "none: did you mean coco_caption?");
    assert_string_equal(set_error(""),
                        ": data set: expected one that blip2 data list shows, got none");
    assert_null(data_split(data_set("ok_vqa", &e), "val", &e));
    assert_string_equal(e.message, "ok_vqa: split: expected train or test, got val");
    e = (Error){0};
    assert_null(data_split(data_set("coco", &e), "dev", &e));
    assert_string_equal(e.message, "coco_caption: split: expected train, val or test, got dev");
}

/* Every row has what the others of its kind have. */
static void rows(void **state)
{
    (void)state;
    for (size_t i = 0; data_set_at(i); i++) {
        const DataSet *s = data_set_at(i);
        assert_true(s->what && s->licence && s->images && s->split[0].name);
        for (size_t k = 0; k < DATA_SPLITS_MAX && s->split[k].name; k++) {
            const DataSplit *p = &s->split[k];
            assert_true(p->file[0].place && p->file[0].role == DATA_RECORDS);
            for (size_t f = 0; f < DATA_FILES_MAX && p->file[f].place; f++) {
                size_t n = p->file[f].sum ? strlen(p->file[f].sum) : 32;
                assert_true(n == 32 || n == 64);
                assert_true(!p->file[f].url == !s->page);
            }
            assert_true(!p->pictures[0] == !s->download);
        }
    }
}

/* --- shards ------------------------------------------------------------------------------------------------- */

static void parts(void **state)
{
    Error e = {0};
    (void)state;
    for (size_t n = 1; n <= 5; n++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            Arena mem = {0};
            DataReader *r = open_part("flickr30k", "test", (DataShard){i, n}, &mem);
            assert_int_equal(data_first(r), at);
            assert_true(data_end(r) - data_first(r) == 3 / n ||
                        data_end(r) - data_first(r) == 3 / n + 1);
            for (DataItem *item; (item = data_next(r, &e)); data_item_free(item))
                assert_int_equal(item->index, at++);
            assert_int_equal(data_end(r), at);
            data_seek(r, 0);
            DataItem *first = data_next(r, &e);
            assert_int_equal(first ? first->index : data_end(r), data_first(r));
            data_item_free(first);
            data_close(r);
            arena_free(&mem);
        }
        assert_int_equal(at, 3);
    }
    assert_int_equal(e.code, ERR_NONE);
}

static void part_texts(void **state)
{
    static const char *const BAD[] = {"",     "1",    "0/2",  "3/2", "1/0",       "1/2/3",
                                      "-1/2", "1/2 ", " 1/2", "a/b", "1/99999999"};
    DataShard s;
    Error e = {0};
    (void)state;
    assert_true(data_shard(&s, "2/4", &e));
    assert_int_equal(s.part, 1);
    assert_int_equal(s.parts, 4);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        e = (Error){0};
        assert_false(data_shard(&s, BAD[i], &e));
        assert_int_equal(e.code, ERR_USAGE);
    }
}

static void whole_ids(void **state)
{
    static const char *const TEXT[] = {"", "-", "1a", "1.0", " 1", "+1", "9999999999999999999"};
    int64_t n;
    (void)state;
    assert_true(data_id_whole("000000391895", &n) && n == 391895);
    assert_true(data_id_whole("-7", &n) && n == -7);
    assert_true(data_id_whole("0", &n) && n == 0);
    for (size_t i = 0; i < sizeof TEXT / sizeof *TEXT; i++)
        assert_false(data_id_whole(TEXT[i], &n));
}

/* --- bad annotations ------------------------------------------------------------------------------------------ */

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/data_reader.%ld.json", (long)getpid());
    return 0;
}

static int drop_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_text(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static DataReader *open_text(DataForm form, const char *text, Error *e)
{
    DataSource s = {.name = "mine",
                    .split = "test",
                    .records = {path},
                    .record_files = 1,
                    .images = "pictures",
                    .form = form};
    *e = (Error){0};
    write_text(text, strlen(text));
    return data_open(&s, (DataShard){0, 1}, e);
}

static const char *refused(DataForm form, const char *text)
{
    static Error e;
    assert_null(open_text(form, text, &e));
    assert_int_equal(e.code, ERR_FAILED);
    assert_true(strncmp(e.message, path, strlen(path)) == 0);
    assert_int_equal(mem_in_use(), 0);
    return e.message + strlen(path);
}

#define Q(more) \
    "{\"image\": \"a.jpg\", \"question\": \"?\", \"question_id\": 7, \"answer\": \"x\"" more "}"

static void bad_annotations(void **state)
{
    (void)state;
    assert_string_equal(refused(DATA_CAPTIONS, "<html>"),
                        ": file: expected JSON, got an HTML page, as a failed download leaves it "
                        "(download it again)");
    assert_string_equal(refused(DATA_CAPTIONS, "{}"), ": line 1: bad JSON: expected a list, [");
    assert_string_equal(refused(DATA_CAPTIONS, "[]"),
                        ": test: expected records, got an empty list");
    assert_string_equal(refused(DATA_CAPTIONS, "[{}]"),
                        ": item 0: image: expected a string, got nothing");
    assert_string_equal(refused(DATA_CAPTIONS, "[[]]"), ": item 0: expected an object, got a list");
    assert_string_equal(refused(DATA_CAPTIONS, "[1]"), ": item 0: expected an object or a list");
    assert_string_equal(refused(DATA_CAPTIONS, "[{\"image\": 3}]"),
                        ": item 0: image: expected a string, got an integer");
    assert_string_equal(refused(DATA_CAPTIONS, "[{\"image\": \"a.jpg\"}]"),
                        ": item 0: caption: expected text, got nothing");
    assert_string_equal(refused(DATA_CAPTIONS, "[{\"image\": \"a.jpg\", \"caption\": []}]"),
                        ": item 0: caption: expected at least one, got none");
    assert_string_equal(refused(DATA_CAPTIONS, "[{\"image\": \"a.jpg\", \"caption\": [1]}]"),
                        ": item 0: caption: expected a string, got an integer");
    assert_string_equal(
        refused(DATA_CAPTIONS, "[{\"image\": \"a\\u0000.jpg\", \"caption\": [\"x\"]}]"),
        ": item 0: image: expected text without U+0000");
    assert_string_equal(refused(DATA_PAIRS, "[{\"image\": \"a.jpg\", \"caption\": [\"x\"]}]"),
                        ": item 0: caption: expected a string, got a list");
    assert_string_equal(refused(DATA_QUESTIONS, "[{\"image\": \"a.jpg\"}]"),
                        ": item 0: question: expected a string, got nothing");
    assert_string_equal(refused(DATA_QUESTIONS, "[{\"image\": \"a.jpg\", \"question\": \"?\"}]"),
                        ": item 0: question_id: expected an integer or a string, got nothing");
    assert_string_equal(
        refused(DATA_QUESTIONS,
                "[{\"image\": \"a.jpg\", \"question\": \"?\", \"question_id\": 1.5}]"),
        ": item 0: question_id: expected an integer or a string, got a number");
    assert_string_equal(refused(DATA_QUESTIONS, "[" Q("") ", " Q("") ", " Q("") "]"),
                        ": item 1: question_id: expected an id once, got 7 again, of item 0");
    assert_string_equal(refused(DATA_QUESTIONS,
                                "[{\"image\": \"a.jpg\", \"question\": \"?\", \"question_id\": "
                                "\"7\", \"answer\": \"x\"}, " Q("") "]"),
                        ": item 1: question_id: expected an id once, got 7 again, of item 0");
    assert_string_equal(refused(DATA_QUESTIONS, "[" Q("") ""),
                        ": line 1: bad JSON: expected , or ], got the end of the file");
    assert_string_equal(refused(DATA_QUESTIONS, "[" Q(", \"question\": \"!\"") "]"),
                        ": item 0: line 1: bad JSON: duplicate object key near '\"question\"'");
    assert_string_equal(refused(DATA_CAPTIONS,
                                "[{\"image\": \"x/COCO_000000000042.jpg\", \"caption\": \"x\"}, "
                                "{\"image\": \"y/z_000000000042.jpg\", \"caption\": \"x\"}]"),
                        ": item 1: image: expected an id once, got 000000000042 again, of item 0");
}

static void pictures_elsewhere(void **state)
{
    static const char *const OUT[] = {"/etc/passwd", "../a.jpg", "a/../../b.jpg", "a/..", ""};
    char text[200];
    (void)state;
    for (size_t i = 0; i < sizeof OUT / sizeof *OUT; i++) {
        snprintf(text, sizeof text, "[{\"image\": \"%s\", \"caption\": \"x\"}]", OUT[i]);
        assert_non_null(strstr(refused(DATA_CAPTIONS, text),
                               ": item 0: image: expected a path within the image folder"));
    }
}

static void missing_file(void **state)
{
    DataSource s = {.name = "mine",
                    .split = "test",
                    .records = {"/nowhere/a.json"},
                    .record_files = 1,
                    .images = "x"};
    Error e = {0};
    (void)state;
    assert_null(data_open(&s, (DataShard){0, 1}, &e));
    assert_int_equal(e.code, ERR_FAILED);
    assert_string_equal(e.message, "/nowhere/a.json: No such file or directory");
    e = (Error){0};
    s.record_files = 0;
    assert_null(data_open(&s, (DataShard){0, 1}, &e));
    assert_int_equal(e.code, ERR_USAGE);
    Error other;
    DataReader *r = open_text(DATA_QUESTIONS, "[" Q("") "]", &other);
    assert_non_null(r);
    data_close(r);
    s.record_files = 1;
    s.records[0] = path;
    s.form = DATA_QUESTIONS;
    e = (Error){0};
    assert_null(data_open(&s, (DataShard){2, 2}, &e));
    assert_string_equal(e.message, "shard: expected one of 2, got 3");
}

/* A file that becomes another one under the reader's hands is an error, not another record. */
static void changed_file(void **state)
{
    Error e;
    (void)state;
    DataReader *r = open_text(DATA_QUESTIONS, "[" Q("") "]", &e);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fputs("[[", f);
    fclose(f);
    assert_null(data_item(r, 0, &e));
    assert_int_equal(e.code, ERR_FAILED);
    data_close(r);
}

/* --- size ------------------------------------------------------------------------------------------------------- */

static size_t peak_of(size_t n)
{
    DataSource s = {.name = "mine",
                    .split = "test",
                    .records = {path},
                    .record_files = 1,
                    .images = "x",
                    .form = DATA_QUESTIONS};
    Error e = {0};
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        fprintf(
            f,
            "%s{\"question_id\": %zu, \"question\": \"What is on the table, and why?\", \"image\": "
            "\"val2014/COCO_val2014_%012zu.jpg\", \"answer\": [\"a\", \"b\", \"a\"]}",
            i ? ", " : "[", i, i / 5);
    fprintf(f, "]");
    fclose(f);
    size_t before = mem_in_use(), most = 0, count = 0;
    DataReader *r = data_open(&s, (DataShard){0, 1}, &e);
    assert_non_null(r);
    assert_int_equal(data_count(r), n);
    for (DataItem *item; (item = data_next(r, &e)); data_item_free(item), count++)
        most = mem_in_use() - before > most ? mem_in_use() - before : most;
    assert_int_equal(count, n);
    assert_true(most <= data_index_bytes(r) + (64 << 10));
    assert_true(data_index_bytes(r) == 8 * n);
    data_close(r);
    assert_int_equal(mem_in_use(), before);
    return most;
}

static void many_records(void **state)
{
    (void)state;
    assert_true(peak_of(100000) <= 8 * 100000 + (64 << 10));
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static void failing_memory(void **state)
{
    bool ok = false;
    (void)state;
    for (long n = 1; n < 200 && !ok; n++) {
        Error e = {0};
        Arena mem = {0};
        DataSource s;
        DataItem *item = NULL;
        DataReader *r = NULL;
        mem_fail_at(n);
        const DataSet *d = data_set("coco_vqa", &e);
        if (data_source(&s, d, data_split(d, "train", &e), DATA "/root", &mem, &e))
            r = data_open(&s, (DataShard){0, 1}, &e);
        if (r)
            item = data_next(r, &e);
        ok = item && !mem_fail_hit();
        assert_true(item ||
                    e.code == ERR_MEMORY); /* an index that cannot be made smaller is no error */
        mem_fail_at(0);
        data_item_free(item);
        data_close(r);
        arena_free(&mem);
        assert_int_equal(mem_in_use(), 0);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_lavis),
        cmocka_unit_test(names),
        cmocka_unit_test(rows),
        cmocka_unit_test(parts),
        cmocka_unit_test(part_texts),
        cmocka_unit_test(whole_ids),
        cmocka_unit_test(bad_annotations),
        cmocka_unit_test(pictures_elsewhere),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(changed_file),
        cmocka_unit_test(many_records),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, make_path, drop_path);
}
