/* settings/yaml_read.c: libyaml's events become nodes. Its composer is not used: it expands nothing and has no bounds. */
#include <limits.h>
#include <string.h>
#include <yaml.h>

#include "settings/scalar.h"
#include "settings/yaml.h"

enum { ANCHORS_MAX = 1024 };

typedef struct Anchor {
    const char *name;
    const Node *node;
    bool done; /* false while what it stands for is read: an alias would be endless */
} Anchor;

typedef struct Reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    Tree *tree;
    const char *name;
    bool lines;
    Anchor *anchors;
    size_t anchor_count;
    Error *error;
} Reader;

static Origin origin_at(const Reader *r, size_t line)
{
    return (Origin){r->name, r->lines && line < INT_MAX ? (int)line + 1 : 0};
}

static bool refuse(Reader *r, size_t line, const char *what, const char *detail)
{
    Node place = {.origin = origin_at(r, line)};
    return node_error(&place, r->error, "%s%.200s", what, detail);
}

/* What libyaml says, with the line of the problem. */
static bool parser_error(Reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return error_memory(r->error, r->name, 0);
    const char *what = p->problem ? p->problem : "not readable";
    if (p->error == YAML_READER_ERROR)
        return error_set(r->error, ERR_FAILED, "%s: bad YAML: byte %zu: %s", r->name,
                         p->problem_offset, what);
    return refuse(r, p->problem_mark.line, "bad YAML: ", what);
}

/* Goes on to the next event. */
static bool next(Reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    return r->has_event || parser_error(r);
}

static size_t line_of(const Reader *r)
{
    return r->event.start_mark.line;
}

/* --- anchors -------------------------------------------------------------------------------------- */

static Anchor *anchor_named(Reader *r, const char *name)
{
    for (size_t i = 0; i < r->anchor_count; i++)
        if (strcmp(r->anchors[i].name, name) == 0)
            return &r->anchors[i];
    return NULL;
}

/* *anchor: NULL when the node has none. */
static bool begin_anchor(Reader *r, const yaml_char_t *given, const Node *n, Anchor **anchor)
{
    *anchor = NULL;
    if (!given)
        return true;
    if (anchor_named(r, (const char *)given))
        return refuse(r, line_of(r), "anchor comes twice: &", (const char *)given);
    if (r->anchor_count >= ANCHORS_MAX)
        return refuse(r, line_of(r), "expected at most 1024 anchors, got more", "");
    const char *name = tree_text(r->tree, (const char *)given, r->error);
    if (!name)
        return false;
    *anchor = &r->anchors[r->anchor_count++];
    **anchor = (Anchor){name, n, false};
    return true;
}

