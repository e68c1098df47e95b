/* Classifiers made anew: the graph, and the model file that a checkpoint would be. What counts is
   that the file, read again and compiled without training, computes the class scores that training
   validates. */
#include "compiler/ir/interpret.h"
#include "import_model.h"

#include <math.h>

#include "../../compiler/ir/op.h"
#include "../../compiler/onnx/export.h"
#include "../../compiler/onnx/skeleton.h"
#include "../../compiler/passes/front.h"
#include "scratch.h"

enum { CHANNELS = 5, LENGTH = 7, CLASSES = 4, IMAGES = 2 };

typedef struct variant { /* how the model ends */
    const char *name;
    bool convolution, product, bias, softmax, pool; /* classifier: 1x1 Conv, MatMul, else Gemm */
    const char *embedding, *classes;                /* metadata */
    int64_t outputs;
} variant;

static void fill(const onnx_tensor *t, size_t count, unsigned char *out) {
    for (size_t i = 0; i < count; i++) {
        const float v = (float)sin((double)i * 0.7 + (double)t->name[0]);
        memcpy(out + 4 * i, &v, sizeof v);
    }
}

typedef struct nodes {
    onnx_node node[8];
    const char *names[8][4]; /* three inputs, the output */
    size_t count;
} nodes;

static void add(nodes *l, const char *op, const onnx_attribute *attribute, const char *to,
                const char *a, const char *b, const char *c) {
    const char **names = l->names[l->count];
    names[0] = a, names[1] = b, names[2] = c, names[3] = to;
    l->node[l->count++] = (onnx_node){.op = op,
                                      .name = to,
                                      .inputs = names,
                                      .outputs = names + 3,
                                      .n_outputs = 1,
                                      .n_inputs = c   ? 3
                                                  : b ? 2
                                                      : 1,
                                      .attributes = attribute,
                                      .n_attributes = attribute != NULL};
}

/* x -> [hidden = Relu(Conv)] -> mean -> Flatten -> scores -> Softmax? */
static void write_model(const variant *v, const char *path) {
    const int64_t conv[] = {LENGTH, CHANNELS, 1, 1}, head[] = {v->outputs, LENGTH, 1, 1},
                  back[] = {LENGTH, v->outputs}, bias[] = {v->outputs};
    const onnx_tensor initializers[] = {
        {.name = "a.weight", .dtype = ONNX_FLOAT32, .rank = 4, .dims = conv, .fill = fill},
        {.name = "fc.weight",
         .dtype = ONNX_FLOAT32,
         .rank = v->convolution ? 4 : 2,
         .dims = v->product ? back : head,
         .fill = fill},
        {.name = "bias", .dtype = ONNX_FLOAT32, .rank = 1, .dims = bias, .fill = fill}};
    const onnx_attribute transposed = {.name = "transB", .type = ONNX_ATTR_INT, .i = 1};
    nodes list = {.count = 0};
    add(&list, "Conv", NULL, "conv", "x", "a.weight", NULL);
    add(&list, "Relu", NULL, "hidden", "conv", NULL, NULL);
    add(&list, "GlobalAveragePool", NULL, "mean", "hidden", NULL, NULL);
    add(&list, "Flatten", NULL, "flat", "mean", NULL, NULL);
    if (v->convolution) {
        add(&list, "Conv", NULL, "map", v->pool ? "hidden" : "mean", "fc.weight", NULL);
        add(&list, "GlobalAveragePool", NULL, "pooled", "map", NULL, NULL);
        add(&list, "Flatten", NULL, "y", "pooled", NULL, NULL);
    } else if (v->product) {
        add(&list, "MatMul", NULL, v->bias ? "product" : "y", "flat", "fc.weight", NULL);
        if (v->bias) add(&list, "Add", NULL, "y", "product", "bias", NULL);
    } else
        add(&list, "Gemm", &transposed, "y", "flat", "fc.weight", "bias");
    if (v->softmax) add(&list, "Softmax", NULL, "p", "y", NULL, NULL);
    const onnx_dim in[] = {{"N", 0}, {NULL, CHANNELS}, {NULL, 3}, {NULL, 3}},
                   out[] = {{"N", 0}, {NULL, v->outputs}};
    const onnx_value x = {"x", 1, 4, in}, y = {v->softmax ? "p" : "y", 1, 2, out};
    cameo_entry properties[2];
    size_t n_properties = 0;
    if (v->embedding) properties[n_properties++] = (cameo_entry){"cameo.embedding", v->embedding};
    if (v->classes) properties[n_properties++] = (cameo_entry){"cameo.classes", v->classes};
    const onnx_model m = {.producer = "test",
                          .producer_version = "1",
                          .graph_name = "g",
                          .nodes = list.node,
                          .initializers = initializers,
                          .inputs = &x,
                          .outputs = &y,
                          .properties = properties,
                          .n_nodes = list.count,
                          .n_initializers = 3,
                          .n_inputs = 1,
                          .n_outputs = 1,
                          .n_properties = n_properties};
    assert_true(onnx_export_file(&m, path, NULL));
}

