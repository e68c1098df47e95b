/* The pipeline. `passes` below is the table to read first: everything that happens between an ONNX
   file and C, in order. */
#include "compile.h"
#include "ir/op.h"
#include "onnx/onnx.h"

#include <stdio.h>
#include <string.h>

#include "emit/build.h"
#include "passes/front.h"

typedef struct pass {
    const char *name;
    graph_pass *run;
    bool typed;    /* every value has a static shape and type afterwards */
    bool gate;     /* verified in every build, not only in debug builds */
    bool collects; /* runs after errors of passes before it as well, so that the user sees all
                      problems at once */
} pass;

static const pass front[] = {
    {"resolve", pass_resolve, false, false, false}, /* rows bound, attributes complete; everything
                                                       unsupported reported at once */
    {"parameters", pass_parameters, false, false, false}, /* --train: which initializers are learnt
                                                           */
    {"infer", pass_infer, true, false, true},             /* static shapes and types */
    {"embedding", pass_embedding, true, false, false},    /* which tensor verification uses */
    {"head", pass_head, true, false, false},              /* --train: the classifier anew */
    {"preprocess", pass_preprocess, true, false, false},  /* the picture's way to the input fits it
                                                           */
    {"fold", pass_fold, true, false, false},              /* constants */
    {"simplify", pass_simplify, true, false, false},      /* what changes nothing goes */
    {"batch", pass_batch, true, true, false},             /* gate A: typed, static, supported */
};

static const pass back[] = {
    {"fuse", pass_fuse, true, false, false}, /* BatchNormalization, bias, residual, activation into
                                                one node */
    {"average", pass_average, true, false, false},   /* averages before 1x1 convolutions */
    {"layout", pass_layout, true, false, false},     /* NHWC where rows want it */
    {"select", pass_select, true, false, false},     /* an implementation for each node */
    {"chains", pass_chains, true, false, false},     /* nodes that one kernel does together */
    {"schedule", pass_schedule, true, false, false}, /* an order of low peak memory */
    {"group", pass_group, true, false, false},       /* how many images of a batch run together */
    {"plan", pass_plan, true, true, false},          /* gate B: offsets in one arena */
};

/* --train: the graph parts behind gate A. `infer` goes the way of every net: fuse, average and
   layout, then the rest of `back`. */
static const pass step[] = {
    {"forms", pass_train_forms, true, false, false}, /* operators that do something else in training
                                                      */
    {"loss", pass_loss, true, false, false},         /* labels in, one number out */
    {"step-fuse", pass_step_fuse, true, false, false}, /* BatchNormalization + residual + activation
                                                        */
    {"backward", pass_backward, true, false, false},   /* gradients, as nodes */
    {"step-finish", pass_step_finish, true, true, false}, /* internal forms of what kernels serve */
    {"step-layout", pass_layout, true, false, false},     /* NHWC */
};
static const pass step_back[] = {
    {"step-select", pass_select, true, false, false},
    {"step-schedule", pass_schedule, true, false, false},
    {"step-plan", pass_plan, true, true, false},
};

static const struct list {
    const pass *passes;
    size_t count;
} lists[] = {{front, sizeof front / sizeof *front},
             {back, sizeof back / sizeof *back},
             {step, sizeof step / sizeof *step},
             {step_back, sizeof step_back / sizeof *step_back}};

const char *compile_pass_name(size_t i) {
    if (i-- == 0) return "import";
    for (size_t l = 0; l < sizeof lists / sizeof *lists; i -= lists[l++].count)
        if (i < lists[l].count) return lists[l].passes[i].name;
    return NULL;
}

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
            while (i + 1 < count && !list[i + 1].collects) i++;
            if (i + 1 < count) continue;
            return false;
        }
        if (list[i].gate || verify_always()) ir_verify(g, list[i].name, list[i].typed);
        if (o->dump_after && strcmp(o->dump_after, list[i].name) == 0) dump(g);
    }
    return true;
}

bool compile_check(graph *g, const options *o) {
    const bool ok = run_passes(g, o, front, sizeof front / sizeof *front);
    if (ok) g->weights = op_count_weights(g);
    return ok;
}

static graph *import_file(arena *a, diag *d, const options *o) {
    graph *g = onnx_import(a, d, o->input, o->train);
    if (!g || d->errors) return NULL;
    if (o->dump_after && strcmp(o->dump_after, "import") == 0) dump(g);
    return g;
}

graph *compile_front(arena *a, diag *d, const options *o) {
    graph *g = import_file(a, d, o);
    return g && compile_check(g, o) ? g : NULL;
}

