/* model.c as text: the overview, the layers' functions, the list of calls, and (tables.c) what the
   runtime wants to know. */
#include "program.h"

#include <string.h>

static void preamble(const emitter *e, text *t) {
    text_put(t,
             "#include \"cameo_abi.h\"\n"
             "#include \"kernels/all.h\"\n"
             "$0\n"
             "#include <math.h>\n"
             "#include <string.h>\n\n",
             e->xnnpack ? "#include \"kernels/xnn.h\"\n" : "");
}

size_t embedding_layers(const emitter *e) {
    const value *v = e->graph->embedding;
    size_t layers = 0;
    if (!v || !v->producer) return 0;
    for (size_t i = 0; i < e->graph->n_nodes; i++) {
        if (e->graph->nodes[i] != v->producer) continue;
        while (layers < e->n_calls && e->calls[layers].position <= i) layers++;
    }
    return layers;
}

/* ---- functions ---- */

static void head_print(const function *f, text *t, const char *linkage) {
    text_put(t, "$0 void $1(cameo_context *c, size_t n$2)", linkage, f->name, f->parameters);
}

static void function_print(const function *f, text *t, const char *linkage) {
    text_replace(t, f->helpers, "$F", f->name);
    head_print(f, t, linkage);
    text_append(t, " {\n    (void)c, (void)n;\n");
    text_replace(t, f->body, "$F", f->name);
    text_append(t, "}\n\n");
}

static void prototype_print(const function *f, text *t) {
    head_print(f, t, "HIDDEN");
    text_append(t, ";\n");
}

/* ---- constants ---- */

static void arena_enum(const emitter *e, text *t) {
    const graph *g = e->graph;
    bool any = false;
    for (size_t i = 0; i < g->n_values; i++) {
        const value *v = g->values[i];
        if (!e->value_name[v->id]) continue;
        if (!any)
            text_append(t, "/* Where values lie in the arena, in bytes. Values that are never "
                           "alive together share memory. */\n");
        any = true;
        text_put(t, "#define $0 $1u /* ", e->value_name[v->id], v->arena_offset);
        shape_print(t, &v->shape);
        text_append(t, v->layout == LAYOUT_NHWC ? " nhwc */\n" : " */\n");
    }
    if (any) text_append(t, "\n");
}

static void weights_declaration(const emitter *e, text *t) {
    const blob *b = &e->blob;
    if (b->count) text_append(t, "/* Where weights lie in their block, in bytes. */\n");
    for (size_t i = 0; i < b->count; i++)
        text_put(t, "#define $0 $1u /* $2 bytes */\n", b->entry[i].name, b->entry[i].offset,
                 b->entry[i].bytes);
    if (b->count) text_append(t, "\n");
    if (e->options->sidecar) return;
    const char *name = e->options->name;
    text_put(t,
             "/* The weights themselves: weights.bin, put into the program by the assembler. */\n"
             "extern const unsigned char $0_weights[];\n"
             "__asm__(\".section .rodata\\n.balign 64\\n.globl $0_weights\\n.hidden "
             "$0_weights\\n$0_weights:\\n\"\n"
             "        \".incbin \\\"$1weights.bin\\\"\\n.zero 128\\n.previous\\n\");\n\n",
             name, e->unit);
}

static const char access_macros[] =
    "#define AT(type, offset) ((type *)(void *)(c->arena + (offset)))\n"
    "#define IN(type, i) ((const type *)c->in[i])\n"
    "#define OUT(type, i) ((type *)out[i])\n"
    "#define WEIGHTS(offset) ((const void *)(c->weights + (offset)))\n"
    "/* Before each layer: stop when enough was computed, and tell the profiler. */\n"
    "#define LAYER(i)                                \\\n"
    "    do {                                        \\\n"
    "        if (last == (i)) return;                \\\n"
    "        if (c->tick) c->tick(c->tick_data, (i)); \\\n"
    "    } while (0)\n\n";

/* ---- run ---- */

static size_t bytes_of(const value *v, bool per_image) {
    size_t bytes;
    if (!size_mul((size_t)(per_image ? image_elements(v) : value_count(v)), dtype_size(v->type),
                  &bytes))
        BUG("size");
    return bytes;
}

static void copy_print(text *t, const char *to, const char *from, const value *v) {
    text_put(t, "    memcpy($0, $1, $2$3u);\n", to, from, v->batched ? "n * " : "",
             bytes_of(v, v->batched));
}

static void inputs_to_arena(emitter *e, text *t) {
    for (size_t i = 0; i < e->graph->n_inputs; i++) {
        const value *v = e->graph->inputs[i];
        if (v->arena_offset < 0) continue;
        copy_print(t, place_expression(e, v, true), emit_text(e, "c->in[$0]", i), v);
    }
}

/* Outputs that could not be computed in place: inputs, constants, and what is an output twice. */
static void outputs_from_elsewhere(emitter *e, text *t) {
    const graph *g = e->graph;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const place p = value_place(g, g->outputs[i]);
        if (p.kind == PLACE_OUTPUT && p.index == i) continue;
        copy_print(t, arena_put(g->arena, "out[$0]", i), place_expression(e, g->outputs[i], false),
                   g->outputs[i]);
    }
}

static bool embedding_in_output(const emitter *e, size_t *index) {
    if (!e->graph->embedding) return false;
    const place p = value_place(e->graph, e->graph->embedding);
    *index = p.index;
    return p.kind == PLACE_OUTPUT;
}

