/* The ONNX importer on good models: every tensor encoding, the rules of graphs and functions. */
#include "import_model.h"

/* ---- encodings ---- */

typedef struct encoding {
    const char *name;
    int type;
    unsigned field; /* 9 raw_data, else the typed field, packed */
    const char *bytes;
    size_t size;
    double want[3];
} encoding;

static const encoding encodings[] = {
    {"float raw", 1, 9, B("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f"), {1, -2, 0.5}},
    {"float typed", 1, 4, B("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f"), {1, -2, 0.5}},
    {"double raw",
     11,
     9,
     B("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\xe0\x3f"),
     {1, -2, 0.5}},
    {"double typed",
     11,
     10,
     B("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\xe0\x3f"),
     {1, -2, 0.5}},
    {"float16 raw", 10, 9, B("\0\x3c\0\xc0\0\x38"), {1, -2, 0.5}},
    {"float16 typed", 10, 5, B("\x80\x78\x80\x80\x03\x80\x70"), {1, -2, 0.5}},
    {"bfloat16 raw", 16, 9, B("\x80\x3f\0\xc0\0\x3f"), {1, -2, 0.5}},
    {"bfloat16 typed", 16, 5, B("\x80\x7f\x80\x80\x03\x80\x7e"), {1, -2, 0.5}},
    {"bool raw", 9, 9, B("\1\0\7"), {1, 0, 1}},
    {"bool typed", 9, 5, B("\1\0\7"), {1, 0, 1}},
    {"int8 raw", 3, 9, B("\1\xff\x80"), {1, -1, -128}},
    {"int8 typed",
     3,
     5,
     B("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x80\xff\xff\xff\xff\xff\xff\xff\xff\1"),
     {1, -1, -128}},
    {"uint8 typed", 2, 5, B("\1\xff\1\x80\1"), {1, 255, 128}},
    {"uint8 raw", 2, 9, B("\1\xff\x80"), {1, 255, 128}},
    {"int16 raw", 5, 9, B("\1\0\xff\xff\0\x80"), {1, -1, -32768}},
    {"uint16 typed", 4, 5, B("\1\xff\xff\3\x80\x80\2"), {1, 65535, 32768}},
    {"int32 raw", 6, 9, B("\1\0\0\0\xff\xff\xff\xff\0\0\0\x80"), {1, -1, -2147483648.0}},
    {"int32 typed", 6, 5, B("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2"), {1, -1, 2}},
    {"int64 raw",
     7,
     9,
     B("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0\0\0\0\0\0"),
     {1, -1, 2}},
    {"int64 typed", 7, 7, B("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2"), {1, -1, 2}},
    {"uint32 typed", 12, 11, B("\1\xff\xff\xff\xff\x0f\2"), {1, 4294967295.0, 2}},
    {"uint64 typed", 13, 11, B("\1\xff\xff\xff\xff\x0f\2"), {1, 4294967295.0, 2}},
    {"uint64 raw",
     13,
     9,
     B("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\2\0\0\0\0\0\0\0"),
     {1, 4294967295.0, 2}},
};

static void test_encodings(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        text t = {0};
        put_tensor_head(&t, encodings[i].name, encodings[i].type, (int64_t[]){3}, 1);
        put_bytes(&t, encodings[i].field, encodings[i].bytes, encodings[i].size);
        put_message(&s.graph, 5, &t);
    }
    put_output(&s.graph, "float raw");
    graph *g = import_spec(&s);
    if (!g) fail_msg("%s", text_str(&report));
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        const value *v = graph_find_value(g, encodings[i].name);
        assert_int_equal(v->constant->type, encodings[i].type);
        for (int k = 0; k < 3; k++)
            if (tensor_get(v->constant, k) != encodings[i].want[k])
                fail_msg("%s[%d] = %g", encodings[i].name, k, tensor_get(v->constant, k));
    }
}

static void test_unpacked_numbers(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    text t = {0};
    put_tensor_head(&t, "w", 7, (int64_t[]){2}, 1);
    put_int(&t, 7, 5);
    put_int(&t, 7, -6);
    put_message(&s.graph, 5, &t);
    put_output(&s.graph, "w");
    graph *g = import_spec(&s);
    assert_non_null(g);
    assert_int_equal(tensor_get_int(graph_find_value(g, "w")->constant, 1), -6);
}

/* ---- what good models become ---- */

static void put_number(text *g, const char *name, const char *bytes) {
    text t = {0};
    put_tensor_head(&t, name, 1, (int64_t[]){1}, 1);
    put_bytes(&t, 9, bytes, 4);
    put_message(g, 5, &t);
}

