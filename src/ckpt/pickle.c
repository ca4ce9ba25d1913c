/* ckpt/pickle.c: the stack machine. Opcodes are a table: what follows each in the file, and what it does
 * to the stack. */
#include "ckpt/pickle.h"

#include <stdio.h>
#include <string.h>

#include "ckpt/bytes.h"

typedef struct Machine {
    Pickle *p;
    const unsigned char *start, *at, *end;
    PickleValue *stack, *memo;
    size_t n, cap, memo_n, memo_cap;
    size_t values;
    bool stopped;
    const char *file, *object;
    Error *e;
} Machine;

/* What follows an opcode: a number, or the bytes that it counts. */
typedef struct Operand {
    uint64_t n;
    const unsigned char *bytes;
} Operand;

static bool fail(const Machine *m, const char *expected, const char *got)
{
    return error_set(m->e, ERR_BAD_MODEL, "%s: %s: byte %zu: expected %s, got %s", m->file,
                     m->object, (size_t)(m->at - m->start), expected, got);
}

static bool fail_value(const Machine *m, const char *expected, PickleValue got)
{
    char buf[200];
    return fail(m, expected, pickle_describe(m->p, got, buf, sizeof buf));
}

static bool no_memory(const Machine *m, size_t bytes)
{
    return error_memory(m->e, m->file, bytes);
}

/* --- values -------------------------------------------------------------------------------------- */

static bool count_values(Machine *m, size_t k)
{
    m->values += k;
    return m->values <= PICKLE_VALUES_MAX || fail(m, "fewer values", "more than are allowed");
}

/* Appends k values to a node; v is not of that node. */
static bool add_items(Machine *m, uint32_t node, const PickleValue *v, size_t k)
{
    PickleNode *to = &m->p->node[node];
    if (k == 0)
        return true;
    if (!count_values(m, k))
        return false;
    if (to->n + k > to->cap) {
        size_t cap = to->n + k > 2 * (size_t)to->cap ? to->n + k : 2 * (size_t)to->cap;
        PickleValue *item = arena_alloc(&m->p->items, cap * sizeof *item);
        if (!item)
            return no_memory(m, cap * sizeof *item);
        if (to->n)
            memcpy(item, to->item, to->n * sizeof *item);
        to->item = item;
        to->cap = (uint32_t)cap;
    }
    memcpy(to->item + to->n, v, k * sizeof *v);
    to->n += (uint32_t)k;
    return true;
}

static bool new_node(Machine *m, PickleKind kind, const PickleValue *v, size_t k, PickleValue *out)
{
    Pickle *p = m->p;
    if (!count_values(m, 1))
        return false;
    if (!MEM_GROW(p->node, &p->cap, p->n + 1))
        return no_memory(m, (p->n + 1) * sizeof *p->node);
    *out = (PickleValue){.kind = kind, .node = (uint32_t)p->n};
    p->node[p->n++] = (PickleNode){.kind = kind};
    return add_items(m, out->node, v, k);
}

/* --- the stack ----------------------------------------------------------------------------------- */

static bool push(Machine *m, PickleValue v)
{
    if (m->n == PICKLE_STACK_MAX)
        return fail(m, "a stack that is not as deep", "more than is allowed");
    if (!MEM_GROW(m->stack, &m->cap, m->n + 1))
        return no_memory(m, (m->n + 1) * sizeof v);
    m->stack[m->n++] = v;
    return true;
}

/* The top k values, none of them a mark; NULL: an error. */
static PickleValue *top(const Machine *m, size_t k)
{
    bool enough = m->n >= k;
    for (size_t i = 1; enough && i <= k; i++)
        enough = m->stack[m->n - i].kind != PICKLE_MARK;
    if (enough)
        return m->stack + (m->n - k);
    fail(m, "values on the stack", "too few");
    return NULL;
}

/* The last mark on the stack; NULL: an error. */
static PickleValue *last_mark(const Machine *m)
{
    size_t i = m->n;
    while (i > 0 && m->stack[i - 1].kind != PICKLE_MARK)
        i--;
    if (i > 0)
        return m->stack + (i - 1);
    fail(m, "a mark on the stack", "none");
    return NULL;
}

/* Puts v in the place of `from` and all above. */
static bool replace(Machine *m, PickleValue *from, PickleValue v)
{
    *from = v;
    m->n = (size_t)(from - m->stack) + 1;
    return true;
}

