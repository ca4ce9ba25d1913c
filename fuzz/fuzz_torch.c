/* Arbitrary bytes as a file of torch.save, of either layout, and as one pickle. What is accepted is then
 * read to the last byte, so that the sanitizer sees a tensor or a text that does not lie in the file. */
#include "ckpt/pickle.h"
#include "ckpt/torch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void sum(const void *bytes, size_t n)
{
    unsigned s = 0;
    for (size_t i = 0; i < n; i++)
        s += ((const unsigned char *)bytes)[i];
    sink += s;
}

static void check(bool ok, const Error *e)
{
    if (ok != (e->code == ERR_NONE))
        BUG("no error, or one that is not one");
}

static void as_file(const uint8_t *data, size_t size)
{
    TensorList list = {0};
    Error e = {0};
    bool ok = torch_parse(&list, data, size, "fuzz", &e);
    check(ok, &e);
    for (size_t i = 0; ok && i < list.n; i++) {
        sum(list.t[i].data, list.t[i].bytes);
        sum(list.t[i].name, 1);
    }
    tensors_free(&list);
}

static void as_pickle(const uint8_t *data, size_t size)
{
    char buf[200];
    Pickle p;
    Error e = {0};
    bool ok = pickle_read(&p, data, size, "fuzz", "pickle", &e);
    check(ok, &e);
    for (size_t i = 0; ok && i < p.n; i++)
        for (size_t k = 0; k < p.node[i].n; k++) {
            PickleValue v = p.node[i].item[k];
            if (v.kind == PICKLE_TEXT || v.kind == PICKLE_BYTES || v.kind == PICKLE_BIG)
                sum(v.text, v.n);
            sum(pickle_describe(&p, v, buf, sizeof buf), 1);
        }
    pickle_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_file(data, size);
    as_pickle(data, size);
    if (mem_in_use() != 0)
        BUG("leaked");
    return 0;
}