/* Constants that exporters write as nodes count as weights, too. */
static void fold_constant_nodes(graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->n_in == 0 && g->nodes[i]->op->infer(g, g->nodes[i]))
            fold_node(g, g->nodes[i], SIZE_MAX);
}

graph *compile_outline(arena *a, diag *d, const options *o, bool *whole) {
    graph *g = import_file(a, d, o);
    if (!g) return NULL;
    *whole = infer_has_shapes(g, o);
    if (*whole) return compile_check(g, o) ? g : NULL;
    if (!infer_outline(g, o) || !pass_resolve(g, o)) return NULL;
    fold_constant_nodes(g);
    g->weights = op_count_weights(g);
    return pass_embedding(g, o) && !d->errors ? g : NULL;
}

#define RUN(g, o, list) run_passes(g, o, list, sizeof list / sizeof *list)
enum { BEFORE_SELECT = 3 }; /* passes of `back` */

bool compile_back(graph *g, const options *o) { return RUN(g, o, back); }

/* Parameters are ordered where both graphs know their kernels' inputs, and before either chooses
   its kernels. */
static bool train_passes(graph *g, graph *s, const options *o) {
    if (!RUN(s, o, step)) return false;
    g->training = false;
    if (!run_passes(g, o, back, BEFORE_SELECT)) return false;
    parameters_order(g, s, o);
    parameters_place(g);
    s->parameters = g->parameters;
    return run_passes(g, o, back + BEFORE_SELECT, sizeof back / sizeof *back - BEFORE_SELECT) &&
           RUN(s, o, step_back);
}

static bool make_trainer(graph *g, const options *o, program *p) {
    graph *s = graph_clone(g);
    options native = *o;
    if (o->kernels == KERNELS_AUTO)
        native.kernels = KERNELS_NATIVE; /* XNNPACK packs weights, which live here */
    if (!train_passes(g, s, &native)) return false;
    p->n_units = 2;
    return emit_model(g, &native, "", &p->units[0]) &&
           emit_model(s, &native, "step_", &p->units[1]) && emit_trainer(g, s, &native, p);
}

/* --detector: another net in the same program, by its own options. */
static bool add_detector(graph *g, const options *o, program *p) {
    diag *d = ARENA_NEW(g->arena, diag);
    *d = (diag){.arena = g->arena, .file = o->detector};
    const options own = {.input = o->detector,
                         .output = o->output,
                         .name = o->name,
                         .kernels = o->kernels,
                         .target = o->n_narrower ? o->narrower[o->n_narrower - 1]
                                                 : o->target, /* runs
                                                                 with
                                                                 each
                                                                 of
                                                                 them
                                                               */
                         .is_static = o->is_static};
    graph *n = compile_front(g->arena, d, &own);
    const bool ok = n && compile_back(n, &own) &&
                    emit_model(n, &own, "detector_", &p->units[p->n_units++]);
    diag_tell(d);
    return ok;
}

static bool make_unit(graph *g, const options *o, const char *unit, program *p) {
    return compile_back(g, o) && emit_model(g, o, unit, &p->units[p->n_units++]);
}

/* --target A,B: one net for each, which share nothing: weights are packed as wide as the target's
   vectors. */
static bool make_net(graph *g, const options *o, program *p) {
    if (o->train) return make_trainer(g, o, p);
    bool ok = make_unit(o->n_narrower ? graph_clone(g) : g, o, "", p);
    for (size_t i = 0; ok && i < o->n_narrower; i++) {
        options own = *o;
        own.target = o->narrower[i], own.is_narrower = true;
        own.narrower = o->narrower + i + 1, own.n_narrower = o->n_narrower - i - 1;
        ok = make_unit(own.n_narrower ? graph_clone(g) : g, &own,
                       emit_unit_of_target(g->arena, &own.target), p);
    }
    return ok;
}

static bool make_program(graph *g, const options *o, program *p) {
    return make_net(g, o, p) && (!o->detector || add_detector(g, o, p));
}

int compile_rest(graph *g, const options *o) {
    program p = {0};
    const int code = make_program(g, o, &p) ? build_program(g, &p, o) : 1;
    program_free(&p);
    return code;
}

int compile_model(const options *o) {
    arena *a = arena_create();
    diag d = {.arena = a, .file = o->input};
    graph *g = compile_front(a, &d, o);
    int code = g ? compile_rest(g, o) : 1;
    diag_tell(&d);
    arena_destroy(a);
    return code;
}
