/* One safetensors file: what is accepted, and every way in which a file can be wrong. */
#include "test_ckpt_files.h"

#include "base/sys.h"
#include "ckpt/safetensors.h"

static const char OPT[] = SOURCE_DIR "/tests/golden/opt/model.safetensors";

/* Parses header + buffer in memory under the name "f"; returns the number of tensors or -1. */
static long parse_bytes(const unsigned char *bytes, size_t n, Error *e)
{
    TensorList list = {0};
    size_t before = mem_in_use();
    /* an exact copy, so that a read beyond the end is seen by the sanitizer */
    unsigned char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    *e = (Error){0};
    bool ok = safetensors_parse(&list, copy, n, "f", e);
    long tensors = ok ? (long)list.n : -1;
    assert_int_equal(ok, e->code == ERR_NONE);
    tensors_free(&list);
    free(copy);
    assert_int_equal(mem_in_use(), before);
    return tensors;
}

static long parse(const char *header, size_t buffer, Error *e)
{
    static unsigned char bytes[1 << 20];
    assert_true(strlen(header) + buffer + 8 <= sizeof bytes);
    return parse_bytes(bytes, make_safetensors(bytes, header, buffer), e);
}

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end \
    "]}"

/* --- accepted ----------------------------------------------------------------------------------- */

