/* Ties equal initializers of an ONNX file, as exporters do:

       tie_initializers MODE IN.onnx OUT.onnx

   Every set of float32 initializers of one shape that hold one number, the same everywhere (what
   fresh nets are full of: ones, zeros, slopes), becomes its first member. MODE says how the others
   are read from then on:
     direct    whoever read another one names the first
     identity  another one is the output of an Identity of the first
     chain     it is the output of an Identity of the member before it
     both      every second one is named, the others are Identities
   Works on the wire format: what is not tied is copied. Prints how many tensors became how many. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/onnx_fields.h"
#include "runtime/base/wire.h"

enum { MOST = 20000 };
#define TO(f) ((cameo_sink){.stream = (f)})

typedef struct tensor {
    cameo_wire whole, name, data;
    uint64_t dims[8];
    size_t rank;
    const struct tensor *first, *before; /* of its set; NULL: it stays */
    size_t place;                        /* in its set */
} tensor;

static tensor tensors[MOST];
static size_t n_tensors;
static const char *mode;

static _Noreturn void fail(const char *what, const char *which) {
    fprintf(stderr, "tie_initializers: %s %s\n", what, which);
    exit(1);
}

static bool same(cameo_wire a, cameo_wire b) {
    const size_t n = cameo_wire_size(a);
    return n == cameo_wire_size(b) && (n == 0 || !memcmp(a.p, b.p, n));
}

static bool next(cameo_wire *w, cameo_field *f) {
    if (w->p >= w->end) return false;
    if (!cameo_wire_field(w, f)) fail("the file is malformed", "");
    return true;
}

/* Dense float32 data that repeats its first number. */
static bool is_fresh(const tensor *t, uint64_t type) {
    const size_t n = cameo_wire_size(t->data);
    return type == 1 && n >= 8 && n % 4 == 0 && !memcmp(t->data.p, t->data.p + 4, n - 4);
}

static void add_tensor(cameo_wire whole) {
    tensor t = {.whole = whole};
    cameo_field f;
    uint64_t type = 0;
    for (cameo_wire w = whole; next(&w, &f);) {
        if (f.number == TENSOR_DIMS && f.type == CAMEO_WIRE_VARINT && t.rank < 8)
            t.dims[t.rank++] = f.value;
        if (f.number == TENSOR_TYPE) type = f.value;
        if (f.number == TENSOR_NAME) t.name = f.bytes;
        if (f.number == TENSOR_RAW) t.data = f.bytes;
    }
    if (!is_fresh(&t, type)) return;
    for (size_t i = n_tensors; i-- > 0 && !t.first;) {
        const tensor *o = &tensors[i];
        if (o->rank != t.rank || memcmp(o->dims, t.dims, sizeof t.dims) || !same(o->data, t.data))
            continue;
        t.first = o->first ? o->first : o;
        t.before = o;
        t.place = o->place + 1;
    }
    if (n_tensors == MOST) fail("too many tensors", "");
    tensors[n_tensors++] = t;
}

static const tensor *find(cameo_wire name) {
    for (size_t i = 0; i < n_tensors; i++)
        if (same(tensors[i].name, name)) return &tensors[i];
    return NULL;
}

static bool is_named(const tensor *t) {
    return !strcmp(mode, "direct") || (!strcmp(mode, "both") && t->place % 2);
}

static void put_bytes(FILE *f, unsigned number, cameo_wire w) {
    cameo_sink_head(&TO(f), number, cameo_wire_size(w));
    fwrite(w.p, 1, cameo_wire_size(w), f);
}

static FILE *open_text(char **data, size_t *size) {
    FILE *f = open_memstream(data, size);
    if (!f) fail("no memory", "");
    return f;
}

static void put_text(FILE *to, unsigned number, FILE *f, char **data, const size_t *size) {
    fclose(f);
    cameo_sink_head(&TO(to), number, *size);
    fwrite(*data, 1, *size, to);
    free(*data);
}

/* NodeProto: input 1, output 2, name 3, op_type 4 */
static void put_identity(FILE *to, const tensor *t) {
    char *data;
    size_t size;
    FILE *f = open_text(&data, &size);
    put_bytes(f, 1, !strcmp(mode, "chain") ? t->before->name : t->first->name);
    put_bytes(f, 2, t->name);
    put_bytes(f, 3, t->name);
    cameo_sink_text(&TO(f), 4, "Identity");
    put_text(to, GRAPH_NODE, f, &data, &size);
}

static void put_node(FILE *to, cameo_wire node) {
    char *data;
    size_t size;
    FILE *out = open_text(&data, &size);
    cameo_field f;
    while (next(&node, &f)) {
        const tensor *t = f.number == NODE_INPUT ? find(f.bytes) : NULL;
        if (t && t->first && is_named(t))
            put_bytes(out, NODE_INPUT, t->first->name);
        else
            fwrite(f.whole.p, 1, cameo_wire_size(f.whole), out);
    }
    put_text(to, GRAPH_NODE, out, &data, &size);
}

static void put_graph(FILE *to, cameo_wire graph) {
    cameo_field f;
    for (cameo_wire w = graph; next(&w, &f);)
        if (f.number == GRAPH_INITIALIZER) add_tensor(f.bytes);
    for (size_t i = 0; i < n_tensors; i++)
        if (tensors[i].first && !is_named(&tensors[i])) put_identity(to, &tensors[i]);
    while (next(&graph, &f)) {
        const tensor *t = NULL;
        for (size_t i = 0; f.number == GRAPH_INITIALIZER && i < n_tensors; i++)
            if (tensors[i].whole.p == f.bytes.p) t = &tensors[i];
        if (f.number == GRAPH_NODE)
            put_node(to, f.bytes);
        else if (!t || !t->first)
            fwrite(f.whole.p, 1, cameo_wire_size(f.whole), to);
    }
}

static cameo_wire read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END)) fail("cannot read", path);
    const size_t n = (size_t)ftell(f);
    unsigned char *p = malloc(n + 1);
    rewind(f);
    if (!p || fread(p, 1, n, f) != n) fail("cannot read", path);
    fclose(f);
    return (cameo_wire){p, p + n};
}

int main(int argc, char **argv) {
    static const char *const modes[] = {"direct", "identity", "chain", "both"};
    bool known = false;
    for (size_t i = 0; argc == 4 && i < 4; i++) known |= !strcmp(argv[1], modes[i]);
    if (!known) fail("usage: tie_initializers direct|identity|chain|both IN.onnx OUT.onnx", "");
    mode = argv[1];
    const cameo_wire file = read_all(argv[2]);
    FILE *out = fopen(argv[3], "wb");
    if (!out) fail("cannot write", argv[3]);
    cameo_field f;
    for (cameo_wire w = file; next(&w, &f);) {
        if (f.number != MODEL_GRAPH) {
            fwrite(f.whole.p, 1, cameo_wire_size(f.whole), out);
            continue;
        }
        char *data;
        size_t size;
        FILE *graph = open_text(&data, &size);
        put_graph(graph, f.bytes);
        put_text(out, MODEL_GRAPH, graph, &data, &size);
    }
    size_t tied = 0;
    for (size_t i = 0; i < n_tensors; i++) tied += tensors[i].first != NULL;
    printf("  %zu tensors tied, %s\n", tied, mode);
    free((void *)(uintptr_t)file.p);
    return fclose(out) != 0;
}
