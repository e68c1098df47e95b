/* Rows that make shapes (ops/shape.c): every form that an opset brought, and what infer must refuse. Expectations are worked
   out by hand. */
#define _GNU_SOURCE
#include "op_case.h"

#include "poison_case.h"

#define SIX(rank, ...) X(rank, D(__VA_ARGS__), 1, 2, 3, 4, 5, 6)

/* ---- views ---- */

static void test_reshape(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Reshape-1 attribute", "Reshape", 1, {SIX(2, 2, 3)}, 1, {L("shape", 2, 3, 2)}, .out = SIX(2, 3, 2)},
        {"Reshape-1 rest", "Reshape", 1, {SIX(2, 2, 3)}, 1, {L("shape", 1, -1)}, .out = SIX(1, 6)},
        {"Reshape-5 copy and rest", "Reshape", 5, {SIX(3, 2, 1, 3), INTS(2, 0, -1)}, 2, {{0}}, .out = SIX(2, 2, 3)},
        {"Reshape-5 rest first", "Reshape", 5, {SIX(3, 2, 1, 3), INTS(3, -1, 1, 1)}, 2, {{0}}, .out = SIX(3, 6, 1, 1)},
        {"Reshape-5 without shape", "Reshape", 5, {SIX(1, 6)}, 1, {{0}}, .fails = true, .says = "shape input is missing"},
        {"Reshape-13 scalar", "Reshape", 13, {V(1, 7), INTS(0, 0)}, 2, {{0}}, .out = SCALAR(7)},
        {"Reshape-13 to rank 5", "Reshape", 13, {SIX(1, 6), INTS(5, 1, 2, 1, 3, 1)}, 2, {{0}}, .out = SIX(5, 1, 2, 1, 3, 1)},
        {"Reshape-13 int64", "Reshape", 13, {INTS(2, 3, 4), INTS(2, 2, 1)}, 2, {{0}}, .out = XT(DT_INT64, 2, D(2, 1), 3, 4)},
        {"Reshape-13 bool",
         "Reshape",
         13,
         {T(DT_BOOL, 2, 1, 0), INTS(2, 1, 2)},
         2,
         {{0}},
         .out = XT(DT_BOOL, 2, D(1, 2), 1, 0)},
        {"Reshape-13 int32 shape", "Reshape", 13, {SIX(1, 6), T(DT_INT32, 2, 3, -1)}, 2, {{0}}, .out = SIX(2, 3, 2)},
        {"Reshape-14 zero is copied", "Reshape", 14, {SIX(2, 2, 3), INTS(2, 0, 3)}, 2, {{0}}, .out = SIX(2, 2, 3)},
        {"Reshape-14 zero is meant", "Reshape", 14, {M(0, 3, 0), INTS(2, 3, 0)}, 2, {I("allowzero", 1)}, .out = M(3, 0, 0)},
        {"Reshape-14 zero and rest",
         "Reshape",
         14,
         {M(0, 3, 0), INTS(2, 0, -1)},
         2,
         {I("allowzero", 1)},
         .fails = true,
         .says = "0 elements do not divide by 0"},
        {"Reshape-24", "Reshape", 24, {SIX(2, 2, 3), INTS(2, 3, -1)}, 2, {{0}}, .out = SIX(2, 3, 2)},
        {"Reshape copies what is not there",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, 6, 0)},
         2,
         {{0}},
         .fails = true,
         .says = "shape[1] = 0 copies an axis that the input does not have"},
        {"Reshape two unknown",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, -1, -1)},
         2,
         {{0}},
         .fails = true,
         .says = "more than one unknown extent"},
        {"Reshape negative", "Reshape", 13, {SIX(1, 6), INTS(1, -6)}, 2, {{0}}, .fails = true, .says = "shape[0] = -6"},
        {"Reshape count",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, 2, 2)},
         2,
         {{0}},
         .fails = true,
         .says = "6 elements cannot take a shape of 4"},
        {"Reshape does not divide",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, 4, -1)},
         2,
         {{0}},
         .fails = true,
         .says = "6 elements do not divide by 4"},
        {"Reshape overflow",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, 4611686018427387904.0, 4)},
         2,
         {{0}},
         .fails = true,
         .says = "too large"},
        {"Reshape rank 9",
         "Reshape",
         13,
         {V(1, 1), INTS(9, 1, 1, 1, 1, 1, 1, 1, 1, 1)},
         2,
         {{0}},
         .fails = true,
         .says = "rank 9 is too high (8 at most)"},
        {"Reshape run-time shape",
         "Reshape",
         13,
         {SIX(1, 6), INTS(2, 2, 3)},
         2,
         {{0}},
         .fails = true,
         .run_time = true,
         .says = "not known at compile time"},
    };
    RUN(cases);
}

