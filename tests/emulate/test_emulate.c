/* emulate/avx512.h, which stands for instructions in tests: the arithmetic of bf16 against known answers from Intel's
 * manual (SDM volume 2, VDPBF16PS and VCVTNE2PS2BF16) and against one number at a time; everything against the
 * instructions themselves where the CPU has them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/rng.h"
#include "cases.h"
#include "cpu/flush.h"
#include "cpu/isa.h"

enum { ROUNDS = 20000 };

static const CaseOp *op(const char *name)
{
    for (const CaseOp *o = cases_emulated; o->name; o++)
        if (!strcmp(o->name, name))
            return o;
    fail_msg("%s: no such case", name);
    return NULL;
}

/* As kernels do: subnormals are flushed. */
static void run(const CaseOp *o, Case *c)
{
    Flush old = flush_on();
    o->run(c);
    flush_off(old);
}

static float f32_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static bool same(uint32_t x, uint32_t y)
{
    return x == y || (isnan(f32_of(x)) && isnan(f32_of(y)));
}

/* Three of four are pairs of bf16 near 1, whose sums round; the others are any bits: subnormals, infinities, NaN. */
static uint32_t drawn(uint64_t at)
{
    uint32_t any = (uint32_t)(rng_unit(11, 2 * at) * 4294967296.0);
    return rng_unit(11, 2 * at + 1) < 0.75 ? (any & 0x83ff83ff) | 0x3c003c00 : any;
}

static void draw(Case *c, uint64_t round)
{
    memset(c, 0, sizeof *c);
    for (uint64_t i = 0; i < CASE_LANES; i++) {
        uint64_t at = (round * CASE_LANES + i) * 3;
        c->sum[i] = drawn(at);
        c->a[i] = drawn(at + 1);
        c->b[i] = drawn(at + 2);
    }
}

/* --- bf16, known answers ------------------------------------------------------------------------- */

static void test_dot_answers(void **state)
{
    static const struct {
        uint32_t sum, a, b, y;
    } known[] = {
        {0x3f800000, 0x4b80cb80, 0x3f803f80,
         0x00000000}, /* (1 + 2^24) - 2^24: upper numbers first */
        {0x3f800000, 0xcb804b80, 0x3f803f80, 0x3f800000}, /* (1 - 2^24) + 2^24 */
        {0x4b800000, 0x3f803f80, 0x3f803f80, 0x4b800000}, /* each of two ties rounds to even */
        {0x4b800001, 0x3f800000, 0x3f800000, 0x4b800002},
        {0x00000000, 0x00080008, 0x71807180, 0x00000000}, /* subnormal numbers are zeros */
        {0x007fffff, 0x00000000, 0x3f803f80, 0x00000000}, /* a subnormal sum as well */
        {0x00000000, 0x00000d80, 0x00003080, 0x00000000}, /* 2^-100 2^-30 comes out as zero */
        {0x00000000, 0x7f7f0000, 0x7f7f0000, 0x7f800000}, /* too large */
        {0xff800000, 0x7f800000, 0x3f800000, 0x7fc00000}, /* infinity - infinity */
        {0x3f800000, 0x7f800000, 0x00010000, 0x7fc00000}, /* infinity * 0 */
    };
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (int lane = 0; lane < CASE_LANES; lane++) {
            Case c = {.y = {0}};
            c.sum[lane] = known[k].sum;
            c.a[lane] = known[k].a;
            c.b[lane] = known[k].b;
            run(op("dpbf16"), &c);
            for (int i = 0; i < CASE_LANES; i++)
                if (!same(c.y[i], i == lane ? known[k].y : 0))
                    fail_msg("case %zu lane %d: got %08x in %d", k, lane, c.y[i], i);
        }
}

static void test_narrowing_answers(void **state)
{
    static const struct {
        uint32_t x, y;
    } known[] = {
        {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82},
        {0x7f7fffff, 0x7f80}, {0xff800000, 0xff80}, {0x00000001, 0x0000}, {0x807fffff, 0x8000},
        {0x00800000, 0x0080}, {0x7f800001, 0x7fc0}, {0xff812345, 0xffc1},
    };
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (int lane = 0; lane < 2 * CASE_LANES; lane++) {
            Case c = {.y = {0}};
            uint16_t y[2 * CASE_LANES];
            *(lane < CASE_LANES ? &c.b[lane] : &c.a[lane - CASE_LANES]) = known[k].x;
            run(op("cvtne2"), &c);
            memcpy(y, c.y, sizeof y);
            for (int i = 0; i < 2 * CASE_LANES; i++)
                if (y[i] != (i == lane ? known[k].y : 0))
                    fail_msg("case %zu lane %d: got %04x in %d", k, lane, y[i], i);
        }
}

/* --- bf16, one number at a time ------------------------------------------------------------------ */

static float flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}

static float step(float sum, uint32_t a, uint32_t b)
{
    return flushed(fmaf(flushed(f32_of(a)), flushed(f32_of(b)), flushed(sum)));
}

static void test_dot_drawn(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        Case c;
        draw(&c, round);
        run(op("dpbf16"), &c);
        for (int i = 0; i < CASE_LANES; i++) {
            float sum = step(f32_of(c.sum[i]), c.a[i] & 0xffff0000, c.b[i] & 0xffff0000);
            sum = step(sum, c.a[i] << 16, c.b[i] << 16);
            if (!same(c.y[i], bits_of(sum)))
                fail_msg("round %d lane %d: got %08x, expected %08x", (int)round, i, c.y[i],
                         bits_of(sum));
        }
    }
}

/* --- against the CPU ------------------------------------------------------------------------------ */

static void test_native(void **state)
{
    (void)state;
    if (!cpu_features()->avx512bf16) {
        print_message("this CPU has not all of AVX-512: nothing to compare with\n");
        skip();
    }
    for (const CaseOp *o = cases_emulated, *native = cases_native; o->name; o++, native++)
        for (uint64_t round = 0; round < ROUNDS; round++) {
            Case c, want;
            draw(&c, round);
            want = c;
            run(o, &c);
            run(native, &want);
            for (int i = 0; i < CASE_LANES; i++)
                if (!same(c.y[i], want.y[i]))
                    fail_msg("%s %08x %08x %08x: got %08x, the CPU says %08x", o->name, c.sum[i],
                             c.a[i], c.b[i], c.y[i], want.y[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot_answers),
        cmocka_unit_test(test_narrowing_answers),
        cmocka_unit_test(test_dot_drawn),
        cmocka_unit_test(test_native),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
