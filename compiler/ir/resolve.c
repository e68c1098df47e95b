/* Binds every node to its operator row and fills default attributes. Everything that is not
   supported is collected, node by node, so that one run of `cameo check` shows the whole distance
   between a model and this compiler. */
#include "op.h"
#include <string.h>

static bool unknown_operator(graph *g, const node *n, bool known_name) {
    const char *name = arena_escape(g->arena, n->op_type);
    if (n->domain[0] && strcmp(n->domain, "cameo") != 0)
        return diag_error(g->diag, n, "export the model with standard ONNX operators",
                          "operator domain \"%s\" is not supported",
                          arena_escape(g->arena, n->domain));
    if (known_name)
        return diag_error(g->diag, n, "re-export the model for another opset",
                          "%s is not supported at opset %d", name, n->opset);
    const char *hint, *kind = op_unknown_kind(n->op_type, &hint);
    return diag_error(g->diag, n, hint, "%s is not supported yet%s", name, kind);
}

static bool check_arity(graph *g, const node *n) {
    const op_row *op = n->op;
    bool ok = true;
    if (n->n_in < (size_t)op->min_in || (op->max_in >= 0 && n->n_in > (size_t)op->max_in))
        ok = node_error(g, n, "has %zu inputs, takes %d to %d", n->n_in, op->min_in, op->max_in);
    if (n->n_out < (size_t)op->min_out || (op->max_out >= 0 && n->n_out > (size_t)op->max_out))
        ok = node_error(g, n, "has %zu outputs, gives %d to %d", n->n_out, op->min_out,
                        op->max_out);
    for (size_t i = 0; ok && i < (size_t)op->min_in; i++)
        if (!n->in[i]) ok = node_error(g, n, "input %zu is required but absent", i);
    return ok;
}

static void fill_default(graph *g, node *n, const op_attr *a) {
    if (a->kind == ATTR_FLOAT)
        node_set_float(g, n, a->name, a->number);
    else if (a->kind == ATTR_INT)
        node_set_int(g, n, a->name, (int64_t)a->number);
    else if (a->kind == ATTR_STRING && a->string)
        node_set_string(g, n, a->name, a->string);
}

static bool check_attribute(graph *g, node *n, const op_attr *known) {
    const attr *given = node_attr(n, known->name);
    if (!given) {
        if (known->required)
            return node_error(g, n, "attribute %s is required but absent", known->name);
        if (known->has_default || known->string) fill_default(g, n, known);
        return true;
    }
    /* An empty list is written without a kind by some exporters; rows treat it as absent. */
    if (given->kind != known->kind)
        return node_error(g, n, "attribute %s has the wrong type", known->name);
    return true;
}

static void warn_of_unknown(graph *g, const node *n) {
    for (size_t i = 0; i < n->n_attrs; i++) {
        bool known = false;
        for (const op_attr *a = n->op->attrs; a && a->name && !known; a++)
            known = strcmp(a->name, n->attrs[i].name) == 0;
        if (known) continue;
        diag_warn(g->diag, n, NULL, "attribute %s is unknown and ignored",
                  arena_escape(g->arena, n->attrs[i].name));
    }
}

bool resolve_node(graph *g, node *n) {
    bool known_name = false;
    n->op = op_find(n->domain, n->op_type, n->opset, &known_name);
    if (!n->op) return unknown_operator(g, n, known_name);
    bool ok = check_arity(g, n);
    if (ok) warn_of_unknown(g, n);
    for (const op_attr *a = n->op->attrs; ok && a && a->name; a++) ok &= check_attribute(g, n, a);
    if (!ok) n->op = NULL; /* infer, which goes on to collect problems, must not trust it */
    return ok;
}
