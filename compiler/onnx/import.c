/* From a decoded ModelProto to a graph. Read onnx_import_memory at the end first: it lists the
   steps. All problems of the model are reported that can be told apart, not only the first. */
#include <inttypes.h>
#include <string.h>

#include "../ir/graph_query.h"
#include "internal.h"
#include "wire.h"

/* The limits are far beyond any real network; they keep what is quadratic in them short. */
enum { NEWEST_IR = 14, MAX_FUNCTIONS = 2000, MAX_NODE_OUTPUTS = 4096 };

const char *onnx_domain(const char *s) { return !s || strcmp(s, "ai.onnx") == 0 ? "" : s; }

const char *onnx_shown(arena *a, const char *s) {
    const char *shown = arena_escape(a, s ? s : "");
    return strlen(shown) > 200 ? arena_printf(a, "%.200s...", shown) : shown;
}

static const char *copied(arena *a, const char *s) { return arena_strdup(a, s ? s : ""); }

/* ---- the model's head ---- */

static bool add_opset(importer *im, const Onnx__OperatorSetIdProto *p) {
    graph *g = im->g;
    const char *domain = onnx_domain(p->domain);
    for (size_t i = 0; i < g->n_opsets; i++)
        if (strcmp(g->opsets[i].domain, domain) == 0)
            return g->opsets[i].version == p->version ||
                   node_error(g, NULL,
                              "opset_import names the domain \"%s\" twice, with versions %" PRId64
                              " and %" PRId64,
                              onnx_shown(g->arena, domain), g->opsets[i].version, p->version);
    if (p->version < 1 || p->version > 100000)
        return node_error(g, NULL, "opset_import has version %" PRId64 " for the domain \"%s\"",
                          p->version, onnx_shown(g->arena, domain));
    g->opsets[g->n_opsets++] = (opset_import){copied(g->arena, domain), p->version};
    return true;
}

static bool import_opsets(importer *im) {
    const Onnx__ModelProto *m = im->model;
    graph *g = im->g;
    bool ok = true;
    if (m->n_opset_import > 1000)
        return node_error(g, NULL, "has %zu opset imports", m->n_opset_import);
    g->opsets = ARENA_ARRAY(g->arena, opset_import, m->n_opset_import + 1);
    for (size_t i = 0; i < m->n_opset_import; i++) ok &= add_opset(im, m->opset_import[i]);
    if (m->n_opset_import == 0 && g->ir_version < 3)
        g->opsets[g->n_opsets++] = (opset_import){"", 1};
    if (m->n_opset_import == 0 && g->ir_version >= 3)
        ok = node_error(g, NULL, "has no opset_import");
    return ok;
}

static void import_properties(importer *im) {
    const Onnx__ModelProto *m = im->model;
    graph *g = im->g;
    g->meta = ARENA_ARRAY(g->arena, cameo_entry, m->n_metadata_props);
    for (size_t i = 0; i < m->n_metadata_props; i++)
        g->meta[g->n_meta++] = (cameo_entry){copied(g->arena, m->metadata_props[i]->key),
                                             copied(g->arena, m->metadata_props[i]->value)};
}

static bool import_head(importer *im) {
    const Onnx__ModelProto *m = im->model;
    graph *g = im->g;
    if (!m->has_ir_version || m->ir_version < 1)
        return node_error(g, NULL, "is not an ONNX model: it has no ir_version");
    if (!m->graph) return node_error(g, NULL, "is not an ONNX model: it has no graph");
    if (m->graph->n_output == 0) return node_error(g, NULL, "has a graph without outputs");
    if (m->ir_version > NEWEST_IR)
        diag_warn(g->diag, NULL, NULL, "has IR version %" PRId64 ", newer than known here (%d)",
                  m->ir_version, NEWEST_IR);
    if (m->n_training_info)
        diag_warn(g->diag, NULL, NULL, "carries training_info, which is ignored");
    if (m->graph->n_sparse_initializer)
        return diag_error(g->diag, NULL, "store the weights densely",
                          "has sparse initializers, which are not supported");
    if (m->n_functions > MAX_FUNCTIONS)
        return diag_error(g->diag, NULL, NULL, "has %zu functions; at most %d are supported",
                          m->n_functions, MAX_FUNCTIONS);
    g->name = copied(g->arena, m->graph->name);
    g->producer = copied(g->arena, m->producer_name);
    if (m->producer_version && *m->producer_version)
        g->producer = arena_printf(g->arena, "%s %s", g->producer, m->producer_version);
    g->ir_version = m->ir_version;
    import_properties(im);
    return import_opsets(im);
}

