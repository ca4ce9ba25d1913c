/* Token slots: sharing, counting, exhaustion, reordering, and what a pass reads and writes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "nn/kvcache.h"

enum { LAYERS = 3, WIDTH = 8, CAPACITY = 24 };

static int setup(void **state)
{
    static KvCache c;
    Error e = {0};
    *state = &c;
    return kv_init(&c, LAYERS, WIDTH, CAPACITY, &e) ? 0 : -1;
}

/* Everything was given back in every test. */
static int teardown(void **state)
{
    KvCache *c = *state;
    assert_int_equal(c->n_free, CAPACITY);
    for (int i = 0; i < CAPACITY; i++)
        assert_int_equal(c->refs[i], 0);
    kv_free(c);
    assert_int_equal(mem_in_use(), 0);
    return 0;
}

/* refs is the number of lists a slot is in; free holds exactly the slots in none. */
static void check_counts(const KvCache *c, const KvSeq *seq, int n)
{
    int refs[CAPACITY] = {0}, used = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < seq[i].n; j++)
            refs[seq[i].slots[j]]++;
    for (int i = 0; i < CAPACITY; i++) {
        assert_int_equal(c->refs[i], refs[i]);
        used += refs[i] > 0;
    }
    assert_int_equal(c->n_free, CAPACITY - used);
    for (int i = 0; i < c->n_free; i++)
        assert_int_equal(refs[c->free[i]], 0);
}

static void test_append_drop(void **state)
{
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    Error e = {0};
    assert_true(kv_append(c, &s[0], 5, &e));
    assert_true(kv_append(c, &s[1], 3, &e));
    assert_true(kv_append(c, &s[0], 1, &e));
    assert_true(kv_append(c, &s[0], 0, &e));
    assert_int_equal(s[0].n, 6);
    check_counts(c, s, 2);
    kv_drop(c, &s[0]);
    assert_null(s[0].slots);
    check_counts(c, s, 2);
    kv_drop(c, &s[1]);
    kv_drop(c, &s[1]);
}

static void test_fork_shares(void **state)
{
    KvCache *c = *state;
    KvSeq s[3] = {{0}};
    Error e = {0};
    assert_true(kv_append(c, &s[0], 4, &e));
    assert_true(kv_fork(c, &s[0], &s[1], &e));
    assert_true(kv_fork(c, &s[1], &s[2], &e));
    assert_int_equal(c->n_free, CAPACITY - 4);
    assert_true(kv_append(c, &s[0], 1, &e) && kv_append(c, &s[1], 1, &e));
    assert_memory_equal(s[0].slots, s[1].slots, 4 * sizeof(int));
    assert_int_not_equal(s[0].slots[4], s[1].slots[4]);
    check_counts(c, s, 3);
    kv_drop(c, &s[0]);
    check_counts(c, s, 3);
    kv_drop(c, &s[2]);
    kv_drop(c, &s[1]);
}

static void test_exhaustion(void **state)
{
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    Error e = {0};
    assert_true(kv_append(c, &s[0], CAPACITY - 2, &e));
    assert_false(kv_append(c, &s[1], 3, &e));
    assert_int_equal(e.code, ERR_FAILED);
    assert_non_null(strstr(e.message, "out of slots"));
    check_counts(c, s, 2);
    assert_true(kv_append(c, &s[1], 2, NULL));
    assert_false(kv_append(c, &s[0], 1, NULL));
    kv_drop(c, &s[0]);
    assert_true(kv_append(c, &s[1], CAPACITY - 2, NULL));
    check_counts(c, s, 2);
    kv_drop(c, &s[1]);
}

/* Beams 0..2 become: two children of 2, one of 0, one more of 2; beam 1 dies. */
static void test_reorder(void **state)
{
    KvCache *c = *state;
    KvSeq s[4] = {{0}};
    const int parent[] = {2, 0, 2, 2};
    Error e = {0};
    int was[3];
    assert_true(kv_append(c, &s[0], 3, &e));
    assert_true(kv_fork(c, &s[0], &s[1], &e) && kv_fork(c, &s[0], &s[2], &e));
    for (int i = 0; i < 3; i++) {
        assert_true(kv_append(c, &s[i], 1, &e));
        was[i] = s[i].slots[3];
    }
    assert_true(kv_reorder(c, s, 3, parent, 4, &e));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s[i].n, 4);
        assert_int_equal(s[i].slots[3], was[parent[i]]);
    }
    assert_int_equal(c->refs[was[1]], 0);
    assert_int_equal(c->refs[was[2]], 3);
    check_counts(c, s, 4);
    assert_true(kv_reorder(c, s, 4, NULL, 0, &e));
}

/* 2 items, 3 beams each, random reorderings, against lists of tokens kept beside them: each slot
 * still holds the token that was written there. */
