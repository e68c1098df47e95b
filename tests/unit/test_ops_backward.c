/* Internal rows of the backward pass: small cases worked out by hand or by another framework, and
   convolutions on random shapes, whose two gradients must be the adjoints of the forward map: sum
   dY conv(X, W) = sum X dX = sum W dW. */
#define _GNU_SOURCE
#include "op_case.h"

#include "poison_case.h"

static void test_conv_input_grad(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"1-D",
         "ConvInputGrad",
         1,
         {X(3, D(1, 1, 2), 1, 10), X(3, D(1, 1, 2), 2, 3)},
         2,
         {L("x_shape", 3, 1, 1, 3)},
         .out = X(3, D(1, 1, 3), 2, 23, 30),
         .domain = "cameo"},
        {"stride and a begin pad",
         "ConvInputGrad",
         1,
         {X(3, D(1, 1, 2), 1, 10), X(3, D(1, 1, 2), 2, 3)},
         2,
         {L("x_shape", 3, 1, 1, 3), L("strides", 1, 2), L("pads", 2, 1, 0)},
         .out = X(3, D(1, 1, 3), 3, 20, 30),
         .domain = "cameo"},
        {"groups",
         "ConvInputGrad",
         1,
         {X(3, D(1, 2, 1), 1, 10), X(3, D(2, 1, 1), 2, 3)},
         2,
         {L("x_shape", 3, 1, 2, 1), I("group", 2)},
         .out = X(3, D(1, 2, 1), 2, 30),
         .domain = "cameo"},
        {"shape",
         "ConvInputGrad",
         1,
         {X(3, D(1, 1, 2), 1, 10), X(3, D(1, 1, 2), 2, 3)},
         2,
         {L("x_shape", 3, 1, 1, 4)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "shape"},
        {"double",
         "ConvInputGrad",
         1,
         {XT(DT_DOUBLE, 3, D(1, 1, 1), 3), XT(DT_DOUBLE, 3, D(1, 1, 2), 2, 3)},
         2,
         {L("x_shape", 3, 1, 1, 2)},
         .out = XT(DT_DOUBLE, 3, D(1, 1, 2), 6, 9),
         .domain = "cameo"},
    };
    RUN(cases);
}

static void test_conv_weight_grad(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"2 images",
         "ConvWeightGrad",
         1,
         {X(3, D(2, 1, 3), 1, 2, 3, 4, 5, 6), X(3, D(2, 1, 2), 1, 10, 100, 1000)},
         2,
         {L("kernel_shape", 1, 2)},
         .out = X(3, D(1, 1, 2), 5421, 6532),
         .domain = "cameo"},
        {"dilation, pads",
         "ConvWeightGrad",
         1,
         {X(3, D(1, 1, 3), 1, 2, 3), X(3, D(1, 1, 3), 1, 10, 100)},
         2,
         {L("kernel_shape", 1, 2), L("dilations", 1, 2), L("pads", 2, 1, 1)},
         .out = X(3, D(1, 1, 2), 210, 32),
         .domain = "cameo"},
        {"group",
         "ConvWeightGrad",
         1,
         {X(3, D(1, 2, 1), 2, 3), X(3, D(1, 4, 1), 1, 10, 100, 1000)},
         2,
         {L("kernel_shape", 1, 1), I("group", 2)},
         .out = X(3, D(4, 1, 1), 2, 20, 300, 3000),
         .domain = "cameo"},
        {"shape",
         "ConvWeightGrad",
         1,
         {X(3, D(1, 2, 1), 2, 3), X(3, D(1, 2, 2), 1, 2, 3, 4)},
         2,
         {L("kernel_shape", 1, 1)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "shape"},
    };
    RUN(cases);
}

static void test_channel_sum(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"rank 2",
         "ChannelSum",
         1,
         {M(2, 3, 1, 2, 3, 10, 20, 30)},
         1,
         {{0}},
         .out = V(3, 11, 22, 33),
         .domain = "cameo"},
        {"rank 3",
         "ChannelSum",
         1,
         {X(3, D(2, 2, 2), 1, 2, 3, 4, 10, 20, 30, 40)},
         1,
         {{0}},
         .out = V(2, 33, 77),
         .domain = "cameo"},
        {"rank 1",
         "ChannelSum",
         1,
         {V(2, 1, 2)},
         1,
         {{0}},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true},
    };
    RUN(cases);
}

