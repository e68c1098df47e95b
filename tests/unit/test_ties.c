/* Which readers of a stored tensor are one parameter: graphs built by hand, behind resolve and
   parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compile.h"
#include "compiler/ir/op.h"
#include "compiler/passes/front.h"

enum { OPSET = 17, CHANNELS = 4 };

static arena *memory;
static diag problems;
static graph *g;
static value *x;

static int setup(void **state) {
    (void)state;
    memory = arena_create();
    problems = (diag){.arena = memory, .file = "test"};
    g = graph_create(memory, &problems);
    g->opsets = ARENA_ARRAY(memory, opset_import, 1);
    g->opsets[g->n_opsets++] = (opset_import){"", OPSET};
    g->inputs = ARENA_ARRAY(memory, value *, 1);
    g->outputs = ARENA_ARRAY(memory, value *, 8);
    x = graph_add_value(g, "x");
    x->type = DT_FLOAT;
    x->shaped = x->is_input = true;
    x->shape = (shape){.rank = 4, .dim = {2, CHANNELS, 3, 3}};
    g->inputs[g->n_inputs++] = x;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_destroy(memory);
    return 0;
}

/* rank 1: [CHANNELS]; rank 4: a filter. step 0: the number first, everywhere. */
static value *stored(const char *name, int rank, double first, double step) {
    const shape s = {.rank = rank, .dim = {CHANNELS, CHANNELS, 1, 1}};
    tensor *t = tensor_new(memory, DT_FLOAT, &s);
    for (int64_t i = 0; i < shape_count(&s); i++) tensor_set(t, i, first + step * (double)i);
    return graph_add_constant(g, name, t);
}

static node *add(const char *op, const char *name, value *const *in, size_t n_in) {
    value *y = graph_add_value(g, NULL);
    node *n = graph_add_node(g, op, "", in, n_in, &y, 1);
    n->name = name;
    n->opset = OPSET;
    return n;
}

static value *conv(const char *name, value *from, value *w, value *b) {
    return add("Conv", name, (value *[]){from, w, b}, b ? 3 : 2)->out[0];
}

static node *norm(const char *name, value *from, value *scale, value *bias, value *mean,
                  value *var) {
    return add("BatchNormalization", name, (value *[]){from, scale, bias, mean, var}, 5);
}

static value *identity(value *of) { return add("Identity", "copy", &of, 1)->out[0]; }

static void output(value *v) {
    v->is_output = true;
    g->outputs[g->n_outputs++] = v;
}

static bool run(bool train) {
    const options o = {.train = train, .batch = 2};
    return pass_resolve(g, &o) && pass_parameters(g, &o);
}

static const parameter *named(const char *name) {
    for (size_t i = 0; i < g->n_parameters; i++)
        if (!strcmp(g->parameters[i]->name, name)) return g->parameters[i];
    return NULL;
}

static bool told(const char *part) {
    text t = {0};
    diag_print(&problems, &t);
    const bool found = strstr(text_str(&t), part) != NULL;
    if (!found) print_message("not \"%s\" in: %s\n", part, text_str(&t));
    text_free(&t);
    return found;
}

/* ---- */

/* conv1, BN1, conv2, BN2; ones and zeros are one tensor each. */
static void fresh_normalisations(value *second_filter, node *made[2]) {
    value *w = stored("w1", 4, 0.1, 0.01), *ones = stored("ones", 1, 1, 0),
          *zeros = stored("zeros", 1, 0, 0);
    made[0] = norm("bn1", conv("c1", x, w, NULL), ones, zeros, zeros, ones);
    made[1] = norm("bn2", conv("c2", made[0]->out[0], second_filter ? second_filter : w, NULL),
                   ones, zeros, zeros, ones);
    output(made[1]->out[0]);
}

