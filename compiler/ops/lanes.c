/* Lanes of a tensor, for reference functions and for emission. See lanes.h. */
#include "lanes.h"

static bool in_lane(const lanes *l, int axis) { return l->mask >> axis & 1; }

lanes lanes_of(arena *a, const shape *s, unsigned mask) {
    lanes l = {.shape = *s, .mask = mask, .length = 1};
    int kept = 0;
    for (int k = 0; k < s->rank; k++) {
        l.names[k] = arena_printf(a, "%c%d", in_lane(&l, k) ? 'r' : 'i', k);
        if (in_lane(&l, k))
            l.length *= s->dim[k];
        else if (++kept <= 2)
            l.tasks = k + 1;
    }
    return l;
}

unsigned lanes_channel_mask(const shape *s) { return ((1u << s->rank) - 1) & ~2u; }

/* Offsets of all positions along the axes that are in the mask, or of those that are not. */
static int64_t *offsets(arena *a, const lanes *l, bool inside, int64_t *count) {
    *count = 1;
    for (int k = 0; k < l->shape.rank; k++)
        if (in_lane(l, k) == inside) *count *= l->shape.dim[k];
    int64_t *o = ARENA_ARRAY(a, int64_t, (size_t)*count);
    for (int64_t i = 0; i < *count; i++) {
        int64_t rest = i, step = 1;
        for (int k = l->shape.rank - 1; k >= 0; k--) {
            const int64_t d = l->shape.dim[k];
            if (in_lane(l, k) == inside) {
                o[i] += rest % d * step;
                rest /= d;
            }
            step *= d;
        }
    }
    return o;
}

void lanes_offsets(arena *a, const lanes *l, int64_t **base, int64_t *n_base, int64_t **step) {
    int64_t length;
    *base = offsets(a, l, false, n_base);
    *step = offsets(a, l, true, &length);
}

static void task_extents(const lanes *l, int64_t extent[MAX_RANK]) {
    for (int k = 0; k < l->shape.rank; k++) extent[k] = in_lane(l, k) ? 1 : l->shape.dim[k];
}

/* Nothing is divided by zero in the code of an empty tensor's task, which never runs. */
static void index_extents(const lanes *l, int64_t extent[MAX_RANK]) {
    task_extents(l, extent);
    for (int k = 0; k < l->shape.rank; k++)
        if (extent[k] == 0) extent[k] = 1;
}

static void loop(text *t, const char *name, int64_t extent) {
    const char *compare = extent ? "<" : "!="; /* compilers warn of a comparison that is always
                                                  false */
    text_printf(t, "    for (size_t %s = 0; %s %s %lld; %s++) {\n", name, name, compare,
                (long long)extent, name);
}

void lanes_open(struct emitter *e, const node *n, const lanes *l) {
    int64_t extent[MAX_RANK];
    index_extents(l, extent);
    emit_task_open(e, n);
    emit_task_indices(e, extent, l->tasks);
    for (int k = l->tasks; k < l->shape.rank; k++)
        if (!in_lane(l, k)) loop(emit_helpers(e), l->names[k], l->shape.dim[k]);
}

void lanes_loop(struct emitter *e, const lanes *l) {
    for (int k = 0; k < l->shape.rank; k++)
        if (in_lane(l, k)) loop(emit_helpers(e), l->names[k], l->shape.dim[k]);
}

void lanes_end(struct emitter *e, const lanes *l) {
    for (int k = 0; k < l->shape.rank; k++)
        if (in_lane(l, k)) text_append(emit_helpers(e), "    }\n");
}

void lanes_close(struct emitter *e, const node *n, const lanes *l) {
    int64_t extent[MAX_RANK];
    task_extents(l, extent);
    for (int k = l->tasks; k < l->shape.rank; k++)
        if (!in_lane(l, k)) text_append(emit_helpers(e), "    }\n");
    emit_task_close(e, n, emit_task_count(e, n, extent, l->tasks), (double)shape_count(&l->shape));
}

const char *lanes_index(struct emitter *e, const node *n, const value *v, const lanes *l) {
    int64_t s[MAX_RANK];
    emit_strides(n, v, s);
    return emit_index(e, s, v->shape.rank, l->names);
}