/* x = 1 3 | 5 7 in two images of one channel: mean 4, variance 5 (20/3 unbiased). */
#define FOUR X(3, D(2, 1, 2), 1, 3, 5, 7)
#define AWAY(y) (0.44721359549995793 * (y)) /* y / sqrt(5) */

static void test_batchnorm_train(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"plain",
         "BatchNormTrain",
         1,
         {FOUR, V(1, 2), V(1, 1), V(1, 10), V(1, 20)},
         5,
         {F("epsilon", 0)},
         .out = X(3, D(2, 1, 2), 1 + AWAY(-6), 1 + AWAY(-2), 1 + AWAY(2), 1 + AWAY(6)),
         .out1 = V(1, 4),
         .out2 = V(1, AWAY(1)),
         .n_out = 5,
         .domain = "cameo"},
        {"relu",
         "BatchNormTrain",
         1,
         {FOUR, V(1, 2), V(1, 1), V(1, 10), V(1, 20)},
         5,
         {F("epsilon", 0), S("act", "relu")},
         .out = X(3, D(2, 1, 2), 0, 1 + AWAY(-2), 1 + AWAY(2), 1 + AWAY(6)),
         .n_out = 5,
         .domain = "cameo"},
        {"clip",
         "BatchNormTrain",
         1,
         {FOUR, V(1, 2), V(1, 1), V(1, 10), V(1, 20)},
         5,
         {F("epsilon", 0), S("act", "clip"), F("act_min", 0), F("act_max", 3)},
         .out = X(3, D(2, 1, 2), 0, 1 + AWAY(-2), 1 + AWAY(2), 3),
         .n_out = 5,
         .domain = "cameo"},
        {"one number",
         "BatchNormTrain",
         1,
         {X(2, D(1, 1), 1), V(1, 2), V(1, 1), V(1, 10), V(1, 20)},
         5,
         {{0}},
         .out = V(1, 0),
         .n_out = 5,
         .domain = "cameo",
         .fails = true,
         .says = "--batch"},
        {"channels",
         "BatchNormTrain",
         1,
         {FOUR, V(2, 2, 2), V(1, 1), V(1, 10), V(1, 20)},
         5,
         {{0}},
         .out = V(1, 0),
         .n_out = 5,
         .domain = "cameo",
         .fails = true,
         .says = "channels"},
    };
    RUN(cases);
}

/* One node with inputs of these numbers and shapes, evaluated; results[i] is output i. */
typedef struct single {
    arena *a;
    diag d;
    graph *g;
    node *n;
    tensor *in[6], *out[8];
} single;

static void single_open(single *s, const char *op, const char *domain, size_t n_in,
                        const shape *shapes, size_t n_out) {
    value *in[6] = {NULL}, *out[8];
    s->a = arena_create();
    s->d = (diag){.arena = s->a, .file = "test"};
    s->g = graph_create(s->a, &s->d);
    for (size_t i = 0; i < n_in; i++) {
        in[i] = graph_add_value(s->g, NULL);
        in[i]->type = DT_DOUBLE, in[i]->shape = shapes[i], in[i]->shaped = true;
        s->in[i] = tensor_new(s->a, DT_DOUBLE, &shapes[i]);
    }
    for (size_t i = 0; i < n_out; i++) out[i] = graph_add_value(s->g, NULL);
    s->n = graph_add_node(s->g, op, domain, in, n_in, out, n_out);
    s->n->opset = domain[0] ? 1 : 17;
    s->n->op = op_find(domain, op, s->n->opset, NULL);
}