/* ---- constants, inputs, outputs ---- */

static bool same_tensor(const tensor *a, const tensor *b) {
    return a->type == b->type && shape_equal(&a->shape, &b->shape) && a->type != DT_STRING &&
           memcmp(a->data, b->data, tensor_bytes(a)) == 0;
}

static bool import_initializer(importer *im, const Onnx__TensorProto *t) {
    graph *g = im->g;
    const char *why = "", *name = onnx_shown(g->arena, t->name);
    if (!t->name || !*t->name) return node_error(g, NULL, "has an initializer without a name");
    const value *twin = graph_find_value(g, t->name);
    tensor *data = onnx_decode_tensor(g->arena, t, &im->external, &why);
    if (twin) /* merged files repeat tensors */
        return (data && twin->constant && same_tensor(data, twin->constant)) ||
               node_error(g, NULL, "has two initializers \"%s\" that differ", name);
    if (!data) {
        graph_add_value(g, t->name)->shaped = false; /* so that its readers raise no second error */
        return node_error(g, NULL, "initializer \"%s\" %s", name, why);
    }
    graph_add_constant(g, t->name, data);
    return true;
}

static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__ValueInfoProto *p) {
    return p->type && p->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? p->type->tensor_type
               : NULL;
}

/* 0 and -1 are what some exporters write for "any batch". On the first axis of an image-like input
   they are taken so, unless the outputs' own first extents are all literal, in which case an empty
   tensor is meant. */
static bool zero_means_batch(const Onnx__GraphProto *g) {
    for (size_t i = 0; i < g->n_output; i++) {
        const Onnx__TypeProto__Tensor *t = tensor_type(g->output[i]);
        if (!t || !t->shape || t->shape->n_dim == 0) continue;
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[0];
        if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
            d->dim_value <= 0)
            return true;
    }
    return false;
}

/* A literal -1 can only mean unknown; an unnamed unknown on the first axis is the batch. */
static void import_dim(const importer *im, value *v, int axis,
                       const Onnx__TensorShapeProto__Dimension *d, bool input) {
    int64_t *to = &v->shape.dim[axis];
    *to = -1;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && d->dim_param &&
        *d->dim_param) {
        v->symbol[axis] = copied(im->g->arena, d->dim_param);
        return;
    }
    bool literal = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    if (literal && d->dim_value > 0) *to = d->dim_value;
    if (*to > 0 || !input) return;
    bool zero = literal && d->dim_value == 0,
         batch = !zero || (im->zero_is_batch && v->shape.rank > 1);
    if (axis == 0 && batch) v->symbol[0] = "batch";
    if (zero && !(axis == 0 && batch)) *to = v->shape.rank < 4 ? 0 : -1;
}

static bool import_type(const importer *im, value *v, const Onnx__ValueInfoProto *p, bool input) {
    static const char *const kinds[] = {
        [1] = "a tensor", [4] = "a sequence",      [5] = "a map",
        [7] = "opaque",   [8] = "a sparse tensor", [9] = "optional"};
    const Onnx__TypeProto__Tensor *t = tensor_type(p);
    graph *g = im->g;
    const char *name = onnx_shown(g->arena, p->name), *what = input ? "input" : "output";
    if (!p->type || p->type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET)
        return !input || node_error(g, NULL, "graph input \"%s\" has no type", name);
    if (!t)
        return diag_error(g->diag, NULL, NULL, "graph %s \"%s\" is %s; only tensors are supported",
                          what, name, kinds[p->type->value_case]);
    if (t->elem_type < 0 || t->elem_type > DT_LAST || (input && t->elem_type == 0))
        return node_error(g, NULL, "graph %s \"%s\" has no known element type (%d)", what, name,
                          t->elem_type);
    v->type = (dtype)t->elem_type;
    if (!t->shape) return true;
    if (t->shape->n_dim > MAX_RANK)
        return diag_error(g->diag, NULL, NULL,
                          "graph %s \"%s\" has %zu dimensions; at most %d are supported", what,
                          name, t->shape->n_dim, MAX_RANK);
    v->shaped = true;
    v->shape.rank = (int)t->shape->n_dim;
    for (int i = 0; i < v->shape.rank; i++) import_dim(im, v, i, t->shape->dim[i], input);
    return shape_fits(&v->shape, 16) ||
           node_error(g, NULL, "graph %s \"%s\" is too large", what, name);
}