static void equal_tensors_learn_apart(void **state) {
    (void)state;
    node *bn[2];
    fresh_normalisations(stored("w2", 4, 0.2, 0.01), bn);
    assert_true(run(true));
    assert_int_equal(g->n_parameters, 10);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < a; b++)
            assert_ptr_not_equal(bn[a / 4]->in[1 + a % 4], bn[b / 4]->in[1 + b % 4]);
    for (int k = 0; k < 2; k++)
        for (int i = 1; i < 5; i++) assert_int_equal(bn[k]->in[i]->param->learnt, i < 3);
    assert_non_null(named("ones"));
    assert_string_equal(bn[0]->in[2]->name, "zeros");
    assert_non_null(named("bn1.mean"));
    assert_non_null(named("bn2.bias"));
    assert_string_equal(named("bn2.var")->tie->stored, "ones");
    assert_int_equal(g->file.n_changes, 6); /* all but the two that keep the names */
}

static void a_layer_applied_again_stays_one(void **state) {
    (void)state;
    node *bn[2];
    fresh_normalisations(NULL, bn);
    assert_true(run(true));
    assert_int_equal(g->n_parameters, 5);
    for (int i = 1; i < 5; i++) assert_ptr_equal(bn[0]->in[i], bn[1]->in[i]);
    assert_ptr_not_equal(bn[0]->in[2], bn[0]->in[3]); /* but a bias is no mean */
    assert_ptr_not_equal(bn[0]->in[1], bn[0]->in[4]);
    assert_int_equal(named("w1")->tie->layers, 2);
    assert_null(named("w1")->tie->stored);
}

/* Branches that read the same map are two layers, whatever is before them. */
static void normalisations_of_one_map_are_two(void **state) {
    (void)state;
    value *c = conv("c", x, stored("w", 4, 0.1, 0.01), NULL), *ones = stored("ones", 1, 1, 0);
    value *zeros = stored("zeros", 1, 0, 0), *mean = stored("mean", 1, 0.1, 0.01);
    node *a = norm("a", c, ones, zeros, mean, ones), *b = norm("b", c, ones, zeros, mean, ones);
    output(a->out[0]), output(b->out[0]);
    assert_true(run(true));
    for (int i = 1; i < 5; i++) assert_ptr_not_equal(a->in[i], b->in[i]);
}

static void learnt_values_prove_that_a_layer_is_one(void **state) {
    (void)state;
    value *slope = stored("slope", 1, 0.2137, 0), *fresh = stored("fresh", 1, 0.25, 0), *v[4] = {x};
    for (int i = 0; i < 3; i++)
        v[i + 1] = conv("c", v[i], stored(NULL, 4, 0.1 * (i + 1), 0.01), NULL);
    node *a = add("PRelu", "a", (value *[]){v[1], slope}, 2),
         *b = add("PRelu", "b", (value *[]){v[2], slope}, 2);
    node *c = add("PRelu", "c", (value *[]){v[1], fresh}, 2),
         *d = add("PRelu", "d", (value *[]){v[3], fresh}, 2);
    for (int i = 0; i < 4; i++) output((node *[]){a, b, c, d}[i]->out[0]);
    assert_true(run(true));
    assert_ptr_equal(a->in[1], b->in[1]);
    assert_ptr_not_equal(c->in[1], d->in[1]);
}

static void filters_stay_shared_and_biases_with_them(void **state) {
    (void)state;
    value *w = stored("w", 4, 0.1, 0.01), *zeros = stored("zeros", 1, 0, 0),
          *other = stored("other", 4, 0.3, 0.01);
    value *a = conv("a", x, w, zeros), *b = conv("b", a, identity(w), identity(zeros)),
          *c = conv("c", b, other, zeros);
    value *none = stored("none", 4, 0, 0), *d = conv("d", c, none, NULL),
          *e = conv("e", d, none, NULL);
    output(e);
    assert_true(run(true));
    assert_ptr_equal(a->producer->in[1], b->producer->in[1]);
    assert_ptr_equal(a->producer->in[2], b->producer->in[2]);
    assert_ptr_not_equal(a->producer->in[2], c->producer->in[2]);
    assert_ptr_not_equal(d->producer->in[1], e->producer->in[1]); /* zeros prove nothing */
    assert_string_equal(a->producer->in[1]->name, "w");
}

