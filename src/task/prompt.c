/* task/prompt.c: composing prompts as LAVIS and transformers do; cutting what does not fit. */
#include "task/prompt.h"

#include <stdio.h>
#include <string.h>
#include "base/note.h"
#include "base/utf8.h"

/* A template may repeat the question; the product of the two must not eat the memory. */
enum { PROMPT_BYTES_MAX = 1 << 24 };

static const char ANSWER[] = "Question: {} Answer:"; /* BLIP-2 paper 4.3, LAVIS' notebook */

/* Every {} of the template becomes the question, as Python's str.format does. */
static bool fill(StrBuf *out, const char *pattern, const char *question, Error *e)
{
    const char *hole = strstr(pattern, "{}");
    if (!hole)
        return error_set(e, ERR_USAGE,
                         "prompt: expected a template with {} for the question, got \"%.80s\"",
                         pattern);
    for (; hole && out->len <= PROMPT_BYTES_MAX; hole = strstr(pattern, "{}")) {
        strbuf_add(out, pattern, (size_t)(hole - pattern));
        strbuf_puts(out, question);
        pattern = hole + 2;
    }
    strbuf_puts(out, pattern);
    return true;
}

static bool needs_question(const PromptSpec *s)
{
    return s->task != TASK_CAPTION && !(s->raw && s->prompt);
}

/* "Question: q Answer: a. Question: q2 Answer:" from round `first` on. */
static bool compose_chat(const PromptSpec *s, size_t first, StrBuf *out, Error *e)
{
    const char *pattern = s->prompt ? s->prompt : ANSWER;
    for (size_t i = first; i < s->n_turns; i++) {
        if (!fill(out, pattern, s->turns[i].question, e))
            return false;
        strbuf_printf(out, " %s. ", s->turns[i].answer);
    }
    return fill(out, pattern, s->text, e);
}

static bool compose(const PromptSpec *s, size_t first_turn, StrBuf *out, Error *e)
{
    if (needs_question(s) && !s->text)
        return error_set(e, ERR_USAGE, "question: expected a text, got none");
    if (s->raw)
        strbuf_puts(out, s->prompt ? s->prompt : s->text ? s->text : "");
    else if (s->task == TASK_CAPTION)
        strbuf_puts(out, s->prompt ? s->prompt : s->library == LIB_LAVIS ? s->model_prompt : "");
    else if (s->task == TASK_CHAT)
        return compose_chat(s, first_turn, out, e);
    else if (s->library == LIB_HF && !s->prompt)
        strbuf_puts(out, s->text);
    else
        return fill(out, s->prompt ? s->prompt : ANSWER, s->text, e);
    return true;
}

/* The caller's words one by one: the place of a wrong byte is told as the caller counts. */
static bool check_text(const char *what, const char *text, Error *e)
{
    long at = text ? utf8_invalid(text, strlen(text)) : -1;
    return at < 0 || error_set(e, ERR_USAGE, "%s: byte %ld: expected UTF-8, got 0x%02x", what, at,
                               (unsigned char)text[at]);
}

static bool check_texts(const PromptSpec *s, Error *e)
{
    bool ok = check_text("question", s->text, e) && check_text("prompt", s->prompt, e);
    for (size_t i = 0; ok && i < s->n_turns; i++) {
        char what[64];
        snprintf(what, sizeof what, "dialogue: round %zu: question", i);
        ok = check_text(what, s->turns[i].question, e);
        snprintf(what, sizeof what, "dialogue: round %zu: answer", i);
        ok = ok && check_text(what, s->turns[i].answer, e);
    }
    return ok;
}

/* spaced: whether the words end in a space. */
static bool encode(const PromptSpec *s, size_t first_turn, const Tokenizer *t, Ids *out,
                   bool *spaced, Error *e)
{
    StrBuf text = {0};
    bool ok = compose(s, first_turn, &text, e);
    const char *all = strbuf_cstr(&text);
    if (ok && !all)
        ok = error_memory(e, "prompt", text.len);
    if (ok && text.len > PROMPT_BYTES_MAX)
        ok = error_set(e, ERR_FAILED, "prompt: expected at most %d bytes, got more",
                       PROMPT_BYTES_MAX);
    *spaced = ok && text.len && strchr(" \t\r\n", all[text.len - 1]);
    ok = ok && tokenizer_encode(t, all, text.len, true, false, out, e);
    strbuf_free(&text);
    return ok;
}

/* The dialogue from round `first` on. fits: whether the model has room for it. */
static bool encode_rounds(const PromptSpec *s, size_t first, const Tokenizer *t, Ids *out,
                          bool *fits, bool *spaced, Error *e)
{
    out->n = 0;
    if (!encode(s, first, t, out, spaced, e))
        return false;
    *fits = s->room >= 0 && out->n <= (size_t)s->room;
    return true;
}

/* Drops as few of the oldest rounds as it takes; searched by halves, since a dialogue may be long. */
static bool encode_chat(const PromptSpec *s, const Tokenizer *t, Ids *out, bool *spaced,
                        char notice[256], Error *e)
{
    size_t first = 0, last = s->n_turns;
    bool fits;
    if (!encode_rounds(s, 0, t, out, &fits, spaced, e))
        return false;
    if (fits || !s->n_turns)
        return true;
    while (last - first > 1) { /* from `first` on is too much */
        size_t middle = first + (last - first) / 2;
        if (!encode_rounds(s, middle, t, out, &fits, spaced, e))
            return false;
        *(fits ? &last : &first) = middle;
    }
    snprintf(notice, 256,
             "dialogue: the oldest %zu of %zu rounds no longer fit the model's "
             "positions and were left out",
             last, s->n_turns);
    return encode_rounds(s, last, t, out, &fits, spaced, e);
}

static void cut(const PromptSpec *s, const Tokenizer *t, Ids *out, char notice[256])
{
    char text[128];
    snprintf(text, sizeof text,
             "prompt: cut to %d of %zu tokens, as LAVIS does (the rules of hf keep all)", s->cut,
             out->n);
    note_append(notice, 256, text);
    tokenizer_truncate(t, out, (size_t)s->cut, false);
}

bool prompt_ids(const PromptSpec *s, const Tokenizer *t, Ids *out, char notice[256], Error *e)
{
    bool spaced = false, chat = s->task == TASK_CHAT;
    notice[0] = 0;
    if (!check_texts(s, e) ||
        !(chat ? encode_chat(s, t, out, &spaced, notice, e) : encode(s, 0, t, out, &spaced, e)))
        return false;
    if (s->cut > 0 && !chat && out->n > (size_t)s->cut)
        cut(s, t, out, notice);
    else if (spaced && (s->prompt || s->text))
        /* As the libraries do, the space is a token of its own; behind one models have hardly ever seen
         * a word, and often they end at once. */
        note_append(notice, 256, "prompt: ends in a space, behind which models often say nothing");
    if (s->room >= 0 && out->n <= (size_t)s->room)
        return true;
    return lm_too_long(s->room, out->n, e);
}
