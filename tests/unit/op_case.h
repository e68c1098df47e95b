/* One-node graphs as table rows: operands, attributes, and the numbers that come out, or what
   infer must say. The tests of operator rows are tables of these, so a case reads as one line.
   Include first: it brings cmocka. */
#ifndef CAMEO_TESTS_OP_CASE_H
#define CAMEO_TESTS_OP_CASE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "../../compiler/compile.h"
#include "../../compiler/ir/op.h"
#include "../../compiler/passes/front.h"

enum { CASE_DATA = 40, CASE_RANK = 6, CASE_IN = 5, CASE_OUT = 5 };

typedef struct operand {
    int rank; /* -1: absent */
    int64_t dim[CASE_RANK];
    double data[CASE_DATA];
    dtype type; /* 0 = float */
} operand;

typedef struct attribute {
    const char *name;
    char kind; /* 'i', 'f', 'l' (integers), 'r' (floats), 's', 't' (tensor) */
    double f;
    int64_t i;
    int64_t list[6];
    size_t count;
    const char *s;
    double floats[4];
    const operand *tensor;
} attribute;

typedef struct row_case {
    const char *name, *op;
    int opset;
    operand in[CASE_IN];
    size_t n_in;
    attribute attrs[6];
    operand out, out1, out2; /* out1, out2 are looked at when their rank is not 0 */
    bool fails;              /* at resolve or infer */
    bool run_time;           /* inputs are no constants for infer */
    bool warns;
    size_t n_out;       /* 0 = 1 */
    const char *domain; /* NULL = "" */
    const char *says;   /* must occur in the message when it fails */
} row_case;

#define I(attr_name, value) \
    { .name = attr_name, .kind = 'i', .i = (value) }
#define F(attr_name, value) \
    { .name = attr_name, .kind = 'f', .f = (value) }
#define S(attr_name, value) \
    { .name = attr_name, .kind = 's', .s = (value) }
#define L(attr_name, n, ...)                                                  \
    {                                                                         \
        .name = attr_name, .kind = 'l', .count = (n), .list = { __VA_ARGS__ } \
    }
#define R(attr_name, n, ...)                                                    \
    {                                                                           \
        .name = attr_name, .kind = 'r', .count = (n), .floats = { __VA_ARGS__ } \
    }
#define D(...) \
    { __VA_ARGS__ }
#define V(n, ...) \
    { 1, {n}, {__VA_ARGS__}, DT_NONE }
#define M(rows, columns, ...) \
    { 2, {rows, columns}, {__VA_ARGS__}, DT_NONE }
#define X(rank, dims, ...) \
    { rank, dims, {__VA_ARGS__}, DT_NONE }
#define T(type, n, ...) \
    { 1, {n}, {__VA_ARGS__}, type }
#define XT(type, rank, dims, ...) \
    { rank, dims, {__VA_ARGS__}, type }
#define INTS(n, ...) \
    { 1, {n}, {__VA_ARGS__}, DT_INT64 }
#define SCALAR(value) \
    { 0, {0}, {value}, DT_NONE }
#define ABSENT \
    { .rank = -1 }

static inline shape case_shape(const operand *o) {
    shape s = {.rank = o->rank};
    for (int k = 0; k < o->rank; k++) s.dim[k] = o->dim[k];
    return s;
}

static inline tensor *case_tensor(arena *a, const operand *o) {
    const shape s = case_shape(o);
    tensor *t = tensor_new(a, o->type ? o->type : DT_FLOAT, &s);
    for (int64_t i = 0; i < shape_count(&s); i++) tensor_set(t, i, o->data[i]);
    return t;
}

/* The attribute kinds that the compiler itself never sets. */
static inline void case_attach(graph *g, node *n, const attribute *from) {
    float *floats = ARENA_ARRAY(g->arena, float, from->count);
    for (size_t i = 0; i < from->count; i++) floats[i] = (float)from->floats[i];
    attr *grown = ARENA_ARRAY(g->arena, attr, n->n_attrs + 1);
    if (n->n_attrs) memcpy(grown, n->attrs, n->n_attrs * sizeof *grown);
    grown[n->n_attrs++] = (attr){.name = from->name,
                                 .kind = from->kind == 'r' ? ATTR_FLOATS : ATTR_TENSOR,
                                 .count = from->count,
                                 .floats = floats,
                                 .t = from->tensor ? case_tensor(g->arena, from->tensor) : NULL};
    n->attrs = grown;
}