static void embedding_function(emitter *e, text *t) {
    size_t k;
    const value *v = e->graph->embedding;
    if (!v || embedding_in_output(e, &k)) return;
    value dense = *v;
    dense.base = NULL, dense.layout = LAYOUT_ONNX, dense.pixel_stride = 0;
    text_clear(&e->body);
    emit_copy_body(e, v, &dense, 0, v->batched);
    text_put(t,
             "/* The embedding's own copy, dense. */\n"
             "static void copy_embedding(size_t n, const $0 *x, $0 *y) {\n"
             "    (void)n;\n"
             "$1}\n\n",
             dtype_c(v->type), text_str(&e->body));
}

static void embedding_copy(emitter *e, text *t) {
    size_t k;
    if (!e->graph->embedding || embedding_in_output(e, &k)) return;
    text_put(t, "    if (c->embedding) copy_embedding(n, $0, c->embedding);\n",
             place_expression(e, e->graph->embedding, false));
}

void output_shape(text *t, const node *n) {
    if (n->n_out && n->out[0]) shape_print(t, &n->out[0]->shape);
}

static void call_print(const emitter *e, text *t, size_t i) {
    const call *k = &e->calls[i];
    text line = {0};
    text_put(&line, "    LAYER($0); $1(c, $2$3);", i, e->functions[k->function].name,
             k->batched ? "n" : "1", k->arguments);
    text_append(t, text_str(&line));
    text_printf(t, "%*s /* %s ", line.size < 100 ? (int)(100 - line.size) : 0, "", k->name);
    output_shape(t, k->node);
    text_append(t, " */\n");
    text_free(&line);
}

/* Of calls [first, end) as one function. The embedding and the outputs are made by the last. */
static void section_write(emitter *e, text *t, const char *name, size_t first, size_t end) {
    const graph *g = e->graph;
    const size_t layers = embedding_layers(e);
    size_t k;
    text_put(t,
             "static void $0(cameo_context *c, size_t last) {\n"
             "    const size_t n = c->count;\n"
             "    void *out[$1];\n"
             "    for (size_t i = 0; i < $1; i++) out[i] = c->out ? c->out[i] : NULL;\n",
             name, g->n_outputs);
    if (embedding_in_output(e, &k))
        text_put(t, "    if (c->embedding) out[$0] = c->embedding;\n", k);
    text_append(t, "    (void)n, (void)out;\n");
    if (!first) inputs_to_arena(e, t);
    if (!first && !layers) embedding_copy(e, t);
    for (size_t i = first; i < end; i++) {
        call_print(e, t, i);
        if (i + 1 == layers) embedding_copy(e, t);
    }
    if (end == e->n_calls && g->embedding)
        text_append(
            t, "    if (c->embedding) return; /* the caller gave no room for the outputs */\n");
    if (end == e->n_calls) outputs_from_elsewhere(e, t);
    text_put(t, "    if (c->tick) c->tick(c->tick_data, $0);\n    (void)last;\n}\n\n", end);
}

size_t late_layer(const emitter *e) {
    size_t first = 0;
    while (e->graph->late && first < e->n_calls && e->calls[first].position < e->graph->late)
        first++;
    return first;
}

static void run_write(emitter *e, text *t) {
    const size_t late = late_layer(e);
    e->position = e->graph->n_nodes;
    embedding_function(e, t);
    section_write(e, t, "run", 0, late ? late : e->n_calls);
    if (late) section_write(e, t, "run_late", late, e->n_calls);
}

static void create_write(const emitter *e, text *t) {
    text_put(t,
             "/* What is made once, when a context is created. */\n"
             "static bool create(cameo_context *c) {\n"
             "    (void)c;\n"
             "$0    return true;\n"
             "}\n\n",
             text_str(&e->create));
}

/* ---- whole files ---- */

static void parts_write(const emitter *e, emitted *out, const text *tail) {
    const size_t want = (e->n_functions + 3) / 4, more = want > 24 ? 24 : want;
    out->n_parts = more + 1;
    out->parts = ARENA_ARRAY(e->graph->arena, text, out->n_parts);
    static const char hidden[] = "#define HIDDEN __attribute__((visibility(\"hidden\")))\n";
    for (size_t p = 0; p < out->n_parts; p++) {
        preamble(e, &out->parts[p]);
        text_append(&out->parts[p], hidden);
    }
    for (size_t i = 0; i < e->n_functions; i++) {
        prototype_print(&e->functions[i], &out->parts[0]);
        prototype_print(&e->functions[i], &out->parts[1 + i % more]);
        function_print(&e->functions[i], &out->parts[1 + i % more], "HIDDEN");
    }
    text_append(&out->parts[0], text_str(tail));
}

void model_write(emitter *e, emitted *out) {
    text run = {0}, tail = {0};
    run_write(e, &run); /* first: names and weights come into being where they are used */
    text_append(&tail, access_macros);
    arena_enum(e, &tail);
    weights_declaration(e, &tail);
    text_append(&tail, text_str(&run));
    create_write(e, &tail);
    info_write(e, &tail);
    text *t = &out->model_c;
    table_write(e, t);
    preamble(e, t);
    for (size_t i = 0; i < e->n_functions; i++) function_print(&e->functions[i], t, "static");
    text_append(t, text_str(&tail));
    parts_write(e, out, &tail);
    header_write(e, &out->model_h);
    text_free(&run), text_free(&tail);
}
