/* Strided copies (ir/copy.h) as plain loops. */
#include "../ir/copy.h"
#include "emit.h"

/* Index text in unsigned arithmetic: the offset first, so that axes walked backwards never go
   below zero in total. */
static const char *walk(emitter *e, int64_t offset, const int64_t *stride, int rank) {
    arena *a = emit_arena(e);
    const char *s = arena_put(a, "$0", offset);
    for (int i = 0; i < rank; i++)
        if (stride[i])
            s = arena_printf(a, "%s %c i%d * %lld", s, stride[i] < 0 ? '-' : '+', i,
                             (long long)(stride[i] < 0 ? -stride[i] : stride[i]));
    return s;
}

static bool is_slice_of_another(const value *x, const node *n) {
    return n->op->copy->joins && x->base == n->out[0];
}

static void emit_part(emitter *e, const node *n, size_t part) {
    const bool joins = n->op->copy->joins;
    copy c;
    if (!copy_of_part(n, part, &c)) return;
    text_append(emit_body(e), "    {\n");
    emit_loops_open(e, c.extent, c.rank, node_is_batched(n));
    body_put(e, "        y$0[$1] = x$2[$3];\n", joins ? 0 : part,
             walk(e, c.to_offset, c.to, c.rank), joins ? part : 0,
             walk(e, c.from_offset, c.from, c.rank));
    emit_loops_close(e, c.rank);
    text_append(emit_body(e), "    }\n");
}

void copy_emit(emitter *e, const node *n) {
    arena *a = emit_arena(e);
    text_append(emit_body(e), "    (void)c, (void)n;\n");
    for (size_t i = 0; i < (n->op->copy->joins ? n->n_in : 1); i++) {
        if (is_slice_of_another(n->in[i], n)) continue;
        emit_value(e, arena_put(a, "x$0", i), n->in[i], false);
        body_put(e, "    (void)x$0;\n", i);
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->base != n->in[0]) {
            emit_value(e, arena_put(a, "y$0", i), n->out[i], true);
            body_put(e, "    (void)y$0;\n", i);
        }
    for (size_t part = 0; part < copy_parts(n); part++) emit_part(e, n, part);
}
