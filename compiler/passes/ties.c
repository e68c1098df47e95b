/* One stored tensor, several readers: are they one parameter or several? Exporters store equal
   tensors once, through Identity nodes (PyTorch) or by letting all readers name the same
   initializer. In a fresh net every scale is ones, every shift and mean zeros, so many that must
   learn apart arrive as one; and a layer that is applied twice (a siamese net) arrives just so.

   The rule asks whether the readers are one layer applied again:
   - Layers that multiply by the same matrix or filter are one layer, since random weights are not
   equal by chance. Their biases are one too where these are one tensor. A matrix of zeros proves
   nothing: it counts among the others.
   - Other layers (normalisations, PRelu, scales and shifts) are one only if they are the same
   operator on different data, and ALL their tensors are the same in the same places; and if,
   besides, either one of those tensors holds what only learning gives (not one round number
   repeated), or they read them by the same names - an Identity gives another name - and stand
   behind different applications of one layer.
   - Two places of one layer never share: a bias and a mean that are both zeros are two tensors.
   Other readers (a GroupNorm's dummies, the mean of the pictures) keep the stored constant, unless
   its values are learnt ones: what is computed from a weight follows the weight.

   Example: conv1 -> BN1, conv2 -> BN2, with zeros `z` as bias and mean of both. z keeps its name
   as BN1's bias; BN1.mean, BN2.bias and BN2.mean become tensors of their own. Had conv1 and conv2
   the same weight, and BN1 and BN2 all four tensors the same, there would be one bias and one
   mean. */
#include "ties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ir/op.h"

typedef struct reading { /* input i of n reads a stored tensor */
    node *n;
    layer *l; /* NULL: n is no layer */
    size_t i;
    struct group *group;
    struct reading *next; /* of the same tensor, in the graph's order */
} reading;

typedef struct group { /* readings that are one parameter, or the stored constant */
    const reading *first;
    value *tensor;
    size_t layers;
    struct group *next;
} group;

typedef struct readings { /* of one stored tensor */
    reading *first, *last;
} readings;

typedef struct parting {
    weights *w;
    readings *of;    /* by value id of the stored tensor */
    group **claimed; /* by value id: whose name it is */
} parting;

/* ---- noting what changes in the file ---- */

void file_change_add(graph *g, file_change change) {
    file_changes *f = &g->file;
    ARENA_GROW(g->arena, f->changes, f->n_changes, f->cap_changes);
    f->changes[f->n_changes++] = change;
}

void file_change_loose(graph *g, const char *name) {
    file_changes *f = &g->file;
    ARENA_GROW(g->arena, f->loose, f->n_loose, f->cap_loose);
    f->loose[f->n_loose++] = name;
}

/* ---- what values tell ---- */

static bool all_equal(const tensor *t) {
    const float *x = t->data;
    for (int64_t i = 1, count = shape_count(&t->shape); i < count; i++)
        if (!(x[i] == x[0])) return false;
    return true;
}

/* Not one number of at most three digits, repeated: such tensors are equal only where one is the
   other. */
static bool is_drawn(const tensor *t) {
    if (t->type != DT_FLOAT || !shape_count(&t->shape)) return false;
    if (!all_equal(t)) return true;
    char digits[32];
    const float x = *(const float *)t->data;
    snprintf(digits, sizeof digits, "%.3g", (double)x);
    return strtof(digits, NULL) != x;
}

static bool is_zero(const tensor *t) {
    return !shape_count(&t->shape) || (all_equal(t) && *(const float *)t->data == 0);
}

/* ---- layers ---- */

static value *root_of(const weights *w, const value *v) {
    return v && (size_t)v->id < w->n_values ? w->root[v->id] : NULL;
}

static bool is_matrix_slot(const layer *l, size_t i) {
    return i < 2 && l->slots[i] == SLOT_WEIGHT && !node_has(l->n, OP_ELEMENTWISE) &&
           l->n->in[i]->shape.rank >= 2;
}

/* The matrix that says which layer this is; NULL when it has none, or one of zeros. */
static const value *matrix_of(const weights *w, const layer *l) {
    for (size_t i = 0; i < l->n->n_in; i++)
        if (is_matrix_slot(l, i) && !is_zero(l->n->in[i]->constant)) return root_of(w, l->n->in[i]);
    return NULL;
}

