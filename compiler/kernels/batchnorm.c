/* Batch normalisation in training (runtime/kernels/batchnorm.h): BatchNormTrain and BatchNormGrad
   of NHWC images and of rows. */
#include "kernels.h"

enum { TASK_FLOATS = 16 * 1024 };

/* What both nodes are cut into. */
typedef struct cut {
    int64_t c, fold, rows, total, tasks, blocks, partial, table; /* total: rows altogether; partial,
                                                                    table: floats */
} cut;

static bool is_pixels(const value *v) {
    return is_nhwc(v) ||
           (v->type == DT_FLOAT && v->shape.rank == 2 && !v->constant && value_count(v) > 0);
}

static image pixels_of(const value *v) {
    if (v->shape.rank == 4) return image_of(v);
    return (image){v->shape.dim[0], v->shape.dim[1], 1, 1, v->shape.dim[1]};
}

static bool all_are_pixels(value *const *v, size_t count, const value *like) {
    for (size_t i = 0; i < count; i++)
        if (v[i] && v[i]->shape.rank == like->shape.rank &&
            shape_equal(&v[i]->shape, &like->shape) && !is_pixels(v[i]))
            return false;
    return true;
}

static bool applies(const node *n, const options *o) {
    float least, most;
    (void)o;
    return is_internal(n) && is_pixels(n->in[0]) && all_are_pixels(n->in, n->n_in, n->in[0]) &&
           all_are_pixels(n->out, n->n_out, n->in[0]) && act_is_clamp(n, &least, &most);
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->in[0]) / 4000;
}

static bool is_dense_pixels(value *const *v, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (v[i] && v[i]->pixel_stride && v[i]->pixel_stride != v[i]->shape.dim[1]) return false;
    return true;
}

/* The smallest number of pixels that fill four whole vectors; else what wastes least. */
static int64_t fold_of(const node *n, int64_t c, int64_t pixels, int64_t vf) {
    int64_t best = 1, best_waste = round_up(c, vf) - c;
    if (!is_dense_pixels(n->in, n->n_in) || !is_dense_pixels(n->out, n->n_out)) return 1;
    for (int64_t f = 1; f <= 4 * vf && f * c <= 16 * vf; f++) {
        const int64_t waste = round_up(f * c, vf) - f * c;
        if (pixels % f || waste * best > best_waste * f) continue;
        best = f, best_waste = waste;
        if (!waste && f * c >= 4 * vf) break;
    }
    return best;
}

static cut cut_of(const node *n, const options *o) {
    const image x = pixels_of(n->in[0]);
    const int64_t vf = o->target.vector_floats, pixels = x.n * x.h * x.w;
    cut k = {.c = x.c, .fold = fold_of(n, x.c, pixels, vf)};
    const int64_t width = k.c * k.fold;
    k.total = pixels / k.fold;
    k.rows = TASK_FLOATS / width > 0 ? TASK_FLOATS / width : 1;
    k.tasks = ceil_div(k.total, k.rows);
    k.blocks = (k.c + 63) / 64;
    k.partial = round_up(k.tasks * 3 * width, 16);
    k.table = 4 * round_up(width, vf);
    return k;
}

static int64_t scratch(const node *n, const options *o) {
    const cut k = cut_of(n, o);
    return k.partial + k.table;
}

static int64_t row_of(const cut *k, const value *v) { return v ? pixels_of(v).pixel * k->fold : 0; }

/* But for the rows' distances. */
static cameo_batchnorm shape_of(const node *n, const cut *k) {
    return (cameo_batchnorm){.c = k->c,
                             .fold = k->fold,
                             .rows = k->rows,
                             .epsilon = (float)node_float(n, "epsilon", 1e-5f),
                             .momentum = (float)node_float(n, "momentum", 0.9f),
                             .act = act_of(n)};
}

/* One pass: a task function and its run. */
static void emit_pass(emitter *e, const char *task, int64_t count) {
    emit_task(e, task, emit_text(e, "cameo_batchnorm_$0_task", task));
    emit_parallel(e, NULL, count, emit_text(e, "$0, &a", task), NULL);
}

