/* settings/fill.c: the table's defaults, where nothing else is. */
#include <string.h>

#include "settings/keys.h"
#include "settings/yaml.h"

static const Origin TABLE = {"default", 0};

static const char *text_at(const Node *n, const char *path)
{
    const Node *at = node_at(n, path);
    return at && at->kind == NODE_TEXT ? at->text : NULL;
}

/* Of a default by cases the one that holds beside `in`; NULL: none does. */
static const Node *chosen_case(const Checked *c, const Key *k, const Node *in, const Node *def)
{
    const char *word = text_at(in, "name"), *arch = text_at(c->root, "model.arch");
    char both[128] = "";
    if (str_starts(k->path, "run.")) {
        word = text_at(c->root, "run.task");
        if (word && arch && strlen(word) + strlen(arch) + 2 < sizeof both)
            strcat(strcat(strcpy(both, word), "/"), arch);
    } else if (str_starts(k->path, "model.")) {
        word = arch;
    }
    const Node *n = node_get(def, both);
    return n || !word ? n : node_get(def, word);
}

/* Adds a default to the map `in`, which lacks that key. */
static bool add_default(Checked *c, const Key *k, Node *in, const char *name)
{
    Tree spare = {0};
    const Node *def = yaml_parse(&spare, k->def, strlen(k->def), TABLE.source, false, c->error);
    bool ok = def;
    if (def && *k->def == '{')
        def = chosen_case(c, k, in, def);
    if (def) {
        const char *key = tree_text(c->tree, name, c->error);
        Node *n = key ? node_copy(c->tree, def, c->error) : NULL;
        ok = n && node_add(in, key, n, c->error);
        const Node *evaluate = node_at(c->root, "run.evaluate");
        if (ok)
            n->aside = k->training && evaluate && evaluate->kind == NODE_BOOL && evaluate->flag;
    }
    tree_free(&spare);
    return ok;
}

/* path: what is left of the key's, below `in`. */
static bool fill(Checked *c, const Key *k, Node *in, const char *path)
{
    size_t size = strcspn(path, ".");
    char name[KEY_LENGTH_MAX + 1];
    if (in->kind != NODE_MAP)
        return true;
    memcpy(name, path, size);
    name[size] = '\0';
    Node *n = node_get(in, name);
    if (!path[size])
        return n || add_default(c, k, in, name);
    if (strcmp(name, "*") != 0)
        return !n || fill(c, k, n, path + size + 1);
    for (Node *each = in->first; each; each = each->next)
        if (!fill(c, k, each, path + size + 1))
            return false;
    return true;
}

bool keys_fill(Checked *c)
{
    for (const Key *k = settings_keys; k->path; k++)
        if (*k->def && !fill(c, k, c->root, k->path))
            return false;
    return true;
}