static void single_run(single *s) {
    const char *why = "?";
    if (!s->n->op->infer(s->g, s->n)) fail_msg("%s: %s", s->n->op_type, s->d.first->message);
    for (size_t i = 0; i < s->n->n_out; i++)
        s->out[i] = tensor_new(s->a, DT_DOUBLE, &s->n->out[i]->shape);
    if (!s->n->op->reference(s->a, s->n, (const tensor *const *)s->in, s->out, &why))
        fail_msg("%s: %s", s->n->op_type, why);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void) {
    random_state ^= random_state << 13, random_state ^= random_state >> 7,
        random_state ^= random_state << 17;
    return random_state;
}
static int64_t below(int64_t n) { return (int64_t)(random_bits() % (uint64_t)n); }

static void fill(tensor *t) {
    for (int64_t i = 0; i < shape_count(&t->shape); i++)
        tensor_set(t, i, (double)below(2001) / 1000 - 1);
}

static double dot(const tensor *a, const tensor *b) {
    double sum = 0;
    assert_true(shape_equal(&a->shape, &b->shape));
    for (int64_t i = 0; i < shape_count(&a->shape); i++) sum += tensor_get(a, i) * tensor_get(b, i);
    return sum;
}

/* The new statistics, which a row case does not reach. */
static void test_running_statistics(void **state) {
    (void)state;
    const shape x = {.rank = 3, .dim = {2, 1, 2}}, one = {.rank = 1, .dim = {1}};
    single s;
    single_open(&s, "BatchNormTrain", "cameo", 5, (const shape[]){x, one, one, one, one}, 5);
    for (int i = 0; i < 4; i++) tensor_set(s.in[0], i, 1 + 2 * i);
    tensor_set(s.in[1], 0, 1), tensor_set(s.in[3], 0, 10), tensor_set(s.in[4], 0, 20);
    node_set_float(s.g, s.n, "momentum", 0.75f);
    single_run(&s);
    assert_true(fabs(tensor_get(s.out[3], 0) - (0.75 * 10 + 0.25 * 4)) < 1e-12);
    assert_true(fabs(tensor_get(s.out[4], 0) - (0.75 * 20 + 0.25 * 20 / 3)) < 1e-12);
    arena_destroy(s.a);
}

/* Of the same x: dX sums to 0 and is orthogonal to x, whatever dY is. */
static void test_batchnorm_grad(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"plain",
         "BatchNormGrad",
         1,
         {X(3, D(2, 1, 2), 1, 0, 0, 0), FOUR, V(1, 2), V(1, 4), V(1, AWAY(1))},
         5,
         {{0}},
         .out = X(3, D(2, 1, 2), AWAY(0.6), AWAY(-0.8), AWAY(-0.2), AWAY(0.4)),
         .out1 = V(1, AWAY(-3)),
         .out2 = V(1, 1),
         .n_out = 3,
         .domain = "cameo"},
        {"activation without Y",
         "BatchNormGrad",
         1,
         {FOUR, FOUR, V(1, 2), V(1, 4), V(1, 1)},
         5,
         {S("act", "relu")},
         .out = V(1, 0),
         .n_out = 3,
         .domain = "cameo",
         .fails = true,
         .says = "activation"},
        {"channels",
         "BatchNormGrad",
         1,
         {FOUR, FOUR, V(2, 2, 2), V(1, 4), V(1, 1)},
         5,
         {{0}},
         .out = V(1, 0),
         .n_out = 3,
         .domain = "cameo",
         .fails = true,
         .says = "channels"},
    };
    RUN(cases);
}

