/* Strided copies (runtime/kernels/copy.h): what is left of Concat, Split, Slice, Transpose and the
   like when the memory plan has taken away what it could. The rows' copy plans (ops/copy.h) are
   brought into a form of at most four axes. */
#include "kernels.h"

#include "../ir/copy.h"

#include <string.h>

enum { AXES = 4, PARTS_MOST = 32, TASK_WORDS = 16 * 1024 };

typedef struct axis {
    int64_t extent, from, to;
} axis;

/* Joins axes that are one in both memories. `to` descends. */
static int merge(axis *a, int rank) {
    int kept = 0;
    for (int i = 0; i < rank; i++) {
        if (a[i].extent == 1) continue;
        axis *last = kept ? &a[kept - 1] : NULL;
        if (last && last->from == a[i].from * a[i].extent && last->to == a[i].to * a[i].extent)
            *last = (axis){last->extent * a[i].extent, a[i].from, a[i].to};
        else
            a[kept++] = a[i];
    }
    return kept;
}

static void sort(axis *a, int rank) {
    for (int i = 1; i < rank; i++)
        for (int k = i; k > 0 && a[k - 1].to < a[k].to; k--) {
            const axis t = a[k];
            a[k] = a[k - 1], a[k - 1] = t;
        }
}

/* The axis that is contiguous in `from` comes before the last, which is contiguous in `to`. */
static bool find_tiles(axis *a, int rank) {
    if (rank < 2 || a[rank - 1].to != 1 || a[rank - 1].from <= 1) return false;
    for (int i = 0; i < rank - 1; i++) {
        if (a[i].from != 1) continue;
        const axis t = a[i];
        memmove(&a[i], &a[i + 1], (size_t)(rank - 2 - i) * sizeof *a);
        a[rank - 2] = t;
        return true;
    }
    return false;
}

/* One task's indices: of the first axis, or of the contiguous one where tiles are transposed. */
static int64_t step_of(const cameo_copy *s) {
    if (s->tiled) return round_up(most(1, TASK_WORDS / 4 / s->extent[3]), 64);
    return most(1, TASK_WORDS / most(1, s->extent[1] * s->extent[2] * s->extent[3]));
}

static void set_axis(cameo_copy *s, int i, axis a) {
    s->extent[i] = a.extent, s->from[i] = a.from, s->to[i] = a.to;
}

/* False when nothing is copied; *fits: the form has room for the copy. */
static bool shape_of(const node *n, size_t part, cameo_copy *s, bool *fits) {
    copy c;
    axis a[COPY_RANK + 1];
    const bool batched = node_is_batched(n);
    const int64_t words = (int64_t)dtype_size(n->out[0]->type) / 4;
    int rank = 0;
    *s = (cameo_copy){.step = 1}, *fits = true;
    if (!copy_of_part(n, part, &c)) return false;
    for (int i = batched; i < c.rank; i++)
        a[rank++] = (axis){c.extent[i], c.from[i] * words, c.to[i] * words};
    if (words > 1) a[rank++] = (axis){words, 1, 1};
    sort(a, rank);
    rank = merge(a, rank);
    s->tiled = find_tiles(a, rank);
    s->from_offset = c.from_offset * words, s->to_offset = c.to_offset * words;
    if (batched) s->from_image = c.from[0] * words, s->to_image = c.to[0] * words;
    *fits = rank <= AXES;
    for (int i = 0; i < AXES; i++) set_axis(s, i, (axis){1, 1, 1});
    if (!*fits) return true;
    const int inner = s->tiled ? 2 : 1, outer = rank > inner ? 1 : 0; /* the first axis is what
                                                                         tasks divide */
    if (outer) set_axis(s, 0, a[0]);
    for (int i = outer; i < rank; i++) set_axis(s, AXES - rank + i, a[i]);
    s->step = step_of(s);
    return true;
}

static bool movable(const value *v) {
    return !v || dtype_size(v->type) == 4 || dtype_size(v->type) == 8;
}

static bool applies(const node *n, const options *o) {
    (void)o;
    if (!n->op->copy || !n->out[0] || !movable(n->out[0]) || copy_parts(n) > PARTS_MOST)
        return false;
    for (size_t i = 0; i < n->n_in; i++) /* a constant's or a parameter's order is not the graph's
                                            affair */
        if (n->in[i] && n->in[i]->role != ROLE_NONE) return false;
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->role != ROLE_NONE) return false;
    for (size_t i = 0; i < copy_parts(n); i++) {
        cameo_copy s;
        bool fits;
        if (shape_of(n, i, &s, &fits) && !fits) return false;
    }
    return true;
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->op->copy->joins ? n->out[0] : n->in[0]) / 3000;
}

