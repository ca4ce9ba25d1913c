/* eval/answers.c: see answers.h; section names as there. */
#include "eval/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/lower.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

/* --- P -------------------------------------------------------------------------------------------- */

static const char PUNCTUATION[] = ";/[]\"{}()=+\\_-><@`,?!";

/* The zeros of Unicode's decimal digits (category Nd); nine others follow each. */
static const uint32_t ZEROS[] = {
    /* clang-format off */
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
    /* clang-format on */
};

static bool is_decimal(uint32_t cp)
{
    for (size_t i = 0; i < sizeof ZEROS / sizeof *ZEROS && ZEROS[i] <= cp; i++)
        if (cp - ZEROS[i] < 10)
            return true;
    return false;
}

static bool is_digit(const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    if (n == 0)
        return false;
    utf8_next(s, n, &cp, &valid);
    return valid && is_decimal(cp);
}

/* Whether a comma stands between two digits somewhere. */
static bool has_thousands(const char *s, size_t n)
{
    bool digit = false; /* the character before */
    uint32_t cp;
    bool valid;
    for (size_t at = 0; at < n;) {
        if (s[at] == ',' && digit && is_digit(s + at + 1, n - at - 1))
            return true;
        digit = is_digit(s + at, n - at);
        at += (size_t)utf8_next(s + at, n - at, &cp, &valid);
    }
    return false;
}

/* Whether c stands beside a blank somewhere in the original. */
static bool beside_blank(const char *s, size_t n, char c)
{
    for (size_t i = 0; i + 1 < n; i++)
        if ((s[i] == c && s[i + 1] == ' ') || (s[i] == ' ' && s[i + 1] == c))
            return true;
    return false;
}

/* What happens to each character of PUNCTUATION: 0 it goes, else what it becomes. */
static void choose(const char *s, size_t n, char fate[128])
{
    bool thousands = has_thousands(s, n);
    for (char c = 0; c >= 0 && c < 127; c++)
        fate[(int)c] = c;
    for (const char *p = PUNCTUATION; *p; p++)
        fate[(int)*p] = thousands || beside_blank(s, n, *p) ? 0 : ' ';
}

/* Full stops without a digit behind them go, but not more than 32: the official code passes a flag of the regular
 * expression where the number of replacements is expected. */
static void drop_full_stops(StrBuf *s, size_t from)
{
    enum { MOST = 32 };
    size_t used = from, removed = 0;
    for (size_t i = from; i < s->len; i++) {
        if (s->data[i] == '.' && removed < MOST && !is_digit(s->data + i + 1, s->len - i - 1))
            removed++;
        else
            s->data[used++] = s->data[i];
    }
    if (used < s->len)
        s->data[s->len = used] = 0;
}

void answer_punctuation(const char *s, size_t n, StrBuf *out)
{
    char fate[128] = {0};
    size_t from = out->len;
    choose(s, n, fate);
    for (size_t i = 0; i < n; i++) {
        bool listed = s[i] > 0 && strchr(PUNCTUATION, s[i]);
        if (!listed)
            strbuf_add(out, s + i, 1);
        else if (fate[(int)s[i]])
            strbuf_add(out, " ", 1);
    }
    if (!out->failed)
        drop_full_stops(out, from);
}

/* --- W -------------------------------------------------------------------------------------------- */

/* Ascending. Entries with capitals never apply, since words are in lower case by then; those that map a word to
 * itself are left out. */
