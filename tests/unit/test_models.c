/* `cameo new`: published parameter counts, the writer's bytes, reproducible weights, input sizes,
   the command's errors. */
#include "../../models/models.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/verbs/cli.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    const char *name;
    uint64_t parameters;
} published[] = {
    {"alexnet", 61100840},      {"vgg11", 132863336},       {"vgg13", 133047848},
    {"vgg16", 138357544},       {"vgg19", 143667240},       {"vgg11-bn", 132868840},
    {"vgg13-bn", 133053736},    {"vgg16-bn", 138365992},    {"vgg19-bn", 143678248},
    {"resnet18", 11689512},     {"resnet34", 21797672},     {"resnet50", 25557032},
    {"resnet101", 44549160},    {"resnet152", 60192808},    {"densenet121", 7978856},
    {"densenet169", 14149480},  {"densenet201", 20013928},  {"mobilenet-v1", 4231976},
    {"mobilenet-v2", 3504872},  {"mobilefacenet", 1003136}, {"iresnet18", 24025600},
    {"iresnet34", 34139328},    {"iresnet50", 43590848},    {"iresnet100", 65156160},
    {"sphereface20", 24501952},
};

static uint64_t parameters_of(const char *name, model_request request) {
    const architecture *arch = architecture_find(name);
    assert_non_null(arch);
    builder *b = architecture_build(arch, &request);
    assert_null(builder_problem(b));
    uint64_t n = builder_parameters(b);
    builder_destroy(b);
    return n;
}

static void parameter_counts_are_the_published_ones(void **state) {
    (void)state;
    assert_int_equal(COUNT(published), n_architectures);
    for (size_t i = 0; i < COUNT(published); i++)
        assert_int_equal(parameters_of(published[i].name, (model_request){0}),
                         published[i].parameters);
}

/* torchvision's counts for other widths and classes. */
static void options_change_counts_as_published(void **state) {
    (void)state;
    assert_int_equal(parameters_of("mobilenet-v2", (model_request){.width_factor = 0.5}), 1968680);
    assert_int_equal(parameters_of("mobilenet-v2", (model_request){.width_factor = 1.4}), 6108776);
    assert_int_equal(parameters_of("mobilenet-v1", (model_request){.width_factor = 0.25}), 470072);
    assert_int_equal(parameters_of("resnet50", (model_request){.width_factor = 0.25}), 1993976);
    assert_int_equal(parameters_of("densenet121", (model_request){.width_factor = 0.25}), 709064);
    assert_int_equal(parameters_of("vgg11-bn", (model_request){.width_factor = 0.5}), 34246504);
    assert_int_equal(parameters_of("resnet18", (model_request){.classes = 126}),
                     11689512 - 513 * 874);
    assert_int_equal(parameters_of("vgg16", (model_request){.height = 64, .width = 64}), 138357544);
    assert_int_equal(parameters_of("alexnet", (model_request){.height = 160, .width = 131}),
                     61100840);
    assert_int_equal(parameters_of("iresnet18", (model_request){.embedding_size = 128}),
                     24025600 - 384 * (25088 + 3));
}

/* The names in a model: all distinct, every input produced before its use. */
static void every_graph_is_well_formed(void **state) {
    (void)state;
    for (size_t i = 0; i < n_architectures; i++) {
        builder *b = architecture_build(&architectures[i], &(model_request){0});
        const onnx_model *m = builder_model(b, architectures[i].name);
        for (size_t n = 0; n < m->n_nodes; n++)
            for (size_t k = 0; k < m->nodes[n].n_inputs; k++) {
                const char *name = m->nodes[n].inputs[k];
                bool found = strcmp(name, "input") == 0;
                for (size_t p = 0; p < n && !found; p++)
                    found = strcmp(m->nodes[p].outputs[0], name) == 0;
                for (size_t p = 0; p < m->n_initializers && !found; p++)
                    found = strcmp(m->initializers[p].name, name) == 0;
                if (!found) fail_msg("%s: %s has no producer", architectures[i].name, name);
            }
        for (size_t p = 0; p < m->n_initializers; p++)
            for (size_t q = 0; q < p; q++)
                assert_string_not_equal(m->initializers[p].name, m->initializers[q].name);
        assert_true(onnx_export_size(m) > 4 * builder_parameters(b));
        builder_destroy(b);
    }
}

static unsigned char *bytes_of(const char *name, uint64_t seed, size_t *size) {
    builder *b = architecture_build(architecture_find(name),
                                    &(model_request){.classes = 10, .seed = seed});
    unsigned char *data = onnx_export_memory(builder_model(b, name), size);
    assert_non_null(data);
    builder_destroy(b);
    return data;
}