/* What the part reads and writes, each once a function. */
static void emit_operands(emitter *e, const node *n, size_t part, bool first) {
    const bool joins = n->op->copy->joins;
    arena *a = emit_arena(e);
    if (first || joins)
        emit_value(e, arena_put(a, "x$0", joins ? part : 0), copy_from(n, part), false);
    if (first || !joins)
        emit_value(e, arena_put(a, "y$0", joins ? 0 : part), copy_to(n, part), true);
}

/* All parts' tasks follow each other in one call. */
static void emit(emitter *e, const node *n) {
    const bool joins = n->op->copy->joins;
    text *t = emit_helpers(e), *b = emit_body(e), task = {0};
    bool first = true, fits;
    text_put(b, "    size_t tasks = 0;\n    cameo_copy_args a[$0];\n", copy_parts(n));
    for (size_t i = 0; i < copy_parts(n); i++) {
        cameo_copy s;
        if (!shape_of(n, i, &s, &fits)) continue;
        emit_operands(e, n, i, first);
        first = false;
        emit_cameo_copy(e, emit_text(e, "_shape$0", i), &s);
        text_put(b,
                 "    tasks += (size_t)$0 * cameo_copy_tasks(&$F_shape$1);\n"
                 "    a[$1] = (cameo_copy_args){x$2, y$3, tasks};\n",
                 node_is_batched(n) ? "n" : "1", i, joins ? i : 0, joins ? 0 : i);
        text_put(&task,
                 "    if (i < a[$0].end) {\n"
                 "        cameo_copy_task(&$F_shape$0, a[$0].x, a[$0].y, i - first);\n"
                 "        return;\n"
                 "    }\n"
                 "    first = a[$0].end;\n",
                 i);
    }
    text_put(t,
             "static void $F_task(void *p, size_t i) {\n"
             "    const cameo_copy_args *a = p;\n"
             "    size_t first = 0;\n"
             "$0    (void)a, (void)first;\n"
             "}\n",
             text_str(&task));
    text_append(b, "    cameo_parallel(c, tasks, $F_task, a);\n");
    text_free(&task);
}

/* ---- cameo.Interleave ---- */

static bool applies_interleave(const node *n, const options *o) {
    (void)o;
    if (!is_nhwc(n->out[0]) || n->n_in > CAMEO_INTERLEAVE_MOST) return false;
    for (size_t i = 0; i < n->n_in; i++)
        if (!is_nhwc(n->in[i])) return false;
    return true;
}

static void emit_interleave(emitter *e, const node *n) {
    const image y = image_of(n->out[0]);
    cameo_interleave s = {.pixels = most(1, TASK_WORDS / y.c),
                          .c = y.c / (int64_t)n->n_in,
                          .parts = (int64_t)n->n_in,
                          .y_pixel = y.pixel};
    text operands = {0};
    for (size_t i = 0; i < n->n_in; i++) {
        emit_value(e, emit_text(e, "x$0", i), n->in[i], false);
        s.x_pixel[i] = image_of(n->in[i]).pixel;
        text_put(&operands, "$0x$1", i ? ", " : "", i);
    }
    emit_cameo_interleave(e, "_shape", &s);
    emit_task(e, "task", "cameo_interleave_task");
    emit_value(e, "y", n->out[0], true);
    text *b = emit_body(e);
    text_put(b,
             "    const size_t pixels = (size_t)$0 * $1;\n"
             "    cameo_interleave_args a = {{$2}, y, (ptrdiff_t)pixels};\n"
             "    cameo_parallel(c, (pixels + $3) / $4, $F_task, &a);\n",
             images_of(e, n), y.h * y.w, text_str(&operands), s.pixels - 1, s.pixels);
    text_free(&operands);
}

#define COPY(variable, row) const implementation variable = {.name = "copy", .op = row, OF_FILE}
COPY(copy_concat, ONNX_Concat);
COPY(copy_split, ONNX_Split);
COPY(copy_slice, ONNX_Slice);
COPY(copy_transpose, ONNX_Transpose);
COPY(copy_expand, ONNX_Expand);
COPY(copy_tile, ONNX_Tile);
COPY(copy_to_space, ONNX_DepthToSpace);
COPY(copy_to_depth, ONNX_SpaceToDepth);
const implementation interleave = {.name = "interleave",
                                   .op = CAMEO_Interleave,
                                   .applies = applies_interleave,
                                   .cost = cost,
                                   .emit = emit_interleave};
