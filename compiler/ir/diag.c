/* Collects the problems found in a model and prints them, as text or JSON. See diag.h. */
#include "diag.h"
#include "../../runtime/base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "ir.h"

enum { MAX_KEPT = 1000 };

static void keep(diag *d, const node *n, bool warning, const char *hint, const char *format,
                 va_list args) {
    size_t *count = warning ? &d->warnings : &d->errors;
    if ((*count)++ >= MAX_KEPT) return;
    text t = {0};
    text_vprintf(&t, format, args);
    diag_item *item = ARENA_NEW(d->arena, diag_item);
    *item = (diag_item){.warning = warning, .node = n, .message = text_keep(&t, d->arena)};
    if (!hint && n && !warning)
        hint = "this node contradicts the operator's definition; re-export the model";
    item->hint = hint ? arena_strdup(d->arena, hint) : NULL;
    if (d->last)
        d->last->next = item;
    else
        d->first = item;
    d->last = item;
}

bool diag_error(diag *d, const node *n, const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep(d, n, false, hint, format, args);
    va_end(args);
    return false;
}

void diag_warn(diag *d, const node *n, const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep(d, n, true, hint, format, args);
    va_end(args);
}

static void print_operand(text *out, size_t i, const value *v) {
    text_printf(out, "    input %zu  %s[", i, dtype_name(v->type));
    value_print_shape(out, v, ",");
    text_append(out, "]  ");
    const node *from = v->producer;
    if (from)
        text_printf(out, "from node %d", from->index);
    else
        text_append(out, v->constant ? "constant" : v->is_input ? "graph input" : "value");
    text_append(out, " \"");
    text_escape(out, from ? from->name : v->name);
    text_append(out, "\"\n");
}

static void print_item(const diag *d, const diag_item *item, text *out) {
    const node *n = item->node;
    text_escape(out, d->file ? d->file : "model");
    text_append(out, ": ");
    if (item->warning) text_append(out, "warning: ");
    if (n) {
        text_printf(out, "node %d \"", n->index);
        text_escape(out, n->name);
        text_append(out, "\" (");
        if (n->domain[0]) {
            text_escape(out, n->domain);
            text_append(out, "::");
        }
        text_escape(out, n->op_type);
        text_printf(out, ", opset %d): ", n->opset);
    }
    text_append(out, item->message);
    text_append(out, "\n");
    for (size_t i = 0; n && i < n->n_in && i < 8; i++)
        if (n->in[i]) print_operand(out, i, n->in[i]);
    if (item->hint) text_printf(out, "    hint: %s\n", item->hint);
}

void diag_print(const diag *d, text *out) {
    for (const diag_item *item = d->first; item; item = item->next) print_item(d, item, out);
    if (d->errors > MAX_KEPT) text_printf(out, "... and %zu more problems\n", d->errors - MAX_KEPT);
}

void diag_tell(const diag *d) {
    text t = {0};
    diag_print(d, &t);
    fputs(text_str(&t), stderr);
    text_free(&t);
}

static void json_items(const diag *d, const char *key, bool warnings, cameo_json *j) {
    cameo_json_open(j, key, '[');
    for (const diag_item *item = d->first; item; item = item->next) {
        if (item->warning != warnings) continue;
        cameo_json_open(j, NULL, '{');
        if (item->node) {
            cameo_json_integer(j, "node", item->node->index);
            cameo_json_field(j, item->node, name);
            cameo_json_text(j, "op", item->node->op_type);
            cameo_json_field(j, item->node, opset);
        }
        cameo_json_text(j, "reason", item->message);
        cameo_json_field(j, item, hint);
        cameo_json_close(j, '}');
    }
    cameo_json_close(j, ']');
}

void diag_print_json(const diag *d, FILE *out) {
    cameo_json j = {.stream = out, .compact = true};
    cameo_json_open(&j, NULL, '{');
    cameo_json_text(&j, "file", d->file ? d->file : "");
    cameo_json_boolean(&j, "ok", d->errors == 0);
    json_items(d, "errors", false, &j);
    json_items(d, "warnings", true, &j);
    cameo_json_end(&j);
}

int complain(int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("cameo: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

int complain_of(const cameo_error *error) { return complain(error->code, "%s", error->message); }

_Noreturn void cameo_bug(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "cameo: internal error at %s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr,
            "\nThis is a defect of cameo, not of your model; please report it with the model.\n");
    va_end(args);
    exit(CAMEO_DEFECT);
}