static value *data_of(const weights *w, const node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->constant && !root_of(w, n->in[i])) return n->in[i];
    return NULL;
}

/* The nearest layer before l, along first operands. */
static const layer *feeder_of(const weights *w, const layer *l) {
    const value *v = data_of(w, l->n);
    while (v && !w->made_by[v->id]) v = v->producer ? data_of(w, v->producer) : NULL;
    return v ? w->made_by[v->id] : NULL;
}

/* The name by which the framework knows it: that of an Identity, unless the exporter made it up
   ("onnx::PRelu_49"). */
static const value *named(const weights *w, const value *v) {
    return w->through[v->id] && !strstr(v->name, "::") ? v : root_of(w, v);
}

static bool same_tensors(const weights *w, const layer *a, const layer *b, bool *same_names,
                         bool *drawn) {
    if (!op_same(a->n, b->n) || a->n->n_in != b->n->n_in) return false;
    *same_names = true, *drawn = false;
    for (size_t i = 0; i < a->n->n_in; i++) {
        if (a->slots[i] != b->slots[i]) return false;
        if (a->slots[i] == SLOT_PLAIN) continue;
        if (root_of(w, a->n->in[i]) != root_of(w, b->n->in[i])) return false;
        *same_names &= named(w, a->n->in[i]) == named(w, b->n->in[i]);
        *drawn |= is_drawn(a->n->in[i]->constant);
    }
    return true;
}

static bool is_again(const weights *w, const layer *a, const layer *b) {
    bool same_names, drawn;
    const value *m = matrix_of(w, a);
    if (m || matrix_of(w, b)) return m == matrix_of(w, b);
    if (!same_tensors(w, a, b, &same_names, &drawn) || data_of(w, a->n) == data_of(w, b->n))
        return false;
    const layer *x = feeder_of(w, a), *y = feeder_of(w, b);
    return drawn || (same_names && x && y && x != y && x->same == y->same);
}

/* Layers in order, so that `same` of what feeds them is known. Candidates read the same tensor as
   this one's first. */
static void find_same(parting *p, layer *l) {
    const value *key = matrix_of(p->w, l);
    for (size_t i = 0; i < l->n->n_in && !key; i++)
        if (l->slots[i] != SLOT_PLAIN) key = root_of(p->w, l->n->in[i]);
    l->same = l;
    for (const reading *r = p->of[key->id].first; r && r->l != l; r = r->next)
        if (r->l && is_again(p->w, r->l, l)) {
            l->same = r->l->same;
            return;
        }
}

/* ---- groups ---- */

static slot slot_read(const reading *r) { return r->l ? r->l->slots[r->i] : SLOT_PLAIN; }

static bool is_one(const reading *a, const reading *b) {
    if (!slot_read(a) || !slot_read(b)) return slot_read(a) == slot_read(b);
    const bool x = is_matrix_slot(a->l, a->i), y = is_matrix_slot(b->l, b->i);
    if (x && y && !is_zero(a->n->in[a->i]->constant)) return true;
    return slot_read(a) == slot_read(b) && a->i == b->i && a->l->same == b->l->same;
}

/* What only reads a learnt tensor follows the first that learns it. */
static bool follows(const reading *r, const group *g) {
    return !slot_read(r) && slot_read(g->first) && is_drawn(r->n->in[r->i]->constant);
}

static group *find_groups(parting *p, readings *of) {
    group *all = NULL, **end = &all;
    for (int plain = 0; plain < 2; plain++)
        for (reading *r = of->first; r; r = r->next) {
            if ((slot_read(r) == SLOT_PLAIN) != plain) continue;
            group *g = all;
            while (g && !is_one(g->first, r) && !follows(r, g)) g = g->next;
            if (!g) {
                g = *end = ARENA_NEW(p->w->g->arena, group);
                g->first = r;
                end = &g->next;
            }
            g->layers += slot_read(r) != SLOT_PLAIN;
            r->group = g;
        }
    return all;
}

/* ---- names ---- */

static const char *place_name(const reading *r) {
    static const char *const names[] = {"operand", "weight", "bias", "mean", "var"};
    return r->i < sizeof names / sizeof *names ? names[r->i] : "tensor";
}

static void claim(parting *p, group *g, value *v) {
    g->tensor = v;
    p->claimed[v->id] = g;
}

