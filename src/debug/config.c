/* debug/config.c: settings/settings.h for the command. */
#include "blip2_debug.h"

#include <stdlib.h>

#include "api/api.h"
#include "settings/keys.h"
#include "settings/settings.h"

struct blip2_config {
    Settings s;
    StrBuf yaml;
    char *json; /* jansson's: free */
};

static bool make_texts(blip2_config *c, Error *e)
{
    json_t *o = settings_json(&c->s);
    c->json = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    settings_print(&c->s, &c->yaml);
    return (c->json && strbuf_cstr(&c->yaml)) || error_memory(e, c->s.path, c->yaml.len);
}

blip2_config *blip2_config_load(const char *path, const char *const *options, size_t option_count,
                                blip2_error *err)
{
    Error e = {0};
    blip2_config *c = mem_calloc(1, sizeof *c);
    if (!c)
        error_memory(&e, "configuration", sizeof *c);
    if (c && !path)
        api_missing("config: path", &e);
    if (c && path && settings_load(&c->s, path, options, option_count, &e) && make_texts(c, &e))
        return c;
    blip2_config_free(c);
    api_error(err, &e);
    return NULL;
}

const char *blip2_config_yaml(const blip2_config *c)
{
    return c->yaml.data;
}

const char *blip2_config_json(const blip2_config *c)
{
    return c->json;
}

const char *blip2_config_notice(const blip2_config *c, size_t i)
{
    return i < c->s.notice_count ? c->s.notices[i] : NULL;
}

void blip2_config_free(blip2_config *c)
{
    if (!c)
        return;
    free(c->json);
    strbuf_free(&c->yaml);
    settings_free(&c->s);
    mem_free(c);
}

char *blip2_config_keys(void)
{
    StrBuf s = {0};
    keys_markdown(&s);
    if (s.failed)
        strbuf_free(&s);
    return s.data;
}

void blip2_config_keys_free(char *keys)
{
    mem_free(keys);
}
