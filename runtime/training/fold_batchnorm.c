/* Folding on the wire format: nodes are read as views of their bytes, and written again with
   another output and bias. The convolution takes the normalisation's B, which keeps its name, for
   its bias; so no tensor has to be made. */
#include "fold_batchnorm.h"
#include "../base/files.h"
#include "../base/onnx_fields.h"
#include "../base/wire.h"
#include "parameters.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 5 };

typedef struct node {
    cameo_wire whole, op, input[MOST_INPUTS], output;
    size_t inputs, outputs;
    float epsilon;
    bool plain;              /* of ONNX's own domain, and not in training mode */
    const struct node *norm; /* a Conv: what is folded into it */
    bool gone;
} node;

typedef struct folding {
    const cameo_trainer *t;
    node *nodes;
    size_t n;
    cameo_wire *results; /* the graph's */
    size_t n_results;
    bool *dropped; /* parameters */
    cameo_folded *out;
} folding;

static bool same(cameo_wire a, cameo_wire b) {
    const size_t n = cameo_wire_size(a);
    return n == cameo_wire_size(b) && (n == 0 || memcmp(a.p, b.p, n) == 0);
}

/* ---- reading ---- */

static bool read_attribute(node *n, cameo_wire w) {
    cameo_field f;
    cameo_wire name = {0};
    uint64_t real = 0, whole = 0;
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.number == ATTRIBUTE_NAME) name = f.bytes;
        if (f.number == ATTRIBUTE_FLOAT) real = f.value;
        if (f.number == ATTRIBUTE_INT) whole = f.value;
    }
    if (cameo_wire_equals(name, "epsilon")) {
        const uint32_t bits = (uint32_t)real;
        memcpy(&n->epsilon, &bits, sizeof bits);
    }
    if (cameo_wire_equals(name, "training_mode") && whole) n->plain = false;
    return true;
}

static bool read_node(node *n, cameo_wire w) {
    cameo_field f;
    *n = (node){.whole = w, .epsilon = 1e-5f, .plain = true};
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.type != CAMEO_WIRE_BYTES) continue;
        if (f.number == NODE_INPUT && n->inputs++ < MOST_INPUTS) n->input[n->inputs - 1] = f.bytes;
        if (f.number == NODE_OUTPUT && n->outputs++ == 0) n->output = f.bytes;
        if (f.number == NODE_OP) n->op = f.bytes;
        if (f.number == NODE_DOMAIN && cameo_wire_size(f.bytes)) n->plain = false;
        if (f.number == NODE_ATTRIBUTE && !read_attribute(n, f.bytes)) return false;
    }
    return true;
}

static bool read_graph(folding *x) {
    const cameo_trainer *t = x->t;
    const cameo_wire all = {t->graph_fields, t->graph_fields + t->graph_bytes};
    cameo_field f;
    size_t nodes = 0, results = 0;
    for (cameo_wire w = all; w.p < w.end;) {
        if (!cameo_wire_field(&w, &f)) return false;
        nodes += f.number == GRAPH_NODE;
        results += f.number == GRAPH_OUTPUT;
    }
    x->nodes = cameo_allocate(nodes, sizeof *x->nodes);
    x->results = cameo_allocate(results, sizeof *x->results);
    for (cameo_wire w = all; w.p < w.end && cameo_wire_field(&w, &f);) {
        if (f.number == GRAPH_OUTPUT)
            x->results[x->n_results++] = cameo_wire_find(f.bytes, INFO_NAME);
        if (f.number == GRAPH_NODE && !read_node(&x->nodes[x->n++], f.bytes)) return false;
    }
    return true;
}

/* ---- what may be folded ---- */

/* How often a value is read, as a result of the graph too. */
static size_t readers(const folding *x, cameo_wire value) {
    size_t count = 0;
    for (size_t i = 0; i < x->n_results; i++) count += same(x->results[i], value);
    for (size_t i = 0; i < x->n; i++) {
        const node *n = &x->nodes[i];
        cameo_field f;
        for (cameo_wire w = n->whole; w.p < w.end && cameo_wire_field(&w, &f);)
            count += f.number == NODE_INPUT && f.type == CAMEO_WIRE_BYTES && same(f.bytes, value);
    }
    return count;
}

