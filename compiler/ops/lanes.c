/* Lanes of a tensor, for reference functions and for emission. See lanes.h. */
#include "lanes.h"

#include <string.h>

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

lanes lanes_of_channels(arena *a, const shape *s) {
    return lanes_of(a, s, ((1u << s->rank) - 1) & ~2u);
}

lanes lanes_from(arena *a, const shape *s, int64_t first) {
    return lanes_of(a, s, (1u << s->rank) - (1u << first));
}

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

lanes lanes_run(arena *a, lanes l) {
    l.step = offsets(a, &l, true, &l.count);
    l.base = offsets(a, &l, false, &l.count);
    return l;
}

/* Extents of the task's axes, each at least `least`: with 1, nothing is divided by zero in the code
   of an empty tensor's task, which never runs. */
static void task_extents(const lanes *l, int64_t least, int64_t extent[MAX_RANK]) {
    for (int k = 0; k < l->shape.rank; k++)
        extent[k] = in_lane(l, k) ? 1 : l->shape.dim[k] > least ? l->shape.dim[k] : least;
}

/* Opens loops over the axes from `first` on that are in the mask, or over those that are not. */
static void loops(text *t, const lanes *l, bool inside, int first) {
    for (int k = first; k < l->shape.rank; k++)
        if (in_lane(l, k) == inside) /* compilers warn of a comparison that is always false */
            text_put(t, "    for (size_t $0 = 0; $0 $1 $2; $0++) {\n", l->names[k],
                     l->shape.dim[k] ? "<" : "!=", l->shape.dim[k]);
}

static void end_loops(text *t, const lanes *l, bool inside, int first) {
    for (int k = first; k < l->shape.rank; k++)
        if (in_lane(l, k) == inside) text_append(t, "    }\n");
}

const char *lanes_index(emitter *e, const node *n, const value *v, const lanes *l) {
    int64_t s[MAX_RANK];
    emit_strides(n, v, s);
    return emit_index(e, s, v->shape.rank, l->names + (l->shape.rank - v->shape.rank));
}

static bool begins(const char **s, const char *word) {
    const size_t length = strlen(word);
    if (strncmp(*s, word, length)) return false;
    *s += length;
    return true;
}

/* What stands for the word at *s, behind the "$". */
static void fill_word(emitter *e, const node *n, const lanes *l, const char **s) {
    text *t = emit_helpers(e);
    const bool out = begins(s, "out");
    if (out || begins(s, "in")) {
        const int i = *(*s)++ - '0';
        text_put(t, "$0$1[$2]", out ? "out" : "in", i,
                 lanes_index(e, n, (out ? n->out : n->in)[i], l));
    } else if (begins(s, "lane\n"))
        loops(t, l, true, 0);
    else if (begins(s, "end\n"))
        end_loops(t, l, true, 0);
    else if (begins(s, "rest\n"))
        loops(t, l, false, l->tasks);
    else if (begins(s, "T"))
        text_append(t, dtype_c(n->in[0]->type));
    else if (begins(s, "f"))
        text_append(t, n->in[0]->type == DT_FLOAT ? "f" : "");
    else if (begins(s, "N"))
        text_put(t, "$0", l->length);
    else
        BUG("the template of %s has the word \"%.4s\"", n->op_type, *s);
}

void lanes_emit(emitter *e, const node *n, const lanes *l, const char *pattern) {
    int64_t extent[MAX_RANK];
    task_extents(l, 1, extent);
    emit_task_open(e, n);
    emit_task_indices(e, extent, l->tasks);
    if (!strstr(pattern, "$rest\n")) loops(emit_helpers(e), l, false, l->tasks);
    for (const char *s = pattern; *s;)
        if (*s == '$')
            s++, fill_word(e, n, l, &s);
        else
            text_append_n(emit_helpers(e), s++, 1);
    end_loops(emit_helpers(e), l, false, l->tasks);
    task_extents(l, 0, extent);
    emit_task_close(e, n, emit_task_count(e, n, extent, l->tasks), (double)shape_count(&l->shape));
}
