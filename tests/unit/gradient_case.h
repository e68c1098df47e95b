/* Gradients as table rows: one node on made-up numbers, loss = sum of u * y over its outputs with
   random u, and what grad_backward() makes of it against central differences of the reference, in
   double. The tables are in gradient_cases*.h; the same graphs in float are compiled and run
   (test_gradients.c). Include first: it brings cmocka. */
#ifndef CAMEO_TESTS_GRADIENT_CASE_H
#define CAMEO_TESTS_GRADIENT_CASE_H
#include "compiler/ir/interpret.h"
#include "op_case.h"

#include "../../compiler/ir/grad.h"
#include "../../compiler/passes/front.h"

enum { GRADIENT_IN = 6, GRADIENT_DATA = 16, GRADIENT_INPUTS = 2048 };

typedef enum operand_kind {
    OPERAND_ABSENT,
    OPERAND_WANTED, /* differentiated */
    OPERAND_FREE,   /* known at run time, not differentiated */
    OPERAND_GIVEN,  /* the same, with the numbers of `data` */
    OPERAND_CONST,  /* known to infer: `data` */
    OPERAND_SAME    /* the value of operand `same` once more */
} operand_kind;

/* WANTED and FREE: evenly spaced numbers between low and high in random order, so no two are
   closer than (high - low) / count: maxima have no ties, and a kink is stepped over only by ill
   luck. They need not be symmetric about 0, but 0 is not hit. */
typedef struct gradient_operand {
    operand_kind kind;
    dtype type; /* DT_NONE: double, or float when emitted */
    int rank;
    int64_t dim[CASE_RANK];
    double low, high, data[GRADIENT_DATA];
    size_t same;
} gradient_operand;

typedef struct gradient_case {
    const char *name, *op;
    int opset;
    gradient_operand in[GRADIENT_IN];
    attribute attrs[8];
    size_t n_out;       /* 0 = 1 */
    unsigned unused;    /* bit i: output i does not enter the loss; integer outputs never do */
    const char *domain; /* NULL = "" */
    const char *says;   /* there is no gradient, and the message says this */
} gradient_case;

typedef struct gradient_table {
    const char *name;
    const gradient_case *cases;
    size_t count;
} gradient_table;

#define WANTED_IN(from, to, r, ...) \
    { .kind = OPERAND_WANTED, .rank = (r), .dim = __VA_ARGS__, .low = (from), .high = (to) }
#define WANTED(r, ...) WANTED_IN(-1.5, 1.7, r, __VA_ARGS__)
#define FREE_IN(from, to, r, ...) \
    { .kind = OPERAND_FREE, .rank = (r), .dim = __VA_ARGS__, .low = (from), .high = (to) }
#define FREE(r, ...) FREE_IN(-1.5, 1.7, r, __VA_ARGS__)
#define GIVEN(t, r, dims, ...)                                                                \
    {                                                                                         \
        .kind = OPERAND_GIVEN, .type = (t), .rank = (r), .dim = dims, .data = { __VA_ARGS__ } \
    }
#define CONST(t, r, dims, ...)                                                                \
    {                                                                                         \
        .kind = OPERAND_CONST, .type = (t), .rank = (r), .dim = dims, .data = { __VA_ARGS__ } \
    }
#define INT_LIST(n, ...) CONST(DT_INT64, 1, D(n), __VA_ARGS__)
#define SAME(i) \
    { .kind = OPERAND_SAME, .same = (i) }
#define NONE \
    { .kind = OPERAND_ABSENT }
#define GRADIENT_TABLE(list) \
    { #list, list, sizeof(list) / sizeof *(list) }

/* ---- building ---- */

typedef struct gradient_world { /* one graph, of one case or of several */
    arena *a;
    diag d;
    graph *g;
    dtype real;
    tensor *data[GRADIENT_INPUTS]; /* of graph input i */
    uint64_t seed;
} gradient_world;

typedef struct gradient_built { /* one case in it */
    const gradient_case *c;
    value *in[GRADIENT_IN];                                 /* operands */
    size_t input[GRADIENT_IN];                              /* which graph input each is */
    value *wanted[GRADIENT_IN + 1], *grad[GRADIENT_IN + 1]; /* NULL behind the last */
    value *loss;
} gradient_built;

static inline void world_begin(gradient_world *w, dtype real) {
    *w = (gradient_world){.a = arena_create(), .real = real, .seed = 20};
    w->d = (diag){.arena = w->a, .file = "test"};
    w->g = graph_create(w->a, &w->d);
    w->g->name = "test";
    w->g->batch = 1;
    w->g->inputs = ARENA_ARRAY(w->a, value *, GRADIENT_INPUTS);
    w->g->outputs = ARENA_ARRAY(w->a, value *, GRADIENT_INPUTS);
}

static inline uint64_t world_below(gradient_world *w, uint64_t n) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (w->seed >> 33) % n;
}

