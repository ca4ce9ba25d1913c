/* data/record.c: LAVIS' lavis/datasets/datasets/{coco_caption,coco_vqa,gqa,retrieval,caption}_datasets.py. */
#include "data/record.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "data/unpack.h"

enum { NAME_LENGTH_MAX = 4096, TEXTS_MAX = 1000 };

/* The item and what belongs to it; most of its strings are those of the parsed record. */
typedef struct Record {
    DataItem item;   /* first */
    char *path;      /* of the picture, and behind its zero room for the id that its name has */
    DataText *texts; /* item.texts */
    char number[24]; /* an id that is an integer */
} Record;

void data_item_free(DataItem *item)
{
    Record *r = (Record *)item;
    if (!item)
        return;
    json_decref(item->record);
    mem_free(r->path);
    mem_free(r->texts);
    mem_free(r);
}

/* --- members ------------------------------------------------------------------------------------------ */

static bool wrong(const char *where, const char *key, const char *want, const json_t *got, Error *e)
{
    static const char *const NAMES[] = {"an object", "a list", "a string", "an integer",
                                        "a number",  "true",   "false",    "null"};
    return error_set(e, ERR_FAILED, "%s: %s: expected %s, got %s", where, key, want,
                     got ? NAMES[json_typeof(got)] : "nothing");
}

/* A text without U+0000, which no path and no C string can hold. */
static const char *text_of(const json_t *v, const char *key, const char *where, Error *e)
{
    const char *text = json_string_value(v);
    if (!text)
        wrong(where, key, "a string", v, e);
    else if (strlen(text) != json_string_length(v))
        error_set(e, ERR_FAILED, "%s: %s: expected text without U+0000", where, key);
    else
        return text;
    return NULL;
}

static const char *member_text(const DataItem *item, const char *key, const char *where, Error *e)
{
    return text_of(json_object_get(item->record, key), key, where, e);
}

/* An integer or a text, as text. */
static const char *member_id(Record *r, const char *key, const char *where, Error *e)
{
    const json_t *v = json_object_get(r->item.record, key);
    if (json_is_string(v)) {
        const char *text = text_of(v, key, where, e);
        if (text && strlen(text) <= NAME_LENGTH_MAX)
            return text;
        if (text)
            error_set(e, ERR_FAILED, "%s: %s: expected at most %d bytes, got %zu", where, key,
                      NAME_LENGTH_MAX, strlen(text));
        return NULL;
    }
    if (!json_is_integer(v)) {
        wrong(where, key, "an integer or a string", v, e);
        return NULL;
    }
    snprintf(r->number, sizeof r->number, "%lld", (long long)json_integer_value(v));
    return r->number;
}

/* --- the picture ---------------------------------------------------------------------------------------- */

static bool take_picture(Record *r, const DataSource *s, const char *where, Error *e)
{
    DataItem *item = &r->item;
    item->image_name = member_text(item, "image", where, e);
    if (!item->image_name)
        return false;
    if (!stays_inside(item->image_name)) /* names come from strangers */
        return error_set(e, ERR_FAILED,
                         "%s: image: expected a path within the image folder, got %.80s", where,
                         item->image_name);
    size_t n = strlen(item->image_name) + 1, room = strlen(s->images) + 1 + 2 * n;
    r->path = mem_alloc(room);
    if (!r->path)
        return error_memory(e, where, room);
    snprintf(r->path, room - n, "%s%s%s", s->images, str_ends(s->images, "/") ? "" : "/",
             item->image_name);
    item->image = r->path;
    return true;
}

/* ann["image"].split("/")[-1].strip(".jpg").split("_")[-1]: strip takes any of these four letters off both ends. */
static const char *id_in_name(Record *r)
{
    static const char LETTERS[] = ".jpg";
    const char *slash = strrchr(r->item.image_name, '/');
    const char *from = slash ? slash + 1 : r->item.image_name, *end = from + strlen(from);
    from += strspn(from, LETTERS);
    while (end > from && strchr(LETTERS, end[-1]))
        end--;
    for (const char *p = from; p < end; p++)
        from = *p == '_' ? p + 1 : from;
    char *id = r->path + strlen(r->path) + 1;
    memcpy(id, from, (size_t)(end - from));
    id[end - from] = 0;
    return id;
}