/* Tools that merge files repeat initializers. */
static void test_same_initializer_twice(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17}, other = {.ir = 8, .opset = 17};
    for (int i = 0; i < 2; i++)
        put_number(&s.graph, "w", "\0\0\x80\x3f"),
            put_number(&other.graph, "w", i ? "\0\0\0\x3f" : "\0\0\0\0");
    put_output(&s.graph, "w");
    put_output(&other.graph, "w");
    assert_non_null(import_spec(&s));
    assert_null(import_spec(&other));
    expect_message("has two initializers \"w\" that differ");
}

static void test_unsorted(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    put_input(&s.graph, "x");
    put_node(&s.graph, "Relu", "b", "y");
    put_node(&s.graph, "Abs", "a", "b");
    put_node(&s.graph, "Neg", "x", "a");
    put_output(&s.graph, "y");
    graph *g = import_spec(&s);
    assert_non_null(g);
    assert_string_equal(g->nodes[0]->op_type, "Neg");
    assert_int_equal(g->nodes[0]->index, 2);
    assert_string_equal(g->nodes[2]->op_type, "Relu");
    assert_int_equal(g->nodes[2]->opset, 17);
    assert_int_equal(strlen(g->hash), 64);
}

static void initializer_as_input(int ir, size_t warnings) {
    spec s = {.ir = ir, .opset = 6};
    text t = {0};
    put_tensor_head(&t, "w", 1, (int64_t[]){1}, 1);
    put_bytes(&t, 9, "\0\0\0\0", 4);
    put_message(&s.graph, 5, &t);
    put_input(&s.graph, "x");
    put_input(&s.graph, "w");
    put_node(&s.graph, "Relu", "x", "y");
    put_output(&s.graph, "y");
    graph *g = import_spec(&s);
    assert_non_null(g);
    assert_int_equal(g->n_inputs, 1);
    assert_non_null(graph_find_value(g, "w")->constant);
    assert_int_equal(problems.warnings, warnings);
}

static void test_initializer_ir3(void **state) { (void)state, initializer_as_input(3, 0); }
static void test_initializer_ir4(void **state) { (void)state, initializer_as_input(4, 1); }

static void test_batch_zero(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    put_value(&s.graph, 11, "x", 1, (int64_t[]){-1, 3, 8, 8}, 4);
    put_value(&s.graph, 11, "z", 1, (int64_t[]){0, 3, 8, 8}, 4);
    put_value(&s.graph, 11, "empty", 7, (int64_t[]){0}, 1);
    put_node(&s.graph, "Relu", "x", "y");
    put_value(&s.graph, 12, "y", 1, (int64_t[]){-1, 3, 8, 8}, 4);
    graph *g = import_spec(&s);
    assert_non_null(g);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(g->inputs[i]->shape.dim[0], -1);
        assert_string_equal(g->inputs[i]->symbol[0], "batch");
    }
    assert_int_equal(g->inputs[2]->shape.dim[0], 0);
    assert_int_equal(g->outputs[0]->shape.dim[0], -1);
}

static void test_optional_inputs(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    text n = {0};
    put_input(&s.graph, "x");
    const char *const in[] = {"x", "", "x", ""};
    for (int i = 0; i < 4; i++) put_string(&n, 1, in[i]);
    put_string(&n, 2, "y");
    put_string(&n, 4, "Clip");
    put_message(&s.graph, 1, &n);
    put_output(&s.graph, "y");
    graph *g = import_spec(&s);
    assert_non_null(g);
    assert_int_equal(g->nodes[0]->n_in, 3);
    assert_null(g->nodes[0]->in[1]);
    assert_ptr_equal(g->nodes[0]->in[2], g->inputs[0]);
}

/* An attribute without a type, as IR 1 wrote it. */
static void test_attribute_types(void **state) {
    (void)state;
    spec s = {.ir = 1, .opset = 0};
    text n = {0}, a = {0};
    put_input(&s.graph, "x");
    put_string(&n, 1, "x");
    put_string(&n, 2, "y");
    put_string(&n, 4, "Op");
    put_string(&a, 1, "ints");
    put_int(&a, 8, 3);
    put_int(&a, 8, 4);
    put_message(&n, 5, &a);
    put_string(&a, 1, "zero"); /* a proto3 writer leaves out i = 0 */
    put_int(&a, 20, 2);
    put_message(&n, 5, &a);
    put_string(&a, 1, "mode");
    put_bytes(&a, 4, "a\0b", 3);
    put_message(&n, 5, &a);
    put_string(&a, 1, "body");
    put_bytes(&a, 6, "", 0);
    put_message(&n, 5, &a);
    put_message(&s.graph, 1, &n);
    put_output(&s.graph, "y");
    graph *g = import_spec(&s);
    if (!g) fail_msg("%s", text_str(&report));
    const node *made = g->nodes[0];
    assert_int_equal(made->opset, 1);
    assert_int_equal(node_ints(made, "ints")->ints[1], 4);
    assert_int_equal(node_int(made, "zero", 7), 0);
    assert_int_equal(node_attr(made, "mode")->count, 3);
    assert_int_equal(node_attr(made, "body")->kind, ATTR_GRAPH);
}

