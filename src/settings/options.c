/* settings/options.c: OmegaConf.from_dotlist, and LAVIS' alternating keys and values. */
#include "settings/options.h"

#include <string.h>

#include "settings/yaml.h"

static const Origin FROM = {ORIGIN_OPTIONS, 0};

/* Puts the value at its key. */
static bool put(Tree *t, Node *root, const char *key, size_t size, const char *text, Error *e)
{
    char *path = arena_printf(&t->arena, "%.*s", (int)(size < 4096 ? size : 4096), key);
    if (!path)
        return error_memory(e, "--options", size);
    path_dotted(path);
    if (!*path || *path == '.' || str_ends(path, ".") || strstr(path, ".."))
        return error_set(e, ERR_USAGE, "--options: expected KEY=VALUE, got '%s=%s'", path, text);
    Node *value = yaml_parse(t, text, strlen(text), ORIGIN_OPTIONS, false, e);
    if (!value)
        error_add(e, "; in the value of %.200s, of which quotes make a text", path);
    Node *to = value ? node_make(t, root, path, FROM, e) : NULL;
    return to && node_assign(t, to, value, e);
}

/* Of "a.b=c" the length of the key; of "a.b" with its value beside it, too. */
static bool pair(const char *const *options, size_t count, size_t *i, bool equals, size_t *size,
                 const char **value, Error *e)
{
    const char *word = options[*i];
    *size = strcspn(word, equals ? "=" : "");
    if (equals && !word[*size])
        return error_set(e, ERR_USAGE, "--options: expected KEY=VALUE, got '%s'", word);
    if (!equals && *i + 1 >= count)
        return error_set(e, ERR_USAGE, "--options: expected a value behind '%s', got nothing",
                         word);
    *value = equals ? word + *size + 1 : options[++*i];
    return true;
}

Node *options_read(Tree *t, const char *const *options, size_t count, Error *e)
{
    Node *root = node_new(t, NODE_MAP, FROM, e);
    bool ok = root, equals = count > 0 && strchr(options[0], '=');
    for (size_t i = 0; ok && i < count; i++) {
        size_t size;
        const char *key = options[i], *value = "";
        ok =
            pair(options, count, &i, equals, &size, &value, e) && put(t, root, key, size, value, e);
    }
    return ok ? root : NULL;
}