static void test_flatten(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Flatten-1", "Flatten", 1, {SIX(3, 2, 1, 3)}, 1, {{0}}, .out = SIX(2, 2, 3)},
        {"Flatten-9 axis 0", "Flatten", 9, {SIX(3, 2, 1, 3)}, 1, {I("axis", 0)}, .out = SIX(2, 1, 6)},
        {"Flatten-9 axis rank", "Flatten", 9, {SIX(3, 2, 1, 3)}, 1, {I("axis", 3)}, .out = SIX(2, 6, 1)},
        {"Flatten-11 negative", "Flatten", 11, {SIX(3, 1, 2, 3)}, 1, {I("axis", -1)}, .out = SIX(2, 2, 3)},
        {"Flatten-11 -rank", "Flatten", 11, {SIX(3, 1, 2, 3)}, 1, {I("axis", -3)}, .out = SIX(2, 1, 6)},
        {"Flatten-13 int64", "Flatten", 13, {INTS(2, 5, 6)}, 1, {{0}}, .out = XT(DT_INT64, 2, D(2, 1), 5, 6)},
        {"Flatten-25 scalar", "Flatten", 25, {SCALAR(3)}, 1, {I("axis", 0)}, .out = M(1, 1, 3)},
        {"Flatten range", "Flatten", 13, {SIX(1, 6)}, 1, {I("axis", 2)}, .fails = true, .says = "axis 2 is out of range"},
        {"Flatten below", "Flatten", 13, {SIX(1, 6)}, 1, {I("axis", -2)}, .fails = true, .says = "axis -2 is out of range"},
    };
    RUN(cases);
}