static inline value *world_input(gradient_world *w, tensor *t) {
    if (w->g->n_inputs == GRADIENT_INPUTS) fail_msg("too many inputs");
    value *v = graph_add_value(w->g, "in");
    v->type = t->type, v->shape = t->shape, v->shaped = v->is_input = true;
    w->data[w->g->n_inputs] = t;
    return w->g->inputs[w->g->n_inputs++] = v;
}

static inline tensor *world_spread(gradient_world *w, const shape *s, double low, double high) {
    tensor *t = tensor_new(w->a, w->real, s);
    const int64_t n = shape_count(s);
    for (int64_t i = 0; i < n; i++)
        tensor_set(t, i, low + (high - low) * ((double)i + 0.382) / (double)n);
    for (int64_t i = n; i > 1; i--) {
        const int64_t k = (int64_t)world_below(w, (uint64_t)i);
        const double v = tensor_get(t, i - 1);
        tensor_set(t, i - 1, tensor_get(t, k));
        tensor_set(t, k, v);
    }
    return t;
}

static inline value *world_operand(gradient_world *w, const gradient_operand *o) {
    shape s = {.rank = o->rank};
    for (int k = 0; k < o->rank; k++) s.dim[k] = o->dim[k];
    if (o->kind == OPERAND_WANTED || o->kind == OPERAND_FREE)
        return world_input(w, world_spread(w, &s, o->low, o->high));
    tensor *t = tensor_new(w->a, o->type ? o->type : w->real, &s);
    for (int64_t i = 0; i < shape_count(&s); i++) tensor_set(t, i, o->data[i]);
    return o->kind == OPERAND_CONST ? graph_add_constant(w->g, "constant", t) : world_input(w, t);
}

static inline void world_operands(gradient_world *w, gradient_built *b) {
    size_t n_wanted = 0;
    for (size_t i = 0; i < GRADIENT_IN; i++) {
        const gradient_operand *o = &b->c->in[i];
        if (o->kind == OPERAND_ABSENT) continue;
        b->input[i] = w->g->n_inputs;
        b->in[i] = o->kind == OPERAND_SAME ? b->in[o->same] : world_operand(w, o);
        if (o->kind == OPERAND_WANTED) b->wanted[n_wanted++] = b->in[i];
    }
}

static inline value *world_cast(gradient_world *w, const node *n, value *v, dtype type) {
    node *cast = grad_node(w->g, n, ONNX_Cast, &v, 1, 1);
    node_set_int(w->g, cast, "to", type);
    return grad_infer(w->g, cast);
}

/* loss + sum(u * y) */
static inline value *world_add_loss(gradient_world *w, const node *n, value *y, value *loss) {
    if (y->type != w->real) y = world_cast(w, n, y, w->real);
    value *u = world_input(w, world_spread(w, &y->shape, -0.8, 1.3));
    node *sum = grad_node(w->g, n, ONNX_ReduceSum,
                          (value *const[]){grad_binary(w->g, n, ONNX_Mul, y, u)}, 1, 1);
    node_set_int(w->g, sum, "keepdims", 0);
    value *v = grad_infer(w->g, sum);
    return loss ? grad_binary(w->g, n, ONNX_Add, loss, v) : v;
}

