/* Token slots: sharing, counting, growth, exhaustion, and what a pass reads and writes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "cpu/cpu.h"
#include "fenced.h"
#include "nn/kvcache.h"

enum { LAYERS = 3, WIDTH = 8, CAPACITY = 24 };

static Device *dev;
static Stream *on;

static int open_device(void **state)
{
    (void)state;
    dev = cpu_device(NULL);
    on = dev ? dev->stream(dev, &(StreamOptions){.threads = 2}, NULL) : NULL;
    return on ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    on->close(on);
    dev->close(dev);
    assert_int_equal(mem_in_use(), 0);
    return 0;
}

static int setup(void **state)
{
    static KvCache c;
    Error e = {0};
    *state = &c;
    kv_init(&c, on, LAYERS, WIDTH);
    return kv_reserve(&c, CAPACITY, &e) ? 0 : -1;
}

/* Everything was given back in every test. */
static int teardown(void **state)
{
    KvCache *c = *state;
    assert_int_equal(c->n_free, c->capacity);
    for (int i = 0; i < c->capacity; i++)
        assert_int_equal(c->refs[i], 0);
    kv_free(c);
    return 0;
}

static void drop_all(KvCache *c, KvSeq *s, int n)
{
    for (int i = 0; i < n; i++) {
        kv_drop(c, &s[i]);
        kv_seq_free(&s[i]);
    }
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
    assert_non_null(s[0].slots); /* the list is kept for the next one */
    check_counts(c, s, 2);
    kv_drop(c, &s[1]);
    kv_drop(c, &s[1]);
    drop_all(c, s, 2);
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
    drop_all(c, s, 3);
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
    drop_all(c, s, 2);
}

/* Growth: what slots hold stays, sequences go on, new slots are taken last. */
static void test_growth(void **state)
{
    KvCache *c = *state;
    KvSeq s = {0};
    float wrote[CAPACITY * WIDTH], got[CAPACITY * WIDTH];
    Error e = {0};
    assert_true(kv_append(c, &s, 3, &e));
    for (int i = 0; i < 2 * LAYERS; i++) {
        for (int j = 0; j < CAPACITY * WIDTH; j++)
            wrote[j] = (float)(1000 * i + j);
        assert_true(on->k->upload(on, c->k[i].data, wrote, sizeof wrote)); /* v lies behind k */
    }
    assert_true(kv_reserve(c, 3 * CAPACITY, &e) && kv_reserve(c, 5, &e));
    assert_int_equal(c->capacity, 3 * CAPACITY);
    assert_int_equal(c->n_free, 3 * CAPACITY - 3);
    for (int i = 0; i < 2 * LAYERS; i++) {
        SlotBlock b = i < LAYERS ? c->k[i] : c->v[i - LAYERS];
        assert_true(on->k->download(on, got, b.data, sizeof got));
        for (int j = 0; j < 3 * WIDTH; j++)
            assert_true(got[j] == (float)(1000 * i + j));
    }
    assert_true(kv_append(c, &s, 3 * CAPACITY - 3, &e));
    for (int i = 0; i < 3 * CAPACITY; i++)
        assert_int_equal(s.slots[i], i);
    drop_all(c, &s, 1);
}

/* One slot at a time: by half of what there is, or just so far where that finds no memory. */
static void test_growth_by_little(void **state)
{
    KvCache *c = *state;
    assert_true(kv_reserve(c, CAPACITY + 1, NULL));
    assert_int_equal(c->capacity, CAPACITY + CAPACITY / 2);
    mem_fail_at(1);
    assert_true(kv_reserve(c, c->capacity + 1, NULL));
    assert_true(mem_fail_hit());
    assert_int_equal(c->capacity, CAPACITY + CAPACITY / 2 + 1);
}

/* Beams pass their lists on in place: a fork into a list that was there before allocates nothing. */
static void test_no_allocation(void **state)
{
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    assert_true(kv_append(c, &s[0], 4, NULL) && kv_append(c, &s[1], 5, NULL));
    mem_fail_at(1);
    for (int i = 0; i < 20; i++) {
        kv_drop(c, &s[1]);
        assert_true(kv_fork(c, &s[0], &s[1], NULL));
        assert_true(kv_append(c, &s[1], 1, NULL));
    }
    assert_false(mem_fail_hit());
    mem_fail_at(0);
    drop_all(c, s, 2);
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
        KvSeq made[6] = {{0}};
        for (int i = 0; step && i < n; i++)
            assert_true(kv_fork(c, &s[parent[i]], &made[i], &e));
        if (step) {
            drop_all(c, s, rows);
            memcpy(s, made, sizeof made);
        }
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
    drop_all(c, s, rows);
}

static void ints_back(const int *there, int *to, int n)
{
    assert_true(on->k->download(on, to, there, sizeof *to * (size_t)n));
}