static void the_same_seed_gives_the_same_bytes(void **state) {
    (void)state;
    size_t n1, n2, n3;
    unsigned char *a = bytes_of("mobilefacenet", 7, &n1), *b = bytes_of("mobilefacenet", 7, &n2),
                  *c = bytes_of("mobilefacenet", 8, &n3);
    assert_int_equal(n1, n2);
    assert_int_equal(n1, n3);
    assert_memory_equal(a, b, n1);
    assert_memory_not_equal(a, c, n1);
    free(a);
    free(b);
    free(c);
}

static double moment(const float *x, size_t n, double about, int power) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += pow((double)x[i] - about, power);
    return sum / (double)n;
}

static void draws_have_the_stated_distribution(void **state) {
    (void)state;
    enum { N = 200001 }; /* odd: a pair of deviates is cut */
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    init_fill(init_normal(0.5), 1, 2, N, (unsigned char *)x);
    assert_true(fabs(moment(x, N, 0, 1)) < 0.005);
    assert_true(fabs(moment(x, N, 0, 2) - 0.25) < 0.003);
    assert_true(fabs(moment(x, N, 0, 4) - 3 * 0.0625) < 0.006);
    init_fill(init_uniform(2), 1, 3, N, (unsigned char *)x);
    assert_true(fabs(moment(x, N, 0, 1)) < 0.012);
    assert_true(fabs(moment(x, N, 0, 2) - 4.0 / 3) < 0.015);
    for (size_t i = 0; i < N; i++) assert_true(x[i] >= -2 && x[i] <= 2);
    free(x);
}

static size_t scales(const char *name, const char *ending, float residual_scale) {
    model_request request = {
        .classes = 10, .residual_scale = residual_scale, .has_residual_scale = true};
    builder *b = architecture_build(architecture_find(name), &request);
    const onnx_model *m = builder_model(b, name);
    size_t found = 0;
    for (size_t i = 0; i < m->n_initializers; i++) {
        const char *dot = strchr(m->initializers[i].name, '.'); /* layerS.B.bnK.weight */
        if (!dot || !strstr(dot, ".bn") || !strstr(dot, ".weight")) continue;
        float first;
        m->initializers[i].fill(&m->initializers[i], 1, (unsigned char *)&first);
        assert_true(first == (strstr(dot, ending) ? residual_scale : 1));
        found += strstr(dot, ending) != NULL;
    }
    builder_destroy(b);
    return found;
}

/* The last BatchNormalization of every residual branch, and no other. */
static void residual_scales_reach_every_branch(void **state) {
    (void)state;
    assert_int_equal(scales("resnet18", ".bn2.weight", 0.25F), 8);
    assert_int_equal(scales("resnet50", ".bn3.weight", 0.25F), 16);
    assert_int_equal(scales("iresnet18", ".bn3.weight", 0), 8);
}

/* Fixed for ever: these values are what makes a seed mean the same model on every machine. */
static void draws_are_fixed(void **state) {
    (void)state;
    float x[4], y[4];
    init_fill(init_uniform(1), 0, 0, 4, (unsigned char *)x);
    init_fill(init_normal(1), 0, 0, 4, (unsigned char *)y);
    const float uniform[4] = {0x1.ed5018p-1f, -0x1.fcd9c8p-5f, -0x1.57ae48p-1f, -0x1.bd75c4p-2f},
                normal[4] = {-0x1.8198p-3f, 0x1.30ep-5f, -0x1.8a8p-2f, 0x1.dc61p+0f};
    for (int i = 0; i < 4; i++) {
        assert_true(x[i] == uniform[i]);
        assert_true(y[i] == normal[i]);
    }
}

static void inputs_that_do_not_fit_are_named(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t size;
        bool fits;
    } cases[] = {{"alexnet", 62, false},    {"alexnet", 63, true},     {"vgg16", 31, false},
                 {"vgg16", 32, true},       {"resnet18", 1, true},     {"densenet121", 28, false},
                 {"densenet121", 29, true}, {"mobilefacenet", 1, true}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        model_request r = {.height = cases[i].size, .width = cases[i].size};
        builder *b = architecture_build(architecture_find(cases[i].name), &r);
        if ((builder_problem(b) == NULL) != cases[i].fits)
            fail_msg("%s at %d", cases[i].name, (int)cases[i].size);
        if (!cases[i].fits) assert_non_null(strstr(builder_problem(b), "too small"));
        builder_destroy(b);
    }
}

