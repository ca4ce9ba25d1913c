/* Files of torch.save: those that PyTorch wrote hold what safetensors says they hold, and every way in
 * which one can be wrong. */
#include "test_torch_files.h"

#include "base/file.h"
#include "ckpt/torch.h"

#define DATA SOURCE_DIR "/tests/data/torch/"

/* Parses an exact copy, so that a read beyond the end is seen by the sanitizer. */
static bool parse(TensorList *list, unsigned char **copy, const void *bytes, size_t n, Error *e)
{
    *list = (TensorList){0};
    *e = (Error){0};
    *copy = malloc(n ? n : 1);
    assert_non_null(*copy);
    memcpy(*copy, bytes, n);
    bool ok = torch_parse(list, *copy, n, "f", e);
    assert_int_equal(ok, e->code == ERR_NONE);
    assert_null(strpbrk(e->message, "\n\r\x1b"));
    return ok;
}

static bool first_copied; /* of the file that was read last */

/* The number of tensors, or -1. */
static long count(const void *bytes, size_t n, Error *e)
{
    TensorList list;
    unsigned char *copy;
    size_t before = mem_in_use();
    long tensors = parse(&list, &copy, bytes, n, e) ? (long)list.n : -1;
    first_copied = tensors > 0 && list.t[0].copied;
    tensors_free(&list);
    free(copy);
    assert_int_equal(mem_in_use(), before);
    return tensors;
}

static unsigned char *load(const char *name, size_t *n)
{
    Error e = {0};
    char path[512];
    snprintf(path, sizeof path, DATA "%s", name);
    unsigned char *bytes = file_read(path, 1 << 20, n, ERR_FAILED, &e);
    if (!bytes)
        fail_msg("%s", e.message);
    return bytes;
}

/* --- what PyTorch wrote --------------------------------------------------------------------------- */

static Checkpoint *open_data(const char *name)
{
    Error e = {0};
    char path[512];
    snprintf(path, sizeof path, DATA "%s", name);
    Checkpoint *c = ckpt_open_file(path, &e);
    if (!c)
        fail_msg("%s", e.message);
    return c;
}

static void check_same(const CkptTensor *a, const CkptTensor *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->shape, b->shape, sizeof a->shape);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
}

static void every_layout(void **state)
{
    static const char *const FILES[] = {
        "zip_p2",    "zip_p3",    "zip_p4",          "zip_p5",         "zip_1.13",
        "legacy_p2", "legacy_p3", "legacy_p4",       "legacy_p5",      "legacy_1.13",
        "lavis_p2",  "lavis_p4",  "lavis_legacy_p2", "lavis_legacy_p4"};
    Checkpoint *want = open_data("expected.safetensors");
    assert_int_equal(ckpt_count(want), 21);
    for (size_t f = 0; f < sizeof FILES / sizeof *FILES; f++) {
        char name[64];
        snprintf(name, sizeof name, "%s.pth", FILES[f]);
        Checkpoint *c = open_data(name);
        assert_int_equal(ckpt_count(c), ckpt_count(want));
        for (size_t i = 0; i < ckpt_count(want); i++)
            check_same(ckpt_at(c, i), ckpt_at(want, i));
        ckpt_close(c);
    }
    ckpt_close(want);
}

static void a_tensor_that_says_its_type(void **state)
{
    Checkpoint *c = open_data("v3.pth"), *want = open_data("expected.safetensors");
    assert_int_equal(ckpt_count(c), 1);
    check_same(ckpt_at(c, 0), ckpt_find(want, "f32"));
    ckpt_close(c);
    ckpt_close(want);
}

/* What lies in a row is used in the file, once for all that share it; only the rest is copied, and stays
 * when pages of the file are given back. */
