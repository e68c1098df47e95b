/* trainer.c as text: the table of parameters, and the cameo_trainer that joins the step graph and
   the infer graph over them; with it the parameters' first values in the block's order, and the
   model file without them, from which checkpoints are written. */
#include "../../runtime/training/training.h"
#include "../base/loss_spec.h"
#include "../ir/graph_query.h"
#include "../onnx/skeleton.h"
#include "program.h"

#include <string.h>

static const char *const order_names[] = {"CAMEO_PARAMETER_ONNX", "CAMEO_PARAMETER_CONV",
                                          "CAMEO_PARAMETER_DEPTHWISE"};
_Static_assert((int)PARAMETER_CONV == (int)CAMEO_PARAMETER_CONV &&
                   (int)PARAMETER_DEPTHWISE == (int)CAMEO_PARAMETER_DEPTHWISE,
               "the runtime's orders are the compiler's");

/* The row that the runtime will know p by. */
static cameo_parameter runtime_row(const parameter *p) {
    const shape *s = &p->initial->shape;
    cameo_parameter row = {p->name,   s->rank,   {0},
                           p->offset, p->floats, (cameo_parameter_layout)p->layout,
                           p->block,  p->learnt, p->decay};
    for (int i = 0; i < s->rank; i++) row.dim[i] = s->dim[i];
    return row;
}

static void put_row(text *t, const cameo_parameter *p) {
    text_append(t, "    {");
    text_c_string(t, p->name);
    text_put(t, ", $0, {", p->rank);
    for (int i = 0; i < p->rank; i++) text_put(t, "$0$1", i ? ", " : "", p->dim[i]);
    text_put(t, "$0}, $1, $2, $3, $4, $5, $6},\n", p->rank ? "" : "0", p->offset, p->floats,
             order_names[p->layout], p->block, p->learnt ? "true" : "false",
             p->decay ? "true" : "false");
}

static void initial_block(const graph *g, text *out, size_t floats) {
    arena *a = arena_create();
    float *block = ARENA_ARRAY(a, float, floats);
    for (size_t i = 0; i < g->n_parameters; i++) {
        const cameo_parameter row = runtime_row(g->parameters[i]);
        cameo_parameter_write(&row, block + row.offset, g->parameters[i]->initial->data);
    }
    text_append_n(out, block, floats * sizeof *block);
    arena_destroy(a);
}

static void include_file(text *t, const char *symbol, const char *file) {
    text_put(t,
             "extern const unsigned char $0[];\n"
             "__asm__(\".section .rodata\\n.balign 64\\n.globl $0\\n.hidden $0\\n$0:\\n\"\n"
             "        \".incbin \\\"$1\\\"\\n.byte 0\\n.previous\\n\");\n\n",
             symbol, file);
}

static const char *const file_names[] = {"initial.bin", "model_fields.bin", "graph_fields.bin"},
                         *const symbols[] = {"initial", "model_fields", "graph_fields"};

static void loss_fields(const graph *infer, const graph *step, const options *o, text *t) {
    loss_spec spec;
    if (loss_parse(infer->arena, o->loss, &spec)) BUG("the loss has changed");
    const bool compares = spec.triplet.weight > 0 || spec.contrastive.weight > 0;
    const int64_t batch = step->inputs[0]->shape.dim[0];
    text_append(t, "    .loss = ");
    text_c_string(t, o->loss ? o->loss : "ce");
    text_put(t, ", .batch = $0, .classes = $1, .same = $2, .mixes = $3,\n", batch,
             spec.softmax ? graph_logits(infer)->shape.dim[1] : 0,
             compares ? loss_images_of_class(batch) : 0,
             compares || spec.margins || spec.center > 0 ? "false" : "true");
}

/* ---- what the plan says of tensors that the file holds once ---- */

enum { MOST_NAMES = 6 };

typedef struct naming { /* a list of names with a number each, cut where it gets long */
    text names;
    size_t count;
} naming;

static void add_name(naming *l, const char *name, size_t number, const char *what) {
    if (l->count++ >= MOST_NAMES) return;
    text_append(&l->names, l->count > 1 ? ", " : "");
    text_escape(&l->names, name);
    text_put(&l->names, " ($0$1)", number, what);
}

