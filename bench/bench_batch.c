/* bench/bench_batch.c: eight different questions about a picture, in one call and one after another.
 *
 *     bench_batch MODEL PICTURE [ROUNDS]
 *
 * The picture is encoded before, as it is for all but the first question. Texts are compared: they must be the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blip2.h>

#include "timing.h"

enum { N = 8, ROUNDS_MAX = 32 };

static const char *const QUESTIONS[N] = {
    "what is this?",
    "what is on the left?",
    "what color is the background?",
    "is there an animal?",
    "how many things are there?",
    "what is the largest thing in the picture?",
    "where was this taken?",
    "why?",
};

static void fail(const blip2_error *e)
{
    fprintf(stderr, "bench_batch: %s\n", e->message);
    exit(1);
}

static void make_items(blip2_item *item, const char *path)
{
    blip2_error e = {0};
    blip2_image *image = blip2_image_from_file(path, &e);
    if (!image)
        fail(&e);
    for (int i = 0; i < N; i++) {
        item[i] = blip2_item_default();
        item[i].task = BLIP2_ASK;
        item[i].text = QUESTIONS[i];
        item[i].image = image;
    }
}

/* `at` a time; the texts one after another. */
static double answer(blip2_session *s, const blip2_item *item, int at, char *texts, size_t size)
{
    blip2_error e = {0};
    double start = now_ms();
    *texts = '\0';
    for (int i = 0; i < N; i += at) {
        blip2_result *r = blip2_generate(s, &item[i], (size_t)at, &e);
        for (int k = 0; k < at; k++) {
            const char *text = blip2_result_text(r, (size_t)k);
            if (!text)
                fail(r ? blip2_result_error(r, (size_t)k) : &e);
            snprintf(texts + strlen(texts), size - strlen(texts), "%s\n", text);
        }
        blip2_result_free(r);
    }
    return now_ms() - start;
}

int main(int argc, char **argv)
{
    static char together[1 << 16], alone[1 << 16];
    double one[ROUNDS_MAX], each[ROUNDS_MAX];
    blip2_error e = {0};
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    if (argc < 3 || rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    blip2_model *m = blip2_model_load(argv[1], NULL, &e);
    blip2_session *s = m ? blip2_session_new(m, NULL, &e) : NULL;
    if (!s)
        fail(&e);
    blip2_item item[N];
    make_items(item, argv[2]);
    answer(s, item, 1, alone, sizeof alone);
    for (int i = 0; i < rounds; i++) {
        one[i] = answer(s, item, N, together, sizeof together);
        each[i] = answer(s, item, 1, alone, sizeof alone);
        if (strcmp(together, alone) != 0)
            fail(&(blip2_error){.message = "other texts alone than together"});
    }
    double a = timing_of(one, rounds).median, b = timing_of(each, rounds).median;
    printf("%d questions: one call %.0f ms, %d calls %.0f ms, ratio %.2f\n", N, a, N, b, b / a);
    blip2_image_free(item[0].image);
    blip2_session_free(s);
    blip2_model_free(m);
    return 0;
}
