/* task/reply.h: the pieces that are told are the beginning of the whole, and no character is told before it is
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "task/reply.h"

static Tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    Error e = {0};
    tokenizer = tokenizer_load(SOURCE_DIR "/models/scenes", &e);
    return tokenizer ? 0 : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_free(tokenizer);
    return mem_in_use() ? -1 : 0;
}

/* Tells the ids of text[0..n), n of them at most; each piece ends a character, together they are `want`. */
static void tell(const char *text, size_t most, bool clean, const char *want)
{
    Ids ids = {0};
    Error e = {0};
    Reply r = {.tokenizer = tokenizer, .clean = clean};
    StrBuf told = {0};
    assert_true(tokenizer_encode(tokenizer, text, strlen(text), false, true, &ids, &e));
    size_t n = ids.n < most ? ids.n : most;
    for (size_t i = 0; i < n; i++) {
        StrBuf whole = {0};
        const char *piece;
        assert_true(reply_add(&r, ids.id[i], i + 1 == n, &whole, &piece));
        if (i + 1 < n && strstr(piece, "\xef\xbf\xbd"))
            fail_msg("%s: half a character after %zu ids", text, i + 1);
        strbuf_puts(&told, piece);
        strbuf_free(&whole);
    }
    assert_string_equal(strbuf_cstr(&told), want);
    strbuf_free(&told);
    reply_free(&r);
    ids_free(&ids);
}

static void characters_are_told_whole(void **state)
{
    (void)state;
    tell("\xf0\x9f\x99\x82", 99, false,
         "\xf0\x9f\x99\x82"); /* nothing but one that takes several ids */
    tell("\xf0\x9f\x99\x82 a \xc3\xa9\xe4\xb8\xad", 99, false,
         "\xf0\x9f\x99\x82 a \xc3\xa9\xe4\xb8\xad");
    tell("\xe4\xb8\xad", 1, false,
         "\xef\xbf\xbd"); /* no id follows: as it stands, as Python shows it */
}

static void space_waits_for_what_follows(void **state)
{
    (void)state;
    tell("  a cat  ", 99, false, "a cat");
    tell("a cat . it 's red", 99, true, "a cat. it's red");
    tell("a cat . it 's red", 99, false, "a cat . it 's red");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_told_whole),
        cmocka_unit_test(space_waits_for_what_follows),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