static void shares_and_copies(void **state)
{
    Checkpoint *c = open_data("zip_p2.pth");
    const char *base = ckpt_find(c, "base")->data;
    assert_ptr_equal(base, ckpt_find(c, "base.tied")->data);
    assert_ptr_equal(base + 6 * 4, ckpt_find(c, "base.rows")->data);
    assert_false(ckpt_find(c, "base.rows")->copied || ckpt_find(c, "bf16")->copied);
    static const char *const COPIED[] = {"base.columns", "base.transposed", "cube.turned",
                                         "expanded"};
    for (int i = 0; i < 4; i++)
        assert_true(ckpt_find(c, COPIED[i])->copied);
    ckpt_close(c);
}

/* A transposed matrix of some pages, asked for after it was "done with". */
static void keeps_copies(void **state)
{
    enum { N = 200 };
    static float values[N * N];
    for (int i = 0; i < N * N; i++)
        values[i] = (float)i;
    StrBuf s = {0};
    ZipOut z = {0};
    TensorOut t = {"FloatStorage", "0", N * N, 0, 2, 2, {N, N}, {1, N}};
    strbuf_puts(&s, "\x80\2}");
    pk_text(&s, "t");
    pk_tensor(&s, &t);
    strbuf_puts(&s, "s.");
    zip_add(&z, "x/data.pkl", s.data, s.len);
    zip_add(&z, "x/data/0", values, sizeof values);
    zip_finish(&z, "");
    put("t.pth", z.all.data, z.all.len);
    Error e = {0};
    Checkpoint *c = ckpt_open_file(at("t.pth"), &e);
    assert_non_null(c);
    ckpt_done_with(ckpt_at(c, 0));
    const float *got = ckpt_at(c, 0)->data;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            assert_true(got[i * N + k] == values[k * N + i]);
    ckpt_close(c);
    strbuf_free(&s);
    strbuf_free(&z.all);
}

static void refuses_what_is_no_state_dict(void **state)
{
    static const struct {
        const char *file, *says;
    } BAD[] = {
        {"bad_module.pth",
         "f: pickle: expected a dict of tensors (state_dict() of a model), got an "
         "object of \"torch.nn.modules.linear.Linear\""},
        {"bad_model.pth", "f: key \"model\": expected a dict of tensors"},
        {"bad_call.pth",
         "f: tensor \"evil\": expected a tensor, got an object of \"posix.system\""},
        {"bad_call_p4.pth",
         "f: tensor \"weight\": expected a tensor, got an object of \"builtins.eval\""},
        {"bad_list.pth", "f: pickle: expected a dict of tensors (state_dict() of a model), got a "
                         "list"},
        {"bad_nothing.pth", "f: pickle: expected tensors, or a dict of them under \"model\""},
        {"bad_type.pth", "f: storage: type: expected FloatStorage, HalfStorage, BFloat16Storage or "
                         "another known one, got the global \"torch.ComplexFloatStorage\""},
        {"bad_type_v3.pth", "f: tensor \"weight\": expected F32, F16, BF16 or another known type, "
                            "got the global \"torch.uint16\""},
        {"bad_sparse.pth", "got an object of \"torch._utils._rebuild_sparse_tensor\""},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Error e;
        size_t n;
        unsigned char *bytes = load(BAD[i].file, &n);
        assert_int_equal(count(bytes, n, &e), -1);
        check_error(&e, ERR_BAD_MODEL, BAD[i].says, NULL);
        mem_free(bytes);
    }
}

/* --- damage -------------------------------------------------------------------------------------- */

/* Cut anywhere, a file is refused; a changed byte never does more than be refused or read. */
static void truncations_and_flips(void **state)
{
    static const char *const FILES[] = {"v3.pth", "legacy_p2.pth", "zip_p4.pth"};
    static const unsigned char FLIPS[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
    for (int f = 0; f < 3; f++) {
        Error e;
        size_t n;
        unsigned char *bytes = load(FILES[f], &n);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(count(bytes, cut, &e), -1);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < sizeof FLIPS; k++) {
                bytes[i] ^= FLIPS[k];
                count(bytes, n, &e);
                bytes[i] ^= FLIPS[k];
            }
        mem_free(bytes);
    }
}

