/* Arbitrary bytes as the JSON files of a model directory: the first byte says which file the rest
 * is; a byte 0xff starts the next file. What is accepted must keep what config.h promises. */
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(const ModelConfig *c)
{
    bool ok = c->vit.width % c->vit.heads == 0 && c->qformer.width % c->qformer.heads == 0 &&
              c->vit.layers <= 1000 && c->pixels >= c->vit.patch &&
              c->pixels / c->vit.patch <= VIT_GRID_TIMES * (c->vit.image / c->vit.patch) &&
              c->gen.n_eos >= 1 && c->gen.n_eos <= MAX_EOS && c->qformer.queries >= 1 &&
              c->qformer.image_width == c->vit.width && c->std[0] > 0 && c->std[2] > 0;
    if (c->kind == MODEL_OPT)
        ok = ok && c->opt.width % c->opt.heads == 0 && c->opt.vocab > 0;
    if (!ok)
        BUG("accepted what config.h rules out");
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    ConfigText texts[CONFIG_FILES] = {{"{}", 2}};
    ModelConfig c;
    Error e = {0};
    while (size > 0) {
        int file = data[0] % CONFIG_FILES;
        const unsigned char *next = memchr(data + 1, 0xff, size - 1);
        size_t n = next ? (size_t)(next - data) : size;
        texts[file] = (ConfigText){(const char *)data + 1, n - 1};
        data += n;
        size -= n;
        if (size > 0) {
            data++;
            size--;
        }
    }
    bool ok = config_parse(&c, texts, "fuzz", &e);
    if (ok != (e.code == ERR_NONE))
        BUG("no error, or one that is not one");
    if (ok)
        check(&c);
    else if (strpbrk(e.message, "\n\r\x1b"))
        BUG("a message of several lines");
    return 0;
}
