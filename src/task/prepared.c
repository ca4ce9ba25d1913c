/* task/prepared.c: see task/prepared.h. */
#include "task/prepared.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"

static size_t bytes_of(const PrepareSpec *spec)
{
    return sizeof(float) * 3 * (size_t)spec->height * (size_t)spec->width;
}

PrepareSpec prepared_spec(const ModelConfig *k)
{
    PrepareSpec spec = {.width = k->pixels, .height = k->pixels};
    memcpy(spec.mean, k->mean, sizeof spec.mean);
    memcpy(spec.std, k->std, sizeof spec.std);
    return spec;
}

bool prepared_make(Prepared *p, const Picture *picture, PrepareRoute route, const ModelConfig *k,
                   Error *e)
{
    double start = now_ms();
    Prepared made = {.route = route, .spec = prepared_spec(k)};
    made.pixels = mem_alloc(bytes_of(&made.spec));
    if (!made.pixels)
        return error_memory(e, "pixels", bytes_of(&made.spec));
    if (!picture_prepare(made.pixels, picture, route, &made.spec, e)) {
        mem_free(made.pixels);
        return false;
    }
    made.ms = now_ms() - start;
    *p = made;
    return true;
}

void prepared_free(Prepared *p)
{
    mem_free(p->pixels);
    *p = (Prepared){0};
}

static bool same_spec(const PrepareSpec *a, const PrepareSpec *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0;
}

bool prepared_copy(const Prepared *p, PrepareRoute route, const ModelConfig *k, float *out,
                   Error *e)
{
    PrepareSpec spec = prepared_spec(k);
    if (p->route != route || !same_spec(&p->spec, &spec))
        return error_set(
            e, ERR_FAILED,
            "picture: expected one prepared for this model and library, got one prepared "
            "for others");
    memcpy(out, p->pixels, bytes_of(&spec));
    return true;
}