/* A masked gradient is that of dY with zeros where Y is 0 or at a bound; dR is that dY. */
static void test_batchnorm_grad_mask(void **state) {
    (void)state;
    const shape x = {.rank = 3, .dim = {2, 1, 2}}, one = {.rank = 1, .dim = {1}};
    static const double y[] = {0, 0.5, 6, 2}, dy[] = {3, 5, 7, 11};
    for (int clip = 0; clip < 2; clip++) {
        single s, plain;
        single_open(&s, "BatchNormGrad", "cameo", 6, (const shape[]){x, x, one, one, one, x}, 4);
        single_open(&plain, "BatchNormGrad", "cameo", 5, (const shape[]){x, x, one, one, one}, 3);
        for (int i = 0; i < 4; i++) {
            const bool passes = y[i] > 0 && (!clip || y[i] < 6);
            tensor_set(s.in[0], i, dy[i]), tensor_set(plain.in[0], i, passes ? dy[i] : 0);
            tensor_set(s.in[1], i, i * i), tensor_set(plain.in[1], i, i * i);
            tensor_set(s.in[5], i, y[i]);
        }
        for (int i = 2; i < 5; i++) tensor_set(s.in[i], 0, i), tensor_set(plain.in[i], 0, i);
        node_set_string(s.g, s.n, "act", clip ? "clip" : "relu");
        if (clip) node_set_float(s.g, s.n, "act_min", 0), node_set_float(s.g, s.n, "act_max", 6);
        single_run(&s), single_run(&plain);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(s.out[i]->data, plain.out[i]->data, tensor_bytes(plain.out[i]));
        assert_memory_equal(s.out[3]->data, plain.in[0]->data, tensor_bytes(plain.in[0]));
        arena_destroy(s.a), arena_destroy(plain.a);
    }
}

static void dropped(single *s, int64_t seed, int64_t id) {
    single_open(s, "DropoutTrain", "cameo", 2,
                (const shape[]){{.rank = 2, .dim = {40, 50}}, {.rank = 1, .dim = {1}}}, 1);
    s->n->in[1]->type = DT_INT64;
    s->in[1] = tensor_new(s->a, DT_INT64, &s->n->in[1]->shape);
    ((int64_t *)s->in[1]->data)[0] = seed;
    for (int64_t i = 0; i < 2000; i++) tensor_set(s->in[0], i, 1);
    node_set_float(s->g, s->n, "ratio", 0.25f);
    node_set_int(s->g, s->n, "id", id);
    single_run(s);
}

/* A quarter is dropped, the rest grows by 4/3; seed and id decide which. */
static void test_dropout_train(void **state) {
    (void)state;
    single s, same, other_seed, other_id;
    dropped(&s, 7, 1), dropped(&same, 7, 1), dropped(&other_seed, 8, 1), dropped(&other_id, 7, 2);
    int zeros = 0, seeds = 0, ids = 0;
    for (int64_t i = 0; i < 2000; i++) {
        const double v = tensor_get(s.out[0], i);
        assert_true(v == 0 || fabs(v - 4.0 / 3) < 1e-12);
        zeros += v == 0;
        seeds += v == tensor_get(other_seed.out[0], i);
        ids += v == tensor_get(other_id.out[0], i);
    }
    assert_in_range(zeros, 440, 560);
    assert_in_range(seeds, 1150, 1350); /* 5/8 by chance */
    assert_in_range(ids, 1150, 1350);
    assert_memory_equal(s.out[0]->data, same.out[0]->data, tensor_bytes(s.out[0]));
    arena_destroy(s.a), arena_destroy(same.a), arena_destroy(other_seed.a),
        arena_destroy(other_id.a);
}

