/* caption.c: captions the pictures named on the command line.
 *
 *     cc caption.c $(pkg-config --cflags --libs blip2) -o caption
 *     ./caption photo.jpg another.png
 */
#include <stdio.h>
#include <blip2.h>

int main(int argc, char **argv)
{
    blip2_error err = {0};
    blip2_model *model = blip2_model_load(NULL, NULL, &err); /* NULL: the embedded model */
    blip2_session *session = model ? blip2_session_new(model, NULL, &err) : NULL;
    blip2_request request = {.task = BLIP2_CAPTION};
    int failed = session ? 0 : 1;

    for (int i = 1; session && i < argc; i++) {
        blip2_error why = {0};
        blip2_image *image = blip2_image_from_file(argv[i], &why);
        blip2_result *r = image ? blip2_generate(session, &image, 1, &request, &why) : NULL;
        const char *text = r ? blip2_result_text(r, 0) : NULL;
        if (text)
            printf("%s: %s\n", argv[i], text);
        else
            fprintf(stderr, "%s\n", r ? blip2_result_error(r, 0)->message : why.message);
        failed |= text == NULL;
        blip2_result_free(r);
        blip2_image_free(image);
    }
    if (!session)
        fprintf(stderr, "%s\n", err.message);
    blip2_session_free(session);
    blip2_model_free(model);
    return failed;
}
