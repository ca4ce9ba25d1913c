/* task/run.c: many items through one engine, as many at once as there is room for. */
#include <stdio.h>

#include "task/engine.h"

/* Items that join in one go: they are encoded and prefilled together. */
enum { JOIN_TOGETHER = 8 };

typedef struct Run {
    Engine *en;
    const EngineRequest *request;
    EngineItem **item; /* [n] */
    int *queue;        /* [n] numbers of items, in the order in which they join */
    int n, next;       /* next: of queue */
    int most;          /* items that ran at once */
    bool refused;      /* there was no room for the next ones */
    bool waited;       /* some had to wait for others */
} Run;

static int own_running(const Run *run)
{
    int n = 0;
    for (int i = 0; i < run->n; i++)
        n += run->item[i] && engine_running(run->item[i]);
    return n;
}

/* Of the m items that have just joined, those without room leave, to join again behind others: they are
 * moved behind the rest. Returns how many stay. Where nothing else runs there is no more room to wait
 * for, and their error stands. */
static int keep_joined(Run *run, int m)
{
    int *mine = run->queue + run->next, back[JOIN_TOGETHER], kept = 0, n_back = 0;
    bool wait = engine_count_running(run->en) > 0;
    for (int i = 0; i < m; i++) {
        EngineItem **at = &run->item[mine[i]];
        if (wait && engine_error(*at)->code == ERR_MEMORY) {
            engine_leave(run->en, *at);
            *at = NULL;
            back[n_back++] = mine[i];
        } else {
            mine[kept++] = mine[i];
        }
    }
    for (int i = 0; i < n_back; i++)
        mine[kept + i] = back[i];
    return kept;
}

/* false: no memory for the items themselves. */
static bool join_some(Run *run, Error *e)
{
    EngineRequest request[JOIN_TOGETHER];
    EngineItem *made[JOIN_TOGETHER];
    int m = 0;
    for (; m < JOIN_TOGETHER && run->next + m < run->n; m++)
        request[m] = run->request[run->queue[run->next + m]];
    if (!engine_join(run->en, request, m, made, e))
        return false;
    for (int i = 0; i < m; i++)
        run->item[run->queue[run->next + i]] = made[i];
    int kept = keep_joined(run, m), running = own_running(run);
    run->next += kept;
    run->refused = kept < m;
    run->waited |= run->refused;
    run->most = running > run->most ? running : run->most;
    return true;
}

/* As many as there is room for. false: none of those that are left can ever join. */
static bool join_all(Run *run, Error *e)
{
    Error own = {0};
    while (run->next < run->n && !run->refused)
        if (!join_some(run, &own)) {
            if (engine_count_running(run->en) == 0) {
                error_set(e, own.code, "%s", own.message);
                return false;
            }
            run->refused = run->waited = true;
        }
    return true;
}

/* A batch is never cut silently. */
static void note_waiting(const Run *run)
{
    char text[96];
    snprintf(text, sizeof text, "batch: memory for %d of %d at once", run->most, run->n);
    for (int i = 0; run->waited && i < run->n; i++)
        if (run->item[i] && !engine_error(run->item[i])->code)
            engine_add_notice(run->item[i], text);
}

static void run_all(Run *run, Error *e)
{
    while (join_all(run, e)) {
        int before = engine_count_running(run->en);
        if (run->next == run->n && own_running(run) == 0)
            return;
        if (before == 0 || engine_step(run->en) < before)
            run->refused = false; /* there is room again, or nobody to wait for */
    }
}

bool engine_run(Engine *en, const EngineRequest *r, int n, EngineItem **item, Error *e)
{
    Run run = {.en = en, .request = r, .item = item, .n = n};
    if (!engine_idle(en, e))
        return false;
    run.queue = mem_alloc((size_t)n * sizeof *run.queue);
    if (!run.queue)
        return error_memory(e, "items", (size_t)n * sizeof *run.queue);
    for (int i = 0; i < n; i++) {
        item[i] = NULL;
        run.queue[i] = i;
    }
    run_all(&run, e);
    note_waiting(&run);
    mem_free(run.queue);
    return run.next > 0 || n == 0;
}
