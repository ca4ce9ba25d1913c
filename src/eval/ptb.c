/* eval/ptb.c: tokens of one match after the other. */
#include "eval/ptb.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "eval/lexer.h"
#include "eval/ptb_rules.h"
#include "text/lower.h"
#include "text/unicode.h"

struct Ptb {
    Lexer *lexer;
    StrBuf word; /* the token at work */
};

Ptb *ptb_new(Error *e)
{
    const char **patterns = mem_alloc(PTB_RULE_COUNT * sizeof *patterns);
    Ptb *p = mem_calloc(1, sizeof *p);
    for (size_t i = 0; patterns && i < PTB_RULE_COUNT; i++)
        patterns[i] = PTB_RULES[i].pattern;
    if (patterns && p)
        p->lexer = lexer_new(patterns, PTB_RULE_COUNT, PTB_MACROS, e);
    else
        error_memory(e, "tokenizer", sizeof *p);
    mem_free(patterns);
    if (p && p->lexer)
        return p;
    ptb_free(p);
    return NULL;
}

void ptb_free(Ptb *p)
{
    if (!p)
        return;
    lexer_free(p->lexer);
    strbuf_free(&p->word);
    mem_free(p);
}

/* --- how much of a match is the token ------------------------------------------------------------- */

/* Where the last apostrophe of s[0..n) begins; one is there. */
static size_t last_apostrophe(const char *s, size_t n)
{
    static const char *const FORMS[] = {"'", "\u2019", "\xc2\x92", "&apos;",
                                        "`", "\u2018", "\u201b",   "\xc2\x91"};
    for (size_t at = n; at-- > 0;)
        for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
            if (n - at >= strlen(FORMS[i]) && strncasecmp(s + at, FORMS[i], strlen(FORMS[i])) == 0)
                return at;
    BUG("a rule without its apostrophe");
}

static size_t forward(const char *s, size_t n, int chars)
{
    uint32_t cp;
    bool valid;
    size_t at = 0;
    for (int i = 0; i < chars && at < n; i++)
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
    return at;
}

static size_t backward(const char *s, size_t n, int chars)
{
    for (int i = 0; i < chars && n > 0; i++)
        do
            n--;
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80);
    return n;
}

static size_t first_blank(const char *s, size_t n)
{
    size_t at = 0;
    while (
        at < n && s[at] != ' ' && s[at] != '\t' && s[at] != '\n' &&
        !(n - at > 1 && memcmp(s + at, "\u00a0", 2) == 0) &&
        !(n - at > 2 && (memcmp(s + at, "\u3000", 3) == 0 ||
                         (memcmp(s + at, "\u2000", 2) == 0 && (unsigned char)s[at + 2] <= 0x8a))))
        at++;
    return at;
}

static size_t kept(const char *s, size_t n, int keep)
{
    if (keep == KEEP_ALL)
        return n;
    if (keep == KEEP_TO_APOSTROPHE)
        return last_apostrophe(s, n);
    if (keep == KEEP_TO_BLANK)
        return first_blank(s, n);
    if (keep == KEEP_TO_DOT)
        return (size_t)((const char *)memchr(s, '.', n) - s) + 1;
    if (keep == KEEP_TO_NT)
        return backward(s, last_apostrophe(s, n), 1);
    if (keep == KEEP_TO_I_OR_W)
        return backward(s, n, (s[n - 2] | 32) == 'i' ? 2 : 3);
    return keep > 0 ? forward(s, n, keep) : backward(s, n, -keep);
}

/* --- tokens --------------------------------------------------------------------------------------- */

typedef struct Spelling {
    const char *from, *to;
} Spelling;

/* Within tokens, by PtbAct. Blanks are in tags and telephone numbers. */
static const Spelling SPELLINGS[][20] = {
    [PTB_TEXT] = {{" ", "\u00a0"}, {"\t", "\u00a0"}, {"(", "-lrb-"}, {")", "-rrb-"}},
    [PTB_TAG] = {{" ", "\u00a0"}, {"\t", "\u00a0"}},
    [PTB_AND] = {{"&amp;", "&"}, {"&AMP;", "&"}},
    [PTB_WORD] = {{"\u00ad", ""}, {"&amp;", "&"}},
    [PTB_CLITIC] = {{"\u00ad", ""},
                    {"\u2019", "'"},
                    {"\xc2\x92", "'"},
                    {"&apos;", "'"},
                    {"\u2018", "`"},
                    {"\u201b", "`"},
                    {"\xc2\x91", "`"}},
    [PTB_QUOTES] = {{"\u2018", "`"},
                    {"\u201b", "`"},
                    {"\u2039", "`"},
                    {"\xc2\x91", "`"},
                    {"\u2019", "'"},
                    {"\u203a", "'"},
                    {"\xc2\x92", "'"},
                    {"\u201c", "``"},
                    {"\u00ab", "``"},
                    {"\xc2\x93", "``"},
                    {"\u201d", "''"},
                    {"\u00bb", "''"},
                    {"\xc2\x94", "''"}},
    [PTB_FIXED] = {{NULL, NULL}},
};