static bool take_picture_id(Record *r, const DataSource *s, const char *where, Error *e)
{
    if (!s->numbered)
        r->item.image_id = s->id_key ? member_id(r, s->id_key, where, e) : id_in_name(r);
    return s->numbered || r->item.image_id;
}

/* --- texts ------------------------------------------------------------------------------------------------ */

static bool room_for_texts(Record *r, size_t n, const char *where, Error *e)
{
    if (n > TEXTS_MAX)
        return error_set(e, ERR_FAILED, "%s: expected at most %d texts, got %zu", where, TEXTS_MAX,
                         n);
    r->texts = mem_alloc(n * sizeof *r->texts);
    r->item.texts = r->texts;
    return r->texts || error_memory(e, where, n * sizeof *r->texts);
}

static bool take_caption(Record *r, const json_t *v, const char *key, const char *where, Error *e)
{
    const char *text = text_of(v, key, where, e);
    if (text)
        r->texts[r->item.text_count++] = (DataText){text, 1};
    return text;
}

/* Equal answers are one, whose weight grows by 1/n each time: LAVIS adds in this order. */
static bool take_answer(Record *r, const json_t *v, const char *key, double share,
                        const char *where, Error *e)
{
    const char *text = text_of(v, key, where, e);
    size_t i = 0;
    if (!text)
        return false;
    while (i < r->item.text_count && strcmp(r->texts[i].text, text) != 0)
        i++;
    if (i == r->item.text_count)
        r->texts[r->item.text_count++] = (DataText){text, 0};
    r->texts[i].weight += share;
    return true;
}

/* A string is a list of one. */
static bool take_texts(Record *r, const DataSource *s, const char *where, Error *e)
{
    bool answers = s->form == DATA_QUESTIONS;
    const char *key = s->text_key ? s->text_key : answers ? "answer" : "caption";
    const json_t *v = json_object_get(r->item.record, key), *one;
    size_t n = json_is_array(v) ? json_array_size(v) : 1, i;
    if (!v || json_is_null(v))
        return s->texts_missing || wrong(where, key, "text", v, e);
    if (s->form == DATA_PAIRS && !json_is_string(v))
        return wrong(where, key, "a string", v, e);
    if (!json_is_array(v) && !json_is_string(v))
        return wrong(where, key, "a string or a list of strings", v, e);
    if (n == 0 && !s->texts_missing)
        return error_set(e, ERR_FAILED, "%s: %s: expected at least one, got none", where, key);
    if (!room_for_texts(r, n, where, e))
        return false;
    for (i = 0; i < n; i++) {
        one = json_is_array(v) ? json_array_get(v, i) : v;
        if (!(answers ? take_answer(r, one, key, 1.0 / (double)n, where, e)
                      : take_caption(r, one, key, where, e)))
            return false;
    }
    return true;
}

/* --- records ------------------------------------------------------------------------------------------------ */

static bool take_question(Record *r, const char *where, Error *e)
{
    DataItem *item = &r->item;
    item->question = member_text(item, "question", where, e);
    item->question_id = item->question ? member_id(r, "question_id", where, e) : NULL;
    return item->question_id;
}

static bool take(Record *r, const DataSource *s, const char *where, Error *e)
{
    if (!json_is_object(r->item.record))
        return error_set(e, ERR_FAILED, "%s: expected an object, got a list", where);
    if (!take_picture(r, s, where, e))
        return false;
    bool ok =
        s->form == DATA_QUESTIONS ? take_question(r, where, e) : take_picture_id(r, s, where, e);
    return ok && take_texts(r, s, where, e);
}

DataItem *record_item(const DataSource *s, json_t *record, size_t index, const char *where,
                      Error *e)
{
    Record *r = mem_calloc(1, sizeof *r);
    if (!r) {
        json_decref(record);
        error_memory(e, where, sizeof *r);
        return NULL;
    }
    r->item.record = record;
    r->item.index = index;
    if (take(r, s, where, e))
        return &r->item;
    data_item_free(&r->item);
    return NULL;
}

const char *record_id(const DataSource *s, const DataItem *item)
{
    if (s->form == DATA_QUESTIONS)
        return item->question_id;
    return s->form == DATA_CAPTIONS && item->image_id ? item->image_id : item->image_name;
}
