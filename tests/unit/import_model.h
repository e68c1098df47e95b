/* Shared by the importer's tests: writing the wire format, building small models, running the
   importer on them. */
#ifndef CAMEO_TEST_IMPORT_MODEL_H
#define CAMEO_TEST_IMPORT_MODEL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/compile.h"
#include "compiler/onnx/onnx.h"
#include "runtime/core/sha256.h"

#define B(s) s, sizeof s - 1

/* ---- writing the wire format ---- */

static inline void put_varint(text *t, uint64_t v) {
    do {
        unsigned char byte = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
        text_append_n(t, &byte, 1);
        v >>= 7;
    } while (v);
}

static inline void put_int(text *t, unsigned number, int64_t v) {
    put_varint(t, number << 3);
    put_varint(t, (uint64_t)v);
}

static inline void put_bytes(text *t, unsigned number, const void *data, size_t size) {
    put_varint(t, number << 3 | 2);
    put_varint(t, size);
    text_append_n(t, data, size);
}

static inline void put_string(text *t, unsigned number, const char *s) {
    put_bytes(t, number, s, strlen(s));
}

/* Appends a message and empties it. */
static inline void put_message(text *t, unsigned number, text *m) {
    put_bytes(t, number, m->data ? m->data : "", m->size);
    text_free(m);
    *m = (text){0};
}

/* ---- building models ---- */

typedef struct spec {
    int ir; /* 0: none */
    int64_t opset;
    text graph, extra; /* extra: further fields of the model */
} spec;

static inline void put_value(text *g, unsigned number, const char *name, int type,
                             const int64_t *dims, size_t rank) {
    text extents = {0}, tensor_type = {0}, proto = {0}, info = {0}, dim = {0};
    for (size_t i = 0; i < rank; i++) {
        put_int(&dim, 1, dims[i]);
        put_message(&extents, 1, &dim);
    }
    put_int(&tensor_type, 1, type);
    put_message(&tensor_type, 2, &extents);
    put_message(&proto, 1, &tensor_type);
    put_string(&info, 1, name);
    put_message(&info, 2, &proto);
    put_message(g, number, &info);
}

static inline void put_input(text *g, const char *name) {
    put_value(g, 11, name, 1, (int64_t[]){1, 2}, 2);
}
static inline void put_output(text *g, const char *name) {
    put_value(g, 12, name, 1, (int64_t[]){1, 2}, 2);
}

static inline void put_call(text *g, unsigned number, const char *op, const char *domain,
                            const char *in, const char *out) {
    text n = {0};
    if (in) put_string(&n, 1, in);
    if (out) put_string(&n, 2, out);
    put_string(&n, 3, "the node");
    put_string(&n, 4, op);
    if (domain) put_string(&n, 7, domain);
    put_message(g, number, &n);
}

static inline void put_node(text *g, const char *op, const char *in, const char *out) {
    put_call(g, 1, op, NULL, in, out);
}

static inline void put_model(text *out, spec *s) {
    text opset = {0};
    if (s->ir) put_int(out, 1, s->ir);
    put_int(&opset, 2, s->opset);
    if (s->opset) put_message(out, 8, &opset);
    text_free(&opset);
    if (s->graph.size) put_message(out, 7, &s->graph);
    if (s->extra.size) text_append_n(out, s->extra.data, s->extra.size);
    text_free(&s->extra);
}

/* ---- running the importer ---- */

static arena *memory;
static diag problems;
static text report;

static inline int setup(void **state) {
    (void)state;
    memory = arena_create();
    problems = (diag){.arena = memory, .file = "test.onnx"};
    text_clear(&report);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    arena_destroy(memory);
    text_free(&report);
    report = (text){0};
    return 0;
}

static inline graph *import_bytes(const text *t, const char *directory) {
    graph *g = onnx_import_memory(memory, &problems, text_str(t), t->size, directory);
    diag_print(&problems, &report);
    assert_int_equal(g == NULL, problems.errors > 0);
    if (g) ir_verify(g, "import", false);
    return g;
}

static inline graph *import_spec(spec *s) {
    text t = {0};
    put_model(&t, s);
    graph *g = import_bytes(&t, NULL);
    text_free(&t);
    return g;
}

static inline void expect_message(const char *part) {
    if (!strstr(text_str(&report), part))
        fail_msg("expected \"%s\" in: %s", part, text_str(&report));
}

static inline void put_tensor_head(text *t, const char *name, int type, const int64_t *dims,
                                   size_t rank) {
    for (size_t i = 0; i < rank; i++) put_int(t, 1, dims[i]);
    put_int(t, 2, type);
    put_string(t, 8, name);
}

/* f(a) -> b = LeakyRelu(Neg(a), alpha = @slope), slope defaults to 0.5 */
static inline void put_function(text *model, const char *name, const char *calls) {
    text f = {0}, n = {0}, a = {0}, o = {0};
    put_string(&f, 1, name);
    put_string(&f, 4, "a");
    put_string(&f, 5, "b");
    put_call(&f, 7, calls, strcmp(calls, "Neg") == 0 ? "" : "local", "a", "x");
    put_string(&n, 1, "x");
    put_string(&n, 2, "b");
    put_string(&n, 4, "LeakyRelu");
    put_string(&a, 1, "alpha");
    put_string(&a, 21, "slope");
    put_int(&a, 20, 1);
    put_message(&n, 5, &a);
    put_message(&f, 7, &n);
    put_string(&a, 1, "slope");
    put_varint(&a, 2 << 3 | 5);
    text_append_n(&a, "\0\0\0\x3f", 4);
    put_message(&f, 11, &a);
    put_int(&o, 2, 16);
    put_message(&f, 9, &o);
    put_string(&f, 10, "local");
    put_message(model, 25, &f);
}

static inline void put_calls(spec *s) {
    put_input(&s->graph, "x");
    put_call(&s->graph, 1, "F", "local", "x", "m");
    put_call(&s->graph, 1, "F", "local", "m", "y");
    put_output(&s->graph, "y");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#endif