/* The same with a new node of the k values at v, which are on the stack. */
static bool replace_new(Machine *m, PickleValue *from, PickleKind kind, const PickleValue *v,
                        size_t k)
{
    PickleValue made;
    return new_node(m, kind, v, k, &made) && replace(m, from, made);
}

/* --- opcodes that push --------------------------------------------------------------------------- */

static bool op_constant(Machine *m, const Operand *o, int kind)
{
    return push(m, (PickleValue){.kind = (PickleKind)kind});
}

static bool op_bool(Machine *m, const Operand *o, int value)
{
    return push(m, (PickleValue){.kind = PICKLE_BOOL, .number = value});
}

static bool op_int(Machine *m, const Operand *o, int is_signed)
{
    int64_t v = is_signed ? (int32_t)(uint32_t)o->n : (int64_t)o->n;
    return push(m, (PickleValue){.kind = PICKLE_INT, .number = v});
}

/* Two's complement, little-endian, of any length. */
static bool op_long(Machine *m, const Operand *o, int unused)
{
    if (o->n > 8)
        return push(m, (PickleValue){.kind = PICKLE_BIG, .n = (uint32_t)o->n, .text = o->bytes});
    uint64_t v = little(o->bytes, (int)o->n);
    if (o->n > 0 && o->n < 8 && o->bytes[o->n - 1] & 0x80)
        v |= UINT64_MAX << 8 * o->n;
    return push(m, (PickleValue){.kind = PICKLE_INT, .number = (int64_t)v});
}

static bool op_text(Machine *m, const Operand *o, int kind)
{
    if (o->n > UINT32_MAX)
        return fail(m, "a shorter text", "one beyond 32 bits");
    return push(m, (PickleValue){.kind = (PickleKind)kind, .n = (uint32_t)o->n, .text = o->bytes});
}

static bool op_mark(Machine *m, const Operand *o, int unused)
{
    return push(m, (PickleValue){.kind = PICKLE_MARK});
}

static bool op_empty(Machine *m, const Operand *o, int kind)
{
    PickleValue v;
    return new_node(m, (PickleKind)kind, NULL, 0, &v) && push(m, v);
}

static bool read_line(Machine *m, PickleValue *v)
{
    enum { LINE_MAX_BYTES = 256 };
    size_t left = (size_t)(m->end - m->at), n = left < LINE_MAX_BYTES ? left : LINE_MAX_BYTES;
    const unsigned char *stop = memchr(m->at, '\n', n);
    if (!stop)
        return fail(m, "a line with a module or a name", "none");
    *v = (PickleValue){.kind = PICKLE_TEXT, .n = (uint32_t)(stop - m->at), .text = m->at};
    m->at = stop + 1;
    return true;
}

static bool op_global(Machine *m, const Operand *o, int unused)
{
    PickleValue pair[2], v;
    return read_line(m, &pair[0]) && read_line(m, &pair[1]) &&
           new_node(m, PICKLE_GLOBAL, pair, 2, &v) && push(m, v);
}

/* --- opcodes that combine ------------------------------------------------------------------------ */

static bool op_stack_global(Machine *m, const Operand *o, int unused)
{
    PickleValue *v = top(m, 2);
    if (!v)
        return false;
    if (v[0].kind != PICKLE_TEXT || v[1].kind != PICKLE_TEXT)
        return fail_value(m, "the texts of a global", v[v[0].kind == PICKLE_TEXT]);
    return replace_new(m, v, PICKLE_GLOBAL, v, 2);
}

static bool op_tuple(Machine *m, const Operand *o, int k)
{
    PickleValue *v = top(m, (size_t)k);
    return v && replace_new(m, v, PICKLE_TUPLE, v, (size_t)k);
}

static bool op_tuple_mark(Machine *m, const Operand *o, int kind)
{
    PickleValue *mark = last_mark(m);
    return mark &&
           replace_new(m, mark, (PickleKind)kind, mark + 1, (size_t)(m->stack + m->n - (mark + 1)));
}

/* Adds the values from `v` on to the list or dict below them, with `above` values of the stack between:
 * none, or the mark. What a call would have given takes anything and keeps nothing. */
static bool extend(Machine *m, PickleValue *v, size_t above, PickleKind kind)
{
    size_t k = (size_t)(m->stack + m->n - v), below = (size_t)(v - m->stack) - above;
    const char *expected = kind == PICKLE_DICT ? "a dict to add to" : "a list to add to";
    if (below == 0)
        return fail(m, expected, "nothing");
    PickleValue to = m->stack[below - 1];
    if (to.kind != kind && to.kind != PICKLE_CALL)
        return to.kind == PICKLE_MARK ? fail(m, expected, "a mark") : fail_value(m, expected, to);
    if (kind == PICKLE_DICT && k % 2)
        return fail(m, "a value for each key", "one too few");
    m->n = below;
    return to.kind == PICKLE_CALL || add_items(m, to.node, v, k);
}

