/* settings/merge.c: OmegaConf.merge. */
#include "settings/merge.h"

#include <string.h>

static bool merge_member(Tree *t, Node *to, const Node *from, Error *e)
{
    char what[96];
    bool maps = to->kind == NODE_MAP && from->kind == NODE_MAP;
    if (maps)
        return settings_merge(t, to, from, e);
    if (from->kind == NODE_TEXT && strcmp(from->text, "???") == 0)
        return true;
    if ((to->kind == NODE_MAP && from->kind == NODE_LIST) ||
        (to->kind == NODE_LIST && from->kind == NODE_MAP) ||
        (settings_is_reference(to) && from->kind == NODE_MAP))
        return node_error(from, e, "expected a value in the place of %s, got %s",
                          node_described(to, what), from->kind == NODE_MAP ? "a map" : "a list");
    return node_assign(t, to, from, e);
}

bool settings_merge(Tree *t, Node *to, const Node *from, Error *e)
{
    for (const Node *c = from->first; c; c = c->next) {
        Node *there = node_get(to, c->key);
        if (there && !merge_member(t, there, c, e))
            return false;
        if (there)
            continue;
        const char *key = tree_text(t, c->key, e);
        Node *n = key ? node_copy(t, c, e) : NULL;
        if (!n || !node_add(to, key, n, e))
            return false;
    }
    return true;
}