static void test_pool_grad(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"max, overlapping; of equals the first",
         "MaxPoolGrad",
         1,
         {X(3, D(1, 1, 4), 1, 10, 100, 1000), X(3, D(1, 1, 5), 2, 5, 5, 1, 1)},
         2,
         {L("kernel_shape", 1, 2)},
         .out = X(3, D(1, 1, 5), 0, 11, 100, 1000, 0),
         .domain = "cameo"},
        {"max, ceil_mode and pads",
         "MaxPoolGrad",
         1,
         {X(3, D(1, 1, 3), 1, 10, 100), X(3, D(1, 1, 4), 1, 2, 3, 4)},
         2,
         {L("kernel_shape", 1, 2), L("strides", 1, 2), L("pads", 2, 1, 0), I("ceil_mode", 1)},
         .out = X(3, D(1, 1, 4), 1, 0, 10, 100),
         .domain = "cameo"},
        {"max, dilated",
         "MaxPoolGrad",
         1,
         {X(3, D(1, 1, 1), 3), X(3, D(1, 1, 3), 1, 9, 1)},
         2,
         {L("kernel_shape", 1, 2), L("dilations", 1, 2)},
         .out = X(3, D(1, 1, 3), 3, 0, 0),
         .domain = "cameo"},
        {"max, NaN",
         "MaxPoolGrad",
         1,
         {X(3, D(1, 1, 1), 3), X(3, D(1, 1, 3), 1, NAN, 9)},
         2,
         {L("kernel_shape", 1, 3)},
         .out = X(3, D(1, 1, 3), 0, 3, 0),
         .domain = "cameo"},
        {"max, shape",
         "MaxPoolGrad",
         1,
         {X(3, D(1, 1, 1), 3), X(3, D(1, 1, 3), 1, 2, 9)},
         2,
         {L("kernel_shape", 1, 2)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "shape"},
        {"average, pads not counted",
         "AveragePoolGrad",
         1,
         {X(3, D(1, 1, 2), 6, 60)},
         1,
         {L("x_shape", 3, 1, 1, 3), L("kernel_shape", 1, 3), L("strides", 1, 2),
          L("pads", 2, 1, 1)},
         .out = X(3, D(1, 1, 3), 3, 33, 30),
         .domain = "cameo"},
        {"average, pads counted",
         "AveragePoolGrad",
         1,
         {X(3, D(1, 1, 2), 6, 60)},
         1,
         {L("x_shape", 3, 1, 1, 3), L("kernel_shape", 1, 3), L("strides", 1, 2), L("pads", 2, 1, 1),
          I("count_include_pad", 1)},
         .out = X(3, D(1, 1, 3), 2, 22, 20),
         .domain = "cameo"},
        {"average, ceil_mode",
         "AveragePoolGrad",
         1,
         {X(3, D(1, 1, 2), 6, 60)},
         1,
         {L("x_shape", 3, 1, 1, 3), L("kernel_shape", 1, 2), L("strides", 1, 2), I("ceil_mode", 1)},
         .out = X(3, D(1, 1, 3), 3, 3, 60),
         .domain = "cameo"},
        {"global average",
         "GlobalAveragePoolGrad",
         1,
         {X(4, D(1, 2, 1, 1), 8, 80)},
         1,
         {L("x_shape", 4, 1, 2, 2, 2)},
         .out = X(4, D(1, 2, 2, 2), 2, 2, 2, 2, 20, 20, 20, 20),
         .domain = "cameo"},
        {"global average, shape",
         "GlobalAveragePoolGrad",
         1,
         {X(4, D(1, 2, 1, 2), 8, 80, 1, 2)},
         1,
         {L("x_shape", 4, 1, 2, 2, 2)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "shape"},
    };
    RUN(cases);
}

/* Numbers by PyTorch. */
static void test_standardize(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"last axis",
         "Standardize",
         1,
         {X(3, D(1, 2, 3), 1, 2, 4, 3, 5, -1)},
         1,
         {I("first", 2), F("epsilon", 0)},
         .out = X(3, D(1, 2, 3), -1.0690449676, -0.2672612419, 1.3363062096, 0.2672612419,
                  1.0690449676, -1.3363062096),
         .domain = "cameo"},
        {"gradient",
         "StandardizeGrad",
         1,
         {X(3, D(1, 2, 3), 1, 2, 4, 3, 5, -1), X(3, D(1, 2, 3), 1, -2, 0.5, 3, 0, 2)},
         2,
         {I("first", 2), F("epsilon", 0)},
         .out = X(3, D(1, 2, 3), 0.9735945241, -1.4603917862, 0.4867972621, 0.6013377943,
                  -0.4008918629, -0.2004459314),
         .domain = "cameo"},
        {"axes",
         "Standardize",
         1,
         {V(2, 1, 2)},
         1,
         {I("first", 1)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "range"},
    };
    RUN(cases);
}