/* The stored name goes to those that never learn, else to the first that names it directly. */
static void claim_stored(parting *p, const readings *of, group *all, value *root) {
    group *chosen = all;
    while (chosen && slot_read(chosen->first)) chosen = chosen->next;
    for (const reading *r = of->first; r && !chosen; r = r->next)
        if (r->n->in[r->i] == root) chosen = r->group;
    if (chosen) claim(p, chosen, root);
}

/* Then come the names that Identities give, and last those made up. */
static void claim_names(parting *p, const readings *of, group *all, const value *root) {
    for (const reading *r = of->first; r; r = r->next) {
        value *v = r->n->in[r->i];
        if (!r->group->tensor && !p->claimed[v->id] && !p->w->inlined[v->id]) claim(p, r->group, v);
    }
    graph *g = p->w->g;
    for (group *k = all; k; k = k->next)
        if (!k->tensor)
            k->tensor = graph_add_constant(
                g, arena_printf(g->arena, "%s.%s", node_label(k->first->n), place_name(k->first)),
                root->constant);
}

static void note_tie(parting *p, const group *g, const value *root, bool parted) {
    if (!slot_read(g->first) || (!parted && g->layers < 2)) return;
    tie *t = ARENA_NEW(p->w->g->arena, tie);
    *t = (tie){parted ? root->name : NULL, g->layers};
    g->tensor->tie = t;
}

/* ---- applying them ---- */

/* In the file, v is g's tensor already: by name, or through Identities that nobody else has
   taken. */
static bool resolves(const parting *p, const value *v, const group *g) {
    for (; v; v = p->w->through[v->id]) {
        if (v == g->tensor) return true;
        if (p->claimed[v->id]) return false;
    }
    return false;
}

static bool read_own(parting *p, reading *r, const value *root) {
    value *before = r->n->in[r->i];
    graph *g = p->w->g;
    node_set_input(g, r->n, r->i, r->group->tensor);
    if (resolves(p, before, r->group)) return true;
    if (r->n->inlined && g->training)
        return diag_error(
            g->diag, r->n,
            "export without functions, or inline them, so that each layer has its own tensor",
            "input %zu reads \"%s\", which other layers use too, inside a function", r->i,
            root->name);
    file_change_add(
        g, (file_change){.node = r->n->index, .input = r->i, .reads = r->group->tensor->name});
    return true;
}

static bool part(parting *p, value *root) {
    readings *of = &p->of[root->id];
    group *all = find_groups(p, of);
    size_t parameters = 0;
    bool ok = true;
    for (const group *g = all; g; g = g->next) parameters += slot_read(g->first) != SLOT_PLAIN;
    if (!parameters) return true;
    claim_stored(p, of, all, root);
    claim_names(p, of, all, root);
    for (const group *g = all; g; g = g->next) note_tie(p, g, root, parameters > 1);
    for (reading *r = of->first; r; r = r->next) ok &= read_own(p, r, root);
    if (!p->claimed[root->id]) file_change_loose(p->w->g, root->name);
    return ok;
}

static void collect(parting *p) {
    weights *w = p->w;
    for (size_t i = 0, l = 0; i < w->g->n_nodes; i++) {
        node *n = w->g->nodes[i];
        layer *own = l < w->n_layers && w->layers[l].n == n ? &w->layers[l++] : NULL;
        for (size_t k = 0; !n->dead && k < n->n_in; k++) {
            const value *root = root_of(w, n->in[k]);
            if (!root) continue;
            reading *r = ARENA_NEW(w->g->arena, reading);
            *r = (reading){.n = n, .l = own, .i = k};
            readings *of = &p->of[root->id];
            if (of->last)
                of->last->next = r;
            else
                of->first = r;
            of->last = r;
        }
    }
}

bool ties_part(weights *w) {
    graph *g = w->g;
    parting p = {.w = w};
    p.of = ARENA_ARRAY(g->arena, readings, w->n_values);
    p.claimed = ARENA_ARRAY(g->arena, group *, w->n_values);
    collect(&p);
    for (size_t i = 0; i < w->n_layers; i++) find_same(&p, &w->layers[i]);
    bool ok = true;
    for (size_t i = 0; i < w->n_values; i++)
        if (w->root[i] == g->values[i] && p.of[i].first) ok &= part(&p, g->values[i]);
    for (size_t i = 0; i < w->n_values; i++)
        if (w->through[i] && !p.claimed[i]) file_change_loose(g, g->values[i]->name);
    return ok;
}
