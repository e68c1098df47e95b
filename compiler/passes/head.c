/* --train: the classifier and the embedding. Where the class scores come from decides which layer
   is made anew for --classes, and what is put behind an embedding net that has none. A loss with
   margins needs scores that are cosines: then the head is scale * cos(embedding, weight of the
   class), in ordinary operators, so that the net gives the same scores outside training.

   What changes is kept in graph.new_head, since checkpoints are written from the model file's own
   bytes (skeleton.c). */
#include <math.h>
#include <string.h>

#include "../../runtime/image/dataset.h"
#include "../../runtime/kernels/random.h"
#include "../base/loss_spec.h"
#include "../ir/graph_query.h"
#include "../onnx/skeleton.h"
#include "front.h"

enum { HEAD_STREAM = 0x4EAD, FIRST_OPSET = 7, LEAST_EMBEDDING = 64 };

typedef struct classifier { /* what gives the class scores now */
    value *input, *weight;  /* NULL: not found */
    int64_t classes, depth;
    bool classes_first; /* weight is [classes, depth] */
    bool cosine;
    double scale;
} classifier;

typedef struct head {
    graph *g;
    const options *options;
    loss_spec spec;
    classifier old;
    int64_t classes; /* 0: as the model */
    const char *names;
    bool named, appended; /* the embedding is named by the user or the model; it is the output */
    int opset;
    new_head *made;
    text fields;
} head;

/* content NULL removes it. */
static void set_meta(graph *g, const char *key, const char *content) {
    cameo_entry *kept = ARENA_ARRAY(g->arena, cameo_entry, g->n_meta + 1);
    size_t n = 0;
    for (size_t i = 0; i < g->n_meta; i++)
        if (strcmp(g->meta[i].key, key)) kept[n++] = g->meta[i];
    if (content) kept[n++] = (cameo_entry){key, content};
    g->meta = kept;
    g->n_meta = n;
}

/* ---- what is there ---- */

static bool passes_scores_on(const node *n) {
    if (node_is(n, ONNX_Add)) /* of a bias */
        return n->in[1]->role == ROLE_PARAMETER && n->in[1]->shape.rank < 2;
    return node_has(n, OP_IDENTITY | OP_VIEW) || node_is_softmax(n) || node_is(n, ONNX_Relu) ||
           node_is(n, ONNX_GlobalAveragePool);
}

static bool is_matrix(const value *v) { return v->role == ROLE_PARAMETER && v->shape.rank >= 2; }

static bool is_pointwise_conv(const node *n) {
    if (!node_is(n, ONNX_Conv) || !is_matrix(n->in[1]) || node_int(n, "group", 1) != 1)
        return false;
    for (int k = 2; k < n->in[1]->shape.rank; k++)
        if (n->in[1]->shape.dim[k] != 1) return false;
    return true;
}

static bool product_of(const node *n, classifier *c) {
    const bool gemm = node_is(n, ONNX_Gemm) && !node_int(n, "transA", 0),
               conv = is_pointwise_conv(n);
    if (!gemm && !conv && !node_is(n, ONNX_MatMul)) return false;
    if (!is_matrix(n->in[1]) || (!conv && n->in[1]->shape.rank != 2)) return false;
    c->input = n->in[0], c->weight = n->in[1];
    c->classes_first = conv || (gemm && node_int(n, "transB", 0));
    c->classes = n->in[1]->shape.dim[!c->classes_first];
    c->depth = n->in[1]->shape.dim[c->classes_first];
    return true;
}

/* scale * Gemm(LpNormalization(x), W) / ReduceL2(W), as build_cosine() makes it. */
static bool find_cosine(const value *v, classifier *c) {
    const node *n = v->producer;
    if (!node_is(n, ONNX_Mul) || !n->in[1]->constant || value_count(n->in[1]) != 1) return false;
    c->scale = tensor_get(n->in[1]->constant, 0);
    const node *divide = n->in[0]->producer;
    if (!node_is(divide, ONNX_Div) || !node_is(divide->in[1]->producer, ONNX_ReduceL2) ||
        !divide->in[0]->producer)
        return false;
    if (!product_of(divide->in[0]->producer, c)) return false;
    c->cosine = divide->in[1]->producer->in[0] == c->weight &&
                node_is(c->input->producer, ONNX_LpNormalization);
    if (c->cosine) c->input = c->input->producer->in[0];
    return c->cosine;
}