/* ---- functions ---- */

static void test_function(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    put_calls(&s);
    put_function(&s.extra, "F", "Neg");
    graph *g = import_spec(&s);
    if (!g) fail_msg("%s", text_str(&report));
    assert_int_equal(g->n_nodes, 4);
    assert_string_equal(g->nodes[3]->op_type, "LeakyRelu");
    assert_int_equal(g->nodes[3]->index, 1);
    assert_int_equal(g->nodes[3]->opset, 16);
    assert_true(node_float(g->nodes[3], "alpha", 0) == 0.5f);
    assert_ptr_equal(g->nodes[2]->in[0], graph_find_value(g, "m"));
    assert_ptr_not_equal(g->nodes[0]->out[0], g->nodes[2]->out[0]);
}

static void test_function_recursion(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    put_calls(&s);
    put_function(&s.extra, "F", "G");
    put_function(&s.extra, "G", "F");
    assert_null(import_spec(&s));
    expect_message("calls itself");
}

/* Each function calls the next twice: 2^40 nodes from a few kilobytes. */
static void test_function_explosion(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    put_input(&s.graph, "x");
    put_call(&s.graph, 1, "f0", "local", "x", "y");
    put_output(&s.graph, "y");
    for (int i = 0; i < 30; i++) {
        text f = {0};
        char name[16], next[16];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, "f%d", i + 1);
        put_string(&f, 1, name);
        put_string(&f, 4, "a");
        put_string(&f, 5, "b");
        put_call(&f, 7, next, "local", "a", "m");
        put_call(&f, 7, next, "local", "m", "b");
        put_string(&f, 10, "local");
        put_message(&s.extra, 25, &f);
    }
    assert_null(import_spec(&s));
    expect_message("expand to more than");
}

static void test_sha256(void **state) {
    char hex[65];
    cameo_sha256_sum s;
    (void)state;
    cameo_sha256_begin(&s);
    cameo_sha256_end(&s, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cameo_sha256_begin(&s);
    cameo_sha256_add(&s, "abc", 3);
    cameo_sha256_end(&s, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cameo_sha256_begin(&s);
    for (int i = 0; i < 1000000; i += 100) {
        char part[100];
        memset(part, 'a', sizeof part);
        cameo_sha256_add(&s, part, sizeof part);
    }
    cameo_sha256_end(&s, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The processor's instructions against plain C, in pieces of every size. */
static void test_sha256_instructions(void **state) {
    (void)state;
    static unsigned char data[3000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    for (size_t n = 0; n < sizeof data; n += 1 + n / 7) {
        char plain[65], fast[65];
        cameo_sha256_sum s;
        cameo_sha256_plain(true);
        cameo_sha256(data, n, plain);
        cameo_sha256_plain(false);
        cameo_sha256_begin(&s);
        cameo_sha256_add(&s, data, n / 3);
        cameo_sha256_add(&s, data + n / 3, n - n / 3);
        cameo_sha256_end(&s, fast);
        assert_string_equal(fast, plain);
    }
}

/* The test models of the ONNX distribution, where installed: all are read; only sequences and
   optionals are refused. */
static void test_distribution(void **state) {
    static const char root[] = "/usr/share/libonnx-testdata/data/node";
    DIR *dir = opendir(root);
    size_t good = 0, bad = 0;
    if (!dir) skip();
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s/model.onnx", root, e->d_name);
        if (e->d_name[0] == '.' || access(path, R_OK)) continue;
        graph *g = onnx_import(memory, &problems, path, false);
        if (g) ir_verify(g, "import", false);
        *(g ? &good : &bad) += 1;
        teardown(state);
        setup(state);
    }
    closedir(dir);
    assert_true(good > 800 && bad < 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_encodings),  T(test_unpacked_numbers),    T(test_same_initializer_twice),
        T(test_unsorted),   T(test_initializer_ir3),     T(test_initializer_ir4),
        T(test_batch_zero), T(test_optional_inputs),     T(test_attribute_types),
        T(test_function),   T(test_function_recursion),  T(test_function_explosion),
        T(test_sha256),     T(test_sha256_instructions), T(test_distribution),
    };
    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