/* The place of a parameter that only one node reads; n_parameters when it's none. */
static size_t own_parameter(const folding *x, cameo_wire name) {
    size_t i = 0;
    while (i < x->t->n_parameters && !cameo_wire_equals(name, x->t->parameters[i].name)) i++;
    return i < x->t->n_parameters && readers(x, name) == 1 ? i : x->t->n_parameters;
}

static node *producer(const folding *x, cameo_wire value) {
    for (size_t i = 0; i < x->n; i++)
        if (same(x->nodes[i].output, value)) return &x->nodes[i];
    return NULL;
}

typedef struct place { /* parameters of a pair; bias: n_parameters = none */
    size_t w, bias, scale, shift, mean, variance;
} place;

static bool fits(const folding *x, const node *norm, const node *conv, place *p) {
    const size_t none = x->t->n_parameters;
    if (!conv || !conv->plain || !cameo_wire_equals(conv->op, "Conv") || conv->norm ||
        readers(x, norm->input[0]) != 1)
        return false;
    const bool has_bias = conv->inputs == 3 && cameo_wire_size(conv->input[2]) > 0;
    *p = (place){
        own_parameter(x, conv->input[1]), has_bias ? own_parameter(x, conv->input[2]) : none,
        own_parameter(x, norm->input[1]), own_parameter(x, norm->input[2]),
        own_parameter(x, norm->input[3]), own_parameter(x, norm->input[4])};
    if (p->w == none || p->scale == none || p->shift == none || p->mean == none ||
        p->variance == none)
        return false;
    return !has_bias || p->bias != none;
}

/* ---- weights ---- */

static float *take(const folding *x, size_t i) {
    const cameo_parameter *p = &x->t->parameters[i];
    float *onnx = cameo_allocate(cameo_parameter_elements(p), sizeof *onnx);
    cameo_parameter_read(p, x->out->weights + p->offset, onnx);
    return onnx;
}

static void fold_weights(folding *x, const place *p, float epsilon) {
    const cameo_parameter *weight = &x->t->parameters[p->w], *shift = &x->t->parameters[p->shift];
    const bool has_bias = p->bias < x->t->n_parameters;
    float *w = take(x, p->w), *b = take(x, p->shift), *scale = take(x, p->scale),
          *mean = take(x, p->mean), *variance = take(x, p->variance),
          *bias = has_bias ? take(x, p->bias) : NULL;
    const size_t channels = (size_t)weight->dim[0],
                 each = cameo_parameter_elements(weight) / (channels ? channels : 1);
    for (size_t c = 0; c < channels; c++) {
        const double s = (double)scale[c] / sqrt((double)variance[c] + (double)epsilon);
        for (size_t i = 0; i < each; i++) w[c * each + i] = (float)((double)w[c * each + i] * s);
        b[c] = (float)((double)b[c] + ((bias ? (double)bias[c] : 0) - (double)mean[c]) * s);
    }
    cameo_parameter_write(weight, x->out->weights + weight->offset, w);
    cameo_parameter_write(shift, x->out->weights + shift->offset, b);
    float *const all[] = {w, b, scale, mean, variance, bias};
    for (size_t i = 0; i < 6; i++) free(all[i]);
}

static void fold_pairs(folding *x) {
    for (size_t i = 0; i < x->n; i++) {
        node *norm = &x->nodes[i], *conv;
        place p;
        if (!norm->plain || !cameo_wire_equals(norm->op, "BatchNormalization") ||
            norm->inputs != 5 || norm->outputs != 1)
            continue;
        conv = producer(x, norm->input[0]);
        if (!fits(x, norm, conv, &p)) continue;
        fold_weights(x, &p, norm->epsilon);
        x->dropped[p.scale] = x->dropped[p.mean] = x->dropped[p.variance] = true;
        if (p.bias < x->t->n_parameters) x->dropped[p.bias] = true;
        conv->norm = norm;
        norm->gone = true;
        x->out->folded++;
    }
}