static bool op_add(Machine *m, const Operand *o, int kind)
{
    PickleValue *v = top(m, kind == PICKLE_DICT ? 2 : 1);
    return v && extend(m, v, 0, (PickleKind)kind);
}

static bool op_add_mark(Machine *m, const Operand *o, int kind)
{
    PickleValue *mark = last_mark(m);
    return mark && extend(m, mark + 1, 1, (PickleKind)kind);
}

/* --- opcodes that Python would run ---------------------------------------------------------------- */

static bool is_sequence(PickleValue v)
{
    return v.kind == PICKLE_LIST || v.kind == PICKLE_TUPLE;
}

static bool add_pairs(Machine *m, PickleValue dict, PickleValue pairs)
{
    if (!is_sequence(pairs))
        return fail_value(m, "pairs for an OrderedDict", pairs);
    for (size_t i = 0; i < pickle_count(m->p, pairs); i++) {
        PickleValue pair = pickle_item(m->p, pairs, i);
        if (!is_sequence(pair) || pickle_count(m->p, pair) != 2)
            return fail_value(m, "a pair for an OrderedDict", pair);
        if (!add_items(m, dict.node, m->p->node[pair.node].item, 2))
            return false;
    }
    return true;
}

static bool ordered_dict(Machine *m, PickleValue *at, PickleValue arguments)
{
    PickleValue dict;
    size_t n = pickle_count(m->p, arguments);
    if (n > 1)
        return fail(m, "at most one argument for an OrderedDict", "more");
    return new_node(m, PICKLE_DICT, NULL, 0, &dict) &&
           (n == 0 || add_pairs(m, dict, pickle_item(m->p, arguments, 0))) && replace(m, at, dict);
}

/* REDUCE, NEWOBJ (two values) and NEWOBJ_EX (three, of which the named arguments are dropped). */
static bool op_call(Machine *m, const Operand *o, int k)
{
    PickleValue *v = top(m, (size_t)k);
    if (!v)
        return false;
    if (v[0].kind != PICKLE_GLOBAL && v[0].kind != PICKLE_CALL)
        return fail_value(m, "a global to call", v[0]);
    if (v[1].kind != PICKLE_TUPLE)
        return fail_value(m, "a tuple of arguments", v[1]);
    if (v[0].kind == PICKLE_GLOBAL && pickle_is_global(m->p, v[0], "collections", "OrderedDict"))
        return ordered_dict(m, v, v[1]);
    return replace_new(m, v, PICKLE_CALL, v, 2);
}

/* The state of an object: of no use here, a state dict's _metadata for one. */
static bool op_build(Machine *m, const Operand *o, int unused)
{
    if (!top(m, 2))
        return false;
    m->n--;
    return true;
}

static bool op_persistent(Machine *m, const Operand *o, int unused)
{
    PickleValue *v = top(m, 1);
    return v && replace_new(m, v, PICKLE_PERSISTENT, v, 1);
}

/* --- memo, frame, end ---------------------------------------------------------------------------- */

static bool put(Machine *m, uint64_t i)
{
    const PickleValue *v = top(m, 1);
    /* Python counts from 0 on, and no pickle has more values than bytes. */
    if (i >= PICKLE_MEMO_MAX || i >= (uint64_t)(m->at - m->start))
        return fail(m, "a smaller number in the memo", "one beyond what is allowed");
    if (!v)
        return false;
    if (!MEM_GROW(m->memo, &m->memo_cap, (size_t)i + 1))
        return no_memory(m, ((size_t)i + 1) * sizeof *v);
    for (; m->memo_n <= i; m->memo_n++)
        m->memo[m->memo_n] = (PickleValue){.kind = PICKLE_NOTHING};
    m->memo[i] = *v;
    return true;
}

static bool op_put(Machine *m, const Operand *o, int unused)
{
    return put(m, o->n);
}

static bool op_memoize(Machine *m, const Operand *o, int unused)
{
    return put(m, m->memo_n);
}

static bool op_get(Machine *m, const Operand *o, int unused)
{
    if (o->n >= m->memo_n || m->memo[o->n].kind == PICKLE_NOTHING)
        return fail(m, "what was put in the memo", "nothing");
    return push(m, m->memo[o->n]);
}

