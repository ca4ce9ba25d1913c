/* Opening the CPU, its choice of kernels, and the stored measurement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <glob.h>
#include <pthread.h>
#include <cmocka.h>
#include "base/mem.h"
#include "cpu/cpu.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static Device *dev;

static Stream *open_with(const char *isa, int threads, Precision precision, Error *e)
{
    StreamOptions o = {.isa = isa, .threads = threads, .precision = precision};
    return dev->stream(dev, &o, e);
}

/* --- instruction sets --------------------------------------------------------------------------- */

static void test_all_sets_open(void **state)
{
    (void)state;
    assert_string_equal(cpu_isas()[0], "portable");
    for (const char *const *isa = cpu_isas(); *isa; isa++) {
        Error e = {0};
        Stream *d = open_with(*isa, 3, PREC_F32, &e);
        assert_non_null(d);
        assert_string_equal(d->isa, *isa);
        assert_int_equal(d->threads, 3);
        assert_non_null(d->k->linear);
        assert_string_equal(cpu_kernel_name(d, F32, ROLE_ENCODE), "f32");
        assert_string_equal(cpu_kernel_name(d, BF16, ROLE_ENCODE), "widened");
        d->close(d);
    }
}

static void test_unknown_set(void **state)
{
    (void)state;
    Error e = {0};
    assert_null(open_with("sse9", 1, PREC_F32, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.message, "sse9"));
    for (const char *const *isa = cpu_isas(); *isa; isa++)
        assert_non_null(strstr(e.message, *isa));
}

static void test_environment(void **state)
{
    (void)state;
    Error e = {0};
    setenv("BLIP2_ISA", "portable", 1);
    Stream *d = open_with(NULL, 0, PREC_F32, &e);
    assert_non_null(d);
    assert_string_equal(d->isa, "portable");
    assert_true(d->threads >= 1);
    d->close(d);
    setenv("BLIP2_ISA", "nonsense", 1);
    assert_null(open_with(NULL, 0, PREC_F32, &e));
    d = open_with("portable", 0, PREC_F32, &e); /* the option goes first */
    assert_non_null(d);
    d->close(d);
    setenv("BLIP2_ISA", "", 1);
    d = open_with(NULL, 0, PREC_F32, &e);
    assert_non_null(d);
    d->close(d);
    unsetenv("BLIP2_ISA");
}

static void test_open_out_of_memory(void **state)
{
    (void)state;
    Error e = {0};
    size_t before = mem_in_use();
    mem_fail_at(1);
    assert_null(open_with("portable", 1, PREC_F32, &e));
    mem_fail_at(0);
    assert_int_equal(e.code, ERR_MEMORY);
    assert_true(mem_in_use() == before);
}

/* --- memory -------------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    (void)state;
    Error e = {0};
    size_t before = mem_in_use();
    char host[100] = "weights", back[100];
    void *p = dev->alloc(dev, sizeof host);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_true(mem_in_use() > before);
    Stream *d = open_with(NULL, 1, PREC_F32, &e);
    assert_ptr_equal(d->dev, dev);
    assert_true(d->k->upload(d, p, host, sizeof host));
    memset(host, 0, sizeof host);
    assert_true(d->k->download(d, back, p, sizeof back));
    assert_string_equal(back, "weights");
    d->k->zero(d, p, sizeof host);
    assert_true(d->k->sync(d, &e) && d->k->download(d, back, p, sizeof back));
    assert_memory_equal(back, host, sizeof back);
    assert_ptr_equal(dev->place(dev, host, sizeof host), host); /* read where it lies */
    assert_true(dev->available(dev) > 1 << 20);
    d->close(d);
    dev->free(dev, p);
    dev->free(dev, NULL);
    mem_fail_at(1);
    assert_null(dev->alloc(dev, 1));
    mem_fail_at(1);
    assert_null(cpu_device(&e));
    mem_fail_at(0);
    assert_int_equal(e.code, ERR_MEMORY);
    assert_int_equal(mem_in_use(), before);
}

/* --- the stored measurement --------------------------------------------------------------------- */

static char cache_dir[] = "/tmp/blip2-test-XXXXXX";