static void find_classifier(const graph *g, classifier *c) {
    const value *v = g->outputs[0];
    *c = (classifier){.scale = 1};
    if (find_cosine(v, c)) return;
    *c = (classifier){.scale = 1};
    while (passes_scores_on(v->producer)) v = v->producer->in[0];
    if (v->producer) product_of(v->producer, c);
}

/* An output that nobody named is an embedding rather than class scores when its length is one of
   embeddings. */
static bool output_is_embedding(const head *h) {
    const value *y = h->g->outputs[0];
    const int64_t length = y->shape.rank > 1 ? y->shape.dim[1] : 0;
    if (h->named) return h->g->embedding == y;
    if (h->old.cosine || graph_metadata(h->g, "cameo.classes") || node_is_softmax(y->producer))
        return false;
    return length >= LEAST_EMBEDDING && (length & (length - 1)) == 0;
}

/* ---- class names ---- */

static bool read_classes(head *h) {
    h->classes = h->options->classes;
    if (!h->options->classes_from) return true;
    cameo_dataset d;
    cameo_error error = {0};
    if (!cameo_dataset_scan(h->options->classes_from, 2, &d, &error))
        return node_error(h->g, NULL, "--classes-from %s: %s", h->options->classes_from,
                          error.message);
    text t = {0};
    bool ok = true;
    for (size_t i = 0; i < d.classes; i++) {
        if (strchr(d.class_name[i], '\n'))
            ok = diag_error(h->g->diag, NULL, "rename it", "a class folder's name has two lines");
        text_printf(&t, "%s%s", i ? "\n" : "", d.class_name[i]);
    }
    h->classes = (int64_t)d.classes;
    h->names = text_keep(&t, h->g->arena);
    cameo_dataset_free(&d);
    return ok;
}

/* ---- taking the old classifier away ---- */

/* The name is free for another value from here on. */
static void retire(head *h, value *v, bool *gone) {
    if (gone[v->id]) return;
    gone[v->id] = true;
    ARENA_APPEND(h->g->arena, h->made->dropped, h->made->n_dropped, v->name);
    if (v->role == ROLE_PARAMETER) v->constant = v->param->initial;
    v->role = ROLE_NONE, v->param = NULL;
    v->name = arena_printf(h->g->arena, "%s~", v->name);
}

static void forget_unread_parameters(graph *g) {
    size_t kept = 0;
    for (size_t i = 0; i < g->n_parameters; i++) {
        if (parameter_is_read(g, g->parameters[i])) g->parameters[kept++] = g->parameters[i];
    }
    g->n_parameters = kept;
}

/* Output 0 becomes x; what only the old one needed goes. */
static void cut(head *h, value *x) {
    graph *g = h->g;
    const size_t n = g->n_nodes;
    node **before = ARENA_COPY(g->arena, g->nodes, n, n);
    bool *gone = ARENA_ARRAY(g->arena, bool, g->n_values);
    g->outputs[0]->is_output = false;
    g->outputs[0] = x;
    graph_sweep(g);
    for (size_t i = 0; i < n; i++) {
        if (graph_has(g, before[i])) continue;
        for (size_t k = 0; k < before[i]->n_out; k++)
            if (before[i]->out[k]) retire(h, before[i]->out[k], gone);
        for (size_t k = 0; k < before[i]->n_in; k++) {
            value *v = before[i]->in[k];
            if (v && value_is_external(v) && !value_is_read(v)) retire(h, v, gone);
        }
    }
    forget_unread_parameters(g);
}

/* ---- making the new one ---- */

static node *add(head *h, const char *op, value *const *in, size_t n_in, const char *name) {
    value *y = graph_add_value(h->g, name);
    node *n = graph_add_node(h->g, op, "", in, n_in, &y, 1);
    n->name = y->name;
    n->opset = h->opset;
    return n;
}

static value *finish(head *h, node *n) {
    skeleton_node(&h->fields, n);
    return resolve_node(h->g, n) && n->op->infer(h->g, n) ? n->out[0] : NULL;
}

static value *call(head *h, const char *op, value *const *in, size_t n_in, const char *name) {
    return finish(h, add(h, op, in, n_in, name));
}

/* Axes as an attribute, or, in the operator's later versions, as an input. */
static value *norm_of(head *h, value *w) {
    node *n = add(h, "ReduceL2", &w, 1, "head.norm");
    const int64_t axis = 1;
    if (h->opset >= 18) {
        value *axes = graph_add_ints(h->g, "head.axes", &axis, 1);
        skeleton_constant(&h->fields, axes);
        node_set_input(h->g, n, 1, axes);
    } else
        node_set_ints(h->g, n, "axes", &axis, 1);
    node_set_int(h->g, n, "keepdims", 0);
    return finish(h, n);
}