static bool op_proto(Machine *m, const Operand *o, int unused)
{
    char got[16];
    snprintf(got, sizeof got, "%llu", (unsigned long long)o->n);
    return (o->n >= 2 && o->n <= 5) || fail(m, "protocol 2 to 5", got);
}

static bool op_frame(Machine *m, const Operand *o, int unused)
{
    return o->n <= (uint64_t)(m->end - m->at) ||
           fail(m, "as many bytes as the frame says", "fewer: truncated?");
}

static bool op_stop(Machine *m, const Operand *o, int unused)
{
    const PickleValue *v = top(m, 1);
    if (!v)
        return false;
    m->p->top = *v;
    m->stopped = true;
    return true;
}

/* --- the table ----------------------------------------------------------------------------------- */

typedef struct Op {
    bool (*run)(Machine *m, const Operand *o, int with);
    unsigned char number; /* bytes of the number behind the opcode */
    bool counts;          /* which says how many bytes follow it */
    int with;
} Op;

static const Op OPS[256] = {
    [0x80] = {op_proto, 1, false, 0},
    [0x95] = {op_frame, 8, false, 0},
    ['.'] = {op_stop, 0, false, 0},
    ['('] = {op_mark, 0, false, 0},
    ['N'] = {op_constant, 0, false, PICKLE_NONE},
    ['G'] = {op_constant, 8, false, PICKLE_FLOAT}, /* its value is of no use here */
    [0x88] = {op_bool, 0, false, 1},
    [0x89] = {op_bool, 0, false, 0},
    ['K'] = {op_int, 1, false, 0},
    ['M'] = {op_int, 2, false, 0},
    ['J'] = {op_int, 4, false, 1},
    [0x8a] = {op_long, 1, true, 0},
    [0x8c] = {op_text, 1, true, PICKLE_TEXT},
    ['X'] = {op_text, 4, true, PICKLE_TEXT},
    [0x8d] = {op_text, 8, true, PICKLE_TEXT},
    ['U'] = {op_text, 1, true, PICKLE_TEXT}, /* Python 2's str */
    ['T'] = {op_text, 4, true, PICKLE_TEXT},
    ['C'] = {op_text, 1, true, PICKLE_BYTES},
    ['B'] = {op_text, 4, true, PICKLE_BYTES},
    [0x8e] = {op_text, 8, true, PICKLE_BYTES},
    [0x96] = {op_text, 8, true, PICKLE_BYTES},
    ['}'] = {op_empty, 0, false, PICKLE_DICT},
    [']'] = {op_empty, 0, false, PICKLE_LIST},
    [0x8f] = {op_empty, 0, false, PICKLE_LIST},
    [')'] = {op_empty, 0, false, PICKLE_TUPLE},
    [0x85] = {op_tuple, 0, false, 1},
    [0x86] = {op_tuple, 0, false, 2},
    [0x87] = {op_tuple, 0, false, 3},
    ['t'] = {op_tuple_mark, 0, false, PICKLE_TUPLE},
    [0x91] = {op_tuple_mark, 0, false, PICKLE_LIST},
    ['a'] = {op_add, 0, false, PICKLE_LIST},
    ['s'] = {op_add, 0, false, PICKLE_DICT},
    ['e'] = {op_add_mark, 0, false, PICKLE_LIST},
    [0x90] = {op_add_mark, 0, false, PICKLE_LIST},
    ['u'] = {op_add_mark, 0, false, PICKLE_DICT},
    ['c'] = {op_global, 0, false, 0},
    [0x93] = {op_stack_global, 0, false, 0},
    ['R'] = {op_call, 0, false, 2},
    [0x81] = {op_call, 0, false, 2},
    [0x92] = {op_call, 0, false, 3},
    ['b'] = {op_build, 0, false, 0},
    ['Q'] = {op_persistent, 0, false, 0},
    ['q'] = {op_put, 1, false, 0},
    ['r'] = {op_put, 4, false, 0},
    [0x94] = {op_memoize, 0, false, 0},
    ['h'] = {op_get, 1, false, 0},
    ['j'] = {op_get, 4, false, 0},
};

static bool read_operand(Machine *m, const Op *op, Operand *o)
{
    if (op->number > m->end - m->at)
        return fail(m, "a number", "the end: truncated?");
    o->n = little(m->at, op->number);
    m->at += op->number;
    o->bytes = m->at;
    if (!op->counts)
        return true;
    if (o->n > (uint64_t)(m->end - m->at))
        return fail(m, "as many bytes as a text says", "fewer: truncated?");
    m->at += o->n;
    return true;
}