static void survives_lack_of_memory(void **state)
{
    static const char *const FILES[] = {"zip_p4.pth", "lavis_legacy_p2.pth"};
    for (int f = 0; f < 2; f++) {
        size_t size, before;
        unsigned char *bytes = load(FILES[f], &size);
        bool read = false;
        before = mem_in_use();
        for (long n = 1; !read; n++) {
            Error e = {0};
            TensorList list = {0};
            mem_fail_at(n);
            bool ok = torch_parse(&list, bytes, size, "f", &e);
            read = !mem_fail_hit();
            mem_fail_at(0);
            assert_int_equal(ok, read);
            if (!read)
                check_error(&e, ERR_MEMORY, "f: out of memory", NULL);
            tensors_free(&list);
            assert_int_equal(mem_in_use(), before);
            assert_true(n < 1000);
        }
        mem_free(bytes);
    }
}

/* --- zip ----------------------------------------------------------------------------------------- */

static const TensorOut GOOD = {"FloatStorage", "0", 6, 0, 2, 2, {2, 3}, {3, 1}};
static const float SIX[6] = {0, 1, 2, 3, 4, 5};

/* A dict with one tensor. */
static void pk_dict(StrBuf *s, const TensorOut *t)
{
    strbuf_puts(s, "\x80\2}");
    pk_text(s, "w");
    pk_tensor(s, t);
    strbuf_puts(s, "s.");
}

/* `z` with data.pkl and the six numbers, as it says. */
static long count_zip(ZipOut z, const char *folder, const char *comment, Error *e)
{
    StrBuf s = {0};
    char name[64];
    pk_dict(&s, &GOOD);
    snprintf(name, sizeof name, "%s/data.pkl", folder);
    zip_add(&z, name, s.data, s.len);
    snprintf(name, sizeof name, "%s/data/0", folder);
    zip_add(&z, name, SIX, sizeof SIX);
    zip_finish(&z, comment);
    long n = count(z.all.data, z.all.len, e);
    strbuf_free(&z.all);
    strbuf_free(&s);
    return n;
}

static void zip_variants(void **state)
{
    Error e;
    assert_int_equal(count_zip((ZipOut){.n = 0}, "archive", "", &e), 1);
    assert_int_equal(count_zip((ZipOut){.align = 64}, "blip2_pretrained", "", &e), 1);
    assert_int_equal(count_zip((ZipOut){.zip64 = true}, "a b", "", &e), 1);
    assert_int_equal(count_zip((ZipOut){.flags = 8, .align = 1000}, "x", "a comment", &e), 1);
    assert_int_equal(count_zip((ZipOut){.n = 0}, "x", "PK\5\6 is no end record here", &e), 1);
}