static void identities_give_their_names(void **state) {
    (void)state;
    value *zeros = stored("c1.bias", 1, 0, 0), *second = identity(zeros), *third = identity(second);
    second->name = "c2.bias", third->name = "c3.bias";
    value *a = conv("a", x, stored("w1", 4, 0.1, 0.01), zeros),
          *b = conv("b", a, stored("w2", 4, 0.2, 0.01), second);
    output(conv("c", b, stored("w3", 4, 0.3, 0.01), third));
    assert_true(run(true));
    assert_int_equal(g->n_parameters, 6);
    assert_true(named("c1.bias") && named("c2.bias") && named("c3.bias"));
    assert_int_equal(g->file.n_changes, 0);
}

static void what_is_no_weight_keeps_the_constant(void **state) {
    (void)state;
    value *zeros = stored("zeros", 1, 0, 0), *ones = stored("ones", 1, 1, 0);
    value *c = conv("c", x, stored("w", 4, 0.1, 0.01), zeros), *sizes = NULL;
    tensor *t = tensor_new(memory, DT_INT64, &(shape){.rank = 1, .dim = {3}});
    for (int i = 0; i < 3; i++) tensor_set(t, i, (double[]){2, CHANNELS, 9}[i]);
    sizes = graph_add_constant(g, "sizes", t);
    value *flat = add("Reshape", "flat", (value *[]){c, sizes}, 2)->out[0];
    node *group = add("InstanceNormalization", "group", (value *[]){flat, ones, zeros}, 3);
    output(group->out[0]);
    assert_true(run(true));
    assert_int_equal(g->n_parameters, 2);
    assert_non_null(group->in[1]->constant);
    assert_ptr_equal(group->in[2], zeros);
    assert_non_null(zeros->constant);
    assert_string_equal(c->producer->in[2]->name, "c.bias");
}

/* x * CONSTANT behind a convolution whose filter is an initializer, or comes from a Constant node
   as well. */
static bool operand_is_learnt(bool nodes) {
    value *factor = graph_add_value(g, "factor"), *w = stored("w", 4, 0.1, 0.01);
    const tensor *data[] = {stored("kept", 1, 0.5, 0.1)->constant, w->constant};
    value *made[] = {factor, graph_add_value(g, "filter")};
    for (int i = 0; i < 2; i++) {
        node *n = graph_add_node(g, "Constant", "", NULL, 0, &made[i], 1);
        n->opset = OPSET;
        n->attrs = ARENA_ARRAY(memory, attr, 1);
        n->attrs[n->n_attrs++] = (attr){.name = "value", .kind = ATTR_TENSOR, .t = data[i]};
    }
    value *c = conv("c", x, nodes ? made[1] : w, NULL);
    output(add("Mul", "scale", (value *[]){c, factor}, 2)->out[0]);
    assert_true(run(true));
    return named("factor") != NULL;
}

static void constants_are_no_operands_to_learn(void **state) {
    (void)state;
    assert_false(operand_is_learnt(false));
}

static void files_may_keep_their_weights_in_constants(void **state) {
    (void)state;
    assert_true(operand_is_learnt(true));
}

/* PyTorch copies the folded slope of a PReLU that is applied twice, and names the copies itself. */
static void made_up_names_prove_nothing(void **state) {
    (void)state;
    value *w = stored("w", 4, 0.1, 0.01), *slope = stored("onnx::PRelu_1", 1, 0.25, 0),
          *copy = identity(slope);
    copy->name = "onnx::PRelu_2";
    value *a = conv("a", x, w, NULL), *half = add("Relu", "half", &x, 1)->out[0],
          *b = conv("b", half, w, NULL);
    node *p = add("PRelu", "p", (value *[]){a, slope}, 2),
         *q = add("PRelu", "q", (value *[]){b, copy}, 2);
    output(p->out[0]), output(q->out[0]);
    assert_true(run(true));
    assert_ptr_equal(p->in[1], q->in[1]);
}

