/* Losses: the rows' references by hand-made numbers, and the kernels that run against the
   references on random shapes. */
#include "compiler/ir/interpret.h"
#include "op_case.h"

#include "../../compiler/base/loss_spec.h"
#include "../../compiler/ir/grad.h"
#include "../../compiler/passes/front.h"
#include "kernels/all.h"
#include "tests/golden/losses.h"
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

/* Its inputs are t->in; attributes follow. */
static node *append(trial *t, const char *op, size_t n_in, size_t n_out) {
    value *in[8], *out[8];
    for (size_t i = 0; i < n_in; i++) in[i] = value_of(t, t->in[i]);
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(t->g, NULL);
    node *n = graph_add_node(t->g, op, "cameo", in, n_in, out, n_out);
    n->op = op_find("cameo", op, 1, NULL);
    assert_non_null(n->op);
    return n;
}

static void evaluate(trial *t, node *n) {
    const char *why = "?";
    if (!n->op->infer(t->g, n)) fail_msg("%s", t->diag.first->message);
    for (size_t i = 0; i < n->n_out; i++)
        t->out[i] = tensor_new(t->arena, n->out[i]->type, &n->out[i]->shape);
    if (!n->op->reference(t->arena, n, (const tensor *const *)t->in, t->out, &why))
        fail_msg("%s", why);
}

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%.9g, %.9g expected", got, want);
}

static void all_near(const float *got, const tensor *want, double tolerance) {
    for (int64_t i = 0; i < shape_count(&want->shape); i++)
        near((double)got[i], tensor_get(want, i), tolerance);
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
         {SCALAR(4), M(2, 3, 0.5, 0.25, 0.25, 0.5, 0.5, 0), INTS(2, 0, 2), INTS(2, 1, 2),
          V(2, 0.75, 1)},
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
    return (cameo_target){
        ((const int64_t *)t->in[first]->data)[i], ((const int64_t *)t->in[first + 1]->data)[i],
        ((const float *)t->in[first + 2]->data)[i], *(const float *)t->in[first + 3]->data};
}

static void kernel_case(int64_t images, int64_t classes, double range) {
    trial *t = begin();
    t->in[0] = tensor_of(t, DT_FLOAT, 2, images, classes);
    for (int64_t i = 0; i < images * classes; i++) tensor_set(t->in[0], i, range * uniform());
    random_target(t, 1, images, classes);
    evaluate(t, append(t, "SoftmaxCrossEntropy", 5, 4));
    float *p = malloc((size_t)(images * classes) * sizeof *p),
          *rows = malloc((size_t)images * 2 * sizeof *rows), loss, correct;
    for (int64_t i = 0; i < images; i++)
        cameo_cross_entropy_row((const float *)t->in[0]->data + i * classes, classes,
                                target_of(t, 1, i), p + i * classes, rows + 2 * i);
    cameo_cross_entropy_sum(rows, images, &loss, &correct);
    near((double)loss, tensor_get(t->out[0], 0), 1e-6);
    all_near(p, t->out[1], 2e-6);
    assert_true(correct == (float)tensor_get(t->out[2], 0));
    for (int i = 4; i > 0; i--) t->in[i + 1] = t->in[i];
    t->in[1] = t->out[1];
    t->in[0] = tensor_of(t, DT_FLOAT, 0, 0, 0);
    tensor_set(t->in[0], 0, 3);
    evaluate(t, append(t, "SoftmaxCrossEntropyGrad", 6, 1));
    for (int64_t i = 0; i < images; i++)
        cameo_cross_entropy_grad_row(p + i * classes, classes, target_of(t, 2, i),
                                     3 / (float)images, p + i * classes);
    all_near(p, t->out[0], 4e-6);
    free(p);
    free(rows);
    end(t);
}

static void cross_entropy_kernels(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++)
        kernel_case(1 + below(9), 2 + below(70), 1 + 20 * (uniform() + 1));
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

/* ---- margins, comparisons and centers: kernels against references ---- */

