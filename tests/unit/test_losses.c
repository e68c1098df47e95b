/* Losses: the rows' references by hand-made numbers, and the kernels that run against the references on random shapes. */
#include "op_case.h"

#include "kernels/all.h"
#include <stdlib.h>

static uint32_t seed = 1;
static double uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 8388608.0 - 1;
}

static int64_t below(int64_t n) { return (int64_t)((uniform() + 1) / 2 * (double)n) % n; }

/* ---- a row in a graph: inputs filled in, evaluated by its reference ---- */

typedef struct trial {
    arena *arena;
    diag diag;
    graph *g;
    node *n;
    tensor *in[8], *out[8];
} trial;

static trial *begin(void) {
    trial *t = calloc(1, sizeof *t);
    t->arena = arena_create();
    t->diag = (diag){.arena = t->arena, .file = "test"};
    t->g = graph_create(t->arena, &t->diag);
    return t;
}

static void end(trial *t) {
    arena_destroy(t->arena);
    free(t);
}

static tensor *tensor_of(trial *t, dtype type, int rank, int64_t d0, int64_t d1) {
    return tensor_new(t->arena, type, &(shape){.rank = rank, .dim = {d0, d1}});
}

static value *value_of(trial *t, tensor *x) {
    value *v = graph_add_value(t->g, NULL);
    v->type = x->type, v->shape = x->shape, v->shaped = v->is_input = true;
    return v;
}

static void evaluate(trial *t, const char *op, size_t n_in, size_t n_out) {
    value *in[8], *out[8];
    for (size_t i = 0; i < n_in; i++) in[i] = value_of(t, t->in[i]);
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(t->g, NULL);
    node *n = graph_add_node(t->g, op, "cameo", in, n_in, out, n_out);
    n->opset = 1;
    n->op = op_find("cameo", op, 1, NULL);
    assert_non_null(n->op);
    if (!n->op->infer(t->g, n)) fail_msg("%s", t->diag.first->message);
    const char *why = "?";
    for (size_t i = 0; i < n_out; i++) t->out[i] = tensor_new(t->arena, out[i]->type, &out[i]->shape);
    if (!n->op->reference(t->arena, n, (const tensor *const *)t->in, t->out, &why)) fail_msg("%s", why);
}

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("%.9g, %.9g expected", got, want);
}

static void all_near(const float *got, const tensor *want, double tolerance) {
    for (int64_t i = 0; i < shape_count(&want->shape); i++) near((double)got[i], tensor_get(want, i), tolerance);
}

/* ---- cross-entropy ---- */

static void cross_entropy(void **state) {
    (void)state;
    const double e = 2.718281828459045, s = 1 + e + 1 / e; /* scores 1, 0, -1 and 0, 0, 0 */
    static const operand scores = M(2, 3, 1, 0, -1, 0, 0, 0);
    const row_case cases[] = {
        {"plain",
         "SoftmaxCrossEntropy",
         1,
         {scores, INTS(2, 0, 2), INTS(2, 1, 1), V(2, 1, 1), V(1, 0)},
         5,
         {{0}},
         .out = SCALAR((log(s) - 1 + log(3)) / 2),
         .out1 = M(2, 3, e / s, 1 / s, 1 / e / s, 1. / 3, 1. / 3, 1. / 3),
         .n_out = 4,
         .domain = "cameo"},
        {"mixed and smoothed",
         "SoftmaxCrossEntropy",
         1,
         {scores, INTS(2, 0, 2), INTS(2, 1, 1), V(2, 0.75, 0.5), V(1, 0.25)},
         5,
         {{0}},
         .out = SCALAR((log(s) - 0.75 * 0.75 + log(3)) / 2),
         .n_out = 4,
         .domain = "cameo"},
        {"gradient",
         "SoftmaxCrossEntropyGrad",
         1,
         {SCALAR(4), M(2, 3, 0.5, 0.25, 0.25, 0.5, 0.5, 0), INTS(2, 0, 2), INTS(2, 1, 2), V(2, 0.75, 1)},
         5,
         {{0}},
         .fails = true,
         .domain = "cameo"}, /* smoothing is missing */
        {"labels of another batch",
         "SoftmaxCrossEntropy",
         1,
         {scores, INTS(3, 0, 2, 1), INTS(2, 1, 1), V(2, 1, 1), V(1, 0)},
         5,
         {{0}},
         .fails = true,
         .says = "input 1 has another shape",
         .n_out = 4,
         .domain = "cameo"},
    };
    RUN(cases);
}

