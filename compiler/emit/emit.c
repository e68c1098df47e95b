/* The emitter: collects one C function per distinct node, shares equal ones, and says where every
   value lives. */
#include "../ir/copy.h"
#include "../ir/implementation.h"
#include "program.h"

#include <ctype.h>
#include <string.h>

text *emit_body(emitter *e) { return &e->body; }
text *emit_helpers(emitter *e) { return &e->helpers; }
text *emit_create(emitter *e) { return &e->create; }
arena *emit_arena(emitter *e) { return e->graph->arena; }
const options *emit_options(const emitter *e) { return e->options; }
size_t emit_state(emitter *e) { return e->n_states++; }

const char *emit_weights(emitter *e, const void *data, size_t bytes, const char *label) {
    return blob_add(e, data, bytes, label);
}

const char *emit_scratch(emitter *e) { return emit_text(e, "(c->arena + $0)", e->scratch_offset); }

void emit_param(emitter *e, const char *declaration, const char *argument) {
    text_put(&e->parameters, ", $0", declaration);
    text_put(&e->arguments, ", $0", argument);
}

void emit_value(emitter *e, const char *name, const value *v, bool written) {
    const char *type = dtype_c(v->type);
    if (!type) BUG("value \"%s\" of type %s has no C type", v->name, dtype_name(v->type));
    text_put(&e->parameters, ", $0$1 *$2", written ? "" : "const ", type, name);
    text_put(&e->arguments, ", $0", place_expression(e, v, written));
}

/* ---- names ---- */

static bool name_insert(emitter *e, const char *name) {
    name_list *l = &e->names;
    const uint64_t hash = hash_bytes(name, strlen(name));
    hash_slot *s = hash_first(e->graph->arena, &l->index, l->count, hash);
    for (; s->entry; s = hash_next(&l->index, s))
        if (!strcmp(l->name[s->entry - 1], name)) return false;
    ARENA_GROW(e->graph->arena, l->name, l->count, l->capacity);
    l->name[l->count] = name;
    *s = (hash_slot){hash, ++l->count};
    return true;
}

/* Letters, digits and single underscores of `name`, at most 60, so that a hostile name can't make
   a line of megabytes. */
static char *mangle_plain(arena *a, const char *prefix, const char *name) {
    text t = {0};
    text_append(&t, prefix);
    const size_t start = t.size;
    for (const char *s = name; *s && t.size - start < 60; s++) {
        const unsigned char ch = (unsigned char)*s;
        if (ch < 128 && isalnum(ch))
            text_append_n(&t, s, 1);
        else if (t.size > start && t.data[t.size - 1] != '_')
            text_append(&t, "_");
    }
    while (t.size > start && t.data[t.size - 1] == '_') t.data[--t.size] = 0;
    if (t.size == start) text_append(&t, "unnamed");
    char *s = text_keep(&t, a);
    return isdigit((unsigned char)*s) ? arena_printf(a, "n%s", s) : s;
}

const char *mangle(emitter *e, const char *prefix, const char *name, const char *suffix_to_drop) {
    arena *a = e->graph->arena;
    char *s = mangle_plain(a, prefix, name);
    if (suffix_to_drop) {
        const size_t n = strlen(s), k = strlen(suffix_to_drop);
        if (n > k + 1 && s[n - k - 1] == '_' && !strcmp(s + n - k, suffix_to_drop))
            s[n - k - 1] = 0;
    }
    const char *made = s;
    for (size_t i = 2; !name_insert(e, made); i++) made = arena_put(a, "$0_$1", s, i);
    return made;
}

/* ---- places ---- */

static size_t output_index(const graph *g, const value *v) {
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) return i;
    BUG("value \"%s\" has no memory", v->name);
}

static size_t input_index(const graph *g, const value *v) {
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] == v) return i;
    BUG("\"%s\" is no graph input", v->name);
}

place value_place(const graph *g, const value *v) {
    place p = {.root = v};
    for (; p.root->base; p.root = p.root->base) p.offset += p.root->view_offset;
    if (p.root->constant)
        p.kind = PLACE_WEIGHTS;
    else if (p.root->role != ROLE_NONE)
        p.kind = p.root->role == ROLE_GRADIENT ? PLACE_GRADIENT : PLACE_PARAMETER,
        p.offset += (int64_t)p.root->param->offset;
    else if (p.root->arena_offset >= 0)
        p.kind = PLACE_ARENA;
    else if (p.root->is_input)
        p.kind = PLACE_INPUT, p.index = input_index(g, p.root);
    else
        p.kind = PLACE_OUTPUT, p.index = output_index(g, p.root);
    return p;
}