static void margin_case(int64_t images, int64_t classes, const margin_spec *m) {
    trial *t = begin();
    t->in[0] = tensor_of(t, DT_FLOAT, 2, images, classes);
    t->in[1] = tensor_of(t, DT_INT64, 1, images, 0);
    for (int64_t i = 0; i < images * classes; i++)
        tensor_set(t->in[0], i, m->scale * 1.00001 * uniform());
    for (int64_t i = 0; i < images; i++) ((int64_t *)t->in[1]->data)[i] = below(classes);
    node *n = append(t, "Margin", 2, 4);
    node_set_float(t->g, n, "scale", (float)m->scale);
    node_set_float(t->g, n, "m1", (float)m->m1);
    node_set_float(t->g, n, "m2", (float)m->m2);
    node_set_float(t->g, n, "m3", (float)m->m3);
    evaluate(t, n);
    float *y = malloc((size_t)(images * classes) * sizeof *y), slope, found, sum = 0;
    const cameo_margin margin = {(float)m->scale, (float)m->m1, (float)m->m2, (float)m->m3};
    memcpy(y, t->in[0]->data, (size_t)(images * classes) * sizeof *y);
    for (int64_t i = 0; i < images; i++) {
        const int64_t label = ((const int64_t *)t->in[1]->data)[i];
        cameo_margin_row(&margin, y + i * classes, classes, label, y + i * classes, &slope,
                         &found); /* in place */
        near((double)slope, tensor_get(t->out[1], i), 1e-6);
        sum += found;
    }
    all_near(y, t->out[0], 1e-6);
    assert_true(sum == (float)tensor_get(t->out[2], 0));
    t->in[2] = t->in[1], t->in[1] = t->out[1], t->in[0] = t->out[0];
    evaluate(t, append(t, "MarginGrad", 3, 1));
    for (int64_t i = 0; i < images; i++)
        cameo_margin_grad_row(y + i * classes, classes, ((const int64_t *)t->in[2]->data)[i],
                              ((const float *)t->in[1]->data)[i], y + i * classes);
    all_near(y, t->out[0], 1e-6);
    free(y);
    end(t);
}

static void margin_kernels(void **state) {
    (void)state;
    static const margin_spec kinds[] = {
        {64, 1, 0.5, 0}, {30, 1, 0, 0.35}, {8, 1.35, 0, 0}, {16, 4, 0, 0}, {64, 1.5, 0.3, 0.2}};
    for (int i = 0; i < 100; i++) margin_case(1 + below(9), 2 + below(40), &kinds[below(5)]);
    /* psi falls with the angle, for all that the spec admits but ArcFace's jump */
    for (size_t k = 1; k < 5; k++) {
        double last = INFINITY, slope;
        for (int i = 1000; i >= -1000; i--) {
            const double y = cameo_margin_score(1, kinds[k].m1, kinds[k].m2, kinds[k].m3,
                                                i / 1000.0, &slope);
            assert_true(y < last && slope > -1e-12);
            last = y;
        }
    }
}

static void few_labels(trial *t, size_t i, int64_t images, int64_t classes) {
    t->in[i] = tensor_of(t, DT_INT64, 1, images, 0);
    for (int64_t k = 0; k < images; k++) ((int64_t *)t->in[i]->data)[k] = below(classes);
}

static void metric_case(int64_t images, int64_t length, int64_t classes, cameo_comparison kind,
                        bool repeated) {
    static const char *const names[] = {"hard", "semi", "contrastive"};
    const size_t n = (size_t)images, d = (size_t)length;
    trial *t = begin();
    t->in[0] = tensor_of(t, DT_FLOAT, 2, images, length);
    for (int64_t i = 0; i < images * length; i++) tensor_set(t->in[0], i, uniform());
    if (repeated)
        memcpy((float *)t->in[0]->data + length, t->in[0]->data, d * sizeof(float)); /* distance 0:
                                                                                        no gradient
                                                                                      */
    few_labels(t, 1, images, classes);
    node *made = append(t, "MetricLoss", 2, 5);
    node_set_string(t->g, made, "kind", names[kind]);
    node_set_float(t->g, made, "margin", kind == CAMEO_CONTRASTIVE ? 2 : 0.3f);
    evaluate(t, made);
    float *w = malloc((2 * n * n + n * d) * sizeof *w), loss, correct;
    const cameo_metric m = {
        images,         length,         kind, kind == CAMEO_CONTRASTIVE ? 2 : 0.3f,
        t->in[0]->data, t->in[1]->data, w,    w + n * n,
        w + 2 * n * n};
    cameo_metric_loss(&m, &loss, &correct);
    near((double)loss, tensor_get(t->out[0], 0), 2e-6);
    all_near(m.gradient, t->out[1], 1e-5);
    all_near(m.distance, t->out[3], 1e-6);
    assert_true(correct == (float)tensor_get(t->out[2], 0));
    free(w);
    end(t);
}