static void zip_refusals(void **state)
{
    static const struct {
        ZipOut z;
        const char *says;
    } BAD[] = {
        {{.method = 8},
         "f: entry \"a/data.pkl\": expected bytes as they are (method 0), got compressed ones "
         "(method 8)"},
        {{.flags = 1}, "f: entry \"a/data.pkl\": expected no encryption, got some"},
        {{.local = "a/data.pkm"}, "f: entry \"a/data.pkl\": expected it where the directory says"},
        {{.local = "a/data.pk"}, "f: entry \"a/data.pkl\": expected it where the directory says"},
        {{.more = 1}, "entry \"a/data/0\": expected 25 bytes before the directory, got fewer"},
        {{.more = 5000}, "bytes before the directory, got fewer: truncated?"},
        {{.more = UINT64_MAX / 2, .zip64 = true}, "bytes before the directory, got fewer"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Error e;
        assert_int_equal(count_zip(BAD[i].z, "a", "", &e), -1);
        check_error(&e, ERR_BAD_MODEL, "f: ", BAD[i].says, NULL);
    }
}

static void refused_zip(ZipOut *z, const char *says)
{
    Error e;
    zip_finish(z, "");
    assert_int_equal(count(z->all.data, z->all.len, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: ", says, NULL);
    strbuf_free(&z->all);
    *z = (ZipOut){0};
}

static void zip_members(void **state)
{
    StrBuf s = {0};
    ZipOut z = {0};
    pk_dict(&s, &GOOD);
    refused_zip(&z, "zip: expected a folder with data.pkl, as torch.save writes it, got none");
    zip_add(&z, "a/other.pkl", s.data, s.len);
    refused_zip(&z, "zip: expected a folder with data.pkl");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    refused_zip(&z, "storage \"0\": expected the entry data/0, got none");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    zip_add(&z, "a/data/0", SIX, sizeof SIX - 1);
    refused_zip(&z, "storage \"0\": expected 24 bytes as its type and length say, got 23");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    zip_add(&z, "a/data/0", SIX, sizeof SIX);
    zip_add(&z, "a/data/0", SIX, sizeof SIX);
    refused_zip(&z, "entry \"a/data/0\": expected once, got twice");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    zip_add(&z, "a/data/0", SIX, sizeof SIX);
    zip_add(&z, "a/byteorder", "big", 3);
    refused_zip(&z, "entry \"byteorder\": expected little, got big");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    zip_add(&z, "a/data/0", SIX, sizeof SIX);
    zip_add(&z, "a/byteorder", "middle", 6);
    refused_zip(&z, "entry \"byteorder\": expected little, got middle");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    z.n++;
    refused_zip(&z, "zip: expected entry 1 of the directory, got its end");
    zip_add(&z, "a/data.pkl", s.data, s.len);
    strbuf_puts(&z.directory, "more");
    refused_zip(&z, "zip: expected a directory of 56 bytes as its 1 entries have, got 60");
    strbuf_free(&s);
}

static void zip_ends(void **state)
{
    Error e;
    static const char TEXT[] = "PK\3\4 and nothing that ends it";
    assert_int_equal(count(TEXT, sizeof TEXT, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: zip: expected an end record", "truncated?", NULL);
    ZipOut z = {.zip64 = true};
    zip_add(&z, "a/data.pkl", "N.", 2);
    zip_finish(&z, "");
    z.all.data[z.all.len - 22 - 12] ^= 1; /* where the locator says that the record is */
    assert_int_equal(count(z.all.data, z.all.len, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: zip: expected a Zip64 end record at byte", NULL);
    strbuf_free(&z.all);
    z = (ZipOut){.n = 0};
    zip_add(&z, "a/data.pkl", "N.", 2);
    zip_finish(&z, "");
    z.all.data[z.all.len - 22 + 12]++; /* bytes of the directory */
    assert_int_equal(count(z.all.data, z.all.len, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: zip: expected a directory that ends by byte 98, got 57",
                NULL);
    strbuf_free(&z.all);
}

/* --- views --------------------------------------------------------------------------------------- */

static long count_view(const TensorOut *t, Error *e)
{
    StrBuf s = {0};
    ZipOut z = {0};
    pk_dict(&s, t);
    zip_add(&z, "a/data.pkl", s.data, s.len);
    zip_add(&z, "a/data/0", SIX, sizeof SIX);
    zip_finish(&z, "");
    long n = count(z.all.data, z.all.len, e);
    strbuf_free(&z.all);
    strbuf_free(&s);
    return n;
}

static void views(void **state)
{
    static const struct {
        TensorOut t;
        const char *says; /* NULL: it is read */
    } CASES[] = {
        {{"FloatStorage", "0", 6, 5, 1, 1, {1}, {1}}, NULL},
        {{"FloatStorage", "0", 6, 6, 1, 1, {1}, {1}}, "expected more than 6 elements in storage"},
        {{"FloatStorage", "0", 6, 1, 2, 2, {2, 3}, {3, 1}}, "say, got 6"},
        {{"FloatStorage", "0", 6, 0, 2, 2, {2, 2}, {5, 1}}, "expected more than 6 elements"},
        {{"FloatStorage", "0", 6, 0, 2, 2, {2, 2}, {4, 1}}, NULL},
        {{"FloatStorage", "0", 6, 100, 2, 2, {0, 2}, {4, 1}}, NULL}, /* nothing is reached */
        {{"FloatStorage", "0", 6, 0, 1, 1, {INT64_MAX}, {0}}, "expected a size below 2^63"},
        {{"FloatStorage", "0", 6, 0, 2, 2, {INT64_MAX, 3}, {0, 0}}, "expected a size below 2^63"},
        {{"FloatStorage", "0", 6, 0, 1, 1, {1 << 30}, {0}}, "strides: expected at most"},
        {{"FloatStorage", "0", 6, 0, 2, 2, {3, 2}, {INT64_MAX, INT64_MAX}}, "expected more than"},
        {{"FloatStorage", "0", 6, INT64_MAX, 2, 2, {2, 2}, {INT64_MAX, 1}}, "expected more than"},
        {{"FloatStorage", "0", 6, -1, 1, 1, {1}, {1}}, "expected a number of elements, got an int"},
        {{"FloatStorage", "0", 6, 0, 1, 1, {-1}, {1}}, "expected a number of elements"},
        {{"FloatStorage", "0", 6, 0, 1, 1, {2}, {-1}}, "expected a number of elements"},
        {{"FloatStorage", "0", 6, 0, 2, 1, {2, 3}, {1}}, "expected a stride for each extent"},
        {{"FloatStorage", "0", 6, 0, 9, 9, {1}, {1}}, "shape: expected at most 8 extents, got 9"},
        {{"FloatStorage", "0", 6, 0, 8, 8, {1, 1, 1, 1, 1, 1, 2, 3}, {9, 9, 9, 9, 9, 9, 3, 1}},
         NULL},
        {{"FloatStorage", "0", 6, 0, 0, 0, {0}, {0}}, NULL},
        {
            {"FloatStorage", "0", 5, 0, 0, 0, {0}, {0}},
            "storage \"0\": expected 20 bytes",
        },
        {{"FloatStorage", "0", -6, 0, 0, 0, {0}, {0}}, "storage: 0: expected a number of elements"},
        {{"FloatStorage", "0", INT64_MAX, 0, 0, 0, {0}, {0}}, "storage: 0: expected fewer"},
        {{"FloatStorage", "1", 6, 0, 0, 0, {0}, {0}}, "storage \"1\": expected the entry data/1"},
        {{"FloatStorage", "../0", 6, 0, 0, 0, {0}, {0}}, "storage: name: expected a short plain"},
        {{"FloatStorage", "", 6, 0, 0, 0, {0}, {0}}, "storage: name: expected a short plain name"},
        {{"QInt8Storage", "0", 24, 0, 0, 0, {0}, {0}}, "got the global \"torch.QInt8Storage\""},
        {{"HalfStorage", "0", 12, 11, 1, 1, {1}, {1}}, NULL},
        {{"LongStorage", "0", 3, 2, 1, 1, {1}, {1}}, NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error e;
        long n = count_view(&CASES[i].t, &e);
        if (CASES[i].says)
            check_error(&e, ERR_BAD_MODEL, "f: ", CASES[i].says, NULL);
        else if (n != 1)
            fail_msg("case %zu: %s", i, e.message);
    }
}

/* The stride of an extent of 1 has no meaning: nothing is copied for it. */
static void strides_of_one(void **state)
{
    static const TensorOut ONE = {"FloatStorage", "0", 6, 0, 3, 3, {1, 6, 1}, {7, 1, 5}},
                           TWO = {"FloatStorage", "0", 6, 0, 2, 2, {2, 2}, {2, 2}};
    Error e;
    assert_int_equal(count_view(&ONE, &e), 1);
    assert_false(first_copied);
    assert_int_equal(count_view(&TWO, &e), 1);
    assert_true(first_copied);
}

/* Two tensors of one name are an error, as in safetensors; a name must be text. */
static void names(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        const char *says;
    } BAD[] = {{"w", 1, "tensor \"w\": duplicate key"},
               {"\xff", 1, "name: expected valid UTF-8 without U+0000"},
               {"a\0b", 3, "name: expected valid UTF-8 without U+0000"}};
    for (size_t i = 0; i < 3; i++) {
        StrBuf s = {0};
        ZipOut z = {0};
        strbuf_puts(&s, "\x80\2}(");
        pk_text(&s, "w");
        pk_tensor(&s, &GOOD);
        strbuf_puts(&s, "X");
        out_number(&s, BAD[i].n, 4);
        strbuf_add(&s, BAD[i].name, BAD[i].n);
        pk_tensor(&s, &GOOD);
        strbuf_puts(&s, "u.");
        zip_add(&z, "a/data.pkl", s.data, s.len);
        zip_add(&z, "a/data/0", SIX, sizeof SIX);
        refused_zip(&z, BAD[i].says);
        strbuf_free(&s);
    }
}

static void long_names(void **state)
{
    char name[TENSOR_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[TENSOR_NAME_MAX + 1] = 0;
    for (int longer = 0; longer < 2; longer++) {
        Error e;
        StrBuf s = {0};
        ZipOut z = {0};
        strbuf_puts(&s, "\x80\2}");
        pk_text(&s, name + 1 - longer);
        pk_tensor(&s, &GOOD);
        strbuf_puts(&s, "s.");
        zip_add(&z, "a/data.pkl", s.data, s.len);
        zip_add(&z, "a/data/0", SIX, sizeof SIX);
        zip_finish(&z, "");
        assert_int_equal(count(z.all.data, z.all.len, &e), longer ? -1 : 1);
        if (longer)
            check_error(&e, ERR_BAD_MODEL, "name: expected at most 500 bytes, got 501", NULL);
        strbuf_free(&z.all);
        strbuf_free(&s);
    }
}

/* --- the layout before 1.6 ------------------------------------------------------------------------ */

typedef struct Row {
    const char *magic, *protocol, *system, *keys;
    uint64_t count;
    size_t bytes;
    const char *tail;
    const TensorOut *also; /* a second tensor */
    const char *part;      /* of which its storage is a part */
} Row;

#define MAGIC_PICKLE  "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."
#define LITTLE_PICKLE "\x80\2}X\15\0\0\0little_endian\x88s."
#define BIG_PICKLE    "\x80\2}X\15\0\0\0little_endian\x89s."

static void add_pickle(StrBuf *s, const char *text, const char *otherwise, size_t n)
{
    if (text)
        strbuf_puts(s, text);
    else
        strbuf_add(s, otherwise, n);
}

static const TensorOut SHORTER = {"FloatStorage", "0", 5, 0, 0, 0, {0}, {0}},
                       OTHER_TYPE = {"IntStorage", "0", 6, 0, 0, 0, {0}, {0}},
                       SCALAR = {"FloatStorage", "0", 6, 0, 0, 0, {0}, {0}};

static void old_layout(void **state)
{
    static const struct {
        Row row;
        const char *says;
    } CASES[] = {
        {{.count = 6, .bytes = 24}, NULL},
        {{.magic = "\x80\2K\1.", .count = 6, .bytes = 24},
         "f: magic number: expected that of torch.save, got an int"},
        {{.protocol = "\x80\2M\352\3.", .count = 6, .bytes = 24}, "f: protocol: expected 1001"},
        {{.system = "\x80\2}.", .count = 6, .bytes = 24},
         "f: system: expected a little-endian one"},
        {{.keys = "\x80\2].", .count = 6, .bytes = 24}, "f: file: expected"},
        {{.keys = "\x80\2N.", .count = 6, .bytes = 24}, "storage: names: expected a list of them"},
        {{.keys = "\x80\2]K\1a.", .count = 6, .bytes = 24}, "name: expected a short plain name"},
        {{.keys = "\x80\2](U\0010U\0010e.", .count = 6, .bytes = 24},
         "storage \"0\": expected once, got it twice"},
        {{.keys = "\x80\2]U\0011a.", .count = 6, .bytes = 24},
         "storage \"1\": expected once, got it though nothing uses it"},
        {{.count = 5, .bytes = 24},
         "storage \"0\": expected 24 bytes as its type and length say, "
         "got 20"},
        {{.count = 6, .bytes = 23}, "storage \"0\": expected 32 bytes, got 31: truncated?"},
        {{.count = 6, .bytes = 24, .tail = "more"}, "f: file: expected"},
        {{.count = 6, .bytes = 24, .also = &SHORTER}, "storage \"0\": expected 24 bytes"},
        {{.count = 6, .bytes = 24, .also = &OTHER_TYPE}, "storage \"0\": expected 24 bytes"},
        {{.count = 6, .bytes = 24, .also = &SCALAR, .part = "N"}, NULL},
        {{.count = 6, .bytes = 24, .also = &SCALAR, .part = ")"},
         "storage: 0: expected a storage of its own"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error e;
        StrBuf s = {0};
        const Row *r = &CASES[i].row;
        add_pickle(&s, r->magic, MAGIC_PICKLE, sizeof MAGIC_PICKLE - 1);
        add_pickle(&s, r->protocol, "\x80\2M\351\3.", 6);
        add_pickle(&s, r->system, LITTLE_PICKLE, sizeof LITTLE_PICKLE - 1);
        strbuf_puts(&s, "\x80\2}");
        pk_text(&s, "w");
        pk_tensor(&s, &GOOD);
        if (r->also) {
            strbuf_puts(&s, "s");
            pk_text(&s, "x");
            pk_tensor_part(&s, r->also, r->part ? r->part : "");
        }
        strbuf_puts(&s, "s.");
        add_pickle(&s, r->keys, "\x80\2]U\0010a.", 8);
        out_number(&s, r->count, 8);
        strbuf_add(&s, SIX, r->bytes);
        strbuf_puts(&s, r->tail ? r->tail : "");
        long n = count(s.data, s.len, &e);
        if (CASES[i].says)
            check_error(&e, ERR_BAD_MODEL, CASES[i].says, NULL);
        else if (n != (r->also ? 2 : 1))
            fail_msg("%s", e.message);
        strbuf_free(&s);
    }
}

static void big_endian(void **state)
{
    Error e;
    static const char FILE_HEAD_BYTES[] = MAGIC_PICKLE "\x80\2M\351\3." BIG_PICKLE;
    assert_int_equal(count(FILE_HEAD_BYTES, sizeof FILE_HEAD_BYTES - 1, &e), -1);
    check_error(&e, ERR_BAD_MODEL, "f: system: expected a little-endian one, got a dict", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout),
        cmocka_unit_test(a_tensor_that_says_its_type),
        cmocka_unit_test(shares_and_copies),
        cmocka_unit_test(keeps_copies),
        cmocka_unit_test(refuses_what_is_no_state_dict),
        cmocka_unit_test(truncations_and_flips),
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(zip_variants),
        cmocka_unit_test(zip_refusals),
        cmocka_unit_test(zip_members),
        cmocka_unit_test(zip_ends),
        cmocka_unit_test(views),
        cmocka_unit_test(strides_of_one),
        cmocka_unit_test(names),
        cmocka_unit_test(long_names),
        cmocka_unit_test(old_layout),
        cmocka_unit_test(big_endian),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