/* ---- writing ---- */

static void put_bytes(cameo_sink *s, unsigned field, cameo_wire w) {
    cameo_sink_head(s, field, cameo_wire_size(w));
    cameo_sink_wire(s, w);
}

/* The convolution with three inputs, and the output of what was folded into it. */
static void write_conv(cameo_sink *s, const void *item) {
    const node *n = item;
    put_bytes(s, NODE_INPUT, n->input[0]);
    put_bytes(s, NODE_INPUT, n->input[1]);
    put_bytes(s, NODE_INPUT, n->norm->input[2]);
    put_bytes(s, NODE_OUTPUT, n->norm->output);
    cameo_field f;
    for (cameo_wire w = n->whole; w.p < w.end && cameo_wire_field(&w, &f);)
        if (f.number != NODE_INPUT && f.number != NODE_OUTPUT) cameo_sink_wire(s, f.whole);
}

/* A described value that isn't made any more. */
static bool is_stale(const folding *x, const cameo_field *f) {
    if (f->number != GRAPH_VALUE_INFO) return false;
    const node *n = producer(x, cameo_wire_find(f->bytes, INFO_NAME));
    return n && n->norm;
}

static void put_graph(const folding *x, cameo_sink *s) {
    const cameo_trainer *t = x->t;
    const node *n = x->nodes;
    cameo_field f;
    for (cameo_wire w = {t->graph_fields, t->graph_fields + t->graph_bytes};
         w.p < w.end && cameo_wire_field(&w, &f);) {
        const node *at = f.number == GRAPH_NODE ? n++ : NULL;
        if ((at && at->gone) || is_stale(x, &f)) continue;
        if (at && at->norm)
            cameo_sink_message(s, GRAPH_NODE, write_conv, at);
        else
            cameo_sink_wire(s, f.whole);
    }
}

static bool write_result(folding *x, cameo_error *error) {
    cameo_trainer *r = &x->out->trainer;
    cameo_output o;
    cameo_parameter *kept = cameo_allocate(x->t->n_parameters, sizeof *kept);
    r->parameters = kept;
    r->n_parameters = 0;
    for (size_t i = 0; i < x->t->n_parameters; i++)
        if (!x->dropped[i]) kept[r->n_parameters++] = x->t->parameters[i];
    if (!cameo_output_open(&o, error)) return false;
    put_graph(x, &(cameo_sink){.stream = o.stream});
    if (fclose(o.stream) != 0)
        return free(o.data), cameo_fail(error, CAMEO_ENVIRONMENT, "out of memory");
    r->graph_fields = (unsigned char *)o.data;
    r->graph_bytes = o.size;
    return true;
}

bool cameo_fold(const cameo_trainer *t, const float *weights, cameo_folded *out,
                cameo_error *error) {
    *out = (cameo_folded){.trainer = *t};
    out->trainer.parameters = NULL;
    out->trainer.graph_fields = NULL;
    out->weights = cameo_block_create(t->floats, "folded weights", error);
    if (!out->weights) return false;
    memcpy(out->weights, weights, t->floats * sizeof *weights);
    folding x = {.t = t, .out = out, .dropped = cameo_allocate(t->n_parameters, sizeof(bool))};
    bool good = read_graph(&x) ||
                cameo_fail(error, CAMEO_DEFECT, "the program's graph is malformed");
    if (good) {
        fold_pairs(&x);
        good = write_result(&x, error);
    }
    free(x.nodes);
    free(x.results);
    free(x.dropped);
    return good;
}

void cameo_folded_free(cameo_folded *f) {
    free((void *)(uintptr_t)f->trainer.parameters);
    free((void *)(uintptr_t)f->trainer.graph_fields);
    cameo_block_free(f->weights, f->trainer.floats);
}