static void metric_kernels(void **state) {
    (void)state;
    for (int i = 0; i < 150; i++)
        metric_case(2 + below(14), 1 + below(40), 1 + below(5), (cameo_comparison)(i % 3),
                    below(4) == 0);
    float x[4] = {1, NAN, 0, 2}, w[12], loss, correct;
    const int64_t labels[2] = {0, 0};
    const cameo_metric m = {2, 2, CAMEO_TRIPLET_HARD, 0.3f, x, labels, w, w + 4, w + 8};
    cameo_metric_loss(&m, &loss, &correct);
    assert_true(isnan(loss));
}

static void center_kernels(void **state) {
    (void)state;
    for (int trials = 0; trials < 40; trials++) {
        const int64_t images = 1 + below(9), length = 1 + below(20), classes = 1 + below(6);
        trial *t = begin();
        t->in[0] = tensor_of(t, DT_FLOAT, 2, images, length);
        t->in[1] = tensor_of(t, DT_FLOAT, 2, classes, length);
        for (size_t k = 0; k < 2; k++)
            for (int64_t i = 0; i < shape_count(&t->in[k]->shape); i++)
                tensor_set(t->in[k], i, uniform());
        few_labels(t, 2, images, classes);
        node *n = append(t, "CenterLoss", 3, 3);
        node_set_float(t->g, n, "rate", 0.75f);
        evaluate(t, n);
        float *gradient = malloc((size_t)(images * length) * sizeof *gradient),
              *centers = t->in[1]->data, loss;
        const cameo_centers s = {images,         length,  classes, 0.75f,   t->in[0]->data,
                                 t->in[2]->data, centers, centers, gradient}; /* in place, as in the
                                                                                 block of parameters
                                                                               */
        cameo_center_loss(&s, &loss);
        near((double)loss, tensor_get(t->out[0], 0), 1e-6);
        all_near(gradient, t->out[1], 1e-6);
        all_near(centers, t->out[2], 1e-6);
        free(gradient);
        end(t);
    }
}

/* ---- whole losses: PyTorch's numbers, and differences ---- */

enum { N = 6, K = 5, LENGTH = 4, STEP_INPUTS = 6 };
static const double labels[N] = {0, 1, 0, 2, 1, 0}, labels_b[N] = {3, 1, 4, 0, 2, 2},
                    mix[N] = {1, 0.25, 0.75, 1, 0.5, 0.875};

typedef struct whole { /* loss(x) as pass_loss() builds it, in double */
    trial *t;
    value *gradient, *centers;
    tensor *inputs[STEP_INPUTS], **results;
} whole;

static tensor *list(trial *t, dtype type, const double *v, int64_t n) {
    tensor *x = tensor_of(t, type, 1, n, 0);
    for (int64_t i = 0; i < n; i++) tensor_set(x, i, v[i]);
    return x;
}

static void fill_scores(tensor *x) {
    for (int i = 0; i < N * K; i++) tensor_set(x, i, 3 * sin(1.3 * (i / K) + 2.1 * (i % K) + 1.5));
}

static void fill_embeddings(tensor *x) {
    for (int i = 0; i < N * LENGTH; i++) {
        const int image = i / LENGTH, d = i % LENGTH;
        tensor_set(x, i, sin(0.9 * image + 1.7 * d) + 0.3 * cos(2.3 * image * d));
    }
}

static void add_centers(whole *w) {
    trial *t = w->t;
    tensor *c = tensor_of(t, DT_FLOAT, 2, K, LENGTH);
    for (int i = 0; i < K * LENGTH; i++)
        tensor_set(c, i, 0.5 * cos(i / LENGTH - 0.4 * (i % LENGTH)));
    w->centers = graph_add_constant(t->g, "head.centers", c);
    parameter_add(t->g, &(options){0}, w->centers, true);
    w->centers->constant = c; /* for the interpreter */
}

