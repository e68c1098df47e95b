/* The front half of the pipeline on graphs built by hand: resolve, infer, fold, simplify, batch;
   and which inputs `conform` freezes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/ir/op.h"
#include "compiler/passes/front.h"
#include "compiler/verbs/conform.h"

static arena *memory;
static diag problems;
static graph *g;

static int setup(void **state) {
    (void)state;
    memory = arena_create();
    problems = (diag){.arena = memory, .file = "test"};
    g = graph_create(memory, &problems);
    g->name = "test";
    g->inputs = ARENA_ARRAY(memory, value *, 4);
    g->outputs = ARENA_ARRAY(memory, value *, 8);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_destroy(memory);
    return 0;
}

static value *input(const char *name, dtype type, int rank, const int64_t *dim) {
    value *v = graph_add_value(g, name);
    v->type = type;
    v->shaped = v->is_input = true;
    v->shape.rank = rank;
    memcpy(v->shape.dim, dim, (size_t)rank * sizeof *dim);
    return g->inputs[g->n_inputs++] = v;
}

static value *constant(dtype type, int rank, const int64_t *dim, const double *numbers) {
    shape s = {.rank = rank};
    if (rank) memcpy(s.dim, dim, (size_t)rank * sizeof *dim);
    tensor *t = tensor_new(memory, type, &s);
    for (int64_t i = 0; i < shape_count(&s); i++) tensor_set(t, i, numbers[i]);
    return graph_add_constant(g, NULL, t);
}

static value *op(const char *type, value *a, value *b) {
    value *y = graph_add_value(g, NULL);
    node *n = graph_add_node(g, type, "", (value *[]){a, b}, b ? 2 : 1, &y, 1);
    n->name = type;
    n->index = (int)g->n_nodes - 1;
    n->opset = 13;
    return y;
}

static void output(value *v) {
    v->is_output = true;
    g->outputs[g->n_outputs++] = v;
}

static bool check(const options *o) {
    g->opsets = ARENA_ARRAY(memory, opset_import, 1);
    g->opsets[0] = (opset_import){"", 13};
    g->n_opsets = 1;
    return compile_check(g, o);
}

static bool told(const char *part) {
    text t = {0};
    diag_print(&problems, &t);
    const bool found = strstr(text_str(&t), part) != NULL;
    if (!found) print_message("%s", text_str(&t));
    text_free(&t);
    return found;
}

/* ---- resolve, infer ---- */

static void all_unknown_operators_are_told(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2});
    output(op("Wibble", op("Relu", op("Wobble", x, NULL), NULL), NULL));
    assert_false(check(&(options){0}));
    assert_int_equal(problems.errors, 2);
    assert_true(told("Wibble") && told("Wobble"));
}

/* Unknown operators, wrong attributes and shapes that do not fit are found by different passes. */
static void problems_of_all_passes_are_told(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){2, 3}),
          *w = input("w", DT_FLOAT, 2, (int64_t[]){5, 7});
    value *transposed = op("Transpose", x, NULL), *joined = op("Concat", x, w);
    node_set_ints(g, transposed->producer, "perm", (int64_t[]){0, 9}, 2);
    node_set_int(g, joined->producer, "axis", 4);
    output(op("Wibble", x, NULL));
    output(op("MatMul", x, w));
    output(op("Relu", x, w));
    output(transposed);
    output(op("Abs", joined, NULL));
    assert_false(check(&(options){0}));
    assert_int_equal(problems.errors, 5);
    assert_true(told("Wibble is not supported yet"));
    assert_true(told("\"MatMul\"") && told("\"Relu\"") && told("\"Transpose\"") &&
                told("\"Concat\""));
}

/* ONNX Runtime runs such models: what leads to no output is not looked at. */
static void what_nobody_reads_need_not_be_supported(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2}), *half = op("Cast", x, NULL);
    node_set_int(g, half->producer, "to", DT_FLOAT16);
    op("Wibble", half, NULL);
    output(op("Relu", x, NULL));
    assert_true(check(&(options){0}));
    assert_int_equal(g->n_nodes, 1);
}

static void an_embedding_need_not_lead_to_an_output(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2}), *inner = op("Neg", x, NULL);
    output(op("Relu", x, NULL));
    assert_true(check(&(options){.embedding = inner->name}));
    assert_int_equal(g->n_nodes, 2);
    assert_ptr_equal(g->embedding, inner);
}