static const char *arena_name(emitter *e, const value *root) {
    if (!e->value_name[root->id]) e->value_name[root->id] = mangle(e, "A_", root->name, NULL);
    return e->value_name[root->id];
}

const char *place_expression(emitter *e, const value *v, bool written) {
    arena *a = e->graph->arena;
    const place p = value_place(e->graph, v);
    const char *type = dtype_c(v->type), *plus = p.offset ? arena_put(a, " + $0", p.offset) : "";
    if (written &&
        (p.kind == PLACE_WEIGHTS || p.kind == PLACE_INPUT || p.root->role == ROLE_PARAMETER))
        BUG("\"%s\" would overwrite its source", v->name);
    switch (p.kind) {
    case PLACE_WEIGHTS:
        if (p.offset || p.root->type != v->type)
            BUG("\"%s\" is a shifted view of a constant", v->name);
        return blob_add(e, p.root->constant->data, tensor_bytes(p.root->constant), p.root->name);
    case PLACE_PARAMETER: return arena_put(a, "c->parameters + $0", p.offset);
    case PLACE_GRADIENT: return arena_put(a, "c->gradients + $0", p.offset);
    case PLACE_INPUT: return arena_put(a, "IN($0, $1)$2", type, p.index, plus);
    case PLACE_OUTPUT: return arena_put(a, "OUT($0, $1)$2", type, p.index, plus);
    default:
        if (p.root->is_late && e->position < e->graph->late) /* memory that also holds the images of
                                                                other early groups */
            plus = arena_put(a, "$0 + c->first * $1", plus, image_elements(p.root));
        return arena_put(a, "AT($0, $1)$2", type, arena_name(e, p.root), plus);
    }
}

/* ---- nodes ---- */

static bool shares_memory(const value *a, const value *b) {
    int64_t oa = 0, ob = 0;
    for (; a->base; a = a->base) oa += a->view_offset;
    for (; b->base; b = b->base) ob += b->view_offset;
    return a == b && oa == ob;
}

/* A row without code of its own: its output is its input's memory, or a copy of it. */
static bool is_move(const node *n) {
    const bool reorder = n->opcode == CAMEO_Reorder;
    return node_is_view(n) || (reorder && shares_memory(n->in[0], n->out[0]));
}

bool node_is_silent(const node *n) {
    if (n->out[0] && n->out[0]->constant) return true;
    if (n->op && n->op->copy && copy_is_done(n)) return true;
    return is_move(n) && shares_memory(n->in[0], n->out[0]);
}

/* "i0 * 240 + i2 * 5", with the literal strides of a value; the batch's loop steps over whole
   images. */
static void copy_index(text *t, const value *v, const int64_t *stride, int rank, bool batched) {
    bool any = false;
    for (int i = 0; i < rank; i++) {
        const int64_t step = i == 0 && batched ? image_elements(v) : stride[i];
        if (!step) continue;
        text_put(t, "$0i$1", any ? " + " : "", i);
        if (step != 1) text_put(t, " * $0", step);
        any = true;
    }
    if (!any) text_append(t, "0");
}

/* Loops over `from`, each index with both strides; `to` may have another shape when both are
   dense. to_offset, when not negative, says that `from` goes to a part of `to`. */
void emit_copy_body(emitter *e, const value *from, const value *to, int64_t to_offset,
                    bool batched) {
    text *t = &e->body;
    int64_t sf[MAX_RANK], st[MAX_RANK];
    const int rank = from->shape.rank;
    value_strides(from, sf);
    value_strides(shape_equal(&from->shape, &to->shape) || to_offset >= 0 ? to : from, st);
    for (int i = 0; i < rank; i++) {
        if (i == 0 && batched)
            text_append(t, "    for (size_t i0 = 0; i0 < n; i0++)\n");
        else
            text_printf(t, "    %*sfor (size_t i%d = 0; i%d < %lld; i%d++)\n", 4 * i, "", i, i,
                        (long long)from->shape.dim[i], i);
    }
    text_printf(t, "    %*sy[", 4 * rank, "");
    if (to_offset > 0) text_put(t, "$0 + ", to_offset);
    copy_index(t, to, st, rank, batched);
    text_append(t, "] = x[");
    copy_index(t, from, sf, rank, batched);
    text_append(t, "];\n");
}

