/* Every gradient rule against central differences; that there is a case for every rule; and the
   backward pass as compiled against its reference. The cases are tables: gradient_cases*.h. */
#include "gradient_cases.h"

#include "../../compiler/base/temporary.h"
#include "../../compiler/tuning/trial.h"

enum { ROWS = 1024 }; /* at most */

static void test_differences(void **state) {
    (void)state;
    for (size_t t = 0; t < GRADIENT_TABLES; t++)
        for (size_t i = 0; i < gradient_tables[t].count; i++)
            gradient_run(&gradient_tables[t].cases[i]);
}

static bool has_case(const op_row *r) {
    for (size_t t = 0; t < GRADIENT_TABLES; t++)
        for (size_t i = 0; i < gradient_tables[t].count; i++) {
            const gradient_case *c = &gradient_tables[t].cases[i];
            if (!c->says && op_find(c->domain ? c->domain : "", c->op, c->opset, NULL) == r)
                return true;
        }
    return false;
}

static void test_every_rule_has_a_case(void **state) {
    (void)state;
    const op_row *r;
    text t = {0};
    for (size_t i = 0; (r = op_at(i)); i++) {
        if (r->grad && !has_case(r)) text_printf(&t, " %s-%d", r->name, r->since);
        if (r->grad && r->flags & OP_NO_GRAD)
            text_printf(&t, " %s-%d (which says it has none)", r->name, r->since);
    }
    if (t.size) fail_msg("no gradient case:%s", text_str(&t));
}

/* ---- a whole graph ---- */

/* Two layers that share their weights, the second with a skip connection, a classifier, and
   cross-entropy spelt out. */
static const gradient_case perceptron = {
    "perceptron", .in = {WANTED(2, D(3, 5)), WANTED(2, D(5, 5)), WANTED(1, D(5)),
                         WANTED(2, D(7, 5)), WANTED(1, D(7)), FREE_IN(0, 1, 2, D(3, 7))}};

static value *layer(gradient_world *w, const node *origin, value *x, value *weights, value *bias) {
    node *n = grad_node(w->g, origin, ONNX_Gemm, (value *const[]){x, weights, bias}, 3, 1);
    node_set_int(w->g, n, "transB", 1);
    return grad_infer(w->g, n);
}

static void build_perceptron(gradient_world *w, gradient_built *b) {
    const node origin = {.name = "perceptron"};
    *b = (gradient_built){.c = &perceptron};
    world_operands(w, b);
    value *first = layer(w, &origin, b->in[0], b->in[1], b->in[2]);
    first = grad_call(w->g, &origin, ONNX_Relu, &first, 1);
    value *second = grad_binary(w->g, &origin, ONNX_Add,
                                layer(w, &origin, first, b->in[1], b->in[2]), first);
    value *logits = layer(w, &origin, grad_call(w->g, &origin, ONNX_Relu, &second, 1), b->in[3],
                          b->in[4]);
    value *scores = grad_binary(w->g, &origin, ONNX_Mul, b->in[5],
                                grad_call(w->g, &origin, ONNX_LogSoftmax, &logits, 1));
    node *sum = grad_node(w->g, &origin, ONNX_ReduceSum, &scores, 1, 1);
    node_set_int(w->g, sum, "keepdims", 0);
    b->loss = grad_infer(w->g, sum);
    b->loss = grad_call(w->g, &origin, ONNX_Neg, &b->loss, 1);
}

static void test_whole_graph(void **state) {
    (void)state;
    gradient_world w;
    gradient_built b;
    world_begin(&w, DT_DOUBLE);
    build_perceptron(&w, &b);
    gradient_check(&w, &b);
    arena_destroy(w.a);
}

/* ---- as compiled ---- */

static void run_compiled(gradient_world *w) {
    tensor **results = ARENA_ARRAY(w->a, tensor *, w->g->n_values + 1),
           *got[GRADIENT_INPUTS] = {NULL};
    const size_t n_in = w->g->n_inputs, n_out = w->g->n_outputs;
    tensor **want = ARENA_ARRAY(w->a, tensor *, n_out);
    const char *paths[GRADIENT_INPUTS], *folder = temporary_directory(w->a);
    assert_non_null(folder);
    assert_true(interpret(w->g, w->data, results));
    for (size_t i = 0; i < n_out; i++) want[i] = results[w->g->outputs[i]->id];
    for (size_t i = 0; i < n_in; i++) {
        paths[i] = arena_printf(w->a, "%s/in%zu.npy", folder, i);
        assert_true(trial_write_npy(paths[i], w->data[i]));
    }
    options o = {.name = "net",
                 .kernels = KERNELS_AUTO,
                 .emit = EMIT_EXE,
                 .output = arena_printf(w->a, "%s/net", folder)};
    assert_true(target_resolve("native", &o.target));
    assert_int_equal(compile_rest(w->g, &o), 0);
    const char *why = trial_run(w->a, o.output, paths, n_in, folder, got, n_out, 60);
    if (why) fail_msg("%s", why);
    for (size_t i = 0; i < n_out; i++) {
        difference d = {.ok = true};
        tensor_compare(got[i], want[i], 1e-4, 2e-5, &d);
        if (!d.ok) fail_msg("%s differs by %g", w->g->outputs[i]->name, d.max_abs);
    }
    temporary_remove(folder);
    arena_destroy(w->a);
}

static void emit_gradients(gradient_world *w, gradient_built *b) {
    const node origin = {.name = b->c->name};
    gradient_backward(w, b);
    for (size_t i = 0; b->wanted[i]; i++) {
        /* One gradient may be that of two inputs. */
        value *y = grad_call(w->g, &origin, CAMEO_Copy, &b->grad[i], 1);
        y->is_output = true;
        w->g->outputs[w->g->n_outputs++] = y;
    }
}

/* The rows in use. */
static void mark_rows(const graph *g, bool *seen) {
    const op_row *r;
    for (size_t i = 0; i < ROWS && (r = op_at(i)); i++)
        for (size_t k = 0; k < g->n_nodes && !seen[i]; k++) seen[i] = g->nodes[k]->op == r;
}

/* Internal rows that say they are tested here must have been. */
static void check_rows(const bool *seen) {
    const op_row *r;
    for (size_t i = 0; i < ROWS && (r = op_at(i)); i++)
        if (!strncmp(r->test, "test_gradients", 14) && !seen[i])
            fail_msg("no case makes a %s", r->name);
}

/* All cases make one program: most of the time goes into compiling it. */
static void test_emitted(void **state) {
    (void)state;
    bool seen[ROWS] = {false};
    gradient_world w;
    gradient_built b;
    world_begin(&w, DT_FLOAT);
    for (size_t t = 0; t < GRADIENT_TABLES; t++)
        for (size_t i = 0; i < gradient_tables[t].count; i++) {
            if (gradient_tables[t].cases[i].says) continue;
            world_build(&w, &b, &gradient_tables[t].cases[i]);
            emit_gradients(&w, &b);
        }
    mark_rows(w.g, seen);
    check_rows(seen);
    build_perceptron(&w, &b);
    emit_gradients(&w, &b);
    run_compiled(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_every_rule_has_a_case),
        cmocka_unit_test(test_whole_graph),
        cmocka_unit_test(test_emitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