static void models_past_two_gigabytes_are_refused(void **state) {
    (void)state;
    builder *b = architecture_build(architecture_find("vgg16"),
                                    &(model_request){.classes = 1000000});
    size_t size;
    assert_null(onnx_export_memory(builder_model(b, "vgg16"), &size));
    assert_int_equal(size, 0);
    builder_destroy(b);
}

/* One node; protobuf's own serializer gives the same bytes for this model. */
static void wire_bytes_are_exact(void **state) {
    (void)state;
    const char *in[] = {"a"}, *out[] = {"b"};
    onnx_dim dim = {.symbol = "N"};
    onnx_node relu = {
        .op = "Relu", .name = "r", .inputs = in, .outputs = out, .n_inputs = 1, .n_outputs = 1};
    onnx_value a = {"a", ONNX_FLOAT32, 1, &dim}, b = {"b", ONNX_FLOAT32, 1, &dim};
    onnx_model m = {.producer = "p",
                    .producer_version = "v",
                    .graph_name = "g",
                    .nodes = &relu,
                    .n_nodes = 1,
                    .inputs = &a,
                    .n_inputs = 1,
                    .outputs = &b,
                    .n_outputs = 1};
    static const unsigned char expected[] = {
        0x08, 0x08, 0x12, 0x01, 0x70, 0x1a, 0x01, 0x76, 0x3a, 0x38, 0x0a, 0x0f, 0x0a, 0x01, 0x61,
        0x12, 0x01, 0x62, 0x1a, 0x01, 0x72, 0x22, 0x04, 0x52, 0x65, 0x6c, 0x75, 0x12, 0x01, 0x67,
        0x5a, 0x10, 0x0a, 0x01, 0x61, 0x12, 0x0b, 0x0a, 0x09, 0x08, 0x01, 0x12, 0x05, 0x0a, 0x03,
        0x12, 0x01, 0x4e, 0x62, 0x10, 0x0a, 0x01, 0x62, 0x12, 0x0b, 0x0a, 0x09, 0x08, 0x01, 0x12,
        0x05, 0x0a, 0x03, 0x12, 0x01, 0x4e, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x11};
    size_t size;
    unsigned char *data = onnx_export_memory(&m, &size);
    assert_non_null(data);
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(data, expected, size);
    free(data);
}

static int run(const char *line) {
    char copy[512], *argv[16];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *p = strtok(copy, " "); p && argc < 16; p = strtok(NULL, " ")) argv[argc++] = p;
    return cli_main(&cli_new, argc, argv);
}

static void the_command_checks_its_arguments(void **state) {
    (void)state;
    static const char *wrong[] = {"new",
                                  "new resnet18",
                                  "new resnet19 -o x.onnx",
                                  "new resnet18 vgg16 -o x.onnx",
                                  "new resnet18 -o x.onnx --classes 0",
                                  "new resnet18 -o x.onnx --classes 10x",
                                  "new resnet18 -o x.onnx --input 3x112",
                                  "new resnet18 -o x.onnx --input 3x112x-1",
                                  "new resnet18 -o x.onnx --input 3x112x99999999999999999999",
                                  "new alexnet -o x.onnx --width 0.5",
                                  "new resnet18 -o x.onnx --residual-scale 2",
                                  "new resnet18 -o x.onnx --residual-scale 0.5 --statistics random",
                                  "new mobilenet-v2 -o x.onnx --residual-scale 0",
                                  "new resnet18 -o x.onnx --embedding-size 128",
                                  "new mobilefacenet -o x.onnx --classes 10",
                                  "new mobilenet-v2 -o x.onnx --width nan",
                                  "new resnet18 -o x.onnx --seed -1",
                                  "new resnet18 -o",
                                  "new resnet18 --frobnicate -o x.onnx"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (run(wrong[i]) != 2) fail_msg("%s", wrong[i]);
    assert_int_equal(run("new vgg16 --input 3x16x16 -o x.onnx"), 1);
    assert_int_equal(run("new mobilefacenet -o /nonexistent/folder/x.onnx"), 4);
    assert_int_equal(access("x.onnx", F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(options_change_counts_as_published),
        cmocka_unit_test(every_graph_is_well_formed),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(draws_have_the_stated_distribution),
        cmocka_unit_test(draws_are_fixed),
        cmocka_unit_test(residual_scales_reach_every_branch),
        cmocka_unit_test(inputs_that_do_not_fit_are_named),
        cmocka_unit_test(models_past_two_gigabytes_are_refused),
        cmocka_unit_test(wire_bytes_are_exact),
        cmocka_unit_test(the_command_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
