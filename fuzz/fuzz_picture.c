/* libFuzzer target: any bytes as a picture, through every route. */
#include <stdlib.h>
#include "image/decode.h"

enum { SIZE = 32, MAX_PIXELS = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static float out[3 * SIZE * SIZE];
    PrepareSpec spec = prepare_default(SIZE);
    Picture p;
    Error e = {0};
    if (!picture_decode_capped(&p, data, n, "fuzz", MAX_PIXELS, &e)) {
        if (p.data || e.code == ERR_NONE)
            abort();
        return 0;
    }
    for (int route = ROUTE_OWN; route <= ROUTE_HF; route++)
        if (!picture_prepare(out, &p, (PrepareRoute)route, &spec, &e))
            abort();
    picture_free(&p);
    return 0;
}