static void test_squeeze(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Squeeze-1 all", "Squeeze", 1, {SIX(4, 1, 2, 1, 3)}, 1, {{0}}, .out = SIX(2, 2, 3)},
        {"Squeeze-1 some", "Squeeze", 1, {SIX(4, 1, 2, 1, 3)}, 1, {L("axes", 1, 2)}, .out = SIX(3, 1, 2, 3)},
        {"Squeeze-11 negative", "Squeeze", 11, {SIX(4, 1, 2, 1, 3)}, 1, {L("axes", 2, -4, -2)}, .out = SIX(2, 2, 3)},
        {"Squeeze-13 input", "Squeeze", 13, {SIX(4, 1, 2, 1, 3), INTS(1, -2)}, 2, {{0}}, .out = SIX(3, 1, 2, 3)},
        {"Squeeze-13 absent", "Squeeze", 13, {SIX(4, 1, 2, 1, 3), ABSENT}, 2, {{0}}, .out = SIX(2, 2, 3)},
        {"Squeeze-13 empty list", "Squeeze", 13, {SIX(2, 1, 6), INTS(0, 0)}, 2, {{0}}, .out = SIX(1, 6)},
        {"Squeeze-11 empty list", "Squeeze", 11, {SIX(3, 1, 6, 1)}, 1, {L("axes", 0, 0)}, .out = SIX(1, 6)},
        {"Squeeze-21 to a scalar", "Squeeze", 21, {INTS(1, 9)}, 1, {{0}}, .out = {0, {0}, {9}, DT_INT64}},
        {"Squeeze extent",
         "Squeeze",
         13,
         {SIX(2, 1, 6), INTS(1, 1)},
         2,
         {{0}},
         .fails = true,
         .says = "axis 1 has extent 6, not 1"},
        {"Squeeze twice",
         "Squeeze",
         11,
         {SIX(2, 1, 6)},
         1,
         {L("axes", 2, 0, -2)},
         .fails = true,
         .says = "axis 0 occurs twice"},
        {"Squeeze range",
         "Squeeze",
         13,
         {SIX(2, 1, 6), INTS(1, 2)},
         2,
         {{0}},
         .fails = true,
         .says = "axis 2 is outside -2..1"},
        {"Unsqueeze-1", "Unsqueeze", 1, {SIX(2, 2, 3)}, 1, {L("axes", 2, 0, 3)}, .out = SIX(4, 1, 2, 3, 1)},
        {"Unsqueeze-11 negative", "Unsqueeze", 11, {SIX(1, 6)}, 1, {L("axes", 1, -1)}, .out = SIX(2, 6, 1)},
        {"Unsqueeze-13 any order", "Unsqueeze", 13, {SIX(1, 6), INTS(2, 2, 0)}, 2, {{0}}, .out = SIX(3, 1, 6, 1)},
        {"Unsqueeze-13 scalar", "Unsqueeze", 13, {SCALAR(4), INTS(1, 0)}, 2, {{0}}, .out = V(1, 4)},
        {"Unsqueeze-25 bool",
         "Unsqueeze",
         25,
         {T(DT_BOOL, 2, 0, 1), INTS(1, -2)},
         2,
         {{0}},
         .out = XT(DT_BOOL, 2, D(1, 2), 0, 1)},
        {"Unsqueeze-11 without axes", "Unsqueeze", 11, {SIX(1, 6)}, 1, {{0}}, .fails = true, .says = "axes is missing"},
        {"Unsqueeze-13 without axes", "Unsqueeze", 13, {SIX(1, 6)}, 1, {{0}}, .fails = true, .says = "axes is missing"},
        {"Unsqueeze twice",
         "Unsqueeze",
         13,
         {SIX(1, 6), INTS(2, 0, -3)},
         2,
         {{0}},
         .fails = true,
         .says = "axis 0 occurs twice"},
        {"Unsqueeze range",
         "Unsqueeze",
         13,
         {SIX(1, 6), INTS(1, 2)},
         2,
         {{0}},
         .fails = true,
         .says = "axis 2 is outside -2..1"},
        {"Unsqueeze rank",
         "Unsqueeze",
         13,
         {SIX(6, 1, 1, 1, 1, 1, 6), INTS(3, 0, 1, 2)},
         2,
         {{0}},
         .fails = true,
         .says = "rank is too high"},
    };
    RUN(cases);
}

/* ---- Identity, Dropout ---- */

static void test_identity(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Identity-1", "Identity", 1, {V(2, 1, NAN)}, 1, {{0}}, .out = V(2, 1, NAN)},
        {"Identity-16 bool", "Identity", 16, {T(DT_BOOL, 2, 1, 0)}, 1, {{0}}, .out = T(DT_BOOL, 2, 1, 0)},
        {"Dropout-1 is_test", "Dropout", 1, {V(2, 1, 2)}, 1, {I("is_test", 1)}, .out = V(2, 1, 2)},
        {"Dropout-6 training", "Dropout", 6, {V(2, 1, 2)}, 1, {{0}}, .out = V(2, 1, 2), .warns = true},
        {"Dropout-7", "Dropout", 7, {V(2, 1, 2)}, 1, {F("ratio", 0.9)}, .out = V(2, 1, 2)},
        {"Dropout-10", "Dropout", 10, {V(2, 1, 2)}, 1, {{0}}, .out = V(2, 1, 2)},
        {"Dropout-12 ratio", "Dropout", 12, {V(2, 1, 2), SCALAR(0.9)}, 2, {{0}}, .out = V(2, 1, 2)},
        {"Dropout-13 inference", "Dropout", 13, {V(2, 1, 2), ABSENT, {0, {0}, {0}, DT_BOOL}}, 3, {{0}}, .out = V(2, 1, 2)},
        {"Dropout-13 training",
         "Dropout",
         13,
         {V(2, 1, 2), ABSENT, {0, {0}, {1}, DT_BOOL}},
         3,
         {{0}},
         .fails = true,
         .says = "training mode is not supported"},
        {"Dropout-13 either",
         "Dropout",
         13,
         {V(2, 1, 2), ABSENT, {0, {0}, {1}, DT_BOOL}},
         3,
         {{0}},
         .fails = true,
         .run_time = true,
         .says = "training_mode is not known"},
    };
    RUN(cases);
}