static void check_rows(const CacheRows *r, const KvSeq *const *s, int n, const int *owner,
                       const int *sees)
{
    int write[8], first[8], count[8], slots[CAPACITY];
    ints_back(r->write, write, n);
    ints_back(r->first, first, n);
    ints_back(r->n, count, n);
    for (int i = 0; i < n; i++) {
        const KvSeq *own = s[owner[i]];
        assert_int_equal(count[i], sees[i]);
        assert_int_equal(write[i], own->slots[sees[i] - 1]);
        ints_back(r->slots + first[i], slots, sees[i]);
        assert_memory_equal(slots, own->slots, sizeof(int) * (size_t)sees[i]);
    }
}

/* Prefill of two prompts at once, the second behind shared slots, then a decoding step. */
static void test_rows(void **state)
{
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    const KvSeq *const both[] = {&s[0], &s[1]};
    Ctx ctx;
    Error e = {0};
    int n = 0;
    ctx_init(&ctx, on);
    assert_true(kv_append(c, &s[0], 3, &e) && kv_append(c, &s[1], 6, &e));
    const CacheRows *r = kv_rows(&ctx, c, both, 2, (int[]){3, 2}, KV_CAUSAL, &n);
    assert_non_null(r);
    assert_int_equal(n, 5);
    for (int i = 0; i < LAYERS; i++) {
        assert_ptr_equal(r[i].k.data, c->k[i].data);
        assert_ptr_equal(r[i].v.data, c->v[i].data);
        assert_int_equal(r[i].k.dtype, F32);
        check_rows(&r[i], both, n, (int[]){0, 0, 0, 1, 1}, (int[]){1, 2, 3, 5, 6});
    }
    r = kv_rows(&ctx, c, both, 2, NULL, KV_CAUSAL, &n);
    assert_int_equal(n, 2);
    check_rows(r, both, n, (int[]){0, 1}, (int[]){3, 6});
    ctx_free(&ctx);
    drop_all(c, s, 2);
}

/* Rows that see all of their sequence, and such as only read one. */
static void test_rows_whole(void **state)
{
    static const int FIRST[5] = {0, 3, 3, 3, 3}, OWN[5] = {0, 1, 1, 1, 1};
    KvCache *c = *state;
    KvSeq s[2] = {{0}};
    const KvSeq *const both[] = {&s[0], &s[1]};
    Ctx ctx;
    Error e = {0};
    int n = 0, got[5], slots[CAPACITY];
    ctx_init(&ctx, on);
    assert_true(kv_append(c, &s[0], 3, &e) && kv_append(c, &s[1], 6, &e));
    for (KvSee see = KV_WHOLE; see <= KV_READ; see++) {
        const CacheRows *r = kv_rows(&ctx, c, both, 2, (int[]){1, 4}, see, &n);
        assert_non_null(r);
        assert_int_equal(n, 5);
        if (see == KV_READ)
            assert_null(r->write);
        else
            ints_back(r->write, got, n);
        for (int i = 0; see == KV_WHOLE && i < n; i++)
            assert_int_equal(got[i], s[OWN[i]].slots[i ? 1 + i : 2]);
        ints_back(r->n, got, n);
        for (int i = 0; i < n; i++)
            assert_int_equal(got[i], s[OWN[i]].n);
        ints_back(r->first, got, n);
        for (int i = 0; i < n; i++) {
            assert_int_equal(got[i], FIRST[i]);
            ints_back(r->slots + got[i], slots, s[OWN[i]].n);
            assert_memory_equal(slots, s[OWN[i]].slots, sizeof(int) * (size_t)s[OWN[i]].n);
        }
    }
    ctx_free(&ctx);
    drop_all(c, s, 2);
}

