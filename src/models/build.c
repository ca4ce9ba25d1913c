#include "models/build.h"

#include <sys/mman.h>

/* A block that belongs to the model: matrices that could not stay in the mapping. */
typedef struct Owned {
    struct Owned *next;
    void *data;
    size_t bytes;
    bool mapped; /* anonymous mapping instead of mem_alloc */
} Owned;

void *model_own(Blip2 *m, size_t bytes, bool small_pages)
{
    Owned *o = mem_alloc(sizeof *o);
    if (!o)
        return NULL;
    *o = (Owned){.next = m->owned, .bytes = bytes, .mapped = small_pages};
    if (small_pages) {
        o->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (o->data == MAP_FAILED)
            o->data = NULL;
        else
            madvise(o->data, bytes, MADV_NOHUGEPAGE);
    } else {
        o->data = mem_alloc(bytes);
    }
    if (!o->data) {
        mem_free(o);
        return NULL;
    }
    m->owned = o;
    return o->data;
}

void model_close(Blip2 *m)
{
    if (!m)
        return;
    for (Owned *o = m->owned, *next; o; o = next) {
        next = o->next;
        if (o->mapped)
            munmap(o->data, o->bytes);
        else
            mem_free(o->data);
        mem_free(o);
    }
    arena_free(&m->mem);
    ckpt_close(m->ckpt);
    mem_free(m);
}

Blip2 *model_new(const ModelConfig *config, Error *e)
{
    Blip2 *m = mem_calloc(1, sizeof *m);
    if (!m) {
        error_memory(e, "model", sizeof *m);
        return NULL;
    }
    m->config = *config;
    if (vit_init(&m->vit, &config->vit, &m->mem) &&
        qformer_init(&m->qformer, &config->qformer, &m->mem) &&
        opt_init(&m->opt, &config->opt, &m->mem))
        return m;
    error_memory(e, "layers", 0);
    model_close(m);
    return NULL;
}
