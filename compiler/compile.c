/* The pipeline. `passes` below is the table to read first: everything that happens between an ONNX file and C, in order. */
#include "compile.h"

#include <stdio.h>
#include <string.h>

#include "emit/build.h"
#include "passes/front.h"

typedef struct pass {
    const char *name;
    bool (*run)(graph *g, const options *o);
    bool typed;    /* every value has a static shape and type afterwards */
    bool gate;     /* verified in every build, not only in debug builds */
    bool collects; /* runs after errors of the pass before as well, so that the user sees all problems at once */
} pass;

static const pass front[] = {
    {"resolve", pass_resolve, false, false,
     false},                                  /* rows bound, attributes complete; everything unsupported reported at once */
    {"infer", pass_infer, true, false, true}, /* static shapes and types */
    {"embedding", pass_embedding, true, false, false}, /* which tensor verification uses */
    {"fold", pass_fold, true, false, false},           /* constants */
    {"simplify", pass_simplify, true, false, false},   /* what changes nothing goes */
    {"batch", pass_batch, true, true, false},          /* gate A: typed, static, supported */
};

static const pass back[] = {
    {"fuse", pass_fuse, true, false, false},         /* BatchNormalization, bias, residual, activation into one node */
    {"layout", pass_layout, true, false, false},     /* NHWC where rows want it */
    {"select", pass_select, true, false, false},     /* an implementation for each node */
    {"schedule", pass_schedule, true, false, false}, /* an order of low peak memory */
    {"plan", pass_plan, true, true, false},          /* gate B: offsets in one arena */
};

static void dump(const graph *g) {
    text t = {0};
    ir_dump(g, &t);
    fputs(text_str(&t), stdout);
    text_free(&t);
}

static bool verify_always(void) {
#ifdef CAMEO_DEBUG
    return true;
#else
    return false;
#endif
}

static bool run_passes(graph *g, const options *o, const pass *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!list[i].run(g, o) || g->diag->errors) {
            if (g->diag->errors == 0) BUG("pass %s failed without a message", list[i].name);
            if (i + 1 < count && list[i + 1].collects) continue;
            return false;
        }
        if (list[i].gate || verify_always()) ir_verify(g, list[i].name, list[i].typed);
        if (o->dump_after && strcmp(o->dump_after, list[i].name) == 0) dump(g);
    }
    return true;
}

bool compile_check(graph *g, const options *o) { return run_passes(g, o, front, sizeof front / sizeof *front); }

graph *compile_front(arena *a, diag *d, const options *o) {
    graph *g = onnx_import(a, d, o->input);
    if (!g || d->errors) return NULL;
    if (o->dump_after && strcmp(o->dump_after, "import") == 0) dump(g);
    return compile_check(g, o) ? g : NULL;
}

bool compile_back(graph *g, const options *o) { return run_passes(g, o, back, sizeof back / sizeof *back); }

int compile_rest(graph *g, const options *o) {
    if (!compile_back(g, o)) return 1;
    emitted em = {0};
    int code = emit_model(g, o, &em) ? build_program(g, &em, o) : 1;
    text_free(&em.model_c);
    text_free(&em.model_h);
    text_free(&em.weights);
    for (size_t i = 0; i < em.n_parts; i++) text_free(&em.parts[i]);
    return code;
}

int compile_model(const options *o) {
    arena *a = arena_create();
    diag d = {.arena = a, .file = o->input};
    graph *g = compile_front(a, &d, o);
    int code = g ? compile_rest(g, o) : 1;
    text t = {0};
    diag_print(&d, &t);
    fputs(text_str(&t), stderr);
    text_free(&t);
    arena_destroy(a);
    return code;
}
