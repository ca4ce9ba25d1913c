/* Arbitrary bytes as a safetensors file. What is accepted is then read to the last byte, so that
 * the sanitizer sees a tensor that does not lie in the file. */
#include "ckpt/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TensorList list = {0};
    Error e = {0};
    bool ok = safetensors_parse(&list, data, size, "fuzz", &e);
    if (ok != (e.code == ERR_NONE))
        BUG("no error, or one that is not one");
    for (size_t i = 0; ok && i < list.n; i++) {
        const unsigned char *p = list.t[i].data;
        unsigned sum = (unsigned)list.t[i].name[0];
        for (size_t k = 0; k < list.t[i].bytes; k++)
            sum += p[k];
        sink += sum;
    }
    tensors_free(&list);
    if (mem_in_use() != 0)
        BUG("leaked");
    return 0;
}