static const char *const CONTRACTIONS[][2] = {
    /* clang-format off */
    {"'ow'sat", "'ow's'at"}, {"'ows'at", "'ow's'at"}, {"aint", "ain't"}, {"arent", "aren't"},
    {"cant", "can't"}, {"couldn'tve", "couldn't've"}, {"couldnt", "couldn't"}, {"couldnt've", "couldn't've"},
    {"couldve", "could've"}, {"didnt", "didn't"}, {"doesnt", "doesn't"}, {"dont", "don't"},
    {"hadn'tve", "hadn't've"}, {"hadnt", "hadn't"}, {"hadnt've", "hadn't've"}, {"hasnt", "hasn't"},
    {"havent", "haven't"}, {"he'dve", "he'd've"}, {"hed", "he'd"}, {"hed've", "he'd've"}, {"hes", "he's"},
    {"howd", "how'd"}, {"howll", "how'll"}, {"hows", "how's"}, {"isnt", "isn't"}, {"it'dve", "it'd've"},
    {"itd", "it'd"}, {"itd've", "it'd've"}, {"itll", "it'll"}, {"maam", "ma'am"},
    {"mightn'tve", "mightn't've"}, {"mightnt", "mightn't"}, {"mightnt've", "mightn't've"},
    {"mightve", "might've"}, {"mustnt", "mustn't"}, {"mustve", "must've"}, {"neednt", "needn't"},
    {"notve", "not've"}, {"oclock", "o'clock"}, {"oughtnt", "oughtn't"}, {"ow's'at", "'ow's'at"},
    {"shant", "shan't"}, {"she'dve", "she'd've"}, {"shed've", "she'd've"}, {"shouldn'tve", "shouldn't've"},
    {"shouldnt", "shouldn't"}, {"shouldnt've", "shouldn't've"}, {"shouldve", "should've"},
    {"somebody'd", "somebodyd"}, {"somebody'dve", "somebody'd've"}, {"somebodyd've", "somebody'd've"},
    {"somebodyll", "somebody'll"}, {"somebodys", "somebody's"}, {"someone'dve", "someone'd've"},
    {"someoned", "someone'd"}, {"someoned've", "someone'd've"}, {"someonell", "someone'll"},
    {"someones", "someone's"}, {"something'dve", "something'd've"}, {"somethingd", "something'd"},
    {"somethingd've", "something'd've"}, {"somethingll", "something'll"}, {"thats", "that's"},
    {"there'dve", "there'd've"}, {"thered", "there'd"}, {"thered've", "there'd've"}, {"therere", "there're"},
    {"theres", "there's"}, {"they'dve", "they'd've"}, {"theyd", "they'd"}, {"theyd've", "they'd've"},
    {"theyll", "they'll"}, {"theyre", "they're"}, {"theyve", "they've"}, {"twas", "'twas"},
    {"wasnt", "wasn't"}, {"we'dve", "we'd've"}, {"wed've", "we'd've"}, {"werent", "weren't"},
    {"weve", "we've"}, {"whatll", "what'll"}, {"whatre", "what're"}, {"whats", "what's"},
    {"whatve", "what've"}, {"whens", "when's"}, {"whered", "where'd"}, {"wheres", "where's"},
    {"whereve", "where've"}, {"who'dve", "who'd've"}, {"whod", "who'd"}, {"whod've", "who'd've"},
    {"wholl", "who'll"}, {"whos", "who's"}, {"whove", "who've"}, {"whyll", "why'll"}, {"whyre", "why're"},
    {"whys", "why's"}, {"wont", "won't"}, {"wouldn'tve", "wouldn't've"}, {"wouldnt", "wouldn't"},
    {"wouldnt've", "wouldn't've"}, {"wouldve", "would've"}, {"y'all'dve", "y'all'd've"},
    {"y'alld've", "y'all'd've"}, {"y'allll", "y'all'll"}, {"yall", "y'all"}, {"yall'd've", "y'all'd've"},
    {"yall'll", "y'all'll"}, {"you'dve", "you'd've"}, {"youd", "you'd"}, {"youd've", "you'd've"},
    {"youll", "you'll"}, {"youre", "you're"}, {"youve", "you've"},
    /* clang-format on */
};

static const char *const NUMBERS[][2] = {
    {"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
    {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"},
};

static const char *replaced(const char *const (*list)[2], size_t count, const char *word, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i][0]) == n && memcmp(list[i][0], word, n) == 0)
            return list[i][1];
    return NULL;
}

static bool is_article(const char *s, size_t n)
{
    return (n == 1 && *s == 'a') || (n == 2 && memcmp(s, "an", 2) == 0) ||
           (n == 3 && memcmp(s, "the", 3) == 0);
}

static void add_word(const char *s, size_t n, StrBuf *out, size_t from)
{
    const char *as = replaced(NUMBERS, sizeof NUMBERS / sizeof *NUMBERS, s, n);
    if (n == 0 || is_article(s, n))
        return;
    if (!as)
        as = replaced(CONTRACTIONS, sizeof CONTRACTIONS / sizeof *CONTRACTIONS, s, n);
    if (out->len > from)
        strbuf_add(out, " ", 1);
    strbuf_add(out, as ? as : s, as ? strlen(as) : n);
}

