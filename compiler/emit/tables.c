/* The parts of model.c for people and for the runtime: the overview comment, tables of layers and
   tensors, the model object; and model.h. Every string of the model is escaped on its way. */
#include "../../runtime/base/class_names.h"
#include "../../runtime/core/sha256.h"
#include "../ir/graph_query.h"
#include "../ir/implementation.h"
#include "program.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static double layer_macs(const node *n) {
    const value *y = n->n_out ? n->out[0] : NULL;
    const bool per_image = y && node_is_batched(n) && y->shape.rank > 0 && y->shape.dim[0] > 0;
    return per_image ? n->macs / (double)y->shape.dim[0] : n->macs;
}

static uint64_t layer_parameters(const node *n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n->n_in; i++) {
        const value *v = n->in[i];
        if (v && value_is_external(v) &&
            (v->type == DT_FLOAT || v->type == DT_DOUBLE || v->type == DT_FLOAT16))
            sum += (uint64_t)value_count(v);
    }
    return sum;
}

static const char *kernel_name(const node *n) { return n->impl ? n->impl->name : "plain"; }

static void padded(text *t, const char *s, bool comment, size_t width) {
    const size_t start = t->size;
    if (comment)
        text_comment(t, s);
    else
        text_append(t, s);
    while (t->size - start < width) text_append(t, " ");
}

static void table_row(text *t, const node *n) {
    text size = {0};
    output_shape(&size, n);
    text_append(t, "   ");
    padded(t, node_label(n), true, 30);
    text_append(t, " ");
    padded(t, n->op_type, true, 12);
    text_append(t, " ");
    padded(t, text_str(&size), false, 14);
    text_printf(t, " %10llu %11.0f  %s\n", (unsigned long long)layer_parameters(n), layer_macs(n),
                kernel_name(n));
    text_free(&size);
}

static const char *kernels_word(const options *o) {
    static const char *const word[] = {"auto", "xnnpack", "native", "plain"};
    return word[o->kernels];
}

void table_write(emitter *e, text *t) {
    const graph *g = e->graph;
    text_append(t, "/* ");
    text_comment(t, g->name && g->name[0] ? g->name : e->options->name);
    text_append(t,
                ", compiled by cameo. Generated: change the model, not this file.\n\n   target ");
    text_comment(t, e->options->target.name ? e->options->target.name : "generic");
    text_put(t, ", kernels $0, batch $1", kernels_word(e->options), g->batch);
    if (g->group && g->group < g->batch) text_put(t, " in groups of $0", g->group);
    if (g->alone) text_put(t, ", $0 with one thread", g->alone);
    if (g->late) text_put(t, ", of $0 from layer $1 on", g->late_group, late_layer(e));
    text_put(t,
             "\n"
             "   model  $0\n"
             "   arena  $1 bytes, weights $2 bytes\n\n"
             "   layer                          operator     output         parameters        MACs "
             " kernel\n",
             g->hash, e->arena_bytes, e->blob.data.size);
    for (size_t i = 0; i < e->n_calls; i++) table_row(t, e->calls[i].node);
    text_append(t, "*/\n");
}

/* ---- tables for the runtime ---- */

static void tensor_row(text *t, const value *v) {
    text_append(t, "    {");
    text_c_string(t, v->name);
    text_put(t, ", $0, $1, {", v->type, v->shape.rank);
    for (int i = 0; i < v->shape.rank; i++) text_put(t, "$0$1", i ? ", " : "", v->shape.dim[i]);
    text_put(t, "$0}, $1},\n", v->shape.rank ? "" : "0", v->batched ? "true" : "false");
}

static void tensor_table(text *t, const char *name, value *const *v, size_t n) {
    if (!n) return;
    text_put(t, "static const cameo_tensor_info $0[] = {\n", name);
    for (size_t i = 0; i < n; i++) tensor_row(t, v[i]);
    text_append(t, "};\n\n");
}

/* Where the runtime finds a layer's first output: its offset in the arena (bytes) and how many
   floats lie there without gaps. Only where that does not depend on the count of images, as in
   training steps, which name the layer that is not finite. */
