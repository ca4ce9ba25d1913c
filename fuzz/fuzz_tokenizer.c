/* Modes, chosen by the first byte: the rest is a tokenizer.json, a spiece.model or a vocab.txt to load and use; or a
 * text that must come back unchanged through a small byte-level vocabulary, or must get ids in a small Unigram or
 * WordPiece one; or a caption to clean up; or which tokenizer, one byte, and the files beside it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/caption.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "fuzz_tokenizer: %s\n", what);
    abort();
}

/* --- tokenizers to begin with --------------------------------------------------------------------- */

/* All bytes, a few merges, two special tokens and one that is not. */
static void make_bpe(StrBuf *json)
{
    static const char REST[] =
        "\"th\":256,\"the\":257,\"aa\":258,\"aaaa\":259,\"\xc4\xa0"
        "a\":260,\"\xc4\xa0\xc4\xa0\":261},"
        "\"merges\":[\"t h\",\"th e\",\"a a\",\"aa aa\",\"\xc4\xa0 a\",\"\xc4\xa0 \xc4\xa0\"]},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":["
        "{\"id\":262,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":263,\"content\":\"<se\",\"special\":true,\"normalized\":false},"
        "{\"id\":264,\"content\":\"ab\"}]}";
    uint32_t next = 0x100;
    strbuf_puts(json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (uint32_t b = 0; b < 256; b++) {
        bool own = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        strbuf_printf(json, "\"\\u%04x\":%u,", own ? b : next++, b);
    }
    strbuf_puts(json, REST);
}

static void read_whole(const char *name, StrBuf *out)
{
    char path[512], text[4096];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/data/tokenizer_beside/%s", name);
    FILE *f = fopen(path, "r");
    check(f != NULL, path);
    for (size_t n; (n = fread(text, 1, sizeof text, f)) > 0;)
        strbuf_add(out, text, n);
    fclose(f);
}

enum { BPE, T5, BERT, T5_SPIECE, BERT_TXT, BASES };

/* from NULL: make_bpe. */
static struct Base {
    const char *name, *from;
    StrBuf text;
} base[BASES] = {{"tokenizer.json", NULL, {0}},
                 {"tokenizer.json", "t5.json", {0}},
                 {"tokenizer.json", "bert.json", {0}},
                 {"spiece.model", "t5.model", {0}},
                 {"vocab.txt", "bert.txt", {0}}};

static void read_bases(void)
{
    for (int i = 0; i < BASES; i++)
        if (base[i].from)
            read_whole(base[i].from, &base[i].text);
        else
            make_bpe(&base[i].text);
}

static Tokenizer *load(const struct Base *b)
{
    Error e = {0};
    Tokenizer *t = tokenizer_parse(b->text.data, b->text.len, b->name, &e);
    check(t != NULL, e.message);
    return t;
}

/* --- modes ---------------------------------------------------------------------------------------- */

/* Ids that all exist, whose text is UTF-8. */
static void use(const Tokenizer *t, const char *s, size_t n)
{
    Error e = {0};
    Ids ids = {0};
    StrBuf out = {0};
    bool valid = utf8_invalid(s, n) < 0;
    for (int split = 0; split < 2; split++) {
        ids.n = out.len = 0;
        check(tokenizer_encode(t, s, n, true, split, &ids, &e) == valid, "invalid UTF-8 taken");
        for (size_t i = 0; i < ids.n; i++)
            check(tokenizer_has(t, ids.id[i]), "an id of nothing");
        check(tokenizer_decode(t, ids.id, ids.n, split, &out), "decode failed");
        check(out.len == 0 || utf8_invalid(out.data, out.len) < 0, "decoded text is not UTF-8");
    }
    size_t before = ids.n;
    tokenizer_truncate(t, &ids, 3, true);
    check(ids.n <= before, "cut to more");
    ids_free(&ids);
    strbuf_free(&out);
}

/* Whatever loads can be used, on its own bytes too, and says why when it does not load. t: is freed. */
static void use_loaded(Tokenizer *t, const Error *e, const char *bytes, size_t n)
{
    static const char TEXT[] = "a photo of</s> it's 12  the <s>caf\xc3\xa9 \xf0\x9f\x98\x80 ab";
    StrBuf own = {0};
    check((t != NULL) == (e->code == ERR_NONE), "an error without a message, or the reverse");
    if (!t)
        return;
    use(t, TEXT, strlen(TEXT));
    utf8_add_lossy(&own, n > 512 ? bytes + n - 512 : bytes, n > 512 ? 512 : n);
    use(t, strbuf_cstr(&own), own.len);
    strbuf_free(&own);
    tokenizer_free(t);
}

static void try_file(const char *bytes, size_t n, const char *name)
{
    Error e = {0};
    Tokenizer *t = tokenizer_parse(bytes, n, name, &e);
    use_loaded(t, &e, bytes, n);
}

/* The files beside it are separated by zeros; an empty one is not there. */
static void try_beside(const struct Base *b, const char *bytes, size_t n)
{
    static const char *const NAMES[] = {"tokenizer_config.json", "special_tokens_map.json",
                                        "added_tokens.json", "config.json"};
    FolderFile file[5] = {{b->name, b->text.data, b->text.len}};
    Folder folder = {.path = "memory", .file = file, .files = 1};
    Error e = {0};
    size_t at = 0;
    for (int i = 0; i < 4 && at < n; i++) {
        const char *end = memchr(bytes + at, 0, n - at);
        size_t size = end ? (size_t)(end - bytes) - at : n - at;
        if (size)
            file[folder.files++] = (FolderFile){NAMES[i], bytes + at, size};
        at += size + 1;
    }
    Tokenizer *t = tokenizer_open(&folder, &e);
    use_loaded(t, &e, bytes, n);
}

/* Lower case has at most three bytes for two. */
static void try_caption(const char *s, size_t n)
{
    StrBuf text = {0}, out = {0};
    utf8_add_lossy(&text, s, n);
    const char *whole = strbuf_cstr(&text);
    check(caption_clean(whole, text.len, CAPTION_WORDS, &out), "caption failed");
    check(out.len == 0 || utf8_invalid(out.data, out.len) < 0, "caption is not UTF-8");
    check(2 * out.len <= 3 * text.len, "caption is longer");
    out.len = 0;
    check(question_clean(whole, text.len, CAPTION_WORDS, &out), "question failed");
    check(out.len == 0 || utf8_invalid(out.data, out.len) < 0, "question is not UTF-8");
    check(2 * out.len <= 3 * text.len, "question is longer");
    strbuf_free(&text);
    strbuf_free(&out);
}

static void try_text(const Tokenizer *t, const char *s, size_t n)
{
    Error e = {0};
    Ids ids = {0};
    StrBuf out = {0}, lossy = {0};
    bool valid = utf8_invalid(s, n) < 0;
    for (int split = 0; split < 2; split++) {
        ids.n = out.len = 0;
        check(tokenizer_encode(t, s, n, true, split, &ids, &e) == valid, "invalid UTF-8 taken");
        check(tokenizer_decode(t, ids.id, ids.n, false, &out), "decode failed");
        check(!valid || (out.len == n && (n == 0 || memcmp(out.data, s, n) == 0)), "text changed");
    }
    utf8_add_lossy(&lossy, s, n);
    check(!lossy.len || utf8_invalid(lossy.data, lossy.len) < 0, "lossy text is not UTF-8");
    if (lossy.len) {
        size_t k = text_cleanup(lossy.data, lossy.len);
        check(text_strip(lossy.data, k) <= k && k <= lossy.len, "clean-up made the text longer");
    }
    ids_free(&ids);
    strbuf_free(&out);
    strbuf_free(&lossy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static Tokenizer *small, *unigram, *wordpiece;
    static const char *const NAMES[] = {"tokenizer.json", "spiece.model", "vocab.txt"};
    if (!small) {
        read_bases();
        small = load(&base[BPE]);
        unigram = load(&base[T5]);
        wordpiece = load(&base[BERT]);
    }
    if (n < 2)
        return 0;
    const char *s = (const char *)data + 1;
    size_t in_use = mem_in_use();
    switch (data[0] % 8) {
    case 3: try_text(small, s, n - 1); break;
    case 4: use(unigram, s, n - 1); break;
    case 5: use(wordpiece, s, n - 1); break;
    case 6: try_caption(s, n - 1); break;
    case 7: try_beside(&base[data[1] % BASES], s + 1, n - 2); break;
    default: try_file(s, n - 1, NAMES[data[0] % 8]);
    }
    check(mem_in_use() == in_use, "memory leaked");
    return 0;
}