static void emit_move(emitter *e, const node *n) {
    const value *x = n->in[0], *y = n->out[0];
    emit_value(e, "x", x, false);
    emit_value(e, "y", y, true);
    const bool same_order = (x->layout == LAYOUT_ONNX && y->layout == LAYOUT_ONNX) ||
                            node_is_relabel(n);
    if (same_order && !x->pixel_stride && !y->pixel_stride) {
        text_put(&e->body, "    memcpy(y, x, n * $0 * sizeof *y);\n",
                 node_is_batched(n) ? image_elements(y) : value_count(y));
        return;
    }
    emit_copy_body(e, x, y, -1, node_is_batched(n));
}

static uint64_t function_hash(const function *f) {
    return hash_bytes(f->helpers, strlen(f->helpers)) ^
           3 * hash_bytes(f->parameters, strlen(f->parameters)) ^
           5 * hash_bytes(f->body, strlen(f->body));
}

/* The function that was just described, made when there is none yet with these texts. */
static size_t function_get(emitter *e, const char *stem) {
    const function f = {.helpers = text_str(&e->helpers),
                        .parameters = text_str(&e->parameters),
                        .body = text_str(&e->body)};
    arena *a = e->graph->arena;
    const uint64_t hash = function_hash(&f);
    hash_slot *s = hash_first(a, &e->function_index, e->n_functions, hash);
    for (; s->entry; s = hash_next(&e->function_index, s)) {
        const function *k = &e->functions[s->entry - 1];
        if (!strcmp(k->helpers, f.helpers) && !strcmp(k->parameters, f.parameters) &&
            !strcmp(k->body, f.body))
            return s->entry - 1;
    }
    ARENA_GROW(a, e->functions, e->n_functions, e->cap_functions);
    const char *prefix = arena_put(a, "$0_", e->options->name);
    e->functions[e->n_functions] = (function){.name = mangle(e, prefix, stem, NULL),
                                              .helpers = arena_strdup(a, f.helpers),
                                              .parameters = arena_strdup(a, f.parameters),
                                              .body = arena_strdup(a, f.body)};
    *s = (hash_slot){hash, ++e->n_functions};
    return e->n_functions - 1;
}

static const char *function_stem(emitter *e, const node *n) {
    char *s = arena_strdup(e->graph->arena, n->impl ? n->impl->name : n->op_type);
    for (char *p = s; *p; p++) *p = (char)tolower((unsigned char)*p);
    return s;
}

static void emit_dispatch(emitter *e, const node *n) {
    if (n->impl)
        n->impl->emit(e, n);
    else if (is_move(n))
        emit_move(e, n);
    else if (n->op && n->op->emit)
        n->op->emit(e, n);
    else
        BUG("%s has no code", n->op_type);
}

/* Adds a call, and a function when it is new. */
static void emit_node(emitter *e, const node *n, size_t position) {
    text_clear(&e->body), text_clear(&e->helpers), text_clear(&e->parameters),
        text_clear(&e->arguments);
    e->position = position;
    emit_dispatch(e, n);
    if (n->impl && n->impl->xnnpack) e->xnnpack = true;
    const size_t f = function_get(e, function_stem(e, n));
    arena *a = e->graph->arena;
    ARENA_GROW(a, e->calls, e->n_calls, e->cap_calls);
    e->calls[e->n_calls++] = (call){.node = n,
                                    .function = f,
                                    .name = mangle(e, "", node_label(n), n->op_type),
                                    .position = position,
                                    .arguments = arena_strdup(a, text_str(&e->arguments)),
                                    .batched = node_is_batched(n)};
}