static whole *whole_of(const char *loss, double smoothing, bool embeddings) {
    whole *w = calloc(1, sizeof *w);
    trial *t = w->t = begin();
    graph *g = t->g;
    w->inputs[0] = tensor_of(t, DT_DOUBLE, 2, N, embeddings ? LENGTH : K);
    (embeddings ? fill_embeddings : fill_scores)(w->inputs[0]);
    g->inputs = ARENA_ARRAY(t->arena, value *, 1);
    g->inputs[0] = value_of(t, w->inputs[0]);
    g->n_inputs = 1;
    value *x = graph_add_value(g, "x");
    node *copy = graph_add_node(g, "Copy", "cameo", g->inputs, 1, &x, 1);
    copy->op = op_find("cameo", "Copy", 1, NULL);
    assert_true(copy->op->infer(g, copy));
    g->outputs = ARENA_ARRAY(t->arena, value *, 1);
    g->outputs[0] = g->embedding = x;
    g->n_outputs = 1;
    w->inputs[1] = list(t, DT_INT64, labels, N), w->inputs[2] = list(t, DT_INT64, labels_b, N);
    const double ones[N] = {1, 1, 1, 1, 1, 1}, no_seed = 0;
    w->inputs[3] = list(t, DT_FLOAT, strcmp(loss, "ce") ? ones : mix, N);
    w->inputs[4] = list(t, DT_INT64, &no_seed, 1), w->inputs[5] = list(t, DT_DOUBLE, &smoothing, 1);
    step_input(g, "labels", DT_INT64, N), step_input(g, "labels_b", DT_INT64, N),
        step_input(g, "mix", DT_FLOAT, N);
    step_input(g, "seed", DT_INT64, 1), step_input(g, "smoothing", DT_DOUBLE, 1);
    if (strstr(loss, "center")) add_centers(w);
    value *also[] = {x, NULL};
    if (!pass_loss(g, &(options){.loss = loss}) || !grad_backward(g, g->loss, also, &w->gradient))
        fail_msg("%s: %s", loss, t->diag.first->message);
    w->results = ARENA_ARRAY(t->arena, tensor *, g->n_values);
    return w;
}

static double loss_at(whole *w) {
    if (!interpret(w->t->g, w->inputs, w->results)) fail_msg("%s", w->t->diag.first->message);
    return tensor_get(w->results[w->t->g->loss->id], 0);
}

static const tensor *gradient_at(whole *w) {
    loss_at(w);
    return w->results[w->gradient->id];
}

static void differences(whole *w, const char *loss) {
    tensor *x = w->inputs[0];
    double most = 0;
    for (int64_t i = 0; i < shape_count(&x->shape); i++) {
        const double old = tensor_get(x, i), h = 1e-6;
        tensor_set(x, i, old + h);
        const double above = loss_at(w);
        tensor_set(x, i, old - h);
        const double slope = (above - loss_at(w)) / (2 * h);
        tensor_set(x, i, old);
        const double got = tensor_get(gradient_at(w), i);
        if (!(fabs(got - slope) <= 1e-7 * (1 + fabs(slope))))
            fail_msg("%s: gradient %d is %.9g, not %.9g", loss, (int)i, got, slope);
        most = fmax(most, fabs(got));
    }
    if (most < 1e-3) fail_msg("%s: its gradient is zero", loss);
}

typedef struct golden_case {
    const char *loss;
    const double *numbers;
    double smoothing;
    bool embeddings;
} golden_case;

static void whole_case(const golden_case *c) {
    whole *w = whole_of(c->loss, c->smoothing, c->embeddings);
    const tensor *gradient = gradient_at(w);
    const int64_t count = shape_count(&gradient->shape);
    near(loss_at(w), c->numbers[0], 2e-7); /* attributes are float32 */
    for (int64_t i = 0; i < count; i++) near(tensor_get(gradient, i), c->numbers[1 + i], 2e-7);
    differences(w, c->loss);
    end(w->t);
    free(w);
}

/* The loss goes with cross-entropy, which is taken off again; here the scores are the
   embeddings. */
