/* caption.c: captions the pictures named on the command line, all at once.
 *
 *     cc caption.c $(pkg-config --cflags --libs blip2) -o caption
 *     ./caption photo.jpg another.png
 */
#include <stdio.h>
#include <stdlib.h>
#include <blip2.h>

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)argc - 1 : 0;
    blip2_error err = {0}, *unread = calloc(n + 1, sizeof *unread);
    blip2_item *items = calloc(n + 1, sizeof *items);
    if (!items || !unread) {
        free(items);
        free(unread);
        return BLIP2_MEMORY;
    }

    blip2_model *model = blip2_model_load(NULL, NULL, &err); /* NULL: "scenes" */
    blip2_session *session = blip2_session_new(model, NULL, &err);
    for (size_t i = 0; i < n; i++) {
        items[i] = blip2_item_default(); /* a caption, with LAVIS' options */
        items[i].image = blip2_image_from_file(argv[i + 1], &unread[i]);
    }
    blip2_result *r = blip2_generate(session, items, n, &err);

    int failed = err.code;
    if (err.code)
        fprintf(stderr, "%s\n", err.message);
    for (size_t i = 0; i < n; i++) {
        const char *text = blip2_result_text(r, i);
        if (text)
            printf("%s: %s\n", argv[i + 1], text);
        else if (unread[i].code || r)
            fprintf(stderr, "%s\n",
                    unread[i].code ? unread[i].message : blip2_result_error(r, i)->message);
        if (!text && !failed)
            failed = 1;
        blip2_image_free(items[i].image);
    }
    blip2_result_free(r);
    blip2_session_free(session);
    blip2_model_free(model);
    free(items);
    free(unread);
    return failed;
}