static void layer_place(text *t, const node *n) {
    const value *v = n->n_out ? n->out[0] : NULL, *root = v;
    while (root && root->base) root = root->base;
    const bool dense = v && (!v->pixel_stride || v->pixel_stride == v->shape.dim[1]);
    if (!v || !dense || v->batched || v->type != DT_FLOAT || root->arena_offset < 0 ||
        root->role != ROLE_NONE)
        text_append(t, "0, 0");
    else
        text_put(t, "$0, $1", root->arena_offset + v->view_offset * (int64_t)sizeof(float),
                 value_count(v));
}

static void layer_table(const emitter *e, text *t) {
    if (!e->n_calls) return;
    text_append(t, "static const cameo_layer_info layers[] = {\n");
    for (size_t i = 0; i < e->n_calls; i++) {
        const node *n = e->calls[i].node;
        text size = {0};
        output_shape(&size, n);
        text_append(t, "    {");
        text_c_string(t, node_label(n));
        text_append(t, ", ");
        text_c_string(t, n->op_type);
        text_append(t, ", ");
        text_c_string(t, kernel_name(n));
        text_printf(t, ", \"%s\", %.17g, %llu, ", text_str(&size), layer_macs(n),
                    (unsigned long long)layer_parameters(n));
        layer_place(t, n);
        text_append(t, "},\n");
        text_free(&size);
    }
    text_append(t, "};\n\n");
}

/* The --labels file, or the model's metadata: false when there are none, or after a message. */
static bool class_names(const emitter *e, cameo_class_names *names) {
    const char *file = e->options->labels, *meta = graph_metadata(e->graph, "cameo.classes");
    diag *d = e->graph->diag;
    cameo_error error = {0};
    if (!file) {
        if (!meta ||
            cameo_class_names_parse(meta, strlen(meta), "metadata cameo.classes", names, &error))
            return meta != NULL;
        diag_warn(d, NULL, "give the names with --labels", "%s", error.message);
        return false;
    }
    if (!cameo_class_names_read(file, names, &error))
        return diag_error(d, NULL, "--labels takes a text file, one class name a line", "%s",
                          error.message);
    const value *y = e->graph->outputs[0];
    const int64_t classes = value_count(y) / (y->batched ? y->shape.dim[0] : 1);
    if (names->count != (size_t)classes)
        diag_warn(d, NULL, NULL,
                  "--labels %s names %zu classes, but the first output has %lld numbers an image",
                  file, names->count, (long long)classes);
    return true;
}

static size_t class_table(const emitter *e, text *t) {
    cameo_class_names names;
    if (!class_names(e, &names)) return 0;
    const size_t count = names.count;
    if (count) text_append(t, "static const char *const classes[] = {\n");
    for (size_t i = 0; i < count; i++) {
        text_append(t, "    ");
        text_c_string(t, names.name[i]);
        text_append(t, ",\n");
    }
    if (count) text_append(t, "};\n\n");
    cameo_class_names_free(&names);
    return count;
}

static const char *embedding_rule(const emitter *e) {
    const graph *g = e->graph;
    if (e->options->embedding) return "--embedding";
    const char *meta = graph_metadata(g, "cameo.embedding");
    if (meta && g->embedding && !strcmp(meta, g->embedding->name)) return "cameo.embedding";
    return g->embedding && g->embedding->is_output ? "output" : "input of last Gemm";
}

void string_field(text *t, const char *field, const char *s) {
    text_put(t, "    .$0 = ", field);
    if (s)
        text_c_string(t, s);
    else
        text_append(t, "NULL");
    text_append(t, ",\n");
}

static void weights_fields(const emitter *e, text *t) {
    char hash[65];
    cameo_sha256_sum sum;
    cameo_sha256_begin(&sum);
    cameo_sha256_add(&sum, text_str(&e->blob.data), e->blob.data.size);
    cameo_sha256_end(&sum, hash);
    text_put(t, "    .arena_bytes = $0u, .weights_bytes = $1u,\n", e->arena_bytes,
             e->blob.data.size);
    if (!e->options->sidecar) text_put(t, "    .weights = $0_weights,\n", e->options->name);
    if (e->options->sidecar)
        string_field(t, "weights_file", arena_put(e->graph->arena, "$0.weights", e->options->name));
    string_field(t, "weights_hash", hash);
}