static inline void case_attributes(graph *g, node *n, const attribute *list) {
    for (; list->name; list++) {
        if (list->kind == 'i') node_set_int(g, n, list->name, list->i);
        if (list->kind == 'f') node_set_float(g, n, list->name, (float)list->f);
        if (list->kind == 's') node_set_string(g, n, list->name, list->s);
        if (list->kind == 'l') node_set_ints(g, n, list->name, list->list, list->count);
        if (list->kind == 'r' || list->kind == 't') case_attach(g, n, list);
    }
}

/* The node of a case, resolved; data[i] is operand i. NULL when resolve refuses it. */
static inline node *case_node(graph *g, const row_case *c, const tensor **data) {
    value *in[CASE_IN] = {NULL}, *out[CASE_OUT] = {NULL};
    for (size_t i = 0; i < c->n_in; i++) {
        if (c->in[i].rank < 0) continue;
        tensor *t = case_tensor(g->arena, &c->in[i]);
        data[i] = t;
        in[i] = graph_add_value(g, NULL);
        in[i]->type = t->type, in[i]->shape = t->shape, in[i]->shaped = true;
        if (c->run_time)
            in[i]->is_input = true;
        else
            in[i]->constant = t;
    }
    const size_t n_out = c->n_out ? c->n_out : 1;
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(g, NULL);
    node *n = graph_add_node(g, c->op, c->domain ? c->domain : "", in, c->n_in, out, n_out);
    n->opset = c->opset;
    case_attributes(g, n, c->attrs);
    return resolve_node(g, n) ? n : NULL;
}

static inline void case_numbers(const row_case *c, const operand *want, const tensor *got) {
    const shape expected = case_shape(want);
    if (!got || !shape_equal(&got->shape, &expected)) {
        text t = {0};
        if (got) shape_print(&t, &got->shape);
        fail_msg("%s: wrong shape %s", c->name, text_str(&t));
    }
    if (got->type != (want->type ? want->type : DT_FLOAT))
        fail_msg("%s: type %s", c->name, dtype_name(got->type));
    for (int64_t i = 0; i < shape_count(&expected); i++) {
        const double x = tensor_get(got, i), y = want->data[i];
        if (isnan(y) ? !isnan(x) : !(x == y || fabs(x - y) <= 1e-6 + 1e-6 * fabs(y)))
            fail_msg("%s: element %d is %.9g, not %.9g", c->name, (int)i, x, y);
    }
}

static inline void case_message(const row_case *c, const diag *d) {
    assert_int_not_equal(d->errors, 0);
    text t = {0};
    diag_print(d, &t);
    if (c->says && !strstr(text_str(&t), c->says))
        fail_msg("%s: no \"%s\" in: %s", c->name, c->says, text_str(&t));
    text_free(&t);
}

static inline void case_evaluate(const row_case *c, const node *n, const tensor *const *in,
                                 const diag *d) {
    tensor *out[CASE_OUT + 4] = {NULL};
    const char *why = "?";
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i]) out[i] = tensor_new(d->arena, n->out[i]->type, &n->out[i]->shape);
    if (!n->op->reference(d->arena, n, in, out, &why)) fail_msg("%s: %s", c->name, why);
    case_numbers(c, &c->out, out[0]);
    if (c->out1.rank) case_numbers(c, &c->out1, out[1]);
    if (c->out2.rank) case_numbers(c, &c->out2, out[2]);
    if (c->warns != (d->warnings > 0))
        fail_msg("%s: %s", c->name, c->warns ? "no warning" : d->first->message);
}

static inline void case_run(const row_case *c) {
    arena *a = arena_create();
    diag d = {.arena = a, .file = "test"};
    graph *g = graph_create(a, &d);
    const tensor *in[CASE_IN] = {NULL};
    node *n = case_node(g, c, in);
    const bool inferred = n && n->op->infer(g, n);
    if (inferred == c->fails)
        fail_msg("%s: infer %s", c->name,
                 inferred  ? "accepts it"
                 : d.first ? d.first->message
                           : "?");
    if (inferred)
        case_evaluate(c, n, in, &d);
    else
        case_message(c, &d);
    arena_destroy(a);
}

/* Every case that was run: poison_case.h runs them once more. */
enum { CASES_SEEN = 1024 };
static const row_case *case_seen[CASES_SEEN];
static size_t case_seen_count;

static inline void case_list(const row_case *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        case_run(&list[i]);
        if (case_seen_count < CASES_SEEN) case_seen[case_seen_count++] = &list[i];
    }
}
#define RUN(list) case_list(list, sizeof(list) / sizeof *(list))
#endif
