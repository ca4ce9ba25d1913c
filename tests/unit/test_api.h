/* What the tests of the public API share: the embedded model, its sample pictures and their right
 * answers (models/scenes/samples/cases.jsonl), callbacks that collect. */
#ifndef TEST_API_H
#define TEST_API_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blip2_debug.h"

#define SCENES SOURCE_DIR "/models/scenes"

enum { SAMPLES = 12, QUESTIONS = 4 };

typedef struct Sample {
    json_t *doc; /* owns the texts */
    blip2_image *image;
    const char *caption;
    size_t questions;
    const char *question[QUESTIONS], *answer[QUESTIONS];
} Sample;

static inline void read_sample(Sample *s, const char *line)
{
    char path[512];
    blip2_error err = {0};
    s->doc = json_loads(line, 0, NULL);
    assert_non_null(s->doc);
    json_t *list = json_object_get(s->doc, "questions");
    snprintf(path, sizeof path, SCENES "/samples/%s",
             json_string_value(json_object_get(s->doc, "file")));
    s->image = blip2_image_from_file(path, &err);
    if (!s->image)
        fail_msg("%s", err.message);
    s->caption = json_string_value(json_object_get(s->doc, "caption"));
    assert_non_null(s->caption);
    s->questions = json_array_size(list);
    assert_in_range(s->questions, 1, QUESTIONS);
    for (size_t i = 0; i < s->questions; i++) {
        s->question[i] = json_string_value(json_array_get(json_array_get(list, i), 0));
        s->answer[i] = json_string_value(json_array_get(json_array_get(list, i), 1));
        assert_true(s->question[i] && s->answer[i]);
    }
}

static inline void open_samples(Sample s[SAMPLES])
{
    char line[4096];
    FILE *f = fopen(SCENES "/samples/cases.jsonl", "r");
    assert_non_null(f);
    for (int i = 0; i < SAMPLES; i++) {
        assert_non_null(fgets(line, sizeof line, f));
        read_sample(&s[i], line);
    }
    fclose(f);
}

static inline void close_samples(Sample s[SAMPLES])
{
    for (int i = 0; i < SAMPLES; i++) {
        blip2_image_free(s[i].image);
        json_decref(s[i].doc);
    }
}

static inline blip2_model *open_model(const char *dir, blip2_dtype dtype)
{
    blip2_error err = {0};
    blip2_load_options o = blip2_load_options_default();
    o.dtype = dtype;
    blip2_model *m = blip2_model_load(dir, &o, &err);
    if (!m)
        fail_msg("%s", err.message);
    return m;
}

static inline blip2_session *open_session(blip2_model *m, int threads, const char *isa)
{
    blip2_error err = {0};
    blip2_session_options o = blip2_session_options_default();
    o.threads = threads;
    o.isa = isa;
    blip2_session *s = blip2_session_new(m, &o, &err);
    if (!s)
        fail_msg("%s", err.message);
    return s;
}

/* An item as blip2_item_default begins it, with these fields set. */
#define ITEM(...) ((blip2_item){.size = sizeof(blip2_item), __VA_ARGS__})

/* A call that must give a result. */
static inline blip2_result *must_generate(blip2_session *s, const blip2_item *items, size_t n)
{
    blip2_error err = {0};
    blip2_result *r = blip2_generate(s, items, n, &err);
    if (!r)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, BLIP2_OK);
    return r;
}

/* n items that ask the same as `what` of n pictures; free it. */
static inline blip2_item *same_of(blip2_image *const *images, size_t n, const blip2_item *what)
{
    blip2_item *item = calloc(n, sizeof *item);
    assert_non_null(item);
    for (size_t i = 0; i < n; i++) {
        item[i] = *what;
        item[i].image = images[i];
    }
    return item;
}

/* The same asked of several pictures in one call that must give a result. */
static inline blip2_result *ask_all(blip2_session *s, blip2_image *const *images, size_t n,
                                    const blip2_item *what)
{
    blip2_item *item = same_of(images, n, what);
    blip2_result *r = must_generate(s, item, n);
    free(item);
    return r;
}