static void cache_file(char *path, size_t size)
{
    glob_t found;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/blip2/cpu-*.json", cache_dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    snprintf(path, size, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static CpuProbe probe(int threads)
{
    CpuProbe p;
    cpu_probe(&p, threads, false);
    assert_true(!strcmp(p.bf16_kernel, "bf16") || !strcmp(p.bf16_kernel, "widened"));
    assert_true(*p.cpu && *p.isa);
    return p;
}

static void test_probe_is_stored(void **state)
{
    (void)state;
    CpuProbe first = probe(1), second = probe(1), other = probe(2);
    assert_false(first.from_cache);
    assert_true(second.from_cache);
    assert_true(other.from_cache); /* the choice does not depend on threads */
    assert_string_equal(first.bf16_kernel, second.bf16_kernel);
    assert_string_equal(first.bf16_kernel, other.bf16_kernel);
}

/* Puts `value` in place of what stands after "key": in the stored record, up to the end of the line. */
static void edit_record(const char *key, const char *value)
{
    char path[300], text[4096], edited[4200];
    cache_file(path, sizeof path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(edited, sizeof edited, "%.*s: %s%s", (int)(at - text), text, value,
             at + strcspn(at, ",\n"));
    write_text(path, edited);
}

/* The choice in the file holds, whatever a new measurement would say, until it is renewed. */
static void test_stored_choice_holds(void **state)
{
    (void)state;
    CpuProbe first = probe(1), now;
    bool native = !strcmp(first.bf16_kernel, "bf16");
    const char *other = native ? "widened" : "bf16";
    edit_record("\"bf16\"", native ? "\"widened\"" : "\"bf16\"");
    assert_string_equal(probe(1).bf16_kernel, other);
    assert_string_equal(probe(2).bf16_kernel, other);
    cpu_probe(&now, 1, true);
    assert_false(now.from_cache);
    assert_string_equal(probe(1).bf16_kernel, first.bf16_kernel);
}

/* Peaks are of now and of nobody's record. */
static void test_measured_now(void **state)
{
    (void)state;
    char path[300];
    CpuPeaks best = {0}, before;
    CpuMeter *m = cpu_meter_new(1);
    assert_non_null(m);
    cache_file(path, sizeof path);
    unlink(path);
    cpu_meter_peaks(m, &best);
    assert_true(best.f32 > 0);
    before = best;
    for (int i = 0; i < 3; i++)
        cpu_meter_peaks(m, &best);
    assert_true(best.f32 >= before.f32);
    assert_true(cpu_meter_bytes(m) == 0);
    assert_true(cpu_meter_read(m, false) > 0 && cpu_meter_read(m, false) > 0);
    size_t one = cpu_meter_bytes(m);
    assert_true(one > 0 && cpu_meter_read(m, true) > 0 && cpu_meter_bytes(m) == 2 * one);
    assert_int_not_equal(access(path, F_OK), 0);
    print_message("f32 %.0f bf16 %.0f fp16 %.0f int8 %.0f Gop/s\n", best.f32, best.bf16, best.fp16,
                  best.int8);
    cpu_meter_free(m);
}

/* The native kernel has to win clearly. */
static void test_better(void **state)
{
    (void)state;
    assert_string_equal(cpu_better_bf16(&(CpuPeaks){.f32 = 100, .bf16 = 119}), "widened");
    assert_string_equal(cpu_better_bf16(&(CpuPeaks){.f32 = 100, .bf16 = 121}), "bf16");
    assert_string_equal(cpu_better_bf16(&(CpuPeaks){.f32 = 100}), "widened");
}

/* Threads that find no record and write one: what is there is whole after every round, and alone. */
static void *probe_at_once(void *barrier)
{
    CpuProbe p;
    pthread_barrier_wait(barrier);
    cpu_probe(&p, 1, false);
    return NULL;
}

static void test_probe_race(void **state)
{
    (void)state;
    enum { THREADS = 8, ROUNDS = 200 };
    char path[300], folder[300];
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    glob_t found;
    probe(1);
    cache_file(path, sizeof path);
    for (int round = 0; round < ROUNDS; round++) {
        unlink(path);
        pthread_barrier_init(&barrier, NULL, THREADS);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, probe_at_once, &barrier), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&barrier);
        probe(1); /* where rounds disagreed nothing was written */
        assert_true(probe(1).from_cache);
    }
    snprintf(folder, sizeof folder, "%s/blip2/*", cache_dir);
    assert_int_equal(glob(folder, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

static void test_record_is_a_pipe(void **state)
{
    (void)state;
    char path[300];
    struct stat st;
    probe(1);
    cache_file(path, sizeof path);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(probe(1).from_cache); /* and nobody waits */
    assert_true(lstat(path, &st) == 0 && S_ISFIFO(st.st_mode));
    unlink(path);
}

static void test_damaged_cache(void **state)
{
    (void)state;
    static const char *const damaged[] = {"",
                                          "{",
                                          "[]",
                                          "{}",
                                          "null",
                                          "\xff\xfe",
                                          "{\"version\": 99}",
                                          "{\"version\": 1}",
                                          "{\"version\": 2, \"cpu\": 7}",
                                          "{\"version\": 2, \"cpu\": \"another\"}"};
    char path[300];
    probe(1);
    cache_file(path, sizeof path);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_text(path, damaged[i]);
        assert_false(probe(1).from_cache);
        assert_true(probe(1).from_cache); /* and it has been replaced */
    }
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* neither readable as a file nor replaceable */
    assert_false(probe(1).from_cache);
    rmdir(path);
}

static void test_no_cache_dir(void **state)
{
    (void)state;
    static const char *const nowhere[] = {"/dev/null", "/proc/nowhere", "relative"};
    char *home = getenv("HOME") ? mem_strdup(getenv("HOME")) : NULL;
    setenv("HOME", "/dev/null", 1);
    for (size_t i = 0; i < 3; i++) {
        setenv("XDG_CACHE_HOME", nowhere[i], 1);
        assert_false(probe(1).from_cache);
    }
    setenv("XDG_CACHE_HOME", cache_dir, 1);
    if (home)
        setenv("HOME", home, 1);
    mem_free(home);
}

/* --- threads ------------------------------------------------------------------------------------ */

enum { ROWS = 40, DEPTH = 300, OUTS = 200 };

static float weights[OUTS * DEPTH], input[ROWS * DEPTH];

static void *product(void *result)
{
    Error e = {0};
    Stream *d = open_with(NULL, 2, PREC_FAST, &e);
    Tensor x = {.dtype = F32, .rows = ROWS, .cols = DEPTH, .ld = DEPTH, .data = input};
    Tensor y = {.dtype = F32, .rows = ROWS, .cols = OUTS, .ld = OUTS, .data = result};
    Param w = {.dtype = F32, .rows = OUTS, .cols = DEPTH, .data = weights};
    bool ok = d != NULL;
    for (int i = 0; i < 20 && ok; i++)
        for (int role = 0; role < 2 && ok; role++)
            ok = d->k->linear(d, &(LinearArgs){.x = &x, .w = &w, .y = &y, .role = (Role)role});
    if (d)
        d->close(d);
    return ok ? result : NULL;
}

static void test_many_streams(void **state)
{
    (void)state;
    static float results[4][ROWS * OUTS];
    pthread_t t[4];
    for (int i = 0; i < ROWS * DEPTH; i++)
        input[i] = (float)(i % 37 - 18) * 0.1f;
    for (int i = 0; i < OUTS * DEPTH; i++)
        weights[i] = (float)(i % 41 - 20) * 0.1f;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, product, results[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *done;
        pthread_join(t[i], &done);
        assert_non_null(done);
    }
    for (int i = 1; i < 4; i++)
        assert_memory_equal(results[0], results[i], sizeof results[0]);
}

#if defined(__x86_64__)
static void test_control_register(void **state)
{
    (void)state;
    static float result[ROWS * OUTS];
    unsigned before = _mm_getcsr();
    assert_non_null(product(result));
    assert_int_equal(_mm_getcsr() & ~0x3fu, before & ~0x3fu); /* flags of exceptions may differ */
}
#endif

static void test_bandwidth(void **state)
{
    (void)state;
    double small = cpu_bandwidth(0, false), huge = cpu_bandwidth(0, true);
    print_message("read bandwidth %.1f GB/s, on huge pages %.1f\n", small, huge);
    assert_true(small > 0.1 && huge > 0.1);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("BLIP2_ISA");
    if (!mkdtemp(cache_dir) || !(dev = cpu_device(NULL)))
        return -1;
    return setenv("XDG_CACHE_HOME", cache_dir, 1);
}

static int tear_down(void **state)
{
    (void)state;
    glob_t found;
    char path[300];
    snprintf(path, sizeof path, "%s/blip2/*", cache_dir);
    if (glob(path, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    snprintf(path, sizeof path, "%s/blip2", cache_dir);
    rmdir(path);
    dev->close(dev);
    return rmdir(cache_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sets_open),
        cmocka_unit_test(test_unknown_set),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_open_out_of_memory),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_probe_is_stored),
        cmocka_unit_test(test_stored_choice_holds),
        cmocka_unit_test(test_measured_now),
        cmocka_unit_test(test_better),
        cmocka_unit_test(test_probe_race),
        cmocka_unit_test(test_record_is_a_pipe),
        cmocka_unit_test(test_damaged_cache),
        cmocka_unit_test(test_no_cache_dir),
        cmocka_unit_test(test_many_streams),
#if defined(__x86_64__)
        cmocka_unit_test(test_control_register),
#endif
        cmocka_unit_test(test_bandwidth),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
