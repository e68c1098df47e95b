/* Rows of arithmetic, activations, reductions, matrix products and normalisations: their references against numbers worked out
   by hand, over the opsets that changed a meaning, and what infer must refuse. Tables of one-node graphs (op_case.h). */
#define _GNU_SOURCE
#include "op_case.h"

#include "poison_case.h"

#include <float.h>

/* ---- arithmetic ---- */

static void test_elementwise(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Add-6 equal shapes", "Add", 6, {V(2, 1, 2), V(2, 10, 20)}, 2, {{0}}, .out = V(2, 11, 22)},
        {"Add-6 without broadcast", "Add", 6, {M(1, 2, 1, 2), V(2, 10, 20)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Add-6 suffix", "Add", 6, {M(2, 2, 1, 2, 3, 4), V(2, 10, 20)}, 2, {I("broadcast", 1)}, .out = M(2, 2, 11, 22, 13, 24)},
        {"Add-6 axis 0",
         "Add",
         6,
         {M(2, 2, 1, 2, 3, 4), V(2, 10, 20)},
         2,
         {I("broadcast", 1), I("axis", 0)},
         .out = M(2, 2, 11, 12, 23, 24)},
        {"Mul-6 scalar", "Mul", 6, {M(1, 2, 1, 2), SCALAR(3)}, 2, {I("broadcast", 1)}, .out = M(1, 2, 3, 6)},
        {"Sub-6 not the other way",
         "Sub",
         6,
         {V(2, 1, 2), M(1, 2, 1, 2)},
         2,
         {I("broadcast", 1)},
         .out = V(1, 0),
         .fails = true},
        {"Add-7 both ways", "Add", 7, {M(2, 1, 1, 2), V(2, 10, 20)}, 2, {{0}}, .out = M(2, 2, 11, 21, 12, 22)},
        {"Add-13 mismatch", "Add", 13, {V(2, 1, 2), V(3, 1, 2, 3)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Add types", "Add", 13, {V(1, 1), T(DT_INT64, 1, 1)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Add-14 wraps", "Add", 14, {T(DT_UINT8, 1, 200), T(DT_UINT8, 1, 100)}, 2, {{0}}, .out = T(DT_UINT8, 1, 44)},
        {"Div ints", "Div", 14, {T(DT_INT32, 3, 7, -7, 5), T(DT_INT32, 3, 2, 2, 0)}, 2, {{0}}, .out = T(DT_INT32, 3, 3, -3, 0)},
        {"Mod", "Mod", 13, {T(DT_INT32, 2, -7, 7), T(DT_INT32, 2, 3, -3)}, 2, {{0}}, .out = T(DT_INT32, 2, 2, -2)},
        {"Mod fmod",
         "Mod",
         13,
         {T(DT_INT32, 2, -7, 7), T(DT_INT32, 2, 3, -3)},
         2,
         {I("fmod", 1)},
         .out = T(DT_INT32, 2, -1, 1)},
        {"Pow-7", "Pow", 7, {V(2, 2, 3), V(2, 3, 2)}, 2, {{0}}, .out = V(2, 8, 9)},
        {"Pow-12 mixed", "Pow", 12, {V(2, 2, 3), T(DT_INT64, 1, 2)}, 2, {{0}}, .out = V(2, 4, 9)},
        {"Sum-6 of one", "Sum", 6, {V(2, 1, 2)}, 1, {{0}}, .out = V(2, 1, 2)},
        {"Sum-7 shapes", "Sum", 7, {V(2, 1, 2), V(1, 3)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Sum-8", "Sum", 8, {V(2, 1, 2), V(1, 3), V(2, 5, 6)}, 3, {{0}}, .out = V(2, 9, 11)},
        {"Mean-8", "Mean", 8, {V(2, 1, 2), V(1, 3), V(2, 5, 7)}, 3, {{0}}, .out = V(2, 3, 4)},
        {"Max-8", "Max", 8, {V(2, 1, 5), V(1, 3)}, 2, {{0}}, .out = V(2, 3, 5)},
        {"Min NaN", "Min", 13, {V(2, 1, 5), V(2, NAN, 3)}, 2, {{0}}, .out = V(2, NAN, 3)},
        {"Less to bool", "Less", 13, {V(2, 1, 5), V(1, 3)}, 2, {{0}}, .out = T(DT_BOOL, 2, 1, 0)},
        {"Round to even", "Round", 11, {V(4, 0.5, 1.5, 2.5, -0.5)}, 1, {{0}}, .out = V(4, 0, 2, 2, 0)},
        {"Sign", "Sign", 13, {V(3, -2, 0, 3)}, 1, {{0}}, .out = V(3, -1, 0, 1)},
        {"Erf", "Erf", 13, {V(2, 0, 1)}, 1, {{0}}, .out = V(2, 0, 0.84270079)},
        {"Where", "Where", 9, {T(DT_BOOL, 2, 1, 0), V(2, 1, 2), V(1, 9)}, 3, {{0}}, .out = V(2, 1, 9)},
        {"Cast-6", "Cast", 6, {V(2, 1.9, -1.9)}, 1, {I("to", DT_INT32)}, .out = T(DT_INT32, 2, 1, -1)},
        {"Cast-1", "Cast", 1, {V(2, 0, 2)}, 1, {S("to", "BOOL")}, .out = T(DT_BOOL, 2, 0, 1)},
    };
    RUN(cases);
}

/* Values beyond 2^63, which neither int64 nor double holds exactly. */
static void test_uint64(void **state) {
    (void)state;
    static const struct {
        const char *op;
        uint64_t x, y, out;
    } cases[] = {
        {"Div", UINT64_MAX, 2, UINT64_MAX / 2},
        {"Div", UINT64_MAX - 1, UINT64_MAX, 0},
        {"Div", 9, UINT64_MAX, 0},
        {"Max", UINT64_MAX, 1, UINT64_MAX},
        {"Min", UINT64_MAX, 1, 1},
        {"Mod", UINT64_MAX, 10, 5},
        {"Less", 1, UINT64_MAX, 1},
        {"Greater", UINT64_MAX, 1, 1},
        {"LessOrEqual", UINT64_MAX, 1, 0},
        {"GreaterOrEqual", 1, UINT64_MAX, 0},
        {"Equal", UINT64_MAX, UINT64_MAX - 1, 0},
        {"Add", UINT64_MAX, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_create();
        diag d = {.arena = a, .file = "test"};
        graph *g = graph_create(a, &d);
        const row_case c = {cases[i].op, cases[i].op, 13, {T(DT_UINT64, 1, 0), T(DT_UINT64, 1, 0)}, 2, {{0}}, .out = V(1, 0)};
        const tensor *in[5] = {NULL};
        node *n = case_node(g, &c, in);
        assert_non_null(n);
        assert_true(n->op->infer(g, n));
        memcpy(in[0]->data, &cases[i].x, 8);
        memcpy(in[1]->data, &cases[i].y, 8);
        tensor *out = tensor_new(a, n->out[0]->type, &n->out[0]->shape);
        const char *why;
        assert_true(n->op->reference(a, n, in, &out, &why));
        if ((uint64_t)tensor_get_int(out, 0) != cases[i].out) fail_msg("%s, case %zu", cases[i].op, i);
        arena_destroy(a);
    }
}

/* ---- activations ---- */

static void test_activations(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Clip-1 no bounds", "Clip", 1, {V(2, -5, 5)}, 1, {{0}}, .out = V(2, -5, 5)},
        {"Clip-6", "Clip", 6, {V(3, -5, 0, 5)}, 1, {F("min", -1), F("max", 2)}, .out = V(3, -1, 0, 2)},
        {"Clip-6 one side", "Clip", 6, {V(2, -5, 5)}, 1, {F("min", 0)}, .out = V(2, 0, 5)},
        {"Clip-6 with inputs", "Clip", 6, {V(2, -5, 5), SCALAR(0)}, 2, {{0}}, .out = V(2, 0, 5), .fails = true},
        {"Clip-11", "Clip", 11, {V(3, -5, 0, 5), SCALAR(-1), SCALAR(2)}, 3, {{0}}, .out = V(3, -1, 0, 2)},
        {"Clip-11 run-time bounds",
         "Clip",
         11,
         {V(3, -5, 0, 5), SCALAR(-1), SCALAR(2)},
         3,
         {{0}},
         .out = V(3, -1, 0, 2),
         .run_time = true},
        {"Clip-11 no min", "Clip", 11, {V(2, -5, 5), ABSENT, SCALAR(2)}, 3, {{0}}, .out = V(2, -5, 2)},
        {"Clip-11 ints", "Clip", 11, {T(DT_INT32, 1, 5)}, 1, {{0}}, .out = T(DT_INT32, 1, 5), .fails = true},
        {"Clip-12 ints", "Clip", 12, {T(DT_INT32, 1, 5), ABSENT, T(DT_INT32, 1, 3)}, 3, {{0}}, .out = T(DT_INT32, 1, 3)},
        {"Clip-13 crossed bounds", "Clip", 13, {V(2, -5, 5), SCALAR(2), SCALAR(1)}, 3, {{0}}, .out = V(2, 1, 1)},
        {"Clip-13 bound of two", "Clip", 13, {V(1, 5), V(2, 0, 1)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"PRelu-6 channel",
         "PRelu",
         6,
         {X(3, D(1, 2, 2), -1, -1, -1, 1), V(2, 2, 3)},
         2,
         {{0}},
         .out = X(3, D(1, 2, 2), -2, -2, -3, 1)},
        {"PRelu-7 last axis",
         "PRelu",
         7,
         {X(3, D(1, 2, 2), -1, -1, -1, 1), V(2, 2, 3)},
         2,
         {{0}},
         .out = X(3, D(1, 2, 2), -2, -3, -2, 1)},
        {"PRelu-7 channel",
         "PRelu",
         7,
         {X(3, D(1, 2, 2), -1, -1, -1, 1), M(2, 1, 2, 3)},
         2,
         {{0}},
         .out = X(3, D(1, 2, 2), -2, -2, -3, 1)},
        {"PRelu-8 slope of C, which is not W", /* MXNet */
         "PRelu",
         8,
         {X(4, D(1, 3, 1, 2), -1, -2, -1, 2, -3, -4), V(3, 10, 20, 30)},
         2,
         {{0}},
         .out = X(4, D(1, 3, 1, 2), -10, -20, -20, 2, -90, -120)},
        {"PRelu-16 slope of neither", "PRelu", 16, {X(3, D(1, 3, 2), -1), V(4, 1)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"PRelu-7 slope too long", "PRelu", 7, {V(1, -1), V(2, 2, 3)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Relu", "Relu", 6, {V(3, -1, 0, 2)}, 1, {{0}}, .out = V(3, 0, 0, 2)},
        {"Relu of bool", "Relu", 14, {T(DT_BOOL, 1, 1)}, 1, {{0}}, .out = V(1, 0), .fails = true},
        {"LeakyRelu default", "LeakyRelu", 6, {V(2, -1, 2)}, 1, {{0}}, .out = V(2, -0.01, 2)},
        {"Sigmoid", "Sigmoid", 6, {V(3, 0, 1000, -1000)}, 1, {{0}}, .out = V(3, 0.5, 1, 0)},
        {"Softplus large", "Softplus", 1, {V(2, 0, 1000)}, 1, {{0}}, .out = V(2, 0.69314718, 1000)},
        {"Elu", "Elu", 6, {V(2, -1, 2)}, 1, {F("alpha", 2)}, .out = V(2, -1.26424112, 2)},
        {"Selu-1", "Selu", 1, {V(2, -1, 1)}, 1, {{0}}, .out = V(2, -1.11128770, 1.0507)},
        {"Selu-6", "Selu", 6, {V(2, -1, 1)}, 1, {{0}}, .out = V(2, -1.11133074, 1.05070102)},
        {"HardSigmoid", "HardSigmoid", 6, {V(3, -9, 1, 9)}, 1, {{0}}, .out = V(3, 0, 0.7, 1)},
        {"HardSwish", "HardSwish", 14, {V(3, -4, 3, 1)}, 1, {{0}}, .out = V(3, 0, 3, 0.6666667)},
        {"HardSwish before 14", "HardSwish", 13, {V(1, 1)}, 1, {{0}}, .out = V(1, 1), .fails = true},
        {"Gelu", "Gelu", 20, {V(2, 0, 1)}, 1, {{0}}, .out = V(2, 0, 0.84134475)},
        {"Gelu tanh", "Gelu", 20, {V(2, 0, 1)}, 1, {S("approximate", "tanh")}, .out = V(2, 0, 0.84119199)},
    };
    RUN(cases);
}

/* ---- reductions ---- */

#define SQUARE M(2, 2, 1, 2, 3, 4)
#define AXES(...) T(DT_INT64, 1, __VA_ARGS__)
#define NO_AXES T(DT_INT64, 0, 0)

static void test_reductions(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"ReduceSum-11 attribute", "ReduceSum", 11, {SQUARE}, 1, {L("axes", 1, -1)}, .out = M(2, 1, 3, 7)},
        {"ReduceSum-11 all", "ReduceSum", 11, {SQUARE}, 1, {I("keepdims", 0)}, .out = SCALAR(10)},
        {"ReduceSum-11 axes input", "ReduceSum", 11, {SQUARE, AXES(1)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"ReduceSum-13 input", "ReduceSum", 13, {SQUARE, AXES(0)}, 2, {I("keepdims", 0)}, .out = V(2, 4, 6)},
        {"ReduceSum-13 run-time axes",
         "ReduceSum",
         13,
         {SQUARE, AXES(0)},
         2,
         {{0}},
         .out = V(1, 0),
         .fails = true,
         .run_time = true},
        {"ReduceSum-13 no axes", "ReduceSum", 13, {SQUARE}, 1, {{0}}, .out = M(1, 1, 10)},
        {"ReduceSum-13 noop", "ReduceSum", 13, {SQUARE, NO_AXES}, 2, {I("noop_with_empty_axes", 1)}, .out = SQUARE},
        {"ReduceMean-13 attribute", "ReduceMean", 13, {SQUARE}, 1, {L("axes", 1, 0)}, .out = M(1, 2, 2, 3)},
        {"ReduceMean-13 axes input", "ReduceMean", 13, {SQUARE, AXES(0)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"ReduceMean-18 input", "ReduceMean", 18, {SQUARE, AXES(-1)}, 2, {{0}}, .out = M(2, 1, 1.5, 3.5)},
        {"ReduceMean-18 absent axes, noop", "ReduceMean", 18, {SQUARE}, 1, {I("noop_with_empty_axes", 1)}, .out = SQUARE},
        {"ReduceMean-18 empty axes", "ReduceMean", 18, {SQUARE, NO_AXES}, 2, {I("keepdims", 0)}, .out = SCALAR(2.5)},
        {"ReduceSumSquare-18 noop squares",
         "ReduceSumSquare",
         18,
         {SQUARE},
         1,
         {I("noop_with_empty_axes", 1)},
         .out = M(2, 2, 1, 4, 9, 16)},
        {"axis out of range", "ReduceMax", 13, {SQUARE}, 1, {L("axes", 1, 2)}, .out = V(1, 0), .fails = true},
        {"integers' empty axis", "ReduceMax", 13, {T(DT_INT32, 0, 0)}, 1, {L("axes", 1, 0)}, .out = V(1, 0), .fails = true},
        {"maximum of nothing", "ReduceMax", 20, {M(1, 0, 0), AXES(1)}, 2, {{0}}, .out = M(1, 1, -INFINITY)},
        {"mean of unsigned", "ReduceMean", 13, {T(DT_UINT8, 2, 200, 100)}, 1, {{0}}, .out = T(DT_UINT8, 1, 150)},
        {"mean of signed", "ReduceMean", 13, {T(DT_INT8, 2, -100, -50)}, 1, {{0}}, .out = T(DT_INT8, 1, -75)},
        {"sum of nothing", "ReduceSum", 13, {M(2, 0, 0), AXES(1)}, 2, {I("keepdims", 0)}, .out = V(2, 0, 0)},
        {"product of nothing", "ReduceProd", 18, {M(2, 0, 0), AXES(1)}, 2, {I("keepdims", 0)}, .out = V(2, 1, 1)},
        {"other axis empty", "ReduceMax", 13, {M(0, 2, 0)}, 1, {L("axes", 1, 1)}, .out = M(0, 1, 0)},
        {"ReduceMax", "ReduceMax", 13, {M(1, 2, -3, -2)}, 1, {{0}}, .out = M(1, 1, -2)},
        {"ReduceMin ints", "ReduceMin", 13, {T(DT_INT8, 3, 5, -7, 3)}, 1, {{0}}, .out = T(DT_INT8, 1, -7)},
        {"ReduceL1", "ReduceL1", 13, {V(2, -3, 2)}, 1, {{0}}, .out = V(1, 5)},
        {"ReduceL1 ints", "ReduceL1", 13, {T(DT_INT32, 2, -3, 2)}, 1, {{0}}, .out = T(DT_INT32, 1, 5)},
        {"ReduceL2", "ReduceL2", 13, {V(2, -3, 4)}, 1, {{0}}, .out = V(1, 5)},
        {"ReduceProd", "ReduceProd", 13, {V(3, 2, 3, 4)}, 1, {{0}}, .out = V(1, 24)},
        {"ReduceLogSum", "ReduceLogSum", 13, {V(2, 1, 1)}, 1, {{0}}, .out = V(1, 0.69314718)},
        {"ReduceLogSumExp large", "ReduceLogSumExp", 13, {V(2, 1000, 1000)}, 1, {{0}}, .out = V(1, 1000.69314718)},
        {"ArgMax first", "ArgMax", 11, {M(2, 3, 1, 7, 7, 9, 1, 2)}, 1, {I("axis", 1)}, .out = {2, {2, 1}, {1, 0}, DT_INT64}},
        {"ArgMax last",
         "ArgMax",
         12,
         {M(2, 3, 1, 7, 7, 9, 1, 2)},
         1,
         {I("axis", -1), I("select_last_index", 1), I("keepdims", 0)},
         .out = T(DT_INT64, 2, 2, 0)},
        {"ArgMin", "ArgMin", 13, {M(2, 2, 4, 2, 3, 5)}, 1, {I("keepdims", 0)}, .out = T(DT_INT64, 2, 1, 0)},
        {"ArgMax of nothing", "ArgMax", 13, {M(0, 2, 0)}, 1, {{0}}, .out = V(1, 0), .fails = true},
    };
    RUN(cases);
}

/* ---- matrix products ---- */

static void test_matrices(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"MatMul", "MatMul", 9, {SQUARE, M(2, 1, 1, 10)}, 2, {{0}}, .out = M(2, 1, 21, 43)},
        {"MatMul vector", "MatMul", 9, {V(2, 1, 10), SQUARE}, 2, {{0}}, .out = V(2, 31, 42)},
        {"MatMul dot", "MatMul", 9, {V(2, 1, 10), V(2, 3, 4)}, 2, {{0}}, .out = SCALAR(43)},
        {"MatMul batch",
         "MatMul",
         9,
         {X(3, D(2, 1, 2), 1, 2, 3, 4), M(2, 1, 1, 10)},
         2,
         {{0}},
         .out = X(3, D(2, 1, 1), 21, 43)},
        {"MatMul mismatch", "MatMul", 9, {SQUARE, V(3, 1, 2, 3)}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Gemm-6 broadcast",
         "Gemm",
         6,
         {SQUARE, SQUARE, V(2, 100, 200)},
         3,
         {I("broadcast", 1)},
         .out = M(2, 2, 107, 210, 115, 222)},
        {"Gemm-7 C by rows", "Gemm", 7, {SQUARE, SQUARE, M(2, 1, 100, 200)}, 3, {{0}}, .out = M(2, 2, 107, 110, 215, 222)},
        {"Gemm-7 without C", "Gemm", 7, {SQUARE, SQUARE}, 2, {{0}}, .out = V(1, 0), .fails = true},
        {"Gemm-11 without C", "Gemm", 11, {SQUARE, SQUARE}, 2, {{0}}, .out = M(2, 2, 7, 10, 15, 22)},
        {"Gemm-13 all",
         "Gemm",
         13,
         {SQUARE, SQUARE, SCALAR(1)},
         3,
         {I("transA", 1), I("transB", 1), F("alpha", 2), F("beta", 3)},
         .out = M(2, 2, 17, 33, 23, 47)},
        {"Gemm does not read C where beta is 0",
         "Gemm",
         13,
         {SQUARE, SQUARE, V(2, NAN, INFINITY)},
         3,
         {F("beta", 0)},
         .out = M(2, 2, 7, 10, 15, 22)},
        {"Gemm C too large", "Gemm", 13, {SQUARE, SQUARE, V(3, 1, 2, 3)}, 3, {{0}}, .out = V(1, 0), .fails = true},
    };
    RUN(cases);
}

/* ---- normalisations ---- */

/* scale 2 1, B 1 0, mean 1 2, variance 4 1: with epsilon 0, (x - 1) * 1 + 1 and x - 2. */
#define BN_PARAMETERS V(2, 2, 1), V(2, 1, 0), V(2, 1, 2), V(2, 4, 1)
#define BN_IN X(3, D(1, 2, 2), 1, 3, 5, 7)
#define BN_OUT X(3, D(1, 2, 2), 1, 3, 3, 5)
#define EPSILON F("epsilon", 0)

static void test_batchnorm(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"BN-6 is_test", "BatchNormalization", 6, {BN_IN, BN_PARAMETERS}, 5, {EPSILON, I("is_test", 1)}, .out = BN_OUT},
        {"BN-6 default",
         "BatchNormalization",
         6,
         {BN_IN, BN_PARAMETERS},
         5,
         {EPSILON},
         .out = BN_OUT,
         .warns = true,
         .n_out = 5},
        {"BN-7", "BatchNormalization", 7, {BN_IN, BN_PARAMETERS}, 5, {EPSILON}, .out = BN_OUT, .run_time = true},
        {"BN-8 by position, with parameters of channels", /* MXNet */
         "BatchNormalization",
         8,
         {BN_IN, BN_PARAMETERS},
         5,
         {EPSILON, I("spatial", 0)},
         .out = BN_OUT},
        {"BN-9", "BatchNormalization", 9, {BN_IN, BN_PARAMETERS}, 5, {EPSILON}, .out = BN_OUT},
        {"BN-15", "BatchNormalization", 15, {BN_IN, BN_PARAMETERS}, 5, {EPSILON}, .out = BN_OUT},
        {"BN-15 training",
         "BatchNormalization",
         15,
         {BN_IN, BN_PARAMETERS},
         5,
         {I("training_mode", 1)},
         .out = BN_OUT,
         .fails = true},
        {"BN-7 by position",
         "BatchNormalization",
         7,
         {X(3, D(2, 1, 2), 1, 3, 5, 7), BN_PARAMETERS},
         5,
         {EPSILON, I("spatial", 0)},
         .out = X(3, D(2, 1, 2), 1, 1, 5, 5)},
        {"BN rank 2", "BatchNormalization", 15, {M(2, 2, 1, 3, 5, 7), BN_PARAMETERS}, 5, {EPSILON}, .out = M(2, 2, 1, 1, 5, 5)},
        {"BN rank 1", "BatchNormalization", 15, {V(2, 1, 3), BN_PARAMETERS}, 5, {EPSILON}, .out = V(1, 0), .fails = true},
        {"BN channels",
         "BatchNormalization",
         15,
         {X(3, D(1, 1, 2), 1, 3), BN_PARAMETERS},
         5,
         {{0}},
         .out = V(1, 0),
         .fails = true},
    };
    RUN(cases);
}

#define E1 0.73105858 /* 1 / (1 + exp(-1)) */
#define E0 0.26894142

static void test_normalisations(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"Softmax-11 row",
         "Softmax",
         11,
         {X(3, D(1, 2, 2), 1, 1, 1, 1)},
         1,
         {{0}},
         .out = X(3, D(1, 2, 2), .25, .25, .25, .25)},
        {"Softmax-11 axis",
         "Softmax",
         11,
         {X(3, D(1, 2, 2), 0, 1, 5, 5)},
         1,
         {I("axis", -1)},
         .out = X(3, D(1, 2, 2), E0, E1, .5, .5)},
        {"Softmax-13", "Softmax", 13, {X(3, D(1, 2, 2), 0, 1, 5, 5)}, 1, {{0}}, .out = X(3, D(1, 2, 2), E0, E1, .5, .5)},
        {"Softmax-13 axis 1",
         "Softmax",
         13,
         {X(3, D(1, 2, 2), 0, 5, 1, 5)},
         1,
         {I("axis", 1)},
         .out = X(3, D(1, 2, 2), E0, .5, E1, .5)},
        {"Softmax large", "Softmax", 13, {V(2, 1e30, 1e30)}, 1, {{0}}, .out = V(2, .5, .5)},
        {"Softmax axis", "Softmax", 13, {V(2, 0, 0)}, 1, {I("axis", 1)}, .out = V(2, 0, 0), .fails = true},
        {"Softmax of nothing", "Softmax", 13, {M(0, 2, 0)}, 1, {{0}}, .out = M(0, 2, 0)},
        {"LogSoftmax-13", "LogSoftmax", 13, {V(2, 1000, 1001)}, 1, {{0}}, .out = V(2, -1.31326169, -0.31326169)},
        {"LogSoftmax-1",
         "LogSoftmax",
         1,
         {X(3, D(1, 1, 2), 0, 0)},
         1,
         {{0}},
         .out = X(3, D(1, 1, 2), -0.69314718, -0.69314718)},
        {"LpNormalization", "LpNormalization", 1, {M(2, 2, 3, 4, 0, 0)}, 1, {{0}}, .out = M(2, 2, .6, .8, 0, 0)},
        {"LpNormalization p 1",
         "LpNormalization",
         1,
         {M(2, 1, -3, 1)},
         1,
         {I("p", 1), I("axis", 0)},
         .out = M(2, 1, -.75, .25)},
        {"LpNormalization p 3", "LpNormalization", 22, {V(1, 1)}, 1, {I("p", 3)}, .out = V(1, 0), .fails = true},
        {"LRN",
         "LRN",
         13,
         {X(3, D(1, 3, 1), 1, 2, 3)},
         1,
         {I("size", 2), F("alpha", 2), F("beta", 1), F("bias", 1)},
         .out = X(3, D(1, 3, 1), 1.0 / 6, 2.0 / 14, 3.0 / 10)},
        {"LRN without size", "LRN", 13, {X(3, D(1, 3, 1), 1, 2, 3)}, 1, {{0}}, .out = V(1, 0), .fails = true},
        {"InstanceNormalization",
         "InstanceNormalization",
         6,
         {X(3, D(1, 2, 2), 1, 3, 5, 9), V(2, 1, 2), V(2, 0, 1)},
         3,
         {EPSILON},
         .out = X(3, D(1, 2, 2), -1, 1, -1, 3)},
        {"LayerNormalization",
         "LayerNormalization",
         17,
         {M(2, 2, 1, 3, 5, 9), V(2, 1, 2)},
         2,
         {EPSILON},
         .out = M(2, 2, -1, 2, -1, 2)},
        {"LayerNormalization axis 0",
         "LayerNormalization",
         17,
         {M(2, 1, 1, 3), M(2, 1, 1, 2), SCALAR(5)},
         3,
         {EPSILON, I("axis", 0)},
         .out = M(2, 1, 4, 7),
         .n_out = 3},
        {"LayerNormalization scale",
         "LayerNormalization",
         17,
         {M(2, 2, 1, 3, 5, 9), M(2, 2, 1, 2)},
         2,
         {{0}},
         .out = V(1, 0),
         .fails = true},
    };
    RUN(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise),    cmocka_unit_test(test_uint64),   cmocka_unit_test(test_activations),
        cmocka_unit_test(test_reductions),     cmocka_unit_test(test_matrices), cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_normalisations), cmocka_unit_test(poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