/* ---- */

static graph *front(const variant *v, options *o) {
    write_model(v, "head.onnx");
    o->train = true;
    o->batch = IMAGES;
    o->input = "head.onnx";
    graph *g = compile_front(memory, &problems, o);
    diag_print(&problems, &report);
    return g;
}

/* What a checkpoint would be: parameters back in their place. */
static graph *read_again(const graph *trained) {
    text model = {0}, fields = {0};
    skeleton_split(trained, &model, &fields);
    for (size_t i = 0; i < trained->n_parameters; i++) {
        const parameter *p = trained->parameters[i];
        text t = {0};
        put_tensor_head(&t, p->name, 1, p->initial->shape.dim, (size_t)p->initial->shape.rank);
        put_bytes(&t, 9, p->initial->data, tensor_bytes(p->initial));
        put_message(&fields, 5, &t);
    }
    put_message(&model, 7, &fields);
    graph *g = onnx_import_memory(memory, &problems, text_str(&model), model.size, NULL);
    if (!g || !compile_check(g, &(options){.batch = IMAGES}))
        fail_msg("%s", problems.first->message);
    text_free(&model);
    return g;
}

static const tensor *output_of(graph *g) {
    tensor *x = tensor_new(memory, DT_FLOAT, &g->inputs[0]->shape),
           **results = ARENA_ARRAY(memory, tensor *, g->n_values);
    for (int64_t i = 0; i < shape_count(&x->shape); i++) tensor_set(x, i, cos((double)i));
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->role == ROLE_PARAMETER)
            g->values[i]->constant = g->values[i]->param->initial;
    if (!interpret(g, &x, results)) fail_msg("%s", problems.first->message);
    return results[g->outputs[0]->id];
}

static const char *metadata_of(const graph *g, const char *key) {
    for (size_t i = 0; i < g->n_meta; i++)
        if (!strcmp(g->meta[i].key, key)) return g->meta[i].value;
    return NULL;
}

static const parameter *parameter_named(const graph *g, const char *name) {
    for (size_t i = 0; i < g->n_parameters; i++)
        if (!strcmp(g->parameters[i]->name, name)) return g->parameters[i];
    return NULL;
}

/* Returns the graph read again. */
static graph *same_scores(graph *g, int64_t classes, const char *embedding) {
    if (!g) fail_msg("%s", text_str(&report));
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->role != ROLE_NONE)
            assert_ptr_equal(parameter_named(g, g->values[i]->name), g->values[i]->param);
    assert_string_equal(g->embedding->name, embedding);
    graph *again = read_again(g);
    const tensor *a = output_of(g), *b = output_of(again);
    assert_true(shape_equal(&a->shape, &b->shape) && a->shape.rank == 2 &&
                a->shape.dim[1] == classes);
    for (int64_t i = 0; i < shape_count(&a->shape); i++)
        assert_true(fabs(tensor_get(a, i) - tensor_get(b, i)) < 1e-6);
    assert_string_equal(metadata_of(again, "cameo.embedding"), embedding);
    assert_string_equal(again->embedding->name, embedding);
    return again;
}

static const variant gemm = {.name = "Gemm", .outputs = CLASSES},
                     soft = {.name = "Softmax", .softmax = true, .outputs = CLASSES},
                     product = {.name = "MatMul",
                                .product = true,
                                .bias = true,
                                .outputs = CLASSES},
                     conv = {.name = "Conv", .convolution = true, .outputs = CLASSES},
                     spatial = {.name = "Conv before the pool",
                                .convolution = true,
                                .pool = true,
                                .outputs = CLASSES};

static void another_number_of_classes(void **state) {
    (void)state;
    const variant *const all[] = {&gemm, &soft, &product, &conv, &spatial};
    static const char *const embeddings[] = {"flat", "flat", "flat", "head.flat", "head.flat"};
    for (size_t i = 0; i < 5; i++) {
        graph *g = front(all[i], &(options){.classes = 9});
        graph *again = same_scores(g, 9, embeddings[i]);
        assert_int_equal(g->n_parameters, 3);
        assert_null(parameter_named(g, "fc.weight"));
        const parameter *w = parameter_named(g, "head.weight"),
                        *b = parameter_named(g, "head.bias");
        assert_true(w && b && w->learnt && w->decay && b->learnt && !b->decay);
        double least = 1, most = -1;
        for (int64_t k = 0; k < 9 * LENGTH; k++) {
            least = fmin(least, tensor_get(w->initial, k));
            most = fmax(most, tensor_get(w->initial, k));
        }
        assert_true(least > -0.378 && most < 0.378 && least < -0.2 && most > 0.2); /* 1 / sqrt(7) */
        assert_null(graph_find_value(again, "fc.weight"));
        assert_string_equal(again->outputs[0]->name, "logits");
    }
}