static value *number(head *h, const char *name, double v) {
    tensor *t = tensor_new(h->g->arena, DT_FLOAT, &(shape){.rank = 0});
    tensor_set(t, 0, v);
    value *c = graph_add_constant(h->g, name, t);
    skeleton_constant(&h->fields, c);
    return c;
}

/* [images, length] of what may be an image or one pixel. */
static value *flat(head *h, value *x) {
    const shape *s = &x->shape;
    if (s->rank == 2) return x;
    if (s->rank < 2)
        return node_error(h->g, x->producer, "\"%s\" is no batch of embeddings", x->name), NULL;
    if (s->rank == 4 && s->dim[2] * s->dim[3] > 1 &&
        !(x = call(h, "GlobalAveragePool", &x, 1, "head.pool")))
        return NULL;
    return call(h, "Flatten", &x, 1, "head.flat");
}

static value *weight(head *h, const char *name, tensor *t) {
    value *v = graph_add_constant(h->g, name, t);
    parameter_add(h->g, h->options, v, false);
    return v;
}

/* Uniform in +-1/sqrt(depth), PyTorch's Linear; or normal, when only directions count. */
static value *fresh(head *h, const char *name, int rank, int64_t rows, int64_t depth) {
    tensor *t = tensor_new(h->g->arena, DT_FLOAT, &(shape){.rank = rank, .dim = {rows, depth}});
    cameo_random r = cameo_random_stream(0, (uint64_t)rank, HEAD_STREAM);
    const double bound = 1 / sqrt((double)depth);
    for (int64_t i = 0; i < shape_count(&t->shape); i++)
        tensor_set(t, i,
                   h->spec.margins ? 0.01 * cameo_random_normal(&r)
                                   : cameo_random_between(&r, -bound, bound));
    return weight(h, name, t);
}

/* The classifier's own weights as [classes, depth]. */
static value *inherited(head *h, const tensor *old) {
    const int64_t classes = h->old.classes, depth = h->old.depth;
    tensor *t = tensor_new(h->g->arena, DT_FLOAT, &(shape){.rank = 2, .dim = {classes, depth}});
    for (int64_t i = 0; i < classes * depth; i++)
        tensor_set(t, i,
                   tensor_get(old, h->old.classes_first ? i : i % depth * classes + i / depth));
    return weight(h, "head.weight", t);
}

static value *product(head *h, value *x, value *w, value *bias, const char *name) {
    node *n = add(h, "Gemm", (value *const[]){x, w, bias}, bias ? 3 : 2, name);
    node_set_int(h->g, n, "transB", 1);
    return finish(h, n);
}

static value *build_cosine(head *h, value *x, value *w) {
    node *unit = add(h, "LpNormalization", &x, 1, "head.unit");
    node_set_int(h->g, unit, "axis", 1);
    node_set_int(h->g, unit, "p", 2);
    if (!(x = finish(h, unit))) return NULL;
    value *none = h->opset < 11 ? number(h, "head.none", 0) : NULL; /* C was not optional before */
    value *dot = product(h, x, w, none, "head.dot"), *norm = dot ? norm_of(h, w) : NULL;
    value *cosine = norm ? call(h, "Div", OPERANDS(dot, norm), "head.cosine") : NULL;
    value *scale = number(h, "head.scale", h->spec.margin.scale);
    return cosine ? call(h, "Mul", OPERANDS(cosine, scale), "logits") : NULL;
}

static bool build(head *h, value *x) {
    graph *g = h->g;
    const tensor *old = h->old.weight ? h->old.weight->param->initial : NULL;
    h->made = ARENA_NEW(g->arena, new_head);
    if (!h->appended && !h->named) g->embedding = x;
    if (!h->appended) cut(h, x);
    if (!(x = flat(h, x))) return false;
    if (!h->appended && !h->named) g->embedding = x;
    value *w = h->classes ? fresh(h, "head.weight", 2, h->classes, x->shape.dim[1])
                          : inherited(h, old),
          *y;
    if (h->spec.margins) {
        y = build_cosine(h, x, w);
    } else {
        value *b = fresh(h, "head.bias", 1, h->classes, x->shape.dim[1]);
        y = product(h, x, w, b, "logits");
    }
    if (!y) return false;
    g->outputs[0]->is_output = false;
    g->outputs[0] = y;
    y->is_output = true;
    h->made->bytes = h->fields.size;
    h->made->fields = arena_strndup(g->arena, text_str(&h->fields), h->fields.size);
    g->new_head = h->made;
    return true;
}

