/* Fused activations: the compiler's columns of runtime/kernels/act.def. See act.h. */
#include "act.h"
#include "../emit/emit.h"
#include "pointwise.h"

#include <stdio.h>
#include <string.h>

#define ACT_FUSED(kind, name, flags, function, first, value, second, value2, text, reference, \
                  vector)                                                                     \
    REAL(kind, reference)
#include "../../runtime/kernels/act.def"

static const act_row rows[] = {
#define ACT_FUSED(kind, name, flags, function, first, value, second, value2, text, reference, \
                  vector)                                                                     \
    {CAMEO_##kind, name, flags, function, {first, second}, {value, value2}, text, real_##kind},
#include "../../runtime/kernels/act.def"
};

static const char *act_name(const node *n) { return node_string(n, "act", "none"); }

bool has_act(const node *n) { return strcmp(act_name(n), "none"); }

const act_row *act_of_node(const node *n) {
    const char *name = act_name(n);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(name, rows[i].name)) return &rows[i];
    return NULL;
}

const act_row *act_of_op(opcode op) {
    for (size_t i = 0; op && i < sizeof rows / sizeof *rows; i++)
        if (rows[i].op == op) return &rows[i];
    return NULL;
}

/* The attribute of the node: "alpha" of LeakyRelu is "act_alpha" where it is fused. */
static void number_name(const act_row *act, int i, char name[16]) {
    snprintf(name, 16, "act_%s", act->number[i]);
}

double act_number(const node *n, const act_row *act, int i) {
    char name[16];
    if (!act->number[i]) return 0;
    number_name(act, i, name);
    return node_float(n, name, act->otherwise[i]);
}

void act_set_number(graph *g, node *n, const act_row *act, int i, float v) {
    char name[16];
    if (!act->number[i]) return;
    number_name(act, i, name);
    node_set_float(g, n, name, v);
}

/* ---- text ---- */

/* Infinities must not appear as bounds: a one-sided Clip has only one comparison. */
static const char *clip_expression(arena *a, double low, double high, const char *x) {
    const char *s = x;
    if (low > -(double)INFINITY) s = arena_put(a, "($0 < $1 ? $1 : $0)", x, float_text(a, low));
    if (high < (double)INFINITY) s = arena_put(a, "($0 > $1 ? $1 : $0)", s, float_text(a, high));
    return s;
}

static const act_row *known(const node *n) {
    const act_row *act = act_of_node(n);
    if (!act) BUG("unknown fused activation");
    return act;
}

const char *act_expression(arena *a, const node *n, const char *x, const char *slope) {
    const act_row *act = known(n);
    const double p[] = {act_number(n, act, 0), act_number(n, act, 1)};
    return act->text ? pointwise_text(a, act->text, n->out[0]->type, p, x, slope)
                     : clip_expression(a, p[0], p[1], x);
}

double act_apply(const node *n, double x, double slope) {
    const act_row *act = known(n);
    return act->real((double[]){x, slope},
                     (double[]){act_number(n, act, 0), act_number(n, act, 1)});
}

bool act_is_clamp(const node *n, float *least, float *most) {
    const act_row *act = act_of_node(n);
    *least = -INFINITY, *most = INFINITY;
    if (!act || !(act->flags & ACT_CLAMP)) return false;
    *least = (float)act_apply(n, (double)*least, 0), *most = (float)act_apply(n, (double)*most, 0);
    return *least < *most;
}