static void end_names(naming *l) {
    if (l->count > MOST_NAMES) text_put(&l->names, " and $0 more", l->count - MOST_NAMES);
}

static void put_shared(text *t, const graph *g) {
    naming l = {0};
    for (size_t i = 0; i < g->n_parameters; i++) {
        const tie *own = g->parameters[i]->tie;
        if (own && own->layers > 1) add_name(&l, g->parameters[i]->name, own->layers, " layers");
    }
    end_names(&l);
    if (l.count) string_field(t, "shared", text_str(&l.names));
    text_free(&l.names);
}

/* How many parameters are made of what the first of them, i, is made of; 0 when an earlier one is
   that. */
static size_t made_of(const graph *g, size_t i) {
    const tie *own = g->parameters[i]->tie;
    size_t n = 0;
    for (size_t k = 0; own && own->stored && k < g->n_parameters; k++) {
        const tie *other = g->parameters[k]->tie;
        if (!other || !other->stored || strcmp(other->stored, own->stored)) continue;
        if (k < i) return 0;
        n++;
    }
    return n;
}

static void put_apart(text *t, const graph *g) {
    naming l = {0};
    size_t parameters = 0;
    for (size_t i = 0; i < g->n_parameters; i++) {
        const size_t n = made_of(g, i);
        if (n < 2) continue; /* the others were the old classifier's, or stay constants */
        add_name(&l, g->parameters[i]->tie->stored, n, "");
        parameters += n;
    }
    end_names(&l);
    if (l.count)
        string_field(t, "apart",
                     arena_put(g->arena, "$0 tensors that the model file holds as $1: $2",
                               parameters, l.count, text_str(&l.names)));
    text_free(&l.names);
}

static void trainer_object(const graph *infer, const graph *step, const options *o,
                           const program *out, text *t, const char *prefix) {
    size_t floats = 0, learnt = 0;
    for (size_t i = 0; i < infer->n_parameters; i++) {
        const parameter *p = infer->parameters[i];
        floats = p->offset + p->floats;
        if (p->learnt) learnt = floats;
    }
    text_put(
        t,
        "extern const cameo_trainer $0_trainer;\n"
        "const cameo_trainer $0_trainer = {\n"
        "    .step = &$0_step_model, .infer = &$0_model, .logits = 0,\n"
        "    .n_parameters = $1, .parameters = parameters, .floats = $2, .learnt_floats = $3,\n",
        prefix, infer->n_parameters, floats, learnt);
    loss_fields(infer, step, o, t);
    text_put(t,
             "    .initial = $0_initial, .initial_in_program = true,\n"
             "    .model_fields = $0_model_fields, .graph_fields = $0_graph_fields,\n"
             "    .model_bytes = $1, .graph_bytes = $2,\n",
             prefix, out->files[1].data.size, out->files[2].data.size);
    put_shared(t, infer);
    put_apart(t, infer);
    text_append(t, "};\n");
}

bool emit_trainer(const graph *infer, const graph *step, const options *o, program *out) {
    const char *prefix = emit_prefix(infer->arena, o);
    const parameter *last = infer->parameters[infer->n_parameters - 1];
    out->n_files = 3;
    for (size_t i = 0; i < 3; i++) out->files[i].name = file_names[i];
    initial_block(infer, &out->files[0].data, last->offset + last->floats);
    skeleton_split(infer, &out->files[1].data, &out->files[2].data);
    text *t = &out->trainer_c;
    text_put(t,
             "/* Training: the parameters of $0, and what joins its two models. Generated. */\n"
             "#include \"training/training.h\"\n\n"
             "extern const cameo_model $0_model, $0_step_model;\n\n",
             prefix);
    for (size_t i = 0; i < 3; i++)
        include_file(t, arena_put(infer->arena, "$0_$1", prefix, symbols[i]), file_names[i]);
    text_append(t, "static const cameo_parameter parameters[] = {\n");
    for (size_t i = 0; i < infer->n_parameters; i++) {
        const cameo_parameter row = runtime_row(infer->parameters[i]);
        put_row(t, &row);
    }
    text_append(t, "};\n\n");
    trainer_object(infer, step, o, out, t, prefix);
    return true;
}