static bool import_input(importer *im, const Onnx__ValueInfoProto *p) {
    graph *g = im->g;
    const char *name = onnx_shown(g->arena, p->name);
    if (!p->name || !*p->name) return node_error(g, NULL, "has a graph input without a name");
    value *v = graph_find_value(g, p->name);
    if (v && v->is_input) return node_error(g, NULL, "has two graph inputs \"%s\"", name);
    if (v) { /* an initializer; before IR 4 each had to be listed as an input as well */
        im->defaulted += g->ir_version >= 4;
        return true;
    }
    v = graph_add_value(g, p->name);
    v->is_input = true;
    g->inputs[g->n_inputs++] = v;
    return import_type(im, v, p, true);
}

static bool import_output(importer *im, const Onnx__ValueInfoProto *p) {
    graph *g = im->g;
    const char *name = onnx_shown(g->arena, p->name);
    value *v = p->name ? graph_find_value(g, p->name) : NULL;
    if (!v) return node_error(g, NULL, "graph output \"%s\" is produced by no node", name);
    bool first = !v->is_output;
    v->is_output = true;
    g->outputs[g->n_outputs++] = v;
    if (!v->producer)
        return v->constant || v->is_input ||
               node_error(g, NULL, "graph output \"%s\" is produced by no node", name);
    if (first && !import_type(im, v, p, false)) return false;
    v->declared = v->shaped;
    return true;
}

/* ---- nodes ---- */

static value *lookup(const importer *im, const scope *s, const char *name, bool *found) {
    if (s->names) return name_map_get(s->names, name, found);
    value *v = graph_find_value(im->g, name);
    *found = v != NULL;
    return v;
}

/* Values for all outputs first: nodes need not be in order. */
static void declare_outputs(importer *im, const scope *s, const Onnx__NodeProto *p) {
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = p->output[i];
        bool found;
        if (!*name) continue;
        lookup(im, s, name, &found);
        if (found) continue;
        const char *own = s->names && strlen(name) < 512
                              ? arena_printf(im->g->arena, "%s%s", s->prefix, name)
                          : s->names ? NULL
                                     : name;
        value *v = graph_add_value(im->g, own);
        if (s->names) name_map_put(s->names, name, v);
    }
}

static size_t without_trailing(char *const *names, size_t n) {
    while (n && !*names[n - 1]) n--;
    return n;
}

static bool is_function_input(const scope *s, const char *name) {
    for (size_t i = 0; s->function && i < s->function->n_input; i++)
        if (strcmp(s->function->input[i], name) == 0) return true;
    return false;
}

static bool connect(importer *im, const scope *s, const Onnx__NodeProto *p, node *n) {
    graph *g = im->g;
    bool ok = true, found;
    if (n->n_out > MAX_NODE_OUTPUTS) return node_error(g, n, "has %zu outputs", n->n_out);
    value **in = ARENA_ARRAY(g->arena, value *, n->n_in),
          **out = ARENA_ARRAY(g->arena, value *, n->n_out);
    n->in = in, n->out = out;
    for (size_t i = 0; i < n->n_in; i++) {
        if (!*p->input[i]) continue;
        in[i] = lookup(im, s, p->input[i], &found);
        if (!found)
            ok = node_error(g, n, "input %zu, \"%s\", is produced by no node, input or initializer",
                            i, onnx_shown(g->arena, p->input[i]));
    }
    for (size_t i = 0; i < n->n_out; i++) {
        if (!*p->output[i]) continue;
        value *v = out[i] = lookup(im, s, p->output[i], &found);
        bool twice = !v || v->producer || v->constant || v->is_input ||
                     is_function_input(s, p->output[i]);
        for (size_t k = 0; k < i; k++) twice |= n->out[k] == v;
        if (twice)
            ok = node_error(g, n, "writes \"%s\", which exists already",
                            onnx_shown(g->arena, p->output[i]));
    }
    return ok;
}

static int64_t find_opset(const importer *im, const scope *s, const char *domain) {
    for (size_t i = 0; s->function && i < s->function->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = s->function->opset_import[i];
        if (strcmp(onnx_domain(o->domain), domain) == 0 && o->version > 0 && o->version <= 100000)
            return o->version;
    }
    return graph_opset(im->g, domain);
}

/* A node that isn't in the graph yet, for messages and for calls. */
static node *read_node(importer *im, const scope *s, const Onnx__NodeProto *p, int index) {
    arena *a = im->g->arena;
    node *n = ARENA_NEW(a, node);
    n->index = index;
    n->name = s->names && p->name && *p->name ? arena_printf(a, "%s%s", s->prefix, p->name)
                                              : copied(a, p->name);
    n->op_type = copied(a, p->op_type);
    n->domain = copied(a, onnx_domain(p->domain));
    n->opcode = opcode_find(n->domain, n->op_type);
    n->n_in = without_trailing(p->input, p->n_input);
    n->n_out = without_trailing(p->output, p->n_output);
    return n;
}