/* Every allocation fails in turn: the cache goes on with what it had. */
static void test_reserve_memory(void **state)
{
    KvCache *c = *state;
    KvSeq s = {0};
    float wrote[CAPACITY * WIDTH] = {1, 2, 3}, got[CAPACITY * WIDTH];
    bool hit = true;
    assert_true(kv_append(c, &s, CAPACITY, NULL));
    assert_true(on->k->upload(on, c->v[1].data, wrote, sizeof wrote));
    for (long n = 1; hit; n++) {
        Error e = {0};
        mem_fail_at(n);
        bool ok = kv_reserve(c, 2 * CAPACITY, &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        assert_int_equal(e.code, hit ? ERR_MEMORY : ERR_NONE);
        assert_int_equal(c->capacity, hit ? CAPACITY : 2 * CAPACITY);
        assert_int_equal(c->n_free, hit ? 0 : CAPACITY);
        assert_true(on->k->download(on, got, c->v[1].data, sizeof got));
        assert_memory_equal(wrote, got, sizeof got);
    }
    drop_all(c, &s, 1);
}

/* A device says late that a copy failed, whichever: the cache goes on with what it had, and grows when it
 * is asked again. */
static void test_growth_lost(void **state)
{
    (void)state;
    Device *fenced = fenced_device(NULL);
    Stream *late = fenced->stream(fenced, &(StreamOptions){.threads = 1}, NULL);
    float wrote[3 * WIDTH], got[3 * WIDTH];
    KvCache c;
    KvSeq s = {0};
    kv_init(&c, late, LAYERS, WIDTH);
    assert_true(kv_reserve(&c, CAPACITY, NULL) && kv_append(&c, &s, 3, NULL));
    for (int i = 0; i < 3 * WIDTH; i++)
        wrote[i] = (float)i;
    for (int i = 0; i < 2 * LAYERS; i++)
        assert_true(late->k->upload(late, c.k[i].data, wrote, sizeof wrote));
    for (int n = 1; n <= 2 * LAYERS + 1; n++) {
        Error e = {0};
        fenced_fail_copy(fenced, n);
        assert_int_equal(kv_reserve(&c, 2 * CAPACITY, &e), n > 2 * LAYERS);
        fenced_fail_copy(fenced, 0);
        assert_int_equal(c.capacity, n > 2 * LAYERS ? 2 * CAPACITY : CAPACITY);
        assert_int_equal(e.code, n > 2 * LAYERS ? ERR_NONE : ERR_FAILED);
        for (int i = 0; i < 2 * LAYERS; i++) {
            assert_true(late->k->download(late, got, c.k[i].data, sizeof got));
            assert_memory_equal(wrote, got, sizeof got);
        }
    }
    drop_all(&c, &s, 1);
    fenced_fail_copy(fenced, 1); /* what nobody uses is not copied */
    assert_true(kv_reserve(&c, 4 * CAPACITY, NULL));
    assert_false(fenced_copy_failed(fenced));
    kv_free(&c);
    late->close(late);
    fenced->close(fenced);
}

static void test_first_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    bool hit = true;
    for (long n = 1; hit; n++) {
        KvCache c;
        kv_init(&c, on, LAYERS, WIDTH);
        mem_fail_at(n);
        bool ok = kv_reserve(&c, CAPACITY, NULL);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        kv_free(&c);
        assert_int_equal(mem_in_use(), before);
    }
}

static size_t room_left;

static size_t little(Device *d)
{
    (void)d;
    return room_left;
}

/* The device says beforehand: nothing is tried. */
static void test_refused(void **state)
{
    KvCache *c = *state;
    Device small = *dev, *was = on->dev;
    Error e = {0};
    size_t block = 2 * CAPACITY * WIDTH * sizeof(float), half = block / 2;
    small.available = little;
    small.late = false;
    on->dev = &small;
    room_left = 2 * LAYERS * half + block - 1; /* what is new, and one block twice */
    mem_fail_at(1);
    assert_false(kv_reserve(c, 2 * CAPACITY, &e));
    assert_false(mem_fail_hit());
    mem_fail_at(0);
    assert_int_equal(e.code, ERR_MEMORY);
    assert_non_null(strstr(e.message, "for 48 slots"));
    room_left++;
    assert_true(kv_reserve(c, 2 * CAPACITY, NULL));
    on->dev = was;
}

/* What is reserved and not yet written is not promised again. */
static void test_promised_once(void **state)
{
    (void)state;
    KvCache c;
    KvSeq s = {0};
    Device late = *dev, *was = on->dev;
    size_t slot = WIDTH * sizeof(float);
    late.available = little;
    late.late = true;
    on->dev = &late;
    kv_init(&c, on, LAYERS, WIDTH);
    room_left = (2 * LAYERS + 1) * 100 * slot;
    assert_true(kv_reserve(&c, 100, NULL));
    assert_false(kv_reserve(&c, 101, NULL));
    assert_true(kv_append(&c, &s, 60, NULL)); /* now the system has given 60 */
    room_left -= 2 * LAYERS * 60 * slot;
    assert_false(kv_reserve(&c, 101, NULL));
    room_left += (2 * LAYERS + 1) * slot;
    assert_true(kv_reserve(&c, 101, NULL));
    kv_drop(&c, &s);
    kv_seq_free(&s);
    kv_free(&c);
    on->dev = was;
}

static void test_too_large(void **state)
{
    (void)state;
    KvCache c;
    Error e = {0};
    kv_init(&c, on, 2, INT32_MAX);
    assert_false(kv_reserve(&c, INT32_MAX, &e));
    assert_int_equal(e.code, ERR_MEMORY);
    e = (Error){0};
    assert_false(kv_reserve(&c, 1ll << 40, &e));
    assert_int_equal(e.code, ERR_MEMORY);
    kv_free(&c);
}

#define WITH_CACHE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CACHE(test_append_drop),
        WITH_CACHE(test_fork_shares),
        WITH_CACHE(test_exhaustion),
        WITH_CACHE(test_growth),
        WITH_CACHE(test_growth_by_little),
        WITH_CACHE(test_no_allocation),
        WITH_CACHE(test_random_beams),
        WITH_CACHE(test_rows),
        WITH_CACHE(test_rows_whole),
        WITH_CACHE(test_reserve_memory),
        WITH_CACHE(test_refused),
        cmocka_unit_test(test_first_memory),
        cmocka_unit_test(test_promised_once),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_growth_lost),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