/* Another extent, another rank: what is computed counts, and one line says so. */
static void stale_declarations_of_outputs_are_warned_of(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2}), *y = op("Relu", x, NULL),
          *z = op("Abs", x, NULL);
    output(y);
    output(z);
    y->declared = y->shaped = z->declared = z->shaped = true;
    y->shape = (shape){2, {1, 512}}, z->shape = (shape){4, {1, 2, 1, 1}};
    assert_true(check(&(options){0}));
    assert_int_equal(problems.warnings, 2);
    assert_true(told("declared 1x512 but computes 1x2") &&
                told("declared 1x2x1x1 but computes 1x2"));
    assert_int_equal(y->shape.dim[1], 2);
    assert_int_equal(z->shape.rank, 2);
}

/* The file declared its outputs for its own extents. */
static void dims_that_are_given_make_declarations_void(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, -1}), *y = op("Relu", x, NULL);
    x->symbol[1] = "?w";
    output(y);
    y->declared = y->shaped = true, y->shape = (shape){2, {1, 512}};
    dim_binding bound = {"?w", 7};
    assert_true(check(&(options){.dims = &bound, .n_dims = 1}));
    assert_int_equal(problems.warnings, 0);
    assert_int_equal(y->shape.dim[1], 7);
}

/* What is missing here is no fault of the file. */
static void hints_blame_the_right_one(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2});
    output(op("Wibble", x, NULL));
    assert_false(check(&(options){0}));
    assert_true(told("Wibble is not supported yet") &&
                told("docs/operators.md lists what is supported"));
    assert_false(strstr(problems.first->hint, "contradicts") != NULL);
    output(op("Relu", x, x));
    assert_false(check(&(options){0}));
    assert_true(told("contradicts the operator's definition"));
}

static void symbolic_extents_are_bound(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 3, (int64_t[]){-1, 2, -1});
    x->symbol[0] = "batch", x->symbol[2] = "len";
    value *y = op("Relu", x, NULL);
    output(y);
    dim_binding bound = {"len", 7};
    assert_true(check(&(options){.batch = 3, .dims = &bound, .n_dims = 1}));
    assert_int_equal(y->shape.dim[0], 3);
    assert_int_equal(y->shape.dim[2], 7);
    assert_true(y->batched);
    assert_int_equal(g->batch, 3);
}

static void unbound_extents_are_told(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 3, (int64_t[]){-1, 2, -1});
    x->symbol[0] = "batch", x->symbol[2] = "len";
    output(op("Relu", x, NULL));
    assert_false(check(&(options){0}));
    assert_true(told("--dim len=N"));
}

static void shapes_may_not_depend_on_inputs(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){2, 3}),
          *to = input("to", DT_INT64, 1, (int64_t[]){1});
    output(op("Reshape", x, to));
    assert_false(check(&(options){0}));
    assert_true(told("decides a shape"));
}

/* ---- fold, simplify ---- */

static void constants_fold(void **state) {
    (void)state;
    const double two[] = {1, 2}, ten[] = {10};
    value *c = op("Mul", constant(DT_FLOAT, 1, (int64_t[]){2}, two),
                  constant(DT_FLOAT, 0, NULL, ten));
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){1, 2});
    output(op("Add", x, op("Neg", c, NULL)));
    assert_true(check(&(options){0}));
    assert_int_equal(g->n_nodes, 1);
    const tensor *folded = g->nodes[0]->in[1]->constant;
    assert_non_null(folded);
    assert_true(tensor_get(folded, 0) == -10 && tensor_get(folded, 1) == -20);
}

static void shape_arithmetic_folds(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 4, (int64_t[]){1, 2, 3, 4});
    value *y = op("Reshape", op("Relu", x, NULL), op("Shape", x, NULL));
    output(op("Abs", y, NULL));
    assert_true(check(&(options){0}));
    assert_int_equal(g->n_nodes, 2); /* the Reshape changes nothing */
    assert_string_equal(g->nodes[0]->op_type, "Relu");
    assert_string_equal(g->nodes[1]->op_type, "Abs");
}

static void identities_and_transpose_pairs_go(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 3, (int64_t[]){1, 2, 3});
    value *once = op("Transpose", op("Identity", x, NULL), NULL);
    node_set_ints(g, once->producer, "perm", (int64_t[]){0, 2, 1}, 3);
    value *twice = op("Transpose", once, NULL);
    node_set_ints(g, twice->producer, "perm", (int64_t[]){0, 2, 1}, 3);
    value *y = op("Relu", twice, NULL);
    output(y);
    assert_true(check(&(options){0}));
    assert_int_equal(g->n_nodes, 1);
    assert_ptr_equal(y->producer->in[0], x);
}