static void center_equals_pytorch(void **state) {
    (void)state;
    whole *both = whole_of("center:weight=1", 0, true), *ce = whole_of("ce", 0, true);
    ce->inputs[3] = both->inputs[3]; /* mixed alike */
    const tensor *gradient = gradient_at(both), *of_ce = gradient_at(ce);
    const int64_t count = shape_count(&gradient->shape);
    near(loss_at(both) - loss_at(ce), golden_center[0], 2e-7);
    for (int64_t i = 0; i < count; i++)
        near(tensor_get(gradient, i) - tensor_get(of_ce, i), golden_center[1 + i], 2e-7);
    const node *n = NULL;
    for (size_t i = 0; i < both->t->g->n_nodes; i++)
        if (!strcmp(both->t->g->nodes[i]->op_type, "CenterLoss")) n = both->t->g->nodes[i];
    assert_true(n && n->out[2]->role == ROLE_UPDATE && n->out[2]->param == both->centers->param);
    assert_int_equal(sizeof golden_center / sizeof *golden_center, 1 + count + K * LENGTH);
    for (int i = 0; i < K * LENGTH; i++)
        near(tensor_get(both->results[n->out[2]->id], i), golden_center[1 + count + i], 1e-7);
    differences(both, "center");
    end(both->t), end(ce->t);
    free(both), free(ce);
}

static void losses_equal_pytorch(void **state) {
    (void)state;
    static const golden_case cases[] = {
        {"ce", golden_ce, 0, false},
        {"ce", golden_ce_smoothed, 0.1, false},
        {"arcface:s=3.2", golden_arcface, 0, false},
        {"cosface:s=3.2,m=0.35", golden_cosface, 0, false},
        {"sphereface:s=3.2,m=4", golden_sphereface, 0, false},
        {"margin:s=3.2,m1=1.5,m2=0.25,m3=0.125", golden_margin, 0, false},
        {"triplet", golden_triplet_hard, 0, true},
        {"triplet:mining=semi", golden_triplet_semi, 0, true},
        {"contrastive:margin=1.25", golden_contrastive, 0, true},
        {"triplet:margin=1.5,normalize=0", golden_triplet_hard_raw, 0, true},
        {"contrastive:margin=2,normalize=0", golden_contrastive_raw, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) whole_case(&cases[i]);
}

/* ---- --loss ---- */

static void specs(void **state) {
    (void)state;
    arena *a = arena_create();
    loss_spec s;
    assert_null(loss_parse(a, NULL, &s));
    assert_true(s.softmax && !s.margins && s.center == 0 && s.triplet.weight == 0);
    assert_null(loss_parse(a, "arcface:s=30,m=0.4+triplet:weight=0.5,margin=0.2,mining=semi", &s));
    assert_true(s.softmax && s.margins && s.margin.scale == 30 && s.margin.m1 == 1 &&
                s.margin.m2 == 0.4 && s.margin.m3 == 0);
    assert_true(s.triplet.weight == 0.5 && s.triplet.margin == 0.2 && s.semi_hard &&
                s.triplet.normalize == 1);
    assert_null(loss_parse(a, "triplet", &s));
    assert_true(!s.softmax && s.triplet.weight == 1 && s.triplet.margin == 0.3 && !s.semi_hard);
    assert_null(loss_parse(a, "center:weight=0.01", &s));
    assert_true(s.softmax && s.center == 0.01 && s.center_rate == 0.5);
    assert_null(loss_parse(a, "cosface", &s));
    assert_true(s.margin.scale == 64 && s.margin.m2 == 0 && s.margin.m3 == 0.35);
    static const char *const wrong[][2] = {{"", "empty"},
                                           {"arc", "is no loss; there are ce, arcface"},
                                           {"ce+", "is no loss"},
                                           {"ce:weight=1", "takes no values"},
                                           {"arcface:q=1", "it has s, m"},
                                           {"arcface:s", "lacks =VALUE"},
                                           {"arcface:s=many", "not a number"},
                                           {"arcface:m=9", "from 0 to 1.5"},
                                           {"arcface+cosface", "at most"},
                                           {"triplet+triplet", "twice"},
                                           {"triplet:mining=some", "hard or semi"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *why = loss_parse(a, wrong[i][0], &s);
        if (!why || !strstr(why, wrong[i][1])) fail_msg("%s: %s", wrong[i][0], why ? why : "taken");
    }
    assert_int_equal(loss_images_of_class(32), 4);
    assert_int_equal(loss_images_of_class(4), 2);
    assert_int_equal(loss_images_of_class(9), 3);
    assert_int_equal(loss_images_of_class(7), 0);
    arena_destroy(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),         cmocka_unit_test(cross_entropy_kernels),
        cmocka_unit_test(margin_kernels),        cmocka_unit_test(metric_kernels),
        cmocka_unit_test(center_kernels),        cmocka_unit_test(losses_equal_pytorch),
        cmocka_unit_test(center_equals_pytorch), cmocka_unit_test(specs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