static void reads_a_reference_file(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_open_file(OPT, &e);
    assert_non_null(c);
    assert_string_equal(ckpt_path(c), OPT);
    assert_int_equal(ckpt_count(c), 183);
    CkptTensor *t = ckpt_find(c, "vision_model.encoder.layers.2.self_attn.qkv.weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, F32);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[0], 144);
    assert_int_equal(t->shape[1], 48);
    assert_int_equal(t->bytes, 144 * 48 * 4);
    assert_string_equal(t->file, OPT);
    float v[2];
    memcpy(v, t->data, sizeof v);
    assert_true(v[0] == -0.0833769142627716f && v[1] == -0.42231541872024536f);
    for (size_t i = 1; i < ckpt_count(c); i++)
        assert_true(strcmp(ckpt_at(c, i - 1)->name, ckpt_at(c, i)->name) < 0);
    assert_null(ckpt_find(c, "vision_model"));
    assert_null(ckpt_find(c, ""));
    ckpt_close(c);
    ckpt_close(NULL);
}

static void take_marks(void **state)
{
    Error e = {0};
    Checkpoint *c = ckpt_open_file(OPT, &e);
    assert_non_null(c);
    assert_null(ckpt_take(c, "nothing"));
    assert_false(ckpt_find(c, "query_tokens")->used);
    assert_true(ckpt_take(c, "query_tokens")->used);
    size_t used = 0;
    for (size_t i = 0; i < ckpt_count(c); i++)
        used += ckpt_at(c, i)->used;
    assert_int_equal(used, 1);
    ckpt_close(c);
}

static void old_opt_names(void **state)
{
    Error e = {0};
    put_safetensors("old.safetensors",
                    "{" T("language_model.decoder.fc1.weight", "U8", "2", "0", "2") "}", 2);
    Checkpoint *c = ckpt_open_file(at("old.safetensors"), &e);
    assert_non_null(c);
    CkptTensor *t = ckpt_find(c, "language_model.model.decoder.fc1.weight");
    assert_non_null(t);
    assert_string_equal(t->name, "language_model.decoder.fc1.weight");
    assert_null(ckpt_find(c, "language_model.model.decoder.fc2.weight"));
    ckpt_close(c);
}

static void accepts(void **state)
{
    static const struct {
        const char *header;
        size_t buffer;
        long tensors;
    } OK[] = {
        {"{}", 0, 0},
        {"{ }   \n ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\",\"a\\u00e4\":\"\\ud83d\\ude00\\n\"}}", 0, 0},
        {"{" T("scalar", "F32", "", "0", "4") "}", 4, 1},
        {"{" T("none", "F32", "0,7", "0", "0") "}", 0, 1},
        {"{" T("b", "F16", "2", "4", "8") "," T("a", "I64", "0", "4", "4") "," T("c", "BOOL", "4",
                                                                                 "0", "4") "}",
         8, 3},
        {"{" T("r8", "BF16", "1,1,1,1,1,1,1,3", "0", "6") "}", 6, 1},
        {"{" T("", "I8", "1", "0", "1") "}", 1, 1},
        {"{ \"x\" : { \"data_offsets\" : [ 0 , 8 ] , \"shape\" : [ 1 ] , \"dtype\" : \"F64\" } }",
         8, 1},
        {"{" T("\\u0061\\t\xc3\xa4", "I16", "1", "0", "2") "," T("a", "I32", "1", "2", "6") "}", 6,
         2},
    };
    for (size_t i = 0; i < sizeof OK / sizeof OK[0]; i++) {
        Error e;
        long n = parse(OK[i].header, OK[i].buffer, &e);
        if (n != OK[i].tensors)
            fail_msg("%s: expected %ld tensors, got %ld: %s", OK[i].header, OK[i].tensors, n,
                     e.message);
    }
}

/* --- refused ------------------------------------------------------------------------------------ */

static void refuses(void **state)
{
    static const struct {
        const char *header;
        size_t buffer;
        const char *says[2];
    } BAD[] = {
        /* JSON */
        {"[]", 0, {"f: header: byte 0: expected '{', got '['"}},
        {" {}", 0, {"byte 0: expected '{', got ' '"}},
        {"{", 0, {"byte 1: expected a string, got the end"}},
        {"{} x", 0, {"expected nothing after the object, got 'x'"}},
        {"{\"a", 0, {"expected '\"', got the end"}},
        {"{\"a\":", 0, {"f: tensor \"a\"", "expected '{', got the end"}},
        {"{\"a\":3}", 0, {"f: tensor \"a\"", "expected '{', got '3'"}},
        {"{" T("a", "U8", "1", "0", "1") ",}", 1, {"expected a string, got '}'"}},
        {"{" T("a", "U8", "1", "0", "1"), 1, {"expected '}', got the end"}},
        {"{\"\x01\":{}}", 0, {"expected no control character in a string, got byte 0x01"}},
        {"{\"\\u0000\":{}}", 0, {"expected no U+0000 in a string"}},
        {"{\"\\x\":{}}", 0, {"expected an escape, got 'x'"}},
        {"{\"\\u12g4\":{}}", 0, {"expected a hexadecimal digit, got 'g'"}},
        {"{\"\\ud800\":{}}", 0, {"expected a surrogate pair"}},
        {"{\"\\udc00\\ud800\":{}}", 0, {"expected a surrogate pair"}},
        {"{\"\\ud800\\u0041\":{}}", 0, {"second half of a surrogate pair"}},
        {"{\"\xff\":{}}", 0, {"expected valid UTF-8, got byte 0xff"}},
        {"{\"\xc3\":{}}", 0, {"expected valid UTF-8"}},
        {"{\"\xc0\x80\":{}}", 0, {"expected valid UTF-8"}},
        {"{\"\xe0\x80\x80\":{}}", 0, {"expected valid UTF-8"}},
        {"{\"\xed\xa0\x80\":{}}", 0, {"expected valid UTF-8"}},
        {"{\"\xf4\x90\x80\x80\":{}}", 0, {"expected valid UTF-8"}},
        {"{\"\xf0\x9f", 0, {"expected valid UTF-8"}},
        /* members */
        {"{\"a\":{}}", 0, {"tensor \"a\"", "missing: \"dtype\""}},
        {"{\"a\":{\"dtype\":\"U8\"}}", 0, {"tensor \"a\"", "missing: \"shape\""}},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 0, {"missing: \"data_offsets\""}},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, {"duplicate key \"dtype\""}},
        {"{\"a\":{\"colour\":\"red\"}}", 0, {"tensor \"a\"", "got key \"colour\""}},
        {"{\"a\":{\"dtype\":4}}", 0, {"expected a string, got '4'"}},
        {"{" T("a", "F9_E4M3", "1", "0", "1") "}", 1, {"tensor \"a\"", "\"F9_E4M3\""}},
        {"{" T("a", "f32", "1", "0", "4") "}", 4, {"\"f32\""}},
        {"{" T("a", "U8", "-1", "0", "1") "}", 1, {"expected an unsigned integer", "got '-'"}},
        {"{" T("a", "U8", "1.0", "0", "1") "}", 1, {"expected an unsigned integer", "got '.'"}},
        {"{" T("a", "U8", "1e0", "0", "1") "}", 1, {"expected an unsigned integer", "got 'e'"}},
        {"{" T("a", "U8", "01", "0", "1") "}", 1, {"expected an unsigned integer"}},
        {"{" T("a", "U8", "1,", "0", "1") "}", 1, {"expected an unsigned integer", "got ']'"}},
        {"{" T("a", "U8", "\\\"1\\\"", "0", "1") "}", 1, {"expected an unsigned integer"}},
        {"{" T("a", "U8", "9223372036854775808", "0", "1") "}", 1, {"integer below 2^63"}},
        {"{" T("a", "U8", "1,1,1,1,1,1,1,1,1", "0", "1") "}", 1, {"at most 8 extents"}},
        {"{" T("a", "F32", "4611686018427387904", "0", "1") "}", 1, {"expected a size below 2^63"}},
        {"{" T("a", "U8", "4294967296,4294967296", "0", "0") "}", 0, {"a size below 2^63"}},
        {"{\"a\":{\"data_offsets\":[0]}}", 0, {"expected ',', got ']'"}},
        {"{\"a\":{\"data_offsets\":[0,1,2]}}", 0, {"expected ']', got ','"}},
        {"{\"__metadata__\":{\"a\":1}}", 0, {"expected a string, got '1'"}},
        {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, {"expected a string, got '{'"}},
        {"{\"__metadata__\":[]}", 0, {"expected '{', got '['"}},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, {"duplicate key \"__metadata__\""}},
        /* places */
        {"{" T("a", "F32", "2", "0", "4") "}",
         8,
         {"data_offsets [0, 4]: expected 8 bytes", "got 4"}},
        {"{" T("a", "F32", "1", "4", "0") "}",
         8,
         {"data_offsets [4, 0]: expected 4 bytes", "got -4"}},
        {"{" T("a", "U8", "4", "0", "4") "," T("x", "F32", "2", "4", "12") "}",
         10,
         {"f: tensor \"x\": data_offsets [4, 12]: beyond the buffer of 10 bytes", "truncated?"}},
        {"{" T("a", "U8", "1", "9223372036854775806", "9223372036854775807") "}", 1, {"beyond"}},
        {"{" T("a", "U8", "4", "0", "4") "," T("b", "U8", "4", "3", "7") "}",
         7,
         {"tensor \"b\": data_offsets [3, 7]: overlaps the tensor before it, which ends at 4"}},
        {"{" T("a", "U8", "4", "0", "4") "," T("b", "U8", "4", "0", "4") "}", 4, {"overlaps"}},
        {"{" T("a", "U8", "1", "0", "1") "," T("b", "U8", "4", "2", "6") "}",
         6,
         {"tensor \"b\": data_offsets [2, 6]: expected to begin where", "at 1"}},
        {"{" T("a", "U8", "1", "0", "1") "}", 2, {"expected a buffer of 1 bytes", "got 2"}},
        {"{}", 1, {"expected a buffer of 0 bytes", "got 1"}},
        {"{" T("a", "U8", "1", "0", "1") "," T("\\u0061", "U8", "1", "1", "2") "}",
         2,
         {"f: tensor \"a\": duplicate key"}},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        Error e;
        if (parse(BAD[i].header, BAD[i].buffer, &e) >= 0)
            fail_msg("accepted: %s", BAD[i].header);
        check_error(&e, ERR_BAD_MODEL, "f: ", BAD[i].says[0], BAD[i].says[1], NULL);
    }
}

