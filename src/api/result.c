/* api/result.c: texts: what a picture's ids say, told as they come and kept at the end. */
#include <string.h>

#include "api/job.h"
#include "task/decode.h"

blip2_result *result_new(size_t count, Error *e)
{
    blip2_result *r = mem_calloc(1, sizeof *r);
    Item *item = mem_calloc(count ? count : 1, sizeof *item);
    if (r && item) {
        *r = (blip2_result){.item = item, .count = count};
        return r;
    }
    mem_free(r);
    mem_free(item);
    error_memory(e, "results", count * sizeof(Item));
    return NULL;
}

Item *job_item(const Job *j, int i)
{
    return &j->result->item[j->index[i]];
}

/* --- text ---------------------------------------------------------------------------------------- */

/* Characters of which only the first bytes are there show up as U+FFFD at the end. */
static size_t whole_characters(const char *s, size_t n)
{
    while (n >= 3 && memcmp(s + n - 3, "\xef\xbf\xbd", 3) == 0)
        n -= 3;
    return n;
}

/* ids -> text as the library's own decoding gives it: special tokens skipped, LAVIS' clean-up of
 * spaces, stripped. Unless `all` are there, only as much of it as further ids cannot change. out is
 * zero-terminated. false: out of memory. */
static bool text_of(const Job *j, const int *ids, size_t n, bool all, StrBuf *out)
{
    bool lavis = j->o.library == LIB_LAVIS;
    strbuf_puts(out, ""); /* so that there is a terminator even without text */
    if (!tokenizer_decode(j->s->model->tokenizer, ids, n, true, out) || !strbuf_cstr(out))
        return false;
    if (!all)
        out->len = whole_characters(out->data, out->len);
    if (!all && lavis)
        out->len = text_settled(out->data, out->len);
    if (lavis)
        out->len = text_cleanup(out->data, out->len);
    out->len = text_strip(out->data, out->len);
    out->data[out->len] = 0;
    return true;
}

/* --- while it comes ------------------------------------------------------------------------------ */

/* What now says beyond what was shown; "" when it says something else, which no later text mends. */
static const char *news(const StrBuf *now, const StrBuf *shown)
{
    if (now->len < shown->len || (shown->len && memcmp(now->data, shown->data, shown->len) != 0))
        return "";
    return now->data + shown->len;
}

/* Adds the id to what has been told; *more is the text that comes with it, in `now`. After a failure
 * the item is as before, so that the id can be told when the batch is done again. */
static bool add_told(const Job *j, Item *it, int id, StrBuf *now, const char **more)
{
    size_t before = it->told.n;
    bool last = is_end(&j->o, id) || before + 1 >= (size_t)j->room;
    bool ok = ids_push(&it->told, id) && text_of(j, it->told.id, it->told.n, last, now);
    if (ok) {
        *more = news(now, &it->shown);
        strbuf_puts(&it->shown, *more);
    }
    if (!ok || it->shown.failed) {
        it->told.n = before;
        it->shown.failed = false;
        return false;
    }
    it->again = it->told.n;
    it->ended = last && (j->o.num_beams > 1 || j->o.num_captions == 1);
    return true;
}

bool job_token(void *user, int index, int id)
{
    Job *j = user;
    Item *it = job_item(j, index);
    if (it->again < it->told.n) {
        it->again++;
        return true;
    }
    StrBuf now = {0};
    const char *more = "";
    bool go = add_told(j, it, id, &now, &more);
    if (go)
        go = j->request->on_token(j->request->user, j->index[index], id, more);
    else
        error_memory(&j->failed, "text", now.len);
    strbuf_free(&now);
    return go;
}

/* --- at the end ---------------------------------------------------------------------------------- */

static bool keep_candidate(const Job *j, blip2_candidate *to, GenSequence *from)
{
    StrBuf text = {0};
    if (!text_of(j, from->ids, (size_t)from->n, true, &text)) {
        strbuf_free(&text);
        return false;
    }
    *to = (blip2_candidate){text.data, from->score, from->ids, (size_t)from->n};
    from->ids = NULL; /* the candidate owns them now */
    return true;
}

bool job_keep(const Job *j, Item *it, GenSequence *seq)
{
    size_t n = (size_t)j->o.num_captions;
    it->candidate = mem_calloc(n, sizeof *it->candidate);
    for (size_t i = 0; it->candidate && i < n; i++) {
        if (!keep_candidate(j, &it->candidate[i], &seq[i]))
            return false;
        it->count++;
    }
    return it->candidate != NULL;
}

void item_drop_candidates(Item *it)
{
    for (size_t i = 0; i < it->count; i++) {
        mem_free((void *)(uintptr_t)it->candidate[i].text);
        mem_free((void *)(uintptr_t)it->candidate[i].ids);
    }
    mem_free(it->candidate);
    it->candidate = NULL;
    it->count = 0;
}

/* --- what the caller sees ------------------------------------------------------------------------ */

void blip2_result_free(blip2_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        item_drop_candidates(&r->item[i]);
        strbuf_free(&r->item[i].shown);
        ids_free(&r->item[i].told);
    }
    mem_free(r->item);
    mem_free(r);
}

/* An empty item where there is none. */
static const Item *item_at(const blip2_result *r, size_t i)
{
    static const Item NONE;
    return r && i < r->count ? &r->item[i] : &NONE;
}

const char *blip2_result_text(const blip2_result *r, size_t i)
{
    return blip2_result_candidate(r, i, 0).text;
}

const blip2_error *blip2_result_error(const blip2_result *r, size_t i)
{
    return &item_at(r, i)->error;
}

const char *blip2_result_notice(const blip2_result *r, size_t i)
{
    return r && i < r->count && r->notice[0] ? r->notice : NULL;
}

size_t blip2_result_count(const blip2_result *r, size_t i)
{
    return item_at(r, i)->count;
}

blip2_candidate blip2_result_candidate(const blip2_result *r, size_t i, size_t k)
{
    const Item *it = item_at(r, i);
    return k < it->count ? it->candidate[k] : (blip2_candidate){0};
}

blip2_timings blip2_result_timings(const blip2_result *r, size_t i)
{
    return item_at(r, i)->timings;
}