static inline void assert_text(const char *a, const char *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a)
        assert_string_equal(a, b);
}

/* Item i of a is, to the last bit, item k of b: texts, ids, scores. */
static inline void assert_same_texts(const blip2_result *a, size_t i, const blip2_result *b,
                                     size_t k)
{
    size_t n = blip2_result_count(a, i);
    assert_text(blip2_result_text(a, i), blip2_result_text(b, k));
    assert_int_equal(n, blip2_result_count(b, k));
    for (size_t c = 0; c < n; c++) {
        const blip2_candidate *x = blip2_result_candidate(a, i, c);
        const blip2_candidate *y = blip2_result_candidate(b, k, c);
        assert_string_equal(x->text, y->text);
        assert_int_equal(x->id_count, y->id_count);
        assert_memory_equal(x->ids, y->ids, x->id_count * sizeof *x->ids);
        assert_memory_equal(&x->score, &y->score, sizeof x->score);
    }
}

/* Error and notice as well. */
static inline void assert_same(const blip2_result *a, size_t i, const blip2_result *b, size_t k)
{
    assert_int_equal(blip2_result_error(a, i)->code, blip2_result_error(b, k)->code);
    assert_string_equal(blip2_result_error(a, i)->message, blip2_result_error(b, k)->message);
    assert_text(blip2_result_notice(a, i), blip2_result_notice(b, k));
    assert_same_texts(a, i, b, k);
}

/* --- structs of callers of other versions --------------------------------------------------------- */

/* `from` cut or filled with zeros to `size` bytes, and saying so; free it. */
static inline void *resized(const void *from, size_t whole, size_t size)
{
    char *p = calloc(1, size);
    assert_non_null(p);
    memcpy(p, from, whole < size ? whole : size);
    memcpy(p, &size, sizeof size < size ? sizeof size : size);
    return p;
}

/* n of them, of `whole` bytes each, in one block of exactly n times `size`. */
static inline void *resized_all(const void *from, size_t whole, size_t n, size_t size)
{
    char *block = malloc(n * size);
    assert_non_null(block);
    for (size_t i = 0; i < n; i++) {
        void *one = resized((const char *)from + i * whole, whole, size);
        memcpy(block + i * size, one, size);
        free(one);
    }
    return block;
}

/* Sizes that no struct has. */
static const size_t NO_SIZE[] = {0, 1, 4, sizeof(size_t) - 1, 4097, SIZE_MAX};
enum { NO_SIZES = sizeof NO_SIZE / sizeof *NO_SIZE };

/* --- what on_token said ------------------------------------------------------------------------- */

enum { HEARD_IDS = 512, HEARD_BYTES = 4096, HEARD_ITEMS = 16 };

typedef struct Heard {
    size_t calls, stop_at; /* an item's stop_at-th call returns false; 0: none */
    struct {
        size_t n;
        int id[HEARD_IDS];
        char text[HEARD_BYTES];
    } of[HEARD_ITEMS];
} Heard;

static inline bool hear(void *user, size_t item, int id, const char *text)
{
    Heard *h = user;
    assert_in_range(item, 0, HEARD_ITEMS - 1);
    assert_true(h->of[item].n < HEARD_IDS);
    assert_non_null(text);
    assert_true(strlen(h->of[item].text) + strlen(text) < HEARD_BYTES);
    h->of[item].id[h->of[item].n++] = id;
    strcat(h->of[item].text, text);
    h->calls++;
    return h->of[item].n != h->stop_at;
}

/* What was heard as item `as` is what stands in the result: each id once, and the texts together. */
static inline void assert_heard_as(const Heard *h, size_t as, const blip2_result *r, size_t i)
{
    const blip2_candidate *best = blip2_result_candidate(r, i, 0);
    assert_non_null(best);
    assert_int_equal(h->of[as].n, best->id_count);
    assert_memory_equal(h->of[as].id, best->ids, best->id_count * sizeof *best->ids);
    assert_string_equal(h->of[as].text, best->text);
}

static inline void assert_heard(const Heard *h, const blip2_result *r, size_t i)
{
    assert_heard_as(h, i, r, i);
}

#endif