static bool needs_classes(head *h, const char *why) {
    return diag_error(h->g->diag, NULL,
                      "give --classes K or --classes-from DIR to put a classifier there", "%s",
                      why);
}

static bool make_scores(head *h) {
    if (!h->classes && !h->spec.margins)
        return !(h->named && h->appended) || needs_classes(h, "its output is the embedding");
    if (!h->classes && h->old.cosine)
        return h->old.scale == h->spec.margin.scale ||
               diag_error(h->g->diag, NULL, "give it as s=, or --classes to begin anew",
                          "the model's scores are cosines times %g, the loss asks for %g",
                          h->old.scale, h->spec.margin.scale);
    if (!h->classes && (h->appended || !h->old.input))
        return needs_classes(h, "the model has no classifier for --loss");
    if (h->opset < FIRST_OPSET)
        return node_error(h->g, NULL, "opset %d is too old for a new head", h->opset);
    if (h->appended && !h->named)
        diag_warn(h->g->diag, NULL,
                  "name another tensor with --embedding if the output is class scores",
                  "output \"%s\" is taken for the embedding, and the classifier is put behind it",
                  h->g->outputs[0]->name);
    value *x = h->appended ? h->g->outputs[0] : h->old.input ? h->old.input : h->g->embedding;
    if (!x || x == h->g->inputs[0])
        return diag_error(h->g->diag, NULL, "name the embedding with --embedding",
                          "no classifier was found");
    return build(h, x);
}

/* ---- centers ---- */

/* A statistic rather than a weight: the step moves them itself (docs/training.md). */
static bool make_centers(head *h) {
    graph *g = h->g;
    find_classifier(g, &h->old);
    const value *scores = g->outputs[0], *e = g->embedding;
    if (!e || e == scores || e->shape.rank < 2)
        return diag_error(g->diag, NULL, "name the embedding with --embedding",
                          "centers need an embedding before the classifier");
    const shape s = {.rank = 2, .dim = {scores->shape.dim[1], value_count(e) / e->shape.dim[0]}};
    tensor *t = tensor_new(g->arena, DT_FLOAT, &s);
    value *old = graph_find_value(g, "head.centers");
    if (old && old->constant && shape_equal(&old->constant->shape, &s)) t = old->constant;
    if (old) old->name = "head.centers~";
    parameter_add(g, h->options, graph_add_constant(g, "head.centers", t), true);
    return true;
}

/* ---- the pass ---- */

static bool choose(head *h) {
    const options *o = h->options;
    graph *g = h->g;
    const char *why = loss_parse(g->arena, o->loss, &h->spec);
    if (why) return node_error(g, NULL, "--loss %s: %s", o->loss, why);
    if (!read_classes(h)) return false;
    if (h->classes && !h->spec.softmax)
        return diag_error(g->diag, NULL, "leave --classes away, or add a term: ce+...",
                          "--loss %s knows no classes", o->loss);
    find_classifier(g, &h->old);
    h->named = embedding_name(g, o);
    h->appended = output_is_embedding(h);
    const value *x = h->old.input;
    if (x && !h->named && !h->appended && value_count(x) == x->shape.dim[0] * h->old.depth)
        g->embedding = h->old.input;
    h->opset = (int)graph_opset(g, "");
    return true;
}

bool pass_head(graph *g, const options *o) {
    if (!o->train) return true;
    head h = {.g = g, .options = o};
    const bool ok = choose(&h) && (!h.spec.softmax || make_scores(&h)) &&
                    (!(h.spec.center > 0) || make_centers(&h));
    text_free(&h.fields);
    if (!ok) return false;
    if ((h.spec.softmax && g->outputs[0]->type != DT_FLOAT) ||
        (g->embedding && g->embedding->type != DT_FLOAT))
        return node_error(g, NULL, "training takes class scores and embeddings in float32");
    if (!h.spec.softmax && !g->embedding)
        return diag_error(g->diag, NULL, "name it with --embedding", "--loss %s needs an embedding",
                          o->loss);
    if (g->embedding) set_meta(g, "cameo.embedding", g->embedding->name);
    if (h.classes) set_meta(g, "cameo.classes", h.names);
    if (o->preprocess) set_meta(g, "cameo.preprocess", o->preprocess);
    return parameters_check_freeze(g, o);
}