static bool step(Machine *m)
{
    char got[16];
    Operand o;
    if (m->at == m->end)
        return fail(m, "an opcode", "the end: truncated?");
    const Op *op = &OPS[*m->at];
    if (!op->run) {
        snprintf(got, sizeof got, "0x%02x", *m->at);
        return fail(m, "an opcode that data needs", got);
    }
    m->at++;
    return read_operand(m, op, &o) && op->run(m, &o, op->with);
}

bool pickle_read(Pickle *p, const unsigned char *data, size_t size, const char *file,
                 const char *object, Error *e)
{
    Machine m = {.p = p,
                 .start = data,
                 .at = data,
                 .end = data + size,
                 .file = file,
                 .object = object,
                 .e = e};
    *p = (Pickle){0};
    bool ok = (size > 0 && data[0] == 0x80) || fail(&m, "a pickle of protocol 2 to 5", "none");
    while (ok && !m.stopped)
        ok = step(&m);
    mem_free(m.stack);
    mem_free(m.memo);
    p->bytes = (size_t)(m.at - data);
    return ok;
}

void pickle_free(Pickle *p)
{
    mem_free(p->node);
    arena_free(&p->items);
    *p = (Pickle){0};
}

/* --- looking at what was read --------------------------------------------------------------------- */

size_t pickle_count(const Pickle *p, PickleValue v)
{
    return v.kind >= PICKLE_GLOBAL ? p->node[v.node].n : 0;
}

PickleValue pickle_item(const Pickle *p, PickleValue v, size_t i)
{
    return i < pickle_count(p, v) ? p->node[v.node].item[i] : (PickleValue){.kind = PICKLE_NOTHING};
}

PickleValue pickle_get(const Pickle *p, PickleValue dict, const char *key)
{
    size_t n = dict.kind == PICKLE_DICT ? pickle_count(p, dict) : 0;
    for (size_t i = n; i >= 2; i -= 2)
        if (pickle_is_text(pickle_item(p, dict, i - 2), key))
            return pickle_item(p, dict, i - 1);
    return (PickleValue){.kind = PICKLE_NOTHING};
}

bool pickle_is_text(PickleValue v, const char *text)
{
    return v.kind == PICKLE_TEXT && v.n == strlen(text) && memcmp(v.text, text, v.n) == 0;
}

/* The global behind a value: its own, or what a call calls. */
static PickleValue global_of(const Pickle *p, PickleValue v)
{
    return v.kind == PICKLE_CALL ? pickle_item(p, v, 0) : v;
}

bool pickle_is_global(const Pickle *p, PickleValue v, const char *module, const char *name)
{
    v = global_of(p, v);
    return v.kind == PICKLE_GLOBAL && pickle_is_text(pickle_item(p, v, 0), module) &&
           pickle_is_text(pickle_item(p, v, 1), name);
}

const char *pickle_describe(const Pickle *p, PickleValue v, char *buf, size_t cap)
{
    static const char *const WHAT[] = {
        [PICKLE_NOTHING] = "nothing",
        [PICKLE_MARK] = "a mark",
        [PICKLE_NONE] = "None",
        [PICKLE_BOOL] = "a bool",
        [PICKLE_INT] = "an int",
        [PICKLE_BIG] = "a large int",
        [PICKLE_FLOAT] = "a float",
        [PICKLE_TEXT] = "a text",
        [PICKLE_BYTES] = "bytes",
        [PICKLE_GLOBAL] = "the global ",
        [PICKLE_TUPLE] = "a tuple",
        [PICKLE_LIST] = "a list",
        [PICKLE_DICT] = "a dict",
        [PICKLE_CALL] = "an object of ",
        [PICKLE_PERSISTENT] = "a storage",
    };
    PickleValue global = global_of(p, v), module = pickle_item(p, global, 0),
                name = pickle_item(p, global, 1);
    if (global.kind != PICKLE_GLOBAL)
        snprintf(buf, cap, "%s", v.kind == PICKLE_CALL ? "an object" : WHAT[v.kind]);
    else
        snprintf(buf, cap, "%s\"%.*s.%.*s\"", WHAT[v.kind], module.n < 60 ? (int)module.n : 60,
                 (const char *)module.text, name.n < 60 ? (int)name.n : 60,
                 (const char *)name.text);
    return buf;
}
