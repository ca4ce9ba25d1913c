/* The published models, finding and fetching through the public header: what is refused before anything is
 * fetched, and, with tests/tools/hub_server, progress and its callback. The fetching itself: tests/cli/pull.bats. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "blip2.h"

static char scratch[64];

static void run(const char *command)
{
    assert_int_equal(system(command), 0);
}

static int make_scratch(void **state)
{
    strcpy(scratch, "/tmp/blip2-hub-XXXXXX");
    if (!mkdtemp(scratch))
        return -1;
    setenv("HF_HUB_CACHE", scratch, 1);
    unsetenv("BLIP2_MODELS");
    unsetenv("HF_HUB_OFFLINE");
    return 0;
}

static int remove_scratch(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", scratch);
    return system(command);
}

static void the_zoo(void **state)
{
    size_t n = blip2_zoo_count(), alone = 0;
    assert_true(n >= 11);
    assert_null(blip2_zoo_at(n));
    for (size_t i = 0; i < n; i++) {
        const blip2_zoo *m = blip2_zoo_at(i);
        assert_true(*m->name && *m->good_for && *m->licence && m->bytes > 1000000000u);
        assert_non_null(m->aliases[0]);
        alone += m->repository == NULL;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(m->name, blip2_zoo_at(k)->name);
    }
    assert_int_equal(alone, 2); /* the two with ViT-L */
}

static void finding(void **state)
{
    char path[4096], shorter[8];
    blip2_error err = {0};
    assert_true(blip2_find("scenes", path, sizeof path, &err));
    assert_string_equal(path, SOURCE_DIR "/models/scenes");
    assert_true(blip2_find(NULL, NULL, 0, &err));
    assert_false(blip2_find("scenes", shorter, sizeof shorter, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    err = (blip2_error){0};
    assert_false(blip2_find("opt-2.7b", path, sizeof path, &err));
    assert_int_equal(err.code, BLIP2_NO_MODEL);
    assert_non_null(strstr(err.message, "blip2 pull opt-2.7b"));
    assert_false(blip2_find("opt-2.7b", path, sizeof path, NULL));
}

static void refused(const char *name, const blip2_pull_options *o, blip2_error_code code,
                    const char *says)
{
    blip2_error err = {0};
    assert_false(blip2_pull(name, o, NULL, 0, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, says))
        fail_msg("expected \"%s\" in: %s", says, err.message);
}

static void refusals(void **state)
{
    blip2_pull_options o = blip2_pull_options_default();
    refused(NULL, NULL, BLIP2_USAGE, "NULL");
    o.files = -1;
    refused("opt-2.7b", &o, BLIP2_USAGE, "files");
    o.files = 0;
    o.reserved = 1;
    refused("opt-2.7b", &o, BLIP2_USAGE, "pull options");
    o.size = 0;
    refused("opt-2.7b", &o, BLIP2_USAGE, "size");
    refused("nonsense", NULL, BLIP2_NO_MODEL, "blip2 list");
    refused("../..", NULL, BLIP2_NO_MODEL, "blip2 list");
    setenv("HF_HUB_OFFLINE", "1", 1);
    refused("opt-2.7b", NULL, BLIP2_NO_MODEL, "HF_HUB_OFFLINE");
    refused("itm-vit-l", NULL, BLIP2_NO_MODEL, "HF_HUB_OFFLINE");
    unsetenv("HF_HUB_OFFLINE");
}

static void addresses(void **state)
{
    static const char *const BAD[] = {NULL, "", "a.png", "file:///etc/passwd", "ftp://x/a.png"};
    for (int i = 0; i < 5; i++) {
        blip2_error err = {0};
        assert_null(blip2_image_from_url(BAD[i], &err));
        assert_int_equal(err.code, BLIP2_USAGE);
    }
    blip2_error err = {0};
    assert_null(blip2_image_from_url("http://127.0.0.1:1/a.png", &err));
    assert_int_equal(err.code, BLIP2_FAILED);
    err = (blip2_error){0};
    assert_null(blip2_image_from_file("http://127.0.0.1:1/a.png", &err));
    assert_non_null(strstr(err.message, "a URL is not fetched"));
}

/* --- with a hub ----------------------------------------------------------------------------------- */

/* A repository some/model whose checksums are not those of hashes (ETags of 32 digits are not checked). */
static FILE *start_hub(void)
{
    char command[1024], line[64] = "", endpoint[64], path[128];
    snprintf(command, sizeof command,
             "cd '%s' && mkdir -p hub/repos/some/model/files hub/repos/some/model/tags && "
             "echo abc >hub/repos/some/model/commit && "
             "for f in config.json model.safetensors; do "
             "cp '" SOURCE_DIR "/models/scenes/'$f hub/repos/some/model/files && "
             "echo $f | md5sum | cut -d' ' -f1 >hub/repos/some/model/tags/$f; done",
             scratch);
    run(command);
    snprintf(command, sizeof command, "'" HUB_SERVER "' '%s/hub' >'%s/ports'", scratch, scratch);
    FILE *server = popen(command, "w");
    assert_non_null(server);
    snprintf(path, sizeof path, "%s/ports", scratch);
    for (int i = 0; i < 200 && !strchr(line, '\n'); i++) {
        FILE *f = fopen(path, "r");
        if (!f || !fgets(line, sizeof line, f))
            usleep(20000);
        if (f)
            fclose(f);
    }
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", atoi(line));
    setenv("HF_ENDPOINT", endpoint, 1);
    return server;
}

typedef struct Heard {
    int calls, stop_at;
    blip2_pull_progress last;
    uint64_t most;
} Heard;

static bool hear(void *user, const blip2_pull_progress *p)
{
    Heard *h = user;
    assert_string_equal(p->repository, "some/model");
    assert_true(p->bytes_done <= p->bytes_total || p->bytes_total == 0);
    assert_true(p->files_done <= p->files_total || p->files_total == 0);
    h->last = *p;
    return ++h->calls != h->stop_at;
}

static void progress(void **state)
{
    char path[4096] = "";
    blip2_error err = {0};
    Heard h = {0};
    blip2_pull_options o = blip2_pull_options_default();
    o.on_progress = hear;
    o.user = &h;
    FILE *server = start_hub();
    for (int n = 1; n < 4; n++) {
        h = (Heard){.stop_at = n};
        refused("some/model", &o, BLIP2_STOPPED, "some/model: stopped");
        assert_int_equal(h.calls, n);
    }
    h = (Heard){0};
    if (!blip2_pull("some/model", &o, path, sizeof path, &err))
        fail_msg("%s", err.message);
    assert_int_equal(h.last.files_done, 2);
    assert_int_equal(h.last.files_total, 2);
    assert_true(h.last.bytes_total > 10000000 && h.last.bytes_done == h.last.bytes_total);
    assert_non_null(strstr(path, "/models--some--model/snapshots/abc"));
    char again[4096];
    assert_true(blip2_find("some/model", again, sizeof again, &err));
    assert_string_equal(path, again);
    o.files = 1;
    assert_true(blip2_pull("some/model", &o, NULL, 0, &err));
    pclose(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_zoo),   cmocka_unit_test(finding),  cmocka_unit_test(refusals),
        cmocka_unit_test(addresses), cmocka_unit_test(progress),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