static void refuses_lengths(void **state)
{
    Error e;
    unsigned char bytes[64] = {0};
    static const char LFS[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    assert_int_equal(parse_bytes(bytes, 0, &e), -1);
    check_error(&e, ERR_BAD_MODEL,
                "f: file: expected safetensors or PyTorch weights, got an empty file", NULL);
    assert_int_equal(parse_bytes(bytes, 7, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "got 7", NULL);
    assert_int_equal(parse_bytes(bytes, 8, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "got zeros", NULL);
    bytes[63] = '{';
    assert_int_equal(parse_bytes(bytes + 55, 9, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "expected a length in [1, 100000000], got 0", NULL);
    memset(bytes, 0xff, 8);
    assert_int_equal(parse_bytes(bytes, 64, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "got 18446744073709551615", NULL);
    memcpy(bytes, "\x01\xe1\xf5\x05\0\0\0\0", 8); /* 100,000,001 */
    assert_int_equal(parse_bytes(bytes, 64, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "got 100000001", NULL);
    memcpy(bytes, "\x39\0\0\0\0\0\0\0{}", 10);
    assert_int_equal(parse_bytes(bytes, 64, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "expected a file of at least 65 bytes, got 64: truncated?",
                NULL);
    assert_int_equal(parse_bytes((const unsigned char *)LFS, sizeof LFS - 1, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "Git LFS", NULL);
}

/* What a download leaves, or what another program's weights are, is told by its first bytes. */
static void names_what_it_is(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *what;
    } CASES[] = {
        {"<!doctype html><html lang=\"en\">", 31, "an HTML page"},
        {"\n  <HTML><body>", 15, "an HTML page"},
        {"PK\3\4\24\0\0\0\0\0\0\0", 12, "as PyTorch saves its weights"},
        {"\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15, "a Python pickle"},
        {"GGUF\3\0\0\0\1\0\0\0", 12, "a GGUF or GGML file"},
        {"lmggfffffffff", 13, "a GGUF or GGML file"},
        {"\x89HDF\r\n\x1a\n\0\0", 10, "an HDF5 file"},
        {"\x1f\x8b\x08\0\0\0\0\0\0", 9, "a compressed file"},
        {"\x89PNG\r\n\x1a\n\0\0\0\r", 12, "a picture"},
        {"Entry not found", 15, "a text, as a server answers"},
        {"{\"error\":\"Repository not found\"}\n", 33, "a text, as a server answers"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error e;
        assert_int_equal(parse_bytes((const unsigned char *)CASES[i].bytes, CASES[i].n, &e), -1);
        check_error(&e, ERR_BAD_MODEL, "f: file: expected safetensors or PyTorch weights, got ",
                    CASES[i].what, NULL);
    }
}

static void refuses_long_names(void **state)
{
    Error e;
    char header[2000], name[1000];
    memset(name, 'n', sizeof name);
    name[TENSOR_NAME_MAX] = 0;
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
    assert_int_equal(parse(header, 1, &e), 1);
    name[TENSOR_NAME_MAX] = 'n';
    name[TENSOR_NAME_MAX + 1] = 0;
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
    assert_int_equal(parse(header, 1, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: header: ", "expected a shorter string", NULL);
}

/* Control characters in a name, which JSON can hide in escapes, stay out of the message. */
static void shows_names_safely(void **state)
{
    Error e;
    assert_int_equal(parse("{" T("a\\u001b[2J\\n\\u007fz", "F9", "1", "0", "1") "}", 1, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "tensor \"a?[2J??z\": dtype", NULL);
}

static char *many_tensors(size_t n)
{
    char *header = malloc(n * 80 + 16), *p = header;
    assert_non_null(header);
    p += sprintf(p, "{");
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s\"t%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                     i ? "," : "", i);
    strcpy(p, "}");
    return header;
}

static void caps_the_number_of_tensors(void **state)
{
    Error e;
    for (size_t extra = 0; extra < 2; extra++) {
        char *header = many_tensors(TENSORS_MAX + extra);
        size_t n = strlen(header);
        unsigned char *bytes = malloc(n + 8);
        assert_non_null(bytes);
        make_safetensors(bytes, header, 0);
        long got = parse_bytes(bytes, n + 8, &e);
        if (extra)
            check_error(&e, ERR_BAD_MODEL, "expected at most 100000 tensors", NULL);
        else
            assert_int_equal(got, TENSORS_MAX);
        free(bytes);
        free(header);
    }
}

/* Brackets without end cost neither stack nor memory. */
static void bounds_nesting(void **state)
{
    Error e;
    static char header[500001];
    memset(header, '[', sizeof header - 1);
    memcpy(header, "{\"a\":{\"shape\":", 14);
    size_t before = mem_peak();
    assert_int_equal(parse(header, 0, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "tensor \"a\"", NULL);
    assert_true(mem_peak() - before < 1 << 20);
}

/* Cut anywhere, the file is refused; a changed byte never does more than be refused or read. */
static void truncations_and_flips(void **state)
{
    static const char HEADER[] = "{\"__metadata__\":{\"k\":\"v\"}," T(
        "x\\u00e9", "F32", "1,2", "0", "8") "," T("y", "BF16", "3", "8", "14") "}";
    unsigned char bytes[256];
    Error e;
    size_t n = make_safetensors(bytes, HEADER, 14);
    assert_int_equal(parse_bytes(bytes, n, &e), 2);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(parse_bytes(bytes, cut, &e), -1);
    for (size_t i = 0; i < n; i++)
        for (int v = 0; v < 256; v++) {
            unsigned char old = bytes[i];
            bytes[i] = (unsigned char)v;
            parse_bytes(bytes, n, &e);
            assert_null(strpbrk(e.message, "\n\r\x1b"));
            bytes[i] = old;
        }
}

static void opens_fast(void **state)
{
    Error e;
    char *header = many_tensors(1247);
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        double t0 = now_ms();
        assert_int_equal(parse(header, 0, &e), 1247);
        double t = now_ms() - t0;
        best = t < best ? t : best;
    }
    free(header);
    print_message("1247 tensors: %.2f ms\n", best);
    assert_true(best < 100); /* a few ms are expected; sanitizers and loaded machines take more */
}

static void missing_files(void **state)
{
    Error e = {0};
    assert_null(ckpt_open_file(at("absent.safetensors"), &e));
    check_error(&e, ERR_BAD_MODEL, "absent.safetensors: ", NULL);
    e = (Error){0};
    assert_null(ckpt_open_file(scratch, &e));
    check_error(&e, ERR_BAD_MODEL, scratch, "a directory", NULL);
    put("empty.safetensors", "", 0);
    e = (Error){0};
    assert_null(ckpt_open_file(at("empty.safetensors"), &e));
    check_error(
        &e, ERR_BAD_MODEL,
        "empty.safetensors: file: expected safetensors or PyTorch weights, got an empty file",
        NULL);
}

static void survives_lack_of_memory(void **state)
{
    size_t before = mem_in_use();
    bool opened = false;
    for (long n = 1; !opened; n++) {
        Error e = {0};
        mem_fail_at(n);
        Checkpoint *c = ckpt_open_file(OPT, &e);
        opened = !mem_fail_hit();
        mem_fail_at(0);
        if (opened)
            assert_non_null(c);
        else
            check_error(&e, ERR_MEMORY, "out of memory", NULL);
        assert_int_equal(c != NULL, opened);
        ckpt_close(c);
        assert_int_equal(mem_in_use(), before);
        assert_true(n < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_reference_file),
        cmocka_unit_test(take_marks),
        cmocka_unit_test(old_opt_names),
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_lengths),
        cmocka_unit_test(names_what_it_is),
        cmocka_unit_test(refuses_long_names),
        cmocka_unit_test(shows_names_safely),
        cmocka_unit_test(caps_the_number_of_tensors),
        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(truncations_and_flips),
        cmocka_unit_test(opens_fast),
        cmocka_unit_test(missing_files),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
