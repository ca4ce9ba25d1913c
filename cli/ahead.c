/* ahead.c: see ahead.h. One lock for all; places of pictures are a ring by the numbers of their paths. */
#define _GNU_SOURCE
#include "ahead.h"

#include "memory.h"
#include "operands.h"
#include "path.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    STACK_BYTES = 2 << 20,
    LARGE = 64 << 20, /* pixels: from there on a picture is not read beside another */
};

typedef struct Place {
    blip2_image *image;
    blip2_error error;
    bool done;
} Place;

struct Ahead {
    AheadOptions o;
    Place *place;           /* [most] */
    size_t next, begun;     /* paths: taken; begun to be read */
    size_t reading;         /* pictures in their own size */
    bool large;             /* one of those so far was */
    bool threaded, closing; /* there is a thread; it is to end */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static bool once(const char *path)
{
    return strcmp(path, "-") == 0 || (!is_regular(path) && !is_folder(path));
}

static blip2_image *read_picture(const Ahead *a, size_t i, blip2_error *err)
{
    blip2_image *image = open_operand(a->o.paths[i], err);
    if (image && !blip2_image_prepare(image, a->o.model, a->o.library, err)) {
        blip2_image_free(image);
        image = NULL;
    }
    return image;
}

/* --- with the lock held -------------------------------------------------------------------------- */

static Place *place_of(const Ahead *a, size_t i)
{
    return &a->place[i % a->o.most];
}

/* Whether there is one more to be read that waits for nobody. */
static bool more(const Ahead *a)
{
    return a->begun < a->o.count && a->begun < a->next + a->o.most && !once(a->o.paths[a->begun]);
}

static size_t pixels(const blip2_image *image)
{
    return (size_t)blip2_image_width(image) * (size_t)blip2_image_height(image);
}

/* Reads the next one that nobody has begun. */
static void read_one(Ahead *a)
{
    size_t i = a->begun++;
    Place *p = place_of(a, i);
    *p = (Place){.done = false};
    a->reading++;
    pthread_mutex_unlock(&a->lock);
    blip2_error err = {0};
    blip2_image *image = read_picture(a, i, &err);
    pthread_mutex_lock(&a->lock);
    *p = (Place){image, err, true};
    a->large |= pixels(image) > LARGE;
    a->reading--;
    pthread_cond_broadcast(&a->changed);
}

/* --- the thread ---------------------------------------------------------------------------------- */

static void *reader(void *arg)
{
    Ahead *a = arg;
    pthread_mutex_lock(&a->lock);
    while (!a->closing)
        if (more(a))
            read_one(a);
        else
            pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are for the program's first thread, but for those that a thread's own work raises. */
static sigset_t foreign_signals(void)
{
    static const int OWN[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        sigdelset(&set, OWN[i]);
    return set;
}

static void start(Ahead *a)
{
    sigset_t blocked = foreign_signals(), before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return;
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1); /* a second arena takes 64 MiB of addresses, which may be limited */
#endif
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    a->threaded = pthread_create(&a->thread, &attr, reader, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

/* --- the caller's side --------------------------------------------------------------------------- */

Ahead *ahead_new(const AheadOptions *o)
{
    Ahead *a = need_array(1, sizeof *a);
    a->o = *o;
    if (a->o.most < 1)
        a->o.most = 1;
    a->place = need_array(a->o.most, sizeof *a->place);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (a->o.count > 1)
        start(a);
    return a;
}

void ahead_free(Ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    if (a->threaded)
        pthread_join(a->thread, NULL);
    for (size_t i = a->next; i < a->begun; i++)
        blip2_image_free(place_of(a, i)->image);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a->place);
    free(a);
}

bool ahead_ready(Ahead *a)
{
    pthread_mutex_lock(&a->lock);
    bool ready = a->next < a->begun && place_of(a, a->next)->done;
    pthread_mutex_unlock(&a->lock);
    return ready;
}

bool ahead_alone(const Ahead *a)
{
    return a->next < a->o.count && once(a->o.paths[a->next]);
}

/* Until the next one is there. Who would only wait reads the one behind it meanwhile. */
static void wait_for_next(Ahead *a)
{
    if (a->begun == a->next)
        read_one(a);
    while (!place_of(a, a->next)->done)
        if (more(a) && a->reading < 2 && !a->large)
            read_one(a);
        else
            pthread_cond_wait(&a->changed, &a->lock);
}

/* Nobody else reads at that time. */
static void read_again(Ahead *a, Place *p)
{
    size_t begun = a->begun;
    a->begun = a->o.count; /* nothing more is begun */
    while (a->reading > 0)
        pthread_cond_wait(&a->changed, &a->lock);
    p->error = (blip2_error){0};
    p->image = read_picture(a, a->next, &p->error);
    a->begun = begun;
}

blip2_image *ahead_take(Ahead *a, blip2_error *err)
{
    pthread_mutex_lock(&a->lock);
    bool can_again = !once(a->o.paths[a->next]);
    wait_for_next(a);
    Place *p = place_of(a, a->next);
    if (!p->image && p->error.code == BLIP2_MEMORY && can_again)
        read_again(a, p);
    blip2_image *image = p->image;
    *err = p->error;
    p->image = NULL;
    a->next++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    return image;
}

size_t ahead_take_some(Ahead *a, Taken *t, size_t n)
{
    size_t taken = 0;
    bool alone = false;
    while (taken < n && !alone && a->next < a->o.count) {
        alone = ahead_alone(a);
        if (alone && taken)
            break;
        t[taken] = (Taken){.path = a->o.paths[a->next]};
        t[taken].image = ahead_take(a, &t[taken].error);
        taken++;
    }
    return taken;
}

void taken_free(Taken *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        blip2_image_free(t[i].image);
        t[i].image = NULL;
    }
}
