/* A profile: which functions it stands in front of, what it counts, and that what failed is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/sys.h"
#include "blip2_debug.h"
#include "tensor/profile.h"

/* --- a device that only takes time -------------------------------------------------------------- */

enum { BUSY_MS = 3 };

static int linears, syncs_fail, downloads;

static void busy(double ms)
{
    for (double end = now_ms() + ms; now_ms() < end;)
        ;
}

static bool fake_linear(Stream *on, const LinearArgs *a)
{
    assert_non_null(a->w);
    busy(BUSY_MS);
    linears++;
    return true;
}

static bool fake_attention(Stream *on, const AttentionArgs *a)
{
    return a != NULL;
}

static void fake_add(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    y->rows = a->rows + b->rows;
}

static bool fake_sync(Stream *on, Error *e)
{
    return !syncs_fail || syncs_fail-- > 1 || error_set(e, ERR_FAILED, "the device is gone");
}

static bool fake_download(Stream *on, void *to, const void *from, size_t bytes)
{
    downloads++;
    return true;
}

static const Backend FAKE = {.linear = fake_linear,
                             .attention = fake_attention,
                             .add = fake_add,
                             .sync = fake_sync,
                             .download = fake_download};

static Stream started(void)
{
    Stream on = {.k = &FAKE};
    Error e = {0};
    assert_true(profile_start(&on, &e));
    assert_true(profile_start(&on, &e)); /* twice is once */
    assert_ptr_equal(on.profile->real, &FAKE);
    return on;
}

/* --- the table ------------------------------------------------------------------------------------ */

/* A kernel that is added to the table without a function in front of it would not be counted. */
static void stands_in_front(void **state)
{
    (void)state;
    enum { ENTRIES = sizeof(Backend) / sizeof(void (*)(void)), FORWARD = 22, LOSS = 1, BACK = 13 };
    unsigned char before[sizeof(Backend)];
    const size_t each = sizeof(void (*)(void));
    Backend real;
    memset(&real, 0x5a, sizeof real); /* never called */
    memcpy(before, &real, sizeof real);
    Stream on = {.k = &real};
    Error e = {0};
    int changed = 0;
    assert_true(profile_start(&on, &e));
    for (size_t i = 0; i < ENTRIES; i++)
        changed += memcmp((const char *)on.k + i * each, before + i * each, each) != 0;
    assert_int_equal(changed, FORWARD);
    assert_int_equal(ENTRIES - changed, LOSS + BACK);
    profile_stop(&on);
    assert_ptr_equal(on.k, &real);
    assert_null(on.profile);
    profile_stop(&on);
}

static void no_memory(void **state)
{
    (void)state;
    Stream on = {.k = &FAKE};
    Error e = {0};
    mem_fail_at(1);
    assert_false(profile_start(&on, &e));
    mem_fail_at(0);
    assert_int_equal(e.code, ERR_MEMORY);
    assert_ptr_equal(on.k, &FAKE);
    assert_int_equal(profile_enter(&on, STAGE_VISION), STAGE_NONE);
    profile_leave(&on, STAGE_NONE);
}

/* --- operations ----------------------------------------------------------------------------------- */