static Node *read_alias(Reader *r)
{
    const char *name = (const char *)r->event.data.alias.anchor;
    const Anchor *a = anchor_named(r, name);
    if (!a || !a->done) {
        refuse(r, line_of(r), a ? "alias within what it stands for: *" : "unknown alias *", name);
        return NULL;
    }
    return node_copy(r->tree, a->node, r->error);
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static Node *read_node(Reader *r, int depth);

static bool no_zeros(Reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    return strlen(text) == r->event.data.scalar.length ||
           refuse(r, line_of(r), "text: expected no zero byte in it", "");
}

static Node *read_scalar(Reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    const char *tag = (const char *)r->event.data.scalar.tag;
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    Node *n = no_zeros(r) ? node_new(r->tree, NODE_TEXT, origin_at(r, line_of(r)), r->error) : NULL;
    if (!n || !(n->text = tree_text(r->tree, text, r->error)))
        return NULL;
    bool ok = true;
    if (tag && strcmp(tag, "!") != 0)
        ok = scalar_tagged(n, tag, r->error);
    else if (plain)
        ok = scalar_resolve(n, r->error);
    return ok ? n : NULL;
}

static bool plain_tag(Reader *r, const yaml_char_t *tag, const char *own)
{
    return !tag || strcmp((const char *)tag, own) == 0 || strcmp((const char *)tag, "!") == 0 ||
           refuse(r, line_of(r), "tag: expected one of YAML's own, got ", (const char *)tag);
}

static Node *read_list(Reader *r, int depth)
{
    Anchor *a;
    if (!plain_tag(r, r->event.data.sequence_start.tag, YAML_SEQ_TAG))
        return NULL;
    Node *list = node_new(r->tree, NODE_LIST, origin_at(r, line_of(r)), r->error);
    if (!list || !begin_anchor(r, r->event.data.sequence_start.anchor, list, &a) || !next(r))
        return NULL;
    while (r->event.type != YAML_SEQUENCE_END_EVENT) {
        Node *n = read_node(r, depth + 1);
        if (!n || !node_add(list, NULL, n, r->error) || !next(r))
            return NULL;
    }
    if (a)
        a->done = true;
    return list;
}

/* The keys that the map does not have itself. */
static bool merge_keys(Reader *r, Node *map, const Node *from)
{
    for (const Node *c = from->first; c; c = c->next) {
        if (node_get(map, c->key))
            continue;
        Node *n = node_copy(r->tree, c, r->error);
        if (!n || !node_add(map, c->key, n, r->error))
            return false;
    }
    return true;
}

/* <<: a map, or a list of maps, of which the earlier count. */
static bool merge_all(Reader *r, Node *map, const Node *from)
{
    static const char WHAT[] = "<<: expected a map or a list of maps";
    if (from->kind == NODE_MAP)
        return merge_keys(r, map, from);
    if (from->kind != NODE_LIST)
        return node_error(from, r->error, WHAT);
    for (const Node *c = from->first; c; c = c->next)
        if (c->kind != NODE_MAP ? !node_error(c, r->error, WHAT) : !merge_keys(r, map, c))
            return false;
    return true;
}

/* The key at the current event, NULL after an error. */
static const char *read_key(Reader *r, const Node *map, bool *merge)
{
    const yaml_event_t *v = &r->event;
    const char *text = v->type == YAML_SCALAR_EVENT ? (const char *)v->data.scalar.value : NULL;
    bool plain = text && v->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    Node scalar = {.text = text, .origin = origin_at(r, line_of(r))};
    if (!text || v->data.scalar.anchor || v->data.scalar.tag)
        return refuse(r, line_of(r), "key: expected a plain text", "") ? text : NULL;
    if (!no_zeros(r) || (plain && !scalar_resolve(&scalar, r->error)))
        return NULL;
    if (plain && scalar.kind == NODE_NULL)
        return refuse(r, line_of(r), "key: expected a text, got null", "") ? text : NULL;
    if (strlen(text) > KEY_LENGTH_MAX)
        return refuse(r, line_of(r), "key: expected at most 200 bytes, got more", "") ? text : NULL;
    if (node_get(map, text))
        return refuse(r, line_of(r), "key comes twice: ", text) ? text : NULL;
    *merge = plain && strcmp(text, "<<") == 0;
    return tree_text(r->tree, text, r->error);
}

static Node *read_map(Reader *r, int depth)
{
    Anchor *a;
    const Node *below = NULL; /* of << */
    if (!plain_tag(r, r->event.data.mapping_start.tag, YAML_MAP_TAG))
        return NULL;
    Node *map = node_new(r->tree, NODE_MAP, origin_at(r, line_of(r)), r->error);
    if (!map || !begin_anchor(r, r->event.data.mapping_start.anchor, map, &a) || !next(r))
        return NULL;
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        bool merge = false;
        size_t line = line_of(r);
        const char *key = read_key(r, map, &merge);
        Node *n = key && next(r) ? read_node(r, depth + 1) : NULL;
        if (!n)
            return NULL;
        if (n->kind >= NODE_LIST) /* where its key stands, not what follows it */
            n->origin = origin_at(r, line);
        if (merge && below && !refuse(r, line, "key comes twice: <<", ""))
            return NULL;
        if (merge)
            below = n;
        else if (!node_add(map, key, n, r->error))
            return NULL;
        if (!next(r))
            return NULL;
    }
    if (below && !merge_all(r, map, below))
        return NULL;
    if (a)
        a->done = true;
    return map;
}

static Node *read_anchored_scalar(Reader *r)
{
    Anchor *a;
    Node *n = read_scalar(r);
    if (!n || !begin_anchor(r, r->event.data.scalar.anchor, n, &a))
        return NULL;
    if (a)
        a->done = true;
    return n;
}

/* The node that begins with the current event; afterwards that is its last one. */
static Node *read_node(Reader *r, int depth)
{
    if (depth > NODE_DEPTH) {
        refuse(r, line_of(r), "expected at most 64 nested levels, got more", "");
        return NULL;
    }
    switch (r->event.type) {
    case YAML_ALIAS_EVENT: return read_alias(r);
    case YAML_SCALAR_EVENT: return read_anchored_scalar(r);
    case YAML_SEQUENCE_START_EVENT: return read_list(r, depth);
    case YAML_MAPPING_START_EVENT: return read_map(r, depth);
    default: BUG("libyaml: an event without a place");
    }
}

static bool next_two(Reader *r)
{
    return next(r) ? next(r) : false;
}

static Node *read_document(Reader *r)
{
    if (!next_two(r)) /* the stream begins, and the document or the end */
        return NULL;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return node_new(r->tree, NODE_NULL, origin_at(r, 0), r->error);
    if (!next(r))
        return NULL;
    Node *root = read_node(r, 1);
    if (!root || !next_two(r))
        return NULL;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return refuse(r, line_of(r), "expected one document, got another one", "") ? root : NULL;
    return root;
}

Node *yaml_parse(Tree *t, const char *text, size_t n, const char *name, bool lines, Error *e)
{
    Reader r = {.tree = t, .name = name, .lines = lines, .error = e};
    Node *root = NULL;
    r.anchors = arena_alloc(&t->arena, ANCHORS_MAX * sizeof *r.anchors);
    if (!r.anchors || !yaml_parser_initialize(&r.parser)) {
        error_memory(e, name, n);
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    root = read_document(&r);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return root;
}