/* ---- batch ---- */

static void a_literal_batch_grows_in_reshapes(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 3, (int64_t[]){1, 2, 3});
    value *y = op("Reshape", op("Relu", x, NULL),
                  constant(DT_INT64, 1, (int64_t[]){2}, (const double[]){1, 6}));
    output(y);
    assert_true(check(&(options){.batch = 5}));
    assert_int_equal(y->shape.dim[0], 5);
    assert_int_equal(y->shape.dim[1], 6);
}

static void images_that_mix_have_no_batch(void **state) {
    (void)state;
    value *x = input("x", DT_FLOAT, 3, (int64_t[]){1, 2, 3});
    value *y = op("Transpose", x, NULL);
    node_set_ints(g, y->producer, "perm", (int64_t[]){1, 0, 2}, 3);
    output(y);
    assert_false(check(&(options){.batch = 4}));
    assert_true(problems.errors > 0);
}

/* ---- preprocess ---- */

/* What the user says must fit; what the model says is warned of, in one line whatever it holds. */
static void preprocessing_fits_the_input(void **state) {
    (void)state;
    cameo_entry meta = {"cameo.preprocess", "size=32x32 mean=127.5"};
    output(op("Relu", input("x", DT_FLOAT, 4, (int64_t[]){1, 3, 32, 32}), NULL));
    g->meta = &meta;
    g->n_meta = 1;
    assert_true(check(&(options){0}) && problems.warnings == 0);
    assert_true(pass_preprocess(g, &(options){.preprocess = "color=bgr"}));
    assert_false(pass_preprocess(g, &(options){.preprocess = "size=31x32"}));
    assert_true(told("--preprocess: size=31x32, but the network takes 32x32"));
    g->inputs[0]->type = DT_INT32;
    assert_false(pass_preprocess(g, &(options){.preprocess = "color=bgr"}));
    assert_true(told("input \\\"x\\\" takes no pictures: it is int32 of rank 4"));
    g->inputs[0]->type = DT_UINT8;
    assert_true(pass_preprocess(g, &(options){.preprocess = "color=bgr"}));
    assert_false(pass_preprocess(g, &(options){.preprocess = "color=bgr", .train = true}));
    g->inputs[0]->type = DT_FLOAT;
    meta.value = "mean=1\x1b[31m";
    assert_true(pass_preprocess(g, &(options){0}));
    assert_int_equal(problems.warnings, 1);
    assert_true(told("metadata cameo.preprocess: cannot understand \\\"mean=1\\x1b[31m"));
}

/* ---- conform ---- */

static void only_shape_inputs_are_frozen(void **state) {
    (void)state;
    bool decides[4] = {0};
    value *x = input("x", DT_FLOAT, 2, (int64_t[]){2, 3}),
          *to = input("to", DT_INT32, 1, (int64_t[]){2}),
          *like = input("like", DT_FLOAT, 2, (int64_t[]){3, 2}),
          *unused = input("unused", DT_INT64, 1, (int64_t[]){1});
    value *cast = op("Cast", to, NULL);
    node_set_int(g, cast->producer, "to", DT_INT64);
    output(op("Reshape", op("Reshape", x, cast), op("Shape", like, NULL)));
    (void)unused;
    conform_shape_inputs(g, decides);
    assert_true(decides[1]);
    assert_false(decides[0] || decides[2] || decides[3]);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        UNIT(all_unknown_operators_are_told),
        UNIT(problems_of_all_passes_are_told),
        UNIT(what_nobody_reads_need_not_be_supported),
        UNIT(an_embedding_need_not_lead_to_an_output),
        UNIT(stale_declarations_of_outputs_are_warned_of),
        UNIT(dims_that_are_given_make_declarations_void),
        UNIT(hints_blame_the_right_one),
        UNIT(symbolic_extents_are_bound),
        UNIT(unbound_extents_are_told),
        UNIT(shapes_may_not_depend_on_inputs),
        UNIT(constants_fold),
        UNIT(shape_arithmetic_folds),
        UNIT(identities_and_transpose_pairs_go),
        UNIT(a_literal_batch_grows_in_reshapes),
        UNIT(images_that_mix_have_no_batch),
        UNIT(preprocessing_fits_the_input),
        UNIT(only_shape_inputs_are_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