static void behind_an_embedding(void **state) {
    (void)state;
    const variant named = {.outputs = CLASSES, .embedding = "y"}, guessed = {.outputs = 128};
    same_scores(front(&named, &(options){.classes = 9}), 9, "y");
    assert_int_equal(problems.warnings, 0);
    graph *g = front(&guessed, &(options){.classes = 9, .loss = "cosface"});
    graph *again = same_scores(g, 9, "y");
    assert_int_equal(problems.warnings, 1); /* that is said */
    assert_non_null(parameter_named(g, "fc.weight"));
    assert_non_null(graph_find_value(again, "fc.weight"));
    const tensor *y = output_of(g);
    for (int64_t i = 0; i < shape_count(&y->shape); i++)
        assert_true(fabs(tensor_get(y, i)) <= 64.0001);
}

static void cosines(void **state) {
    (void)state;
    graph *g = front(&soft, &(options){.loss = "arcface:s=8"}); /* keeps its weights */
    same_scores(g, CLASSES, "flat");
    const parameter *w = parameter_named(g, "head.weight");
    assert_true(w->initial->shape.dim[0] == CLASSES && w->initial->shape.dim[1] == LENGTH);
    assert_true(fabs(tensor_get(w->initial, 3) - sin(3 * 0.7 + 'f')) < 1e-6);
    assert_null(parameter_named(g, "bias"));
    graph *turned = front(&product, &(options){.loss = "arcface:s=8"});
    w = parameter_named(turned, "head.weight");
    assert_true(fabs(tensor_get(w->initial, LENGTH) - sin(1 * 0.7 + 'f')) < 1e-6); /* class 1,
                                                                                      length 0 of
                                                                                      [LENGTH,
                                                                                      CLASSES] */
    same_scores(turned, CLASSES, "flat");
}

static void centers(void **state) {
    (void)state;
    graph *g = front(&gemm, &(options){.loss = "center", .classes = 9});
    same_scores(g, 9, "flat");
    const parameter *c = parameter_named(g, "head.centers");
    assert_true(c && !c->learnt && c->initial->shape.dim[0] == 9 &&
                c->initial->shape.dim[1] == LENGTH);
}

static void class_names(void **state) {
    (void)state;
    const variant v = {.outputs = CLASSES, .classes = "a\nb\nc\nd"};
    graph *g = front(&v, &(options){.classes = 3});
    assert_null(metadata_of(read_again(g), "cameo.classes")); /* they are others now */
    assert_true(mkdir("people", 0777) == 0 && mkdir("people/Zoe", 0777) == 0 &&
                mkdir("people/Ann", 0777) == 0);
    fclose(fopen("people/Zoe/1.jpg", "w"));
    fclose(fopen("people/Ann/1.jpg", "w"));
    g = front(&v, &(options){.classes_from = "people", .preprocess = "color=gray mean=1 scale=2"});
    assert_null(g); /* five channels are not gray */
    problems = (diag){.arena = memory, .file = "test.onnx"};
    g = front(&v, &(options){.classes_from = "people"});
    graph *again = same_scores(g, 2, "flat");
    assert_string_equal(metadata_of(again, "cameo.classes"), "Ann\nZoe");
}

/* A pattern may mean the new head, which is not there yet when the file's parameters are told
   apart. */
static void frozen(void **state) {
    (void)state;
    const char *patterns[] = {"head.*"};
    graph *g = front(&gemm, &(options){.classes = 9, .freeze = patterns, .n_freeze = 1});
    assert_non_null(g);
    assert_false(parameter_named(g, "head.weight")->learnt);
    assert_false(parameter_named(g, "head.bias")->learnt);
    assert_true(parameter_named(g, "a.weight")->learnt);
}

static void refusals(void **state) {
    (void)state;
    const variant named = {.outputs = CLASSES, .embedding = "y"};
    const struct {
        const variant *model;
        options o;
        const char *says;
    } cases[] = {
        {&gemm, {.loss = "triplet", .classes = 3}, "knows no classes"},
        {&named, {.loss = "ce"}, "give --classes K"},
        {&named, {.loss = "arcface"}, "give --classes K"},
        {&gemm, {.loss = "arc"}, "is no loss"},
        {&gemm, {.freeze = (const char *[]){"nothing.*"}, .n_freeze = 1}, "matches no parameter"},
        {&gemm, {.classes_from = "nowhere"}, "nowhere"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options o = cases[i].o;
        text_clear(&report);
        problems = (diag){.arena = memory, .file = "test.onnx"};
        assert_null(front(cases[i].model, &o));
        expect_message(cases[i].says);
    }
}

int main(void) {
    char directory[] = "/tmp/cameo_head_XXXXXX";
    if (!scratch_enter(directory)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_number_of_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_an_embedding, setup, teardown),
        cmocka_unit_test_setup_teardown(cosines, setup, teardown),
        cmocka_unit_test_setup_teardown(centers, setup, teardown),
        cmocka_unit_test_setup_teardown(class_names, setup, teardown),
        cmocka_unit_test_setup_teardown(frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
