/* AttributeProto to attr: the type is inferred where old files lack it, references inside
   functions are resolved. */
#include <string.h>

#include "internal.h"

typedef Onnx__AttributeProto proto;

/* The one filled field; UNDEFINED when none is, -1 when several are. */
static int filled_field(const proto *p) {
    const struct {
        bool filled;
        int type;
    } fields[] = {{p->has_f, 1},          {p->has_i, 2},
                  {p->has_s, 3},          {p->t != NULL, 4},
                  {p->g != NULL, 5},      {p->n_floats > 0, 6},
                  {p->n_ints > 0, 7},     {p->n_strings > 0, 8},
                  {p->n_tensors > 0, 9},  {p->n_graphs > 0, 10},
                  {p->sparse_tensor, 11}, {p->n_sparse_tensors > 0, 12},
                  {p->tp != NULL, 13},    {p->n_type_protos > 0, 14}};
    int type = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].filled && type) return -1;
        if (fields[i].filled) type = fields[i].type;
    }
    return type;
}

/* Writers of proto3 leave out numbers that are 0 and strings that are empty, so an empty field is
   no error for those. */
static bool attr_type(importer *im, const node *n, const proto *p, int *type) {
    int filled = filled_field(p);
    const char *name = onnx_shown(im->g->arena, p->name);
    *type = p->has_type && p->type ? (int)p->type : filled;
    if (filled == -1)
        return node_error(im->g, n, "attribute \"%s\" has several values of different types", name);
    if (*type == 0)
        return node_error(im->g, n, "attribute \"%s\" has neither type nor value", name);
    if (filled && filled != *type)
        return node_error(im->g, n, "attribute \"%s\" has a value that is not of its type", name);
    bool needs_message = *type == 4 || *type == 5 || *type == 11 || *type == 13;
    if (!filled && needs_message)
        return node_error(im->g, n, "attribute \"%s\" has no value", name);
    return true;
}

static const char *copy_bytes(arena *a, const ProtobufCBinaryData *b) {
    return arena_strndup(a, b->data ? (const char *)b->data : "", b->len);
}

static void *copy_array(arena *a, const void *from, size_t count, size_t size) {
    void *to = arena_array(a, count, size);
    if (count) memcpy(to, from, count * size);
    return to;
}

static bool import_tensor(importer *im, const node *n, const proto *p, attr *out) {
    const char *why = "";
    out->t = onnx_decode_tensor(im->g->arena, p->t, &im->external, &why);
    return out->t || node_error(im->g, n, "the tensor of attribute \"%s\" %s",
                                onnx_shown(im->g->arena, p->name), why);
}

static void import_strings(arena *a, const proto *p, attr *out) {
    const char **s = ARENA_ARRAY(a, const char *, p->n_strings);
    for (size_t i = 0; i < p->n_strings; i++) s[i] = copy_bytes(a, &p->strings[i]);
    out->strings = s;
    out->count = p->n_strings;
}

/* A string: arena_strndup may stop at a NUL, so the bytes are copied by count. */
static void import_string(arena *a, const proto *p, attr *out) {
    char *s = arena_alloc(a, p->s.len + 1);
    if (p->s.len) memcpy(s, p->s.data, p->s.len);
    out->s = s;
    out->count = p->s.len;
}

bool onnx_import_attr(importer *im, const node *n, const Onnx__AttributeProto *p, attr *out) {
    arena *a = im->g->arena;
    int type;
    if (!p->name || !*p->name) return node_error(im->g, n, "has an attribute without a name");
    if (!attr_type(im, n, p, &type)) return false;
    *out = (attr){.name = arena_strdup(a, p->name),
                  .kind = type <= 8    ? (attr_kind)type
                          : type == 10 ? ATTR_GRAPH
                                       : ATTR_OTHER};
    switch (out->kind) {
    case ATTR_FLOAT: out->f = p->f; return true;
    case ATTR_INT: out->i = p->i; return true;
    case ATTR_STRING: import_string(a, p, out); return true;
    case ATTR_TENSOR: return import_tensor(im, n, p, out);
    case ATTR_FLOATS:
        out->floats = copy_array(a, p->floats, p->n_floats, sizeof *p->floats);
        out->count = p->n_floats;
        return true;
    case ATTR_INTS:
        out->ints = copy_array(a, p->ints, p->n_ints, sizeof *p->ints);
        out->count = p->n_ints;
        return true;
    case ATTR_STRINGS: import_strings(a, p, out); return true;
    default:
        return true; /* subgraphs and the rest: kept by kind, so that resolve can say what is
                        unsupported */
    }
}

static const attr *call_attr(const scope *s, const char *name) {
    for (size_t i = 0; i < s->n_attrs; i++)
        if (strcmp(s->attrs[i].name, name) == 0) return &s->attrs[i];
    return NULL;
}

/* The call's attribute, else the function's default, else none: an attribute that the call leaves
   out is left out within. */
static bool import_reference(importer *im, const scope *s, const proto *p, node *n) {
    attr *out = &n->attrs[n->n_attrs];
    if (!s->function)
        return node_error(im->g, n,
                          "attribute \"%s\" refers to an attribute of a function, but is in none",
                          onnx_shown(im->g->arena, p->name ? p->name : ""));
    if (!p->name || !*p->name) return node_error(im->g, n, "has an attribute without a name");
    const attr *given = call_attr(s, p->ref_attr_name);
    bool have = given != NULL;
    if (given) *out = *given;
    for (size_t i = 0; i < s->function->n_attribute_proto && !have; i++) {
        const proto *d = s->function->attribute_proto[i];
        if (!d->name || strcmp(d->name, p->ref_attr_name) != 0) continue;
        if (!onnx_import_attr(im, n, d, out)) return false;
        have = true;
    }
    if (!have) return true;
    out->name = arena_strdup(im->g->arena, p->name);
    n->n_attrs++;
    return true;
}

static bool import_one(importer *im, const scope *s, const proto *p, node *n) {
    if (p->ref_attr_name && *p->ref_attr_name) return import_reference(im, s, p, n);
    if (!onnx_import_attr(im, n, p, &n->attrs[n->n_attrs])) return false;
    n->n_attrs++;
    return true;
}

bool onnx_import_attrs(importer *im, const scope *s, const Onnx__NodeProto *p, node *n) {
    bool ok = true;
    if (p->n_attribute > 1000) return node_error(im->g, n, "has %zu attributes", p->n_attribute);
    n->attrs = ARENA_ARRAY(im->g->arena, attr, p->n_attribute);
    for (size_t i = 0; i < p->n_attribute; i++) {
        ok &= import_one(im, s, p->attribute[i], n);
        for (size_t k = 0; k + 1 < n->n_attrs; k++)
            if (strcmp(n->attrs[k].name, n->attrs[n->n_attrs - 1].name) == 0)
                return node_error(im->g, n, "has attribute \"%s\" twice",
                                  onnx_shown(im->g->arena, n->attrs[k].name));
    }
    return ok;
}