static void random_target(trial *t, size_t first, int64_t images, int64_t classes) {
    for (size_t i = 0; i < 2; i++) t->in[first + i] = tensor_of(t, DT_INT64, 1, images, 0);
    t->in[first + 2] = tensor_of(t, DT_FLOAT, 1, images, 0);
    t->in[first + 3] = tensor_of(t, DT_FLOAT, 1, 1, 0);
    for (int64_t i = 0; i < images; i++) {
        ((int64_t *)t->in[first]->data)[i] = below(classes);
        ((int64_t *)t->in[first + 1]->data)[i] = below(classes);
        tensor_set(t->in[first + 2], i, below(2) ? 1 : (uniform() + 1) / 2);
    }
    tensor_set(t->in[first + 3], 0, below(2) ? 0 : 0.1);
}

static cameo_target target_of(const trial *t, size_t first, int64_t i) {
    return (cameo_target){((const int64_t *)t->in[first]->data)[i], ((const int64_t *)t->in[first + 1]->data)[i],
                          ((const float *)t->in[first + 2]->data)[i], *(const float *)t->in[first + 3]->data};
}

static void kernel_case(int64_t images, int64_t classes, double range) {
    trial *t = begin();
    t->in[0] = tensor_of(t, DT_FLOAT, 2, images, classes);
    for (int64_t i = 0; i < images * classes; i++) tensor_set(t->in[0], i, range * uniform());
    random_target(t, 1, images, classes);
    evaluate(t, "SoftmaxCrossEntropy", 5, 4);
    float *p = malloc((size_t)(images * classes) * sizeof *p), *rows = malloc((size_t)images * 2 * sizeof *rows), loss, correct;
    for (int64_t i = 0; i < images; i++)
        cameo_cross_entropy_row((const float *)t->in[0]->data + i * classes, classes, target_of(t, 1, i), p + i * classes,
                                rows + 2 * i);
    cameo_cross_entropy_sum(rows, images, &loss, &correct);
    near((double)loss, tensor_get(t->out[0], 0), 1e-6);
    all_near(p, t->out[1], 2e-6);
    assert_true(correct == (float)tensor_get(t->out[2], 0));
    for (int i = 4; i > 0; i--) t->in[i + 1] = t->in[i];
    t->in[1] = t->out[1];
    t->in[0] = tensor_of(t, DT_FLOAT, 0, 0, 0);
    tensor_set(t->in[0], 0, 3);
    evaluate(t, "SoftmaxCrossEntropyGrad", 6, 1);
    for (int64_t i = 0; i < images; i++)
        cameo_cross_entropy_grad_row(p + i * classes, classes, target_of(t, 2, i), 3 / (float)images, p + i * classes);
    all_near(p, t->out[0], 4e-6);
    free(p);
    free(rows);
    end(t);
}

static void cross_entropy_kernels(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) kernel_case(1 + below(9), 2 + below(70), 1 + 20 * (uniform() + 1));
    kernel_case(3, 8631, 30);
    /* far scores, equal scores, a label that is no class */
    float p[4], out[2];
    const float far[4] = {-1e30f, 1e30f, 0, 0}, equal[4] = {2, 2, 2, 2}, none[4] = {NAN, 0, 0, 0};
    cameo_cross_entropy_row(far, 4, (cameo_target){1, 1, 1, 0}, p, out);
    assert_true(out[0] == 0 && out[1] == 1 && p[1] == 1);
    cameo_cross_entropy_row(equal, 4, (cameo_target){1, 1, 1, 0}, p, out);
    assert_true(out[1] == 0 && p[3] == 0.25f); /* the first of the largest counts */
    cameo_cross_entropy_row(none, 4, (cameo_target){1, 1, 1, 0}, p, out);
    assert_true(isnan(out[0]));
    p[0] = p[1] = p[2] = p[3] = 0.25f;
    cameo_cross_entropy_grad_row(p, 4, (cameo_target){-1, 4, 0.5f, 0}, 1, p);
    for (int i = 0; i < 4; i++) assert_true(p[i] == 0.25f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cross_entropy), cmocka_unit_test(cross_entropy_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