static void operations(void **state)
{
    (void)state;
    Stream on = started();
    Tensor x = {.rows = 5, .cols = 7}, y = {.rows = 0};
    Param w = {.dtype = BF16, .rows = 11, .cols = 7};
    AttentionArgs attention = {.heads = 1};
    LinearArgs many = {.x = &x, .w = &w, .role = ROLE_ENCODE}, few = many;
    const ProfileCount *kind = on.profile->kind;
    few.role = ROLE_DECODE;
    linears = 0;
    assert_true(on.k->linear(&on, &many));
    assert_true(on.k->linear(&on, &many));
    assert_true(on.k->linear(&on, &few));
    assert_false(on.k->attention(&on, NULL)); /* what the kernel says is handed on */
    assert_true(on.k->attention(&on, &attention));
    on.k->add(&on, &y, &x, &x);
    assert_int_equal(linears, 3);
    assert_int_equal(y.rows, 10);
    assert_int_equal(kind[KIND_LINEAR_ENCODE].calls, 2);
    assert_int_equal(kind[KIND_LINEAR_DECODE].calls, 1);
    assert_int_equal(kind[KIND_ATTENTION].calls, 2);
    assert_int_equal(kind[KIND_ROWS].calls, 1);
    assert_int_equal(kind[KIND_SELECT].calls + kind[KIND_COPIES].calls, 0);
    assert_true(kind[KIND_LINEAR_ENCODE].ops == 2.0 * 2 * 5 * 7 * 11);
    assert_true(kind[KIND_LINEAR_DECODE].ops == 2.0 * 5 * 7 * 11);
    assert_true(kind[KIND_LINEAR_DECODE].bytes == 2.0 * 7 * 11);
    assert_true(kind[KIND_LINEAR_ENCODE].ms >= 2 * BUSY_MS);
    assert_true(kind[KIND_LINEAR_DECODE].ms >= BUSY_MS);
    profile_stop(&on);
}

/* The wait behind a kernel takes the device's error; whoever asks next is told it, once. */
static void failure_is_told(void **state)
{
    (void)state;
    Stream on = started();
    Tensor x = {.rows = 1, .cols = 1}, y = {.rows = 0};
    Error e = {0};
    downloads = 0;
    syncs_fail = 1;
    on.k->add(&on, &y, &x, &x);
    assert_int_equal(syncs_fail, 0);
    assert_false(on.k->download(&on, &y, &x, 1));
    assert_int_equal(downloads, 0);
    assert_false(on.k->sync(&on, &e));
    assert_string_equal(e.message, "the device is gone");
    e = (Error){0};
    assert_true(on.k->sync(&on, &e));
    assert_true(on.k->download(&on, &y, &x, 1));
    assert_int_equal(downloads, 1);
    profile_stop(&on);
}

/* --- stages ---------------------------------------------------------------------------------------- */

static void stages(void **state)
{
    (void)state;
    Stream on = started();
    const ProfileCount *stage = on.profile->stage;
    double start = now_ms();
    ProfileStage outer = profile_enter(&on, STAGE_SELECT);
    ProfileStage inner = profile_enter(&on, STAGE_DECODE);
    busy(8);
    profile_leave(&on, inner);
    busy(4);
    inner = profile_enter(&on, STAGE_DECODE);
    profile_leave(&on, inner);
    profile_leave(&on, outer);
    double whole = now_ms() - start;
    assert_int_equal(outer, STAGE_NONE);
    assert_int_equal(inner, STAGE_SELECT);
    assert_int_equal(stage[STAGE_SELECT].calls, 1);
    assert_int_equal(stage[STAGE_DECODE].calls, 2);
    assert_true(stage[STAGE_DECODE].ms >= 8);
    assert_true(stage[STAGE_SELECT].ms >= 4);
    assert_true(stage[STAGE_SELECT].ms <= whole - 8); /* without what interrupted it */
    assert_true(stage[STAGE_SELECT].ms + stage[STAGE_DECODE].ms <= whole);
    profile_stop(&on);
}

static void for_programs(void **state)
{
    (void)state;
    blip2_error err = {BLIP2_OK, ""};
    blip2_profile p;
    memset(&p, 1, sizeof p);
    assert_false(blip2_debug_profile_start(NULL, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    blip2_debug_profile(NULL, &p);
    assert_int_equal(p.stage_count + p.kind_count, 0);
    assert_true(STAGE_COUNT - 1 <= sizeof p.stages / sizeof *p.stages);
    assert_true(KIND_COUNT <= sizeof p.kinds / sizeof *p.kinds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_in_front), cmocka_unit_test(no_memory),
        cmocka_unit_test(operations),      cmocka_unit_test(failure_is_told),
        cmocka_unit_test(stages),          cmocka_unit_test(for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