static bool import_node(importer *im, const scope *s, const Onnx__NodeProto *p, int index) {
    graph *g = im->g;
    node *n = read_node(im, s, p, index);
    const Onnx__FunctionProto *f = onnx_find_function(im, p);
    int64_t opset = find_opset(im, s, n->domain);
    n->opset = opset ? (int)opset : 1;
    bool ok = *n->op_type || node_error(g, n, "has no op_type");
    ok &= strcmp(n->domain, "cameo") != 0 ||
          node_error(g, n, "the domain \"cameo\" is reserved for internal use");
    if (!opset && !f && !*n->domain)
        ok = node_error(g, n, "the model imports no opset for the standard operators");
    ok &= connect(im, s, p, n);
    ok &= onnx_import_attrs(im, s, p, n);
    if (!ok) return false;
    if (f) return onnx_inline(im, s, f, n);
    node *made = graph_add_node(g, n->op_type, n->domain, n->in, n->n_in, n->out, n->n_out);
    made->index = n->index;
    made->opset = n->opset;
    made->inlined = s->function != NULL;
    made->name = n->name;
    made->attrs = n->attrs;
    made->n_attrs = n->n_attrs;
    return true;
}

bool onnx_import_nodes(importer *im, const scope *s, Onnx__NodeProto *const *nodes, size_t count) {
    bool ok = true;
    for (size_t i = 0; i < count; i++) declare_outputs(im, s, nodes[i]);
    for (size_t i = 0; i < count; i++)
        ok &= import_node(im, s, nodes[i], s->function ? s->index : (int)i);
    return ok;
}

/* ---- entry points ---- */

static bool import_graph(importer *im) {
    graph *g = im->g;
    const Onnx__GraphProto *p = im->model->graph;
    scope top = {.prefix = ""};
    bool ok = true;
    im->zero_is_batch = zero_means_batch(p);
    g->inputs = ARENA_ARRAY(g->arena, value *, p->n_input);
    g->outputs = ARENA_ARRAY(g->arena, value *, p->n_output);
    for (size_t i = 0; i < p->n_initializer; i++) ok &= import_initializer(im, p->initializer[i]);
    for (size_t i = 0; i < p->n_input; i++) ok &= import_input(im, p->input[i]);
    if (im->defaulted)
        diag_warn(g->diag, NULL, NULL,
                  "%zu graph inputs have default values (initializers) and are taken as constants",
                  im->defaulted);
    ok &= onnx_import_nodes(im, &top, p->node, p->n_node);
    if (!ok)
        return false; /* the outputs of nodes that failed are missing; more messages would be noise
                       */
    for (size_t i = 0; i < p->n_output; i++) ok &= import_output(im, p->output[i]);
    return ok && onnx_sort(g);
}

static graph *import_model(arena *a, diag *d, const Onnx__ModelProto *m, const char *directory,
                           cameo_sha256_sum *hash) {
    importer im = {
        .g = graph_create(a, d), .model = m, .external = {.directory = directory, .hash = hash}};
    size_t before = d->errors;
    if (!import_head(&im) || !import_graph(&im) || d->errors > before) return NULL;
    cameo_sha256_end(hash, im.g->hash);
    return im.g;
}

graph *onnx_import_memory(arena *a, diag *d, const void *data, size_t size, const char *directory) {
    const char *why = "";
    ProtobufCMessage *m = wire_unpack(a, &onnx__model_proto__descriptor, data, size, &why);
    if (!m) return diag_error(d, NULL, NULL, "%s", why), NULL;
    cameo_sha256_sum hash;
    cameo_sha256_begin(&hash);
    cameo_sha256_add(&hash, data, size);
    graph *g = import_model(a, d, (const Onnx__ModelProto *)(const void *)m, directory, &hash);
    wire_free(m);
    return g;
}

graph *onnx_import(arena *a, diag *d, const char *path, bool keep) {
    arena *own = keep ? a : arena_create();
    cameo_wire file;
    graph *g = NULL;
    const char *why = "", *slash = strrchr(path, '/');
    const char *directory = slash == path ? "/"
                            : slash       ? arena_strndup(a, path, (size_t)(slash - path))
                                          : ".";
    if (wire_read_file(own, path, &file, &why))
        g = onnx_import_memory(a, d, file.p, cameo_wire_size(file), directory);
    else
        diag_error(d, NULL, NULL, "%s", why);
    if (g && keep) g->file.bytes = file;
    if (!keep) arena_destroy(own);
    return g;
}