/* The mask of inference: all true; of the input's type before opset 10. */
static void test_dropout_mask(void **state) {
    (void)state;
    static const struct {
        int opset;
        dtype type;
    } forms[] = {{6, DT_FLOAT}, {7, DT_FLOAT}, {10, DT_BOOL}, {12, DT_BOOL}, {22, DT_BOOL}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        arena *a = arena_create();
        diag d = {.arena = a, .file = "test"};
        graph *g = graph_create(a, &d);
        const row_case c = {"mask", "Dropout", forms[i].opset, {V(3, 1, 2, 3)}, 1, {{0}}, .n_out = 2};
        const tensor *in[CASE_IN] = {NULL};
        node *n = case_node(g, &c, in);
        assert_non_null(n);
        const value *mask = n->out[1];
        assert_true(n->op->infer(g, n));
        assert_non_null(mask->constant);
        assert_int_equal(mask->constant->type, forms[i].type);
        for (int64_t k = 0; k < 3; k++) assert_true(tensor_get(mask->constant, k) == 1);
        arena_destroy(a);
    }
}

/* ---- makers of constants ---- */

static const operand nine = {1, {1}, {9}, DT_INT64}, two_values = {1, {2}, {1, 2}, DT_NONE};
#define VALUE(o) \
    { .name = "value", .kind = 't', .tensor = &(o) }