void answer_words(const char *s, size_t n, StrBuf *out)
{
    StrBuf lower = {0};
    size_t from = out->len, word = 0, length;
    uint32_t cp;
    bool valid;
    lower_add(&lower, s, n);
    for (size_t at = 0; !lower.failed && at < lower.len; at += length) {
        length = (size_t)utf8_next(lower.data + at, lower.len - at, &cp, &valid);
        if (valid && unicode_python_space(cp)) {
            add_word(lower.data + word, at - word, out, from);
            word = at + length;
        }
    }
    if (lower.len > 0)
        add_word(lower.data + word, lower.len - word, out, from);
    out->failed = out->failed || lower.failed;
    strbuf_free(&lower);
}

/* --- accuracy ------------------------------------------------------------------------------------- */

static void normalise(const char *s, size_t n, StrBuf *out)
{
    StrBuf clean = {0};
    answer_punctuation(s, n, &clean);
    answer_words(clean.len ? clean.data : "", clean.len, out);
    out->failed = out->failed || clean.failed;
    strbuf_free(&clean);
}

static void add_stripped(const char *s, size_t n, StrBuf *out)
{
    StrBuf copy = {0};
    strbuf_add(&copy, s, n);
    for (size_t i = 0; !copy.failed && i < n; i++)
        if (copy.data[i] == '\n' || copy.data[i] == '\t')
            copy.data[i] = ' ';
    size_t left = copy.failed || n == 0 ? 0 : text_strip(copy.data, n);
    normalise(left ? copy.data : "", left, out);
    out->failed = out->failed || copy.failed;
    strbuf_free(&copy);
}

static bool same(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && (n == 0 || memcmp(a, b, n) == 0);
}

static bool all_alike(const Answer *a, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!same(a[i].text, a[i].n, a[0].text, a[0].n))
            return false;
    return true;
}

/* hit[i]: answer i is the prediction. Answers that are all alike stay as they are. */
static bool find_hits(const StrBuf *p, const Answer *a, size_t count, bool *hit)
{
    bool raw = all_alike(a, count), failed = false;
    for (size_t i = 0; i < count && !failed; i++) {
        StrBuf clean = {0};
        if (raw)
            strbuf_add(&clean, a[i].text, a[i].n);
        else
            answer_punctuation(a[i].text, a[i].n, &clean);
        hit[i] = same(p->data, p->len, clean.data, clean.len);
        failed = clean.failed;
        strbuf_free(&clean);
    }
    return !failed;
}

static double mean_of_hits(const Answer *a, size_t count, const bool *hit)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t others = 0;
        for (size_t j = 0; j < count; j++)
            others += hit[j] && a[j].record != a[i].record;
        sum += others >= 3 ? 1 : (double)others / 3;
    }
    return sum / (double)count;
}

bool vqa_accuracy(const char *prediction, size_t n, const Answer *answers, size_t count,
                  double *out, Error *e)
{
    StrBuf p = {0};
    bool hit[ANSWERS_MAX];
    if (count == 0 || count > ANSWERS_MAX)
        return error_set(e, ERR_FAILED, "answers: expected 1 to %d, got %zu", ANSWERS_MAX, count);
    add_stripped(prediction, n, &p);
    bool ok = !p.failed && find_hits(&p, answers, count, hit);
    if (ok)
        *out = mean_of_hits(answers, count, hit);
    strbuf_free(&p);
    return ok || error_memory(e, "answers", n);
}

bool gqa_correct(const char *prediction, size_t n, const char *truth, size_t m, bool *out, Error *e)
{
    StrBuf p = {0}, t = {0};
    normalise(prediction, n, &p);
    normalise(truth, m, &t);
    bool ok = !p.failed && !t.failed;
    *out = ok && same(p.data, p.len, t.data, t.len);
    strbuf_free(&p);
    strbuf_free(&t);
    return ok || error_memory(e, "answers", n + m);
}

/* Both round the exact binary value, halves to even, and read the decimal back. */
double round_cents(double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.2f", x);
    return strtod(text, NULL);
}