static void a_weight_is_learnt_as_it_is_read(void **state) {
    (void)state;
    value *slope = stored("slope", 1, 0.25, 0);
    tensor *t = tensor_new(memory, DT_INT64, &(shape){.rank = 1, .dim = {2}});
    tensor_set(t, 0, 1), tensor_set(t, 1, 2);
    value *axes = graph_add_constant(g, "axes", t);
    value *spread = add("Unsqueeze", "spread", (value *[]){slope, axes}, 2)->out[0];
    value *c = conv("c", x, stored("w", 4, 0.1, 0.01), NULL);
    node *p = add("PRelu", "p", (value *[]){c, spread}, 2);
    output(p->out[0]);
    assert_true(run(true));
    assert_int_equal(p->in[1]->role, ROLE_PARAMETER);
    assert_int_equal(p->in[1]->shape.rank, 3);
}

static node *in_training(value **statistic) {
    value *made[3] = {graph_add_value(g, "y"), graph_add_value(g, "m"), graph_add_value(g, "v")};
    value *in[] = {x, stored("s", 1, 1, 0), stored("b", 1, 0, 0), stored("mean", 1, 0, 0),
                   stored("var", 1, 1, 0)};
    node *n = graph_add_node(g, "BatchNormalization", "", in, 5, made, 3);
    n->name = "bn";
    n->opset = OPSET;
    node_set_int(g, n, "training_mode", 1);
    output(made[0]);
    *statistic = made[1];
    return n;
}

static void training_form_trains(void **state) {
    (void)state;
    value *statistic;
    node *n = in_training(&statistic);
    assert_true(run(true));
    assert_int_equal(problems.warnings, 0);
    assert_int_equal(node_int(n, "training_mode", -1), 0);
    assert_int_equal(g->file.n_changes, 1);
    assert_int_equal(g->file.changes[0].n_out, 1);
}

static void training_form_is_said_otherwise(void **state) {
    (void)state;
    value *statistic;
    in_training(&statistic);
    assert_true(run(false));
    assert_int_equal(problems.warnings, 1);
    assert_true(told("running statistics"));
}

static void batch_statistics_that_are_read_are_refused(void **state) {
    (void)state;
    value *statistic;
    in_training(&statistic);
    output(statistic);
    assert_false(compile_check(g, &(options){.batch = 2}));
    assert_true(told("training_mode"));
}

/* Outside training tensors part as well, so that info counts what would be learnt. */
static void weights_are_counted_apart(void **state) {
    (void)state;
    node *bn[2];
    fresh_normalisations(stored("w2", 4, 0.2, 0.01), bn);
    assert_true(compile_check(g, &(options){.batch = 2}));
    assert_int_equal(g->weights, 2 * CHANNELS * CHANNELS + 4 * CHANNELS);
}

static void a_function_that_hides_a_tie_is_told(void **state) {
    (void)state;
    node *bn[2];
    fresh_normalisations(stored("w2", 4, 0.2, 0.01), bn);
    bn[1]->inlined = true;
    assert_false(run(true));
    assert_true(told("export without functions"));
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        UNIT(equal_tensors_learn_apart),
        UNIT(a_layer_applied_again_stays_one),
        UNIT(normalisations_of_one_map_are_two),
        UNIT(learnt_values_prove_that_a_layer_is_one),
        UNIT(filters_stay_shared_and_biases_with_them),
        UNIT(identities_give_their_names),
        UNIT(what_is_no_weight_keeps_the_constant),
        UNIT(constants_are_no_operands_to_learn),
        UNIT(files_may_keep_their_weights_in_constants),
        UNIT(made_up_names_prove_nothing),
        UNIT(a_weight_is_learnt_as_it_is_read),
        UNIT(training_form_trains),
        UNIT(training_form_is_said_otherwise),
        UNIT(batch_statistics_that_are_read_are_refused),
        UNIT(weights_are_counted_apart),
        UNIT(a_function_that_hides_a_tie_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