static void test_random_beams(void **state)
{
    KvCache *c = *state;
    KvSeq s[6] = {{0}};
    int token[6][16] = {{0}}, in_slot[CAPACITY] = {0}, next = 1, rows = 2;
    Error e = {0};
    for (int step = 0; step < 300; step++) {
        int n = step % 40 == 0 ? 2 : 6, parent[6], moved[6][16];
        for (int i = 0; i < n; i++) {
            parent[i] = (int)(rng_u64(9, (uint64_t)next++) % (uint64_t)rows);
            memcpy(moved[i], token[parent[i]], sizeof moved[i]);
        }
        if (step)
            assert_true(kv_reorder(c, s, rows, parent, n, &e));
        memcpy(token, moved, sizeof(moved[0]) * (size_t)n);
        rows = n;
        for (int i = 0; i < rows; i++) {
            if (step % 40 == 0)
                kv_drop(c, &s[i]);
            if (s[i].n == 4) /* keeps the whole within the capacity */
                continue;
            assert_true(kv_append(c, &s[i], 1, &e));
            token[i][s[i].n - 1] = in_slot[s[i].slots[s[i].n - 1]] = next++;
        }
        check_counts(c, s, rows);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < s[i].n; j++)
                assert_int_equal(in_slot[s[i].slots[j]], token[i][j]);
    }
    for (int i = 0; i < rows; i++)
        kv_drop(c, &s[i]);
}

/* Prefill of two prompts at once, the second behind shared slots, then a decoding step. */
static void test_rows(void **state)
{
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    const int fresh[] = {3, 2};
    Arena a = {0};
    CacheRows r;
    Error e = {0};
    int n = 0;
    assert_true(kv_append(c, &s[0], 3, &e) && kv_append(c, &s[1], 6, &e));
    assert_true(kv_rows(&a, s, 2, fresh, &r, &n));
    assert_int_equal(n, 5);
    const int owner[] = {0, 0, 0, 1, 1}, sees[] = {1, 2, 3, 5, 6};
    for (int i = 0; i < n; i++) {
        assert_ptr_equal(r.read[i], s[owner[i]].slots);
        assert_int_equal(r.n[i], sees[i]);
        assert_int_equal(r.write[i], s[owner[i]].slots[sees[i] - 1]);
    }
    assert_true(kv_rows(&a, s, 2, NULL, &r, &n));
    assert_int_equal(n, 2);
    assert_int_equal(r.n[0], 3);
    assert_int_equal(r.n[1], 6);
    for (int i = 0; i < LAYERS; i++) {
        kv_layer(c, i, &r);
        assert_ptr_equal(r.k, c->k[i]);
        assert_ptr_equal(r.v, c->v[i]);
    }
    arena_free(&a);
    kv_drop(c, &s[0]);
    kv_drop(c, &s[1]);
}

/* A failed reorder leaves the sequences as they were. */
static void test_memory(void **state)
{
    KvCache *c = *state;
    KvSeq s[3] = {{0}};
    const int parent[] = {0, 0, 1};
    bool hit = true;
    assert_true(kv_append(c, &s[0], 3, NULL) && kv_append(c, &s[1], 2, NULL));
    for (long n = 1; hit; n++) {
        Error e = {0};
        mem_fail_at(n);
        bool ok = kv_reorder(c, s, 2, parent, 3, &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        assert_int_equal(e.code, hit ? ERR_MEMORY : ERR_NONE);
        check_counts(c, s, ok ? 3 : 2);
        assert_int_equal(s[0].n, 3);
        assert_int_equal(s[1].n, ok ? 3 : 2);
    }
    for (int i = 0; i < 3; i++)
        kv_drop(c, &s[i]);
}

static void test_init_memory(void **state)
{
    size_t before = mem_in_use();
    bool hit = true;
    for (long n = 1; hit; n++) {
        KvCache c;
        Error e = {0};
        mem_fail_at(n);
        bool ok = kv_init(&c, LAYERS, WIDTH, CAPACITY, &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        kv_free(&c);
        assert_int_equal(mem_in_use(), before);
    }
}

static void test_too_large(void **state)
{
    KvCache c;
    Error e = {0};
    assert_false(kv_init(&c, 2, INT32_MAX, INT32_MAX, &e));
    assert_int_equal(e.code, ERR_MEMORY);
}

#define WITH_CACHE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CACHE(test_append_drop),     WITH_CACHE(test_fork_shares),
        WITH_CACHE(test_exhaustion),      WITH_CACHE(test_reorder),
        WITH_CACHE(test_random_beams),    WITH_CACHE(test_rows),
        WITH_CACHE(test_memory),          cmocka_unit_test(test_init_memory),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
