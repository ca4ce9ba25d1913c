/* NPY files, byte for byte as numpy writes them. */
#include "test_ckpt_files.h"

#include "ckpt/ckpt.h"

/* numpy.save of [[1, -2.5, 3]] as float32 in C order. */
static const char HEAD[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }";

static void put_npy(const char *name, int version, const char *dict, const void *data, size_t n)
{
    static char bytes[4096];
    size_t at_data = 128, head = at_data - (version == 1 ? 10 : 12);
    memset(bytes, ' ', at_data);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)version;
    bytes[7] = 0;
    memcpy(bytes + 8, (char[]){(char)head, 0, 0, 0}, version == 1 ? 2 : 4);
    memcpy(bytes + at_data - head, dict, strlen(dict));
    bytes[at_data - 1] = '\n';
    memcpy(bytes + at_data, data, n);
    put(name, bytes, at_data + n);
}

static void expect(const char *name, int want_rank, const int64_t *want_shape, const float *want,
                   size_t n)
{
    Error e = {0};
    int rank = -1;
    int64_t shape[CKPT_MAX_RANK];
    float *v = npy_read(at(name), &rank, shape, &e);
    if (!v)
        fail_msg("%s", e.message);
    assert_int_equal(rank, want_rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(shape[i], want_shape[i]);
    if (n)
        assert_memory_equal(v, want, n * sizeof *v);
    mem_free(v);
}

static void reads(void **state)
{
    static const float V[] = {1, -2.5f, 3};
    static const double D[] = {1, -2.5, 3};
    put_npy("a.npy", 1, HEAD, V, sizeof V);
    expect("a.npy", 2, (int64_t[]){1, 3}, V, 3);
    put_npy("b.npy", 2, HEAD, V, sizeof V);
    expect("b.npy", 2, (int64_t[]){1, 3}, V, 3);
    put_npy("c.npy", 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", D, sizeof D);
    expect("c.npy", 1, (int64_t[]){3}, V, 3);
    put_npy("d.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", V, 4);
    expect("d.npy", 0, NULL, V, 1);
    put_npy("e.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }", V, 0);
    expect("e.npy", 2, (int64_t[]){0, 5}, V, 0);
}

static void writes(void **state)
{
    static const float V[] = {1, -2.5f, 3, 4, 5, 6};
    Error e = {0};
    static char bytes[256];
    assert_true(npy_write(at("w.npy"), V, 2, (int64_t[]){2, 3}, &e));
    expect("w.npy", 2, (int64_t[]){2, 3}, V, 6);
    FILE *f = fopen(at("w.npy"), "rb");
    assert_non_null(f);
    assert_int_equal(fread(bytes, 1, sizeof bytes, f), 128 + sizeof V);
    fclose(f);
    /* as numpy 2 writes it: data at a multiple of 64, a newline before it */
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(bytes + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } ",
                        60);
    assert_int_equal(bytes[127], '\n');
    assert_memory_equal(bytes + 128, V, sizeof V);
    assert_true(npy_write(at("w.npy"), V, 1, (int64_t[]){6}, &e));
    expect("w.npy", 1, (int64_t[]){6}, V, 6);
    assert_true(npy_write(at("w.npy"), V, 0, NULL, &e));
    expect("w.npy", 0, NULL, V, 1);
    assert_true(npy_write(at("w.npy"), V, 1, (int64_t[]){0}, &e));
    expect("w.npy", 1, (int64_t[]){0}, V, 0);
    assert_false(npy_write(at("none/w.npy"), V, 1, (int64_t[]){6}, &e));
    check_error(&e, ERR_FAILED, "none/w.npy", NULL);
}

static void refused(const char *says)
{
    Error e = {0};
    int rank;
    int64_t shape[CKPT_MAX_RANK];
    size_t before = mem_in_use();
    assert_null(npy_read(at("bad.npy"), &rank, shape, &e));
    check_error(&e, ERR_FAILED, "bad.npy", says, NULL);
    assert_int_equal(mem_in_use(), before);
}

static void refuses(void **state)
{
    static const float V[4];
    static const struct {
        const char *dict;
        size_t n;
        const char *says;
    } BAD[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", 12, "descr: expected '<f4'"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", 16, "descr: expected '<f4'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 16, "descr: expected '<f4'"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", 12, "fortran_order"},
        {"{'descr': '<f4', 'fortran_order': False, }", 12,
         "expected descr, fortran_order and shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 3, }", 12, "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", 12, "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3", 12, "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 3), }", 12, "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3), }", 12,
         "at most 8 extents"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,4294967296), }", 12,
         "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", 12,
         "shape: expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0,
         "npy data: expected 4611686018427387904 values"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 11,
         "npy data: expected 3 values of 4 bytes, got 11 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 16, "got 16 bytes"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        put_npy("bad.npy", 1, BAD[i].dict, V, BAD[i].n);
        refused(BAD[i].says);
    }
    put_npy("bad.npy", 3, HEAD, V, 12);
    refused("expected version 1 or 2, got 3");
    put("bad.npy", "\x93NUMPY\x01\x00\xff\x00{}", 12);
    refused("expected 255 bytes, got 2");
    put("bad.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
    refused("expected 4294967295 bytes, got 0");
    put_text("bad.npy", "");
    refused("expected an npy file");
    put_text("bad.npy", "PK\x03\x04 something else");
    refused("expected an npy file");
    assert_int_equal(unlink(at("bad.npy")), 0);
    refused("bad.npy: ");
}

static void survives_lack_of_memory(void **state)
{
    static const float V[3] = {1, 2, 3};
    size_t before = mem_in_use();
    bool done = false;
    for (long n = 1; !done; n++) {
        Error e = {0};
        int rank;
        int64_t shape[CKPT_MAX_RANK];
        mem_fail_at(n);
        bool wrote = npy_write(at("m.npy"), V, 1, (int64_t[]){3}, &e);
        float *v = wrote ? npy_read(at("m.npy"), &rank, shape, &e) : NULL;
        done = !mem_fail_hit();
        mem_fail_at(0);
        if (!done)
            check_error(&e, ERR_MEMORY, "m.npy", NULL);
        assert_int_equal(v != NULL, done);
        mem_free(v);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(writes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