static void model_object(const emitter *e, text *t, size_t n_classes) {
    const graph *g = e->graph;
    double macs = 0;
    for (size_t i = 0; i < e->n_calls; i++) macs += layer_macs(e->calls[i].node);
    const bool own = !e->unit[0] || e->options->is_narrower; /* not a step, not a detector */
    if (e->options->n_narrower)
        text_put(t, "extern const cameo_model $0_model;\n", narrower_name(e));
    if (own && e->options->detector)
        text_put(t, "extern const cameo_model $0_detector_model;\n", e->prefix);
    text_put(t,
             "extern const cameo_model $0_model;\n"
             "const cameo_model $0_model = {\n"
             "    .abi = CAMEO_ABI,\n",
             e->options->name);
    string_field(t, "name", e->options->name);
    text_append(t, "    .version = CAMEO_VERSION,\n");
    string_field(t, "hash", g->hash);
    string_field(t, "target", e->options->target.name ? e->options->target.name : "generic");
    string_field(t, "producer", g->producer ? g->producer : "");
    const int64_t batch = g->batch > 0 ? g->batch : 1;
    text_printf(t, "    .batch = %lld, .group = %lld, .parameters = %lluu, .macs = %.17g,\n",
                (long long)batch, (long long)(g->group > 0 ? g->group : batch),
                (unsigned long long)g->weights, macs);
    if (g->alone) text_put(t, "    .group_alone = $0,\n", g->alone);
    if (g->late)
        text_put(t, "    .late_group = $0, .late_layer = $1, .run_late = run_late,\n",
                 g->late_group, late_layer(e));
    text_put(t,
             "    .n_inputs = $0, .n_outputs = $1, .n_layers = $2, .n_states = $3,\n"
             "    .inputs = $4, .outputs = $5, .layers = $6,\n",
             g->n_inputs, g->n_outputs, e->n_calls, e->n_states, g->n_inputs ? "inputs" : "NULL",
             g->n_outputs ? "outputs" : "NULL", e->n_calls ? "layers" : "NULL");
    if (g->embedding) {
        text_put(t, "    .embedding = embedding, .embedding_layers = $0,\n", embedding_layers(e));
        string_field(t, "embedding_rule", embedding_rule(e));
    }
    string_field(t, "preprocess", options_preprocess(e->options, g));
    string_field(t, "calibration", own ? graph_metadata(g, "cameo.calibration") : NULL);
    if (own && e->options->detector)
        text_put(t, "    .detector = &$0_detector_model,\n", e->prefix);
    if (e->options->n_narrower) text_put(t, "    .narrower = &$0_model,\n", narrower_name(e));
    if (n_classes) text_put(t, "    .n_classes = $0, .classes = classes,\n", n_classes);
    weights_fields(e, t);
    if (e->xnnpack) text_append(t, "    .backend = &cameo_xnnpack,\n");
    text_append(t, "    .create = create,\n    .run = run,\n};\n");
}

void info_write(emitter *e, text *t) {
    const graph *g = e->graph;
    tensor_table(t, "inputs", g->inputs, g->n_inputs);
    tensor_table(t, "outputs", g->outputs, g->n_outputs);
    if (g->embedding) tensor_table(t, "embedding", &g->embedding, 1);
    layer_table(e, t);
    const size_t n_classes = class_table(e, t);
    model_object(e, t, n_classes);
}

/* ---- model.h ---- */

static const char *upper(arena *a, const char *s) {
    char *u = arena_strdup(a, s);
    for (char *p = u; *p; p++) *p = (char)toupper((unsigned char)*p);
    return u;
}

static void shape_macros(const emitter *e, text *t, const char *kind, size_t i, const value *v) {
    const char *prefix = upper(e->graph->arena, e->options->name);
    text_append(t, "/* ");
    text_comment(t, v->name);
    text_put(t, ": $0 */\n#define $1_$2_$3_RANK $4\n", dtype_name(v->type), prefix, kind, i,
             v->shape.rank);
    for (int d = 0; d < v->shape.rank; d++)
        text_put(t, "#define $0_$1_$2_DIM_$3 $4\n", prefix, kind, i, d, v->shape.dim[d]);
    text_put(t, "#define $0_$1_$2_ELEMENTS $3 /* $4 */\n", prefix, kind, i,
             v->batched && v->shape.dim[0] > 0 ? value_count(v) / v->shape.dim[0] : value_count(v),
             v->batched ? "of one image" : "in all");
}

static void argument(text *t, const char *name, const value *v, bool written) {
    text_put(t, ", $0$1 *$2 /* ", written ? "" : "const ",
             dtype_c(v->type) ? dtype_c(v->type) : "void", name);
    for (int d = 0; d < v->shape.rank; d++) {
        if (d == 0 && v->batched)
            text_append(t, "[count]");
        else
            text_put(t, "[$0]", v->shape.dim[d]);
    }
    text_append(t, " */");
}