static void test_constants(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Shape-1", "Shape", 1, {SIX(3, 2, 1, 3)}, 1, {{0}}, .out = INTS(3, 2, 1, 3)},
        {"Shape-13 of a run-time value", "Shape", 13, {SIX(3, 2, 1, 3)}, 1, {{0}}, .out = INTS(3, 2, 1, 3), .run_time = true},
        {"Shape-13 start is unknown", "Shape", 13, {SIX(2, 2, 3)}, 1, {I("start", 1)}, .out = INTS(2, 2, 3)},
        {"Shape-15 start", "Shape", 15, {SIX(3, 2, 1, 3)}, 1, {I("start", 1)}, .out = INTS(2, 1, 3)},
        {"Shape-15 negative", "Shape", 15, {SIX(3, 2, 1, 3)}, 1, {I("start", -3), I("end", -1)}, .out = INTS(2, 2, 1)},
        {"Shape-15 clamped", "Shape", 15, {SIX(3, 2, 1, 3)}, 1, {I("start", -9), I("end", 9)}, .out = INTS(3, 2, 1, 3)},
        {"Shape-15 nothing", "Shape", 15, {SIX(3, 2, 1, 3)}, 1, {I("start", 2), I("end", 1)}, .out = INTS(0, 0)},
        {"Shape-25 scalar", "Shape", 25, {SCALAR(5)}, 1, {{0}}, .out = INTS(0, 0)},
        {"Size-1", "Size", 1, {SIX(3, 2, 1, 3)}, 1, {{0}}, .out = {0, {0}, {6}, DT_INT64}},
        {"Size-21 empty", "Size", 21, {M(0, 3, 0)}, 1, {{0}}, .out = {0, {0}, {0}, DT_INT64}},
        {"Constant-1", "Constant", 1, {{0}}, 0, {VALUE(two_values)}, .out = V(2, 1, 2)},
        {"Constant-12 float", "Constant", 12, {{0}}, 0, {F("value_float", 2.5)}, .out = SCALAR(2.5)},
        {"Constant-12 floats", "Constant", 12, {{0}}, 0, {R("value_floats", 2, 2.5, -1)}, .out = V(2, 2.5, -1)},
        {"Constant-12 int", "Constant", 12, {{0}}, 0, {I("value_int", -7)}, .out = {0, {0}, {-7}, DT_INT64}},
        {"Constant-25 ints", "Constant", 25, {{0}}, 0, {L("value_ints", 3, 1, -2, 3)}, .out = INTS(3, 1, -2, 3)},
        {"Constant-25 no ints", "Constant", 25, {{0}}, 0, {L("value_ints", 0, 0)}, .out = INTS(0, 0)},
        {"Constant string",
         "Constant",
         13,
         {{0}},
         0,
         {S("value_string", "x")},
         .fails = true,
         .says = "string constants are not supported"},
        {"ConstantOfShape-9", "ConstantOfShape", 9, {INTS(2, 2, 2)}, 1, {{0}}, .out = M(2, 2, 0, 0, 0, 0)},
        {"ConstantOfShape-9 value", "ConstantOfShape", 9, {INTS(1, 2)}, 1, {VALUE(nine)}, .out = INTS(2, 9, 9)},
        {"ConstantOfShape-20 scalar", "ConstantOfShape", 20, {INTS(0, 0)}, 1, {VALUE(nine)}, .out = {0, {0}, {9}, DT_INT64}},
        {"ConstantOfShape-25 empty", "ConstantOfShape", 25, {INTS(2, 0, 3)}, 1, {{0}}, .out = M(0, 3, 0)},
        {"ConstantOfShape negative",
         "ConstantOfShape",
         9,
         {INTS(2, 2, -1)},
         1,
         {{0}},
         .fails = true,
         .says = "the shape is invalid"},
        {"ConstantOfShape two values",
         "ConstantOfShape",
         9,
         {INTS(1, 2)},
         1,
         {VALUE(two_values)},
         .fails = true,
         .says = "value must hold one element"},
        {"ConstantOfShape run-time",
         "ConstantOfShape",
         9,
         {INTS(1, 2)},
         1,
         {{0}},
         .fails = true,
         .run_time = true,
         .says = "the shape is not known"},
        {"Range-11", "Range", 11, {SCALAR(1), SCALAR(5), SCALAR(1.5)}, 3, {{0}}, .out = V(3, 1, 2.5, 4)},
        {"Range-11 down",
         "Range",
         11,
         {{0, {0}, {10}, DT_INT64}, {0, {0}, {4}, DT_INT64}, {0, {0}, {-3}, DT_INT64}},
         3,
         {{0}},
         .out = INTS(2, 10, 7)},
        {"Range-11 nothing", "Range", 11, {SCALAR(5), SCALAR(1), SCALAR(1)}, 3, {{0}}, .out = V(0, 0)},
        {"Range-11 int32",
         "Range",
         11,
         {T(DT_INT32, 1, -1), T(DT_INT32, 1, 2), T(DT_INT32, 1, 2)},
         3,
         {{0}},
         .out = T(DT_INT32, 2, -1, 1)},
        {"Range step 0", "Range", 11, {SCALAR(1), SCALAR(5), SCALAR(0)}, 3, {{0}}, .fails = true, .says = "not finite"},
    };
    RUN(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reshape),  cmocka_unit_test(test_flatten),      cmocka_unit_test(test_squeeze),
        cmocka_unit_test(test_identity), cmocka_unit_test(test_dropout_mask), cmocka_unit_test(test_constants),
        cmocka_unit_test(poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