/* The case's node and its loss, appended to the graph. */
static inline void world_build(gradient_world *w, gradient_built *b, const gradient_case *c) {
    *b = (gradient_built){.c = c};
    world_operands(w, b);
    value *out[CASE_OUT] = {NULL};
    const size_t n_out = c->n_out ? c->n_out : 1;
    size_t n_in = GRADIENT_IN;
    while (!b->in[n_in - 1]) n_in--;
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(w->g, NULL);
    node *n = graph_add_node(w->g, c->op, c->domain ? c->domain : "", b->in, n_in, out, n_out);
    n->opset = c->opset;
    n->name = c->name;
    case_attributes(w->g, n, c->attrs);
    if (!resolve_node(w->g, n) || !n->op->infer(w->g, n))
        fail_msg("%s: %s", c->name, w->d.first ? w->d.first->message : "?");
    for (size_t i = 0; i < n_out; i++)
        if (!(c->unused >> i & 1) && (n->out[i]->type == DT_FLOAT || n->out[i]->type == DT_DOUBLE))
            b->loss = world_add_loss(w, n, n->out[i], b->loss);
}

/* ---- comparing ---- */

static inline double world_loss(gradient_world *w, const gradient_built *b) {
    tensor **results = ARENA_ARRAY(w->a, tensor *, w->g->n_values + 1);
    if (!interpret(w->g, w->data, results)) fail_msg("%s: %s", b->c->name, w->d.first->message);
    return tensor_get(results[b->loss->id], 0);
}

/* By central differences, of the graph as it is. */
static inline tensor *world_differences(gradient_world *w, const gradient_built *b, size_t input) {
    static const double step = 1e-5;
    tensor *x = w->data[input], *dx = tensor_new(w->a, DT_DOUBLE, &x->shape);
    for (int64_t i = 0; i < shape_count(&x->shape); i++) {
        const double at = tensor_get(x, i);
        tensor_set(x, i, at + step);
        const double above = world_loss(w, b);
        tensor_set(x, i, at - step);
        tensor_set(dx, i, (above - world_loss(w, b)) / (2 * step));
        tensor_set(x, i, at);
    }
    return dx;
}

static inline void gradient_compare(const gradient_case *c, size_t which, const tensor *got,
                                    const tensor *want) {
    bool zero = true;
    for (int64_t i = 0; i < shape_count(&want->shape); i++) {
        const double g = tensor_get(got, i), d = tensor_get(want, i);
        if (!(fabs(g - d) <= 1e-6 + 1e-6 * fabs(d)))
            fail_msg("%s: gradient of input %zu, element %d, is %.9g, not %.9g", c->name, which,
                     (int)i, g, d);
        if (g != 0) zero = false;
    }
    if (zero)
        fail_msg("%s: the gradient of input %zu is zero: the case shows nothing", c->name, which);
}

static inline void gradient_backward(gradient_world *w, gradient_built *b) {
    if (!grad_backward(w->g, b->loss, b->wanted, b->grad))
        fail_msg("%s: %s", b->c->name, w->d.first->message);
    for (size_t i = 0; b->wanted[i]; i++)
        if (!b->grad[i]) fail_msg("%s: a gradient is missing", b->c->name);
}

static inline void gradient_no_gradient(gradient_world *w, gradient_built *b) {
    if (grad_backward(w->g, b->loss, b->wanted, b->grad))
        fail_msg("%s: has a gradient", b->c->name);
    text t = {0};
    diag_print(&w->d, &t);
    if (!strstr(text_str(&t), b->c->says))
        fail_msg("%s: no \"%s\" in: %s", b->c->name, b->c->says, text_str(&t));
    text_free(&t);
}

/* The gradients of a case that has some; appends the backward pass. */
static inline void gradient_check(gradient_world *w, gradient_built *b) {
    tensor *want[GRADIENT_IN] = {NULL};
    for (size_t i = 0; i < GRADIENT_IN; i++)
        if (b->c->in[i].kind == OPERAND_WANTED) want[i] = world_differences(w, b, b->input[i]);
    gradient_backward(w, b);
    tensor **results = ARENA_ARRAY(w->a, tensor *, w->g->n_values + 1);
    if (!interpret(w->g, w->data, results)) fail_msg("%s: %s", b->c->name, w->d.first->message);
    for (size_t i = 0, k = 0; i < GRADIENT_IN; i++)
        if (want[i]) gradient_compare(b->c, i, results[b->grad[k++]->id], want[i]);
}

static inline void gradient_run(const gradient_case *c) {
    gradient_world w;
    gradient_built b;
    world_begin(&w, DT_DOUBLE);
    world_build(&w, &b, c);
    if (!b.wanted[0]) fail_msg("%s: nothing is differentiated", c->name);
    (c->says ? gradient_no_gradient : gradient_check)(&w, &b);
    arena_destroy(w.a);
}
#endif
