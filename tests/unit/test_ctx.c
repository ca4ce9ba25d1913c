/* The context: the way into and out of device memory, marks, and addresses that stay the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "fenced.h"
#include "ops/ops.h"

static Device *dev;
static Stream *on;

static void test_in_and_out(void **state)
{
    (void)state;
    float in[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, out[12];
    Ctx c;
    ctx_init(&c, on);
    Tensor *t = tensor_upload(&c, in, 3, 4);
    memset(in, 0, sizeof in); /* the host's may be changed at once */
    assert_true(tensor_download(&c, out, t));
    for (int i = 0; i < 12; i++)
        assert_true(out[i] == (float)i);
    size_t used = c.data.used;
    assert_true(tensor_download(&c, out, rows(&c, columns(&c, t, 1, 2), 1, 2)));
    assert_true(out[0] == 5 && out[1] == 6 && out[2] == 9 && out[3] == 10); /* without gaps */
    assert_int_equal(c.data.used, used);
    assert_true(tensor_download(&c, out, tensor_at(&c, t->data, 1, 3)));
    assert_true(out[2] == 2);
    assert_null(ctx_fail(&c, ERR_FAILED, "no"));
    assert_false(tensor_download(&c, out, t)); /* after an error nothing is worth reading */
    ctx_begin(&c, ROLE_ENCODE);
    assert_false(tensor_download(&c, out, NULL));
    ctx_free(&c);
}

static void test_lists(void **state)
{
    (void)state;
    int in[3] = {7, 8, 9}, out[3];
    Ctx c;
    ctx_init(&c, on);
    const int *there = ints_upload(&c, in, 3);
    assert_non_null(there);
    assert_true(on->k->download(on, out, there, sizeof out));
    assert_memory_equal(in, out, sizeof in);
    assert_non_null(ints_upload(&c, NULL, 0));
    ctx_free(&c);
}

static void test_begin(void **state)
{
    (void)state;
    Ctx c;
    ctx_init(&c, on);
    void *was[4] = {NULL};
    for (int pass = 0; pass < 3; pass++) {
        ctx_begin(&c, pass % 2 ? ROLE_DECODE : ROLE_ENCODE);
        assert_int_equal(c.role, pass % 2 ? ROLE_DECODE : ROLE_ENCODE);
        assert_int_equal(c.err.code, ERR_NONE);
        for (int i = 0; i < 4; i++) {
            Tensor *t = tensor_new(&c, 300 * (i + 1), 200);
            assert_non_null(t);
            assert_true(pass == 0 || was[i] == t->data);
            was[i] = t->data;
        }
        ctx_fail(&c, ERR_FAILED, "gone with the next pass");
    }
    ctx_free(&c);
}

static void test_marks(void **state)
{
    (void)state;
    Ctx c;
    ctx_init(&c, on);
    tensor_new(&c, 10, 10);
    size_t mem = c.mem.used, data = c.data.used;
    CtxMark mark = ctx_mark(&c);
    Tensor *first = tensor_new(&c, 1000, 1000);
    void *at = first->data;
    ctx_release(&c, mark);
    assert_int_equal(c.mem.used, mem);
    assert_int_equal(c.data.used, data);
    assert_ptr_equal(tensor_new(&c, 1000, 1000)->data, at);
    ctx_free(&c);
}

/* A device that fails is heard. */
static bool no_copy(Stream *s, void *to, const void *from, size_t bytes)
{
    (void)s;
    (void)to;
    (void)from;
    (void)bytes;
    return false;
}

static bool broken(Stream *s, Error *e)
{
    (void)s;
    return error_set(e, ERR_FAILED, "device: it fell off the bus");
}

static void test_failed_copies(void **state)
{
    (void)state;
    float x[4] = {0};
    const Backend *k = on->k;
    Backend bad = *k;
    Ctx c;
    ctx_init(&c, on);
    Tensor *t = tensor_upload(&c, x, 2, 2);
    on->k = &bad;
    bad.download = bad.upload = no_copy;
    assert_false(tensor_download(&c, x, t));
    assert_string_equal(c.err.message, "fenced: download failed");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(tensor_upload(&c, x, 2, 2));
    assert_string_equal(c.err.message, "fenced: upload failed");
    ctx_begin(&c, ROLE_ENCODE);
    bad.sync = broken;
    assert_null(ints_upload(&c, (int[]){1}, 1));
    assert_string_equal(c.err.message, "device: it fell off the bus");
    on->k = k;
    ctx_free(&c);
}

static int setup(void **state)
{
    (void)state;
    dev = fenced_device(NULL);
    on = dev ? dev->stream(dev, &(StreamOptions){.threads = 2}, NULL) : NULL;
    return on ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    on->close(on);
    dev->close(dev);
    assert_int_equal(mem_in_use(), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_and_out),    cmocka_unit_test(test_lists),
        cmocka_unit_test(test_begin),         cmocka_unit_test(test_marks),
        cmocka_unit_test(test_failed_copies),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