static const Spelling *spelling_at(const Spelling *list, const char *s, size_t n)
{
    while (list->from &&
           !(n >= strlen(list->from) && memcmp(list->from, s, strlen(list->from)) == 0))
        list++;
    return list->from ? list : NULL;
}

static void add_spelled(StrBuf *out, const char *s, size_t n, const Spelling *list)
{
    for (size_t i = 0; i < n;) {
        const Spelling *as = spelling_at(list, s + i, n - i);
        if (as)
            strbuf_puts(out, as->to);
        else
            strbuf_add(out, s + i, 1);
        i += as ? strlen(as->from) : 1;
    }
}

static void spell(StrBuf *word, const PtbRule *rule, const char *s, size_t n)
{
    word->len = 0;
    if (rule->act == PTB_FIXED)
        strbuf_puts(word, rule->as);
    else
        add_spelled(word, s, n, SPELLINGS[rule->act]);
}

/* --- a capital sigma ------------------------------------------------------------------------------ */

/* Whether a character of s[0..n) has a case. */
static bool has_case(const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    for (size_t at = 0; at < n;) {
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
        if (sigma_class(cp) == SIGMA_CASED)
            return true;
    }
    return false;
}

/* Java's lower case (ConditionalSpecialCasing) asks for letters with a case anywhere before and behind in the word, Python's
 * only for the nearest. A token is a word here. Both forms have the two bytes of the capital. */
static void lower_sigmas(char *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (memcmp(s + i, "\u03a3", 2) == 0) {
            bool final = has_case(s, i) && !has_case(s + i + 2, n - i - 2);
            memcpy(s + i, final ? "\u03c2" : "\u03c3", 2);
        }
}

/* What pycocoevalcap leaves out (tokenizer/ptbtokenizer.py); its -LRB- and the like never occur in lower case. */
static bool is_punctuation(const char *s, size_t n)
{
    static const char *const LIST[] = {"''", "'", "``", "`",  ".",   "?", "!",
                                       ",",  ":", "-",  "--", "...", ";"};
    for (size_t i = 0; i < sizeof LIST / sizeof *LIST; i++)
        if (strlen(LIST[i]) == n && memcmp(LIST[i], s, n) == 0)
            return true;
    return false;
}

/* Bytes of s[0..n) without the white space at its end. */
static size_t text_strip_end(const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    while (n > 0) {
        size_t at = backward(s, n, 1);
        utf8_next(s + at, n - at, &cp, &valid);
        if (!unicode_python_space(cp))
            break;
        n = at;
    }
    return n;
}

/* As the reference does with each line, white space at its end goes, even of a token. */
static void end_line(StrBuf *out)
{
    size_t n = out->len, from = n;
    while (from > 0 && out->data[from - 1] != '\n')
        from--;
    if (from < n)
        out->len = from + text_strip_end(out->data + from, n - from);
    strbuf_puts(out, "\n");
}

static void add_token(Ptb *p, const PtbRule *rule, const char *s, size_t n, StrBuf *out)
{
    if (rule->act == PTB_DROP)
        return;
    if (rule->act == PTB_NEWLINE) {
        end_line(out);
        return;
    }
    spell(&p->word, rule, s, n);
    if (p->word.failed)
        out->failed = true;
    if (p->word.failed || p->word.len == 0 || is_punctuation(p->word.data, p->word.len))
        return;
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        strbuf_puts(out, " ");
    lower_sigmas(p->word.data, p->word.len);
    lower_add(out, p->word.data, p->word.len);
}

bool ptb_tokenize(Ptb *p, const char *text, size_t n, StrBuf *out, Error *e)
{
    bool failed = false;
    for (size_t at = 0, k; at < n && !failed && !out->failed; at += k) {
        int rule;
        k = lexer_match(p->lexer, text + at, n - at, &rule, &failed);
        if (k > 0) {
            k = kept(text + at, k, PTB_RULES[rule].keep);
            add_token(p, &PTB_RULES[rule], text + at, k, out);
        } else {
            k = forward(text + at, n - at,
                        1); /* what the original calls untokenizable, and leaves out */
        }
    }
    return (!failed && !out->failed) || error_memory(e, "tokenizer", n);
}

void ptb_leave_out(const char *text, size_t n, StrBuf *out)
{
    for (size_t at = 0; at < n;) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t length = end ? (size_t)(end - line) : n - at, left = text_strip_end(line, length);
        bool first = true;
        for (size_t from = 0, k; from <= left; from += k + 1) {
            const char *blank = memchr(line + from, ' ', left - from);
            k = blank ? (size_t)(blank - line) - from : left - from;
            if (is_punctuation(line + from, k))
                continue;
            if (!first)
                strbuf_puts(out, " ");
            strbuf_add(out, line + from, k);
            first = false;
        }
        strbuf_puts(out, "\n");
        at += length + 1;
    }
}
