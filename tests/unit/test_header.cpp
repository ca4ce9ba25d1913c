/* The public header as C++ sees it, in a program linked against the shared library: every struct begun by
 * its function, one caption, one batch. Exit code 0: all is right. */
#include <blip2.h>

#include <cstdio>
#include <cstring>
#include <vector>

static int failures;

static void check(bool ok, const char *what)
{
    if (!ok) {
        std::fprintf(stderr, "test_header: %s\n", what);
        failures++;
    }
}

struct Heard {
    size_t calls;
    std::vector<char> text;
};

static bool hear(void *user, size_t, int, const char *text)
{
    Heard *h = static_cast<Heard *>(user);
    h->calls++;
    h->text.insert(h->text.end(), text, text + std::strlen(text));
    return true;
}

static bool says(const blip2_result *r, size_t i, const char *text)
{
    const char *got = blip2_result_text(r, i);
    return got && std::strcmp(got, text) == 0;
}

static void one_call(blip2_session *s, blip2_model *model, blip2_image *image, blip2_error *err)
{
    Heard heard = Heard();
    blip2_options o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_HF);
    std::vector<blip2_item> items(2, blip2_item_default());
    items[0].image = items[1].image = image;
    items[0].options = &o;
    items[0].on_token = hear;
    items[0].user = &heard;
    check(o.size == sizeof o && items[0].size == sizeof items[0], "sizes");
    check(blip2_check(s, &items[0], err), "check");
    blip2_result *r = blip2_generate(s, items.data(), items.size(), err);
    check(says(r, 0, "a rabbit on a blue background"), "caption");
    check(says(r, 1, "a rabbit on a blue background"), "caption with the defaults");
    check(blip2_result_count(r, 0) == 1 && blip2_result_candidate(r, 0, 1) == NULL, "candidates");
    const blip2_candidate *best = blip2_result_candidate(r, 0, 0);
    check(best && best->id_count == heard.calls, "ids");
    check(best && heard.text == std::vector<char>(best->text, best->text + std::strlen(best->text)),
          "what was heard");
    check(blip2_result_timings(r, 0)->total > 0, "timings");
    blip2_result_free(r);
}

static void one_batch(blip2_session *s, blip2_image *image, blip2_error *err)
{
    blip2_batch *b = blip2_batch_new(s, err);
    blip2_item item = blip2_item_default();
    size_t ticket = 0;
    item.image = image;
    check(blip2_batch_join(b, &item, 1, &ticket, err), "join");
    while (blip2_batch_step(b) > 0) {
    }
    blip2_result *r = blip2_batch_leave(b, ticket, err);
    check(says(r, 0, "a rabbit on a blue background"), "batch");
    blip2_result_free(r);
    blip2_batch_free(b);
}

int main(int argc, char **argv)
{
    blip2_error err = blip2_error();
    blip2_load_options load = blip2_load_options_default();
    blip2_session_options on = blip2_session_options_default();
    on.threads = 1;
    blip2_model *model = blip2_model_load(NULL, &load, &err);
    blip2_session *s = blip2_session_new(model, &on, &err);
    blip2_image *image = blip2_image_from_file(argc > 1 ? argv[1] : NULL, &err);
    one_call(s, model, image, &err);
    one_batch(s, image, &err);
    check(err.code == BLIP2_OK, err.message);
    blip2_image_free(image);
    blip2_session_free(s);
    blip2_model_free(model);
    return failures ? 1 : 0;
}