/* Pointers in the order of the template's arguments; absent ones are NULL. */
typedef struct argument {
    const char *name;
    const value *v;
    bool written;
} argument;

static void emit_arguments(emitter *e, const char *type, const argument *list, size_t count,
                           const cut *k) {
    emit_param(e, "unsigned char *scratch", emit_scratch(e));
    body_put(e, "    (void)n;\n    float *partial = (float *)(void *)scratch;\n    $0 a = {", type);
    for (size_t i = 0; i < count; i++) {
        if (list[i].v) emit_value(e, list[i].name, list[i].v, list[i].written);
        body_put(e, "$0, ", list[i].v ? list[i].name : "NULL");
    }
    body_put(e, "partial, partial + $0, $1};\n", k->partial, k->total);
}

static const value *output_at(const node *n, size_t i) { return i < n->n_out ? n->out[i] : NULL; }

static void emit_train(emitter *e, const node *n) {
    const cut k = cut_of(n, emit_options(e));
    const argument list[] = {
        {"x", n->in[0], false},        {"scale", n->in[1], false},    {"shift", n->in[2], false},
        {"r", input_at(n, 5), false},  {"old_mean", n->in[3], false}, {"old_var", n->in[4], false},
        {"y", n->out[0], true},        {"mean", n->out[1], true},     {"inv_std", n->out[2], true},
        {"new_mean", n->out[3], true}, {"new_var", n->out[4], true}};
    cameo_batchnorm s = shape_of(n, &k);
    s.x_row = row_of(&k, n->in[0]), s.y_row = row_of(&k, n->out[0]);
    s.r_row = row_of(&k, input_at(n, 5));
    emit_cameo_batchnorm(e, "_shape", &s);
    emit_arguments(e, "cameo_batchnorm_args", list, sizeof list / sizeof *list, &k);
    emit_pass(e, "moments", k.tasks);
    emit_pass(e, "join", k.blocks);
    emit_pass(e, "apply", k.tasks);
}

static void emit_grad(emitter *e, const node *n) {
    const cut k = cut_of(n, emit_options(e));
    const value *y = input_at(n, 5), *dr = output_at(n, 3);
    const argument list[] = {{"dy", n->in[0], false},      {"x", n->in[1], false},
                             {"scale", n->in[2], false},   {"mean", n->in[3], false},
                             {"inv_std", n->in[4], false}, {"y", y, false},
                             {"dx", n->out[0], true},      {"dscale", n->out[1], true},
                             {"dshift", n->out[2], true},  {"dr", dr, true}};
    cameo_batchnorm s = shape_of(n, &k);
    s.dy_row = row_of(&k, n->in[0]), s.x_row = row_of(&k, n->in[1]), s.y_row = row_of(&k, y);
    s.dx_row = row_of(&k, n->out[0]), s.dr_row = row_of(&k, dr);
    emit_cameo_batchnorm(e, "_shape", &s);
    emit_arguments(e, "cameo_batchnorm_grad_args", list, sizeof list / sizeof *list, &k);
    text_append(emit_body(e), "    cameo_batchnorm_means(&$F_shape, &a);\n");
    emit_pass(e, "sums", k.tasks);
    emit_pass(e, "join_sums", k.blocks);
    emit_pass(e, "grad", k.tasks);
}

const implementation batchnorm_train = {.name = "batch-norm-train",
                                        .op = CAMEO_BatchNormTrain,
                                        .applies = applies,
                                        .cost = cost,
                                        .scratch = scratch,
                                        .emit = emit_train,
                                        .inplace = 1u | 1u << 5};
/* dR over dY, and then dX over X; without dR, dX over either. */
const implementation batchnorm_grad = {.name = "batch-norm-grad",
                                       .op = CAMEO_BatchNormGrad,
                                       .applies = applies,
                                       .cost = cost,
                                       .scratch = scratch,
                                       .emit = emit_grad,
                                       .inplace = 3,
                                       .inplace_last = 1};