static void pointer_array(text *t, const char *declaration, const char *const *name, size_t n) {
    text_put(t, "    $0 = {", declaration);
    for (size_t i = 0; i < n; i++) text_put(t, "$0$1", i ? ", " : "", name[i]);
    text_append(t, n ? "};\n" : "NULL};\n");
}

static void run_wrapper(emitter *e, text *t) {
    const graph *g = e->graph;
    const char *p = e->options->name;
    const char **in = ARENA_ARRAY(g->arena, const char *, g->n_inputs + 1),
               **out = ARENA_ARRAY(g->arena, const char *, g->n_outputs + 1);
    for (size_t i = 0; i < g->n_inputs; i++) in[i] = mangle(e, "in_", g->inputs[i]->name, NULL);
    for (size_t i = 0; i < g->n_outputs; i++) out[i] = mangle(e, "out_", g->outputs[i]->name, NULL);
    text_put(t,
             "/* Dense tensors in ONNX layout; count is 1 up to the batch. Returns an exit code of "
             "cameo.h, 0 = done. */\n"
             "static inline int $0_run($0 *context, size_t count",
             p);
    for (size_t i = 0; i < g->n_inputs; i++) argument(t, in[i], g->inputs[i], false);
    for (size_t i = 0; i < g->n_outputs; i++) argument(t, out[i], g->outputs[i], true);
    text_append(t, ") {\n");
    pointer_array(t, "const void *const inputs[]", in, g->n_inputs);
    pointer_array(t, "void *const outputs[]", out, g->n_outputs);
    text_append(t, "    return cameo_run(context, count, inputs, outputs);\n}\n\n");
}

static bool can_embed(const graph *g) {
    return g->embedding && g->n_inputs == 1 &&
           (g->inputs[0]->type == DT_FLOAT || g->inputs[0]->type == DT_UINT8) &&
           g->embedding->type == DT_FLOAT;
}

void header_write(emitter *e, text *t) {
    const graph *g = e->graph;
    const char *p = e->options->name, *u = upper(g->arena, p);
    text_append(t, "/* ");
    text_comment(t, g->name && g->name[0] ? g->name : p);
    text_put(t,
             ", compiled by cameo. A context belongs to one thread at a time; weights are shared.\n"
             "   model $0 */\n"
             "#ifndef $1_MODEL_H\n"
             "#define $1_MODEL_H\n"
             "#include \"cameo.h\"\n\n"
             "#ifdef __cplusplus\n"
             "extern \"C\" {\n"
             "#endif\n\n"
             "#define $1_BATCH $2\n"
             "#define $1_INPUTS $3\n"
             "#define $1_OUTPUTS $4\n",
             g->hash, u, g->batch > 0 ? g->batch : 1, g->n_inputs, g->n_outputs);
    for (size_t i = 0; i < g->n_inputs; i++) shape_macros(e, t, "INPUT", i, g->inputs[i]);
    for (size_t i = 0; i < g->n_outputs; i++) shape_macros(e, t, "OUTPUT", i, g->outputs[i]);
    if (g->embedding) shape_macros(e, t, "EMBEDDING", 0, g->embedding);
    text_put(t,
             "\n"
             "extern const cameo_model $0_model;\n"
             "typedef cameo_context $0; /* arena and threads */\n\n"
             "/* options NULL = defaults; NULL with *error filled (error may be NULL). */\n"
             "static inline $0 *$0_create(const cameo_options *options, cameo_error *error) {\n"
             "    return cameo_create(&$0_model, options, error);\n"
             "}\n\n",
             p);
    run_wrapper(e, t);
    if (can_embed(g)) {
        text_append(t, "/* As run, but nothing behind the embedding is computed. */\n");
        text_put(t,
                 "static inline int $0_embed($0 *context, size_t count, const $1 *input, float "
                 "*embedding) {\n"
                 "    return cameo_embed(context, count, input, embedding);\n"
                 "}\n\n",
                 p, dtype_c(g->inputs[0]->type));
    }
    text_put(t,
             "static inline void $0_destroy($0 *context) { cameo_destroy(context); }\n\n"
             "#ifdef __cplusplus\n"
             "}\n"
             "#endif\n"
             "#endif\n",
             p);
}