/* ---- the driver ---- */

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* The scratch region begins behind the last value. */
static void measure_arena(emitter *e) {
    const graph *g = e->graph;
    size_t end = 0, scratch = 0;
    for (size_t i = 0; i < g->n_values; i++) {
        const value *v = g->values[i];
        if (v->arena_offset < 0 || v->base || v->constant) continue;
        size_t bytes;
        if (!size_mul((size_t)value_planned_count(g, v), dtype_size(v->type), &bytes))
            BUG("\"%s\" is too big", v->name);
        end = max_size(end, ((size_t)v->arena_offset + bytes + 128 + 63) & ~(size_t)63);
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        if (n->impl && n->impl->scratch)
            scratch = max_size(scratch, sizeof(float) * (size_t)n->impl->scratch(n, e->options));
    }
    e->scratch_offset = end;
    e->arena_bytes = end + (scratch ? (scratch + 128 + 63) & ~(size_t)63 : 0);
}

/* Words that a prefix, which becomes a type's name, may not be. */
static bool is_reserved(const char *s) {
    static const char *const words[] = {
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
        "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
        "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
        "union", "unsigned", "void", "volatile", "while", "asm", "typeof", "bool", "true", "false",
        "main", "NULL", "cameo",
        /* C++, for which the header is meant as well */
        "class", "delete", "export", "friend", "mutable", "namespace", "new", "operator", "private",
        "protected", "public", "template", "this", "throw", "try", "catch", "typename", "using",
        "virtual"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(s, words[i])) return true;
    return !strncmp(s, "cameo_", 6); /* the runtime's own */
}

/* From an output's name: libnet.a and net.so are called net. */
static const char *name_of_output(arena *a, const options *o) {
    const char *name = cameo_last_part(o->output);
    const bool library = o->emit == EMIT_LIB || o->emit == EMIT_SO;
    if (library && !strncmp(name, "lib", 3) && name[3] && name[3] != '.') name += 3;
    char *s = mangle_plain(a, "", name);
    for (const char *const *k = (const char *const[]){"_a", "_so", "_c", NULL}; *k; k++) {
        const size_t n = strlen(s), m = strlen(*k);
        if (n > m && !strcmp(s + n - m, *k)) s[n - m] = 0;
    }
    return s;
}

void program_free(program *p) {
    for (size_t i = 0; i < p->n_units; i++) {
        emitted *em = &p->units[i];
        text_free(&em->model_c), text_free(&em->model_h), text_free(&em->weights);
        for (size_t k = 0; k < em->n_parts; k++) text_free(&em->parts[k]);
    }
    for (size_t i = 0; i < p->n_files; i++) text_free(&p->files[i].data);
    text_free(&p->trainer_c);
}

const char *emit_prefix(arena *a, const options *o) {
    const char *s = o->name     ? mangle_plain(a, "", o->name)
                    : o->output ? name_of_output(a, o)
                                : "model";
    return is_reserved(s) ? arena_put(a, "$0_net", s) : s;
}

const char *emit_unit_of_target(arena *a, const target *t) {
    return arena_put(a, "$0_", mangle_plain(a, "", t->name));
}

/* NAME of a unit: "step_" names net_step. */
static const char *unit_name(arena *a, const char *prefix, const char *unit) {
    const size_t stem = strlen(unit);
    return stem ? arena_printf(a, "%s_%.*s", prefix, (int)stem - 1, unit) : prefix;
}

const char *narrower_name(const emitter *e) {
    arena *a = e->graph->arena;
    return unit_name(a, e->prefix, emit_unit_of_target(a, &e->options->narrower[0]));
}

bool emit_model(graph *g, const options *o, const char *unit, emitted *out) {
    emitter *e = ARENA_NEW(g->arena, emitter);
    options *named = ARENA_NEW(g->arena, options);
    *named = *o;
    e->prefix = emit_prefix(g->arena, o);
    named->name = unit_name(g->arena, e->prefix, unit);
    out->unit = e->unit = unit;
    out->flags = o->target.flags;
    e->graph = g;
    e->options = o = named;
    e->value_name = ARENA_ARRAY(g->arena, const char *, g->n_values);
    measure_arena(e);
    /* No name of the model's may be these. */
    name_insert(e, arena_put(g->arena, "$0_model", o->name));
    name_insert(e, arena_put(g->arena, "$0_weights", o->name));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead && !node_is_silent(g->nodes[i])) emit_node(e, g->nodes[i], i);
    model_write(e, out);
    out->weights = e->blob.data;
    out->xnnpack = e->xnnpack;
    text_free(&e->body), text_free(&e->helpers), text_free(&e->create), text_free(&e->parameters),
        text_free(&e->arguments);
    return g->diag->errors == 0;
}