static void test_lrn_grad(void **state) {
    (void)state;
    static const row_case cases[] = {
        {"an even window",
         "LRNGrad",
         1,
         {X(3, D(1, 4, 1), 1, 2, 3, -1), X(3, D(1, 4, 1), 1, 2, -3, 4)},
         2,
         {I("size", 2), F("alpha", 0.5)},
         .out = X(3, D(1, 4, 1), 0.4536092116, 0.2557582368, 0.7206227643, 0.4812602625),
         .domain = "cameo"},
        {"channels",
         "LRNGrad",
         1,
         {X(2, D(0, 20000), 0), X(2, D(0, 20000), 0)},
         2,
         {I("size", 2)},
         .out = V(1, 0),
         .domain = "cameo",
         .fails = true,
         .says = "channels"},
    };
    RUN(cases);
}

/* ---- adjoints ---- */

typedef struct geometry {
    int rank;
    int64_t kernel[3], stride[3], dilation[3], pad[6], group;
    shape x, w;
} geometry;

static geometry random_geometry(void) {
    geometry q = {.rank = 1 + (int)below(3), .group = 1 + below(3)};
    q.x.rank = q.w.rank = q.rank + 2;
    q.x.dim[0] = 1 + below(3), q.x.dim[1] = q.group * (1 + below(3));
    q.w.dim[0] = q.group * (1 + below(3)), q.w.dim[1] = q.x.dim[1] / q.group;
    for (int i = 0; i < q.rank; i++) {
        q.kernel[i] = q.w.dim[2 + i] = 1 + below(3);
        q.stride[i] = 1 + below(3), q.dilation[i] = 1 + below(2);
        q.pad[i] = below(3), q.pad[q.rank + i] = below(3);
        q.x.dim[2 + i] = (q.kernel[i] - 1) * q.dilation[i] + 1 + below(4);
    }
    return q;
}

static void set_geometry(single *s, const geometry *q) {
    const size_t rank = (size_t)q->rank;
    node_set_ints(s->g, s->n, "kernel_shape", q->kernel, rank);
    node_set_ints(s->g, s->n, "strides", q->stride, rank);
    node_set_ints(s->g, s->n, "dilations", q->dilation, rank);
    node_set_ints(s->g, s->n, "pads", q->pad, 2 * rank);
    node_set_ints(s->g, s->n, "x_shape", q->x.dim, rank + 2);
    node_set_int(s->g, s->n, "group", q->group);
}

static void take(single *s, size_t i, const tensor *t) {
    memcpy(s->in[i]->data, t->data, tensor_bytes(t));
}

static void test_conv_adjoints(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        const geometry q = random_geometry();
        single y, dx, dw;
        single_open(&y, "Conv", "", 2, (const shape[]){q.x, q.w}, 1);
        fill(y.in[0]), fill(y.in[1]);
        set_geometry(&y, &q);
        single_run(&y);
        const shape out = y.out[0]->shape;
        single_open(&dx, "ConvInputGrad", "cameo", 2, (const shape[]){out, q.w}, 1);
        fill(dx.in[0]), take(&dx, 1, y.in[1]);
        set_geometry(&dx, &q);
        single_run(&dx);
        single_open(&dw, "ConvWeightGrad", "cameo", 2, (const shape[]){q.x, out}, 1);
        take(&dw, 0, y.in[0]), take(&dw, 1, dx.in[0]);
        set_geometry(&dw, &q);
        single_run(&dw);
        const double want = dot(y.out[0], dx.in[0]);
        assert_true(fabs(dot(y.in[0], dx.out[0]) - want) < 1e-9 * (1 + fabs(want)));
        assert_true(fabs(dot(y.in[1], dw.out[0]) - want) < 1e-9 * (1 + fabs(want)));
        arena_destroy(y.a), arena_destroy(dx.a), arena_destroy(dw.a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_input_grad),
        cmocka_unit_test(test_conv_weight_grad),
        cmocka_unit_test(test_channel_sum),
        cmocka_unit_test(test_batchnorm_train),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_batchnorm_grad),
        cmocka_unit_test(test_batchnorm_grad_mask),
        cmocka_unit_test(test_dropout_train),
        cmocka_unit_test(test_pool_grad),
        cmocka_unit_test(test_standardize),
        cmocka_unit_test(test_lrn_grad),
        cmocka_unit_test(test_conv_adjoints),
        cmocka_unit_test(poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
