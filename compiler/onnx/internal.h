/* What the importer's files share: decoding tensors and attributes, scopes of names, inlining,
   sorting.

   The protobuf messages live until the import ends; everything put into the graph is copied into
   its arena. */
#ifndef CAMEO_ONNX_INTERNAL_H
#define CAMEO_ONNX_INTERNAL_H
#include "../../runtime/core/sha256.h"
#include "onnx.h"
#include "onnx.pb-c.h"

/* ---- tensor.c ---- */

typedef struct external_data { /* where tensors kept outside the model file may be */
    const char *directory;     /* NULL: nowhere */
    uint64_t used;             /* bytes read so far, bounded */
    cameo_sha256_sum *hash;    /* takes in what is read; may be NULL */
} external_data;

/* NULL with *why (a sentence's predicate: "has 3 elements of data but ..."). ext may be NULL: no
   external data. */
tensor *onnx_decode_tensor(arena *a, const Onnx__TensorProto *t, external_data *ext,
                           const char **why);

/* ---- function.c ---- */

typedef struct name_map name_map;
name_map *name_map_create(arena *a, size_t expected);
/* The value filed under name; *found says whether there is any (a value may be NULL: an absent
   optional input). */
value *name_map_get(const name_map *m, const char *name, bool *found);
void name_map_put(name_map *m, const char *name, value *v);

/* The body nodes are read in: the main graph (function NULL) or one call of a function. */
typedef struct scope {
    const struct scope *parent;
    const Onnx__FunctionProto *function;
    const char *prefix; /* of names made within */
    name_map *names;
    const attr *attrs; /* of the call */
    size_t n_attrs;
    int index; /* of the call's node in the file */
} scope;

typedef struct importer {
    graph *g;
    const Onnx__ModelProto *model;
    external_data external;
    size_t defaulted;   /* graph inputs that have an initializer, from IR 4 on */
    size_t expanded;    /* nodes made by inlining, bounded */
    bool zero_is_batch; /* extent 0 on an input's first axis stands for any batch */
} importer;

/* The model's own function a node calls; NULL when it is an operator. */
const Onnx__FunctionProto *onnx_find_function(const importer *im, const Onnx__NodeProto *p);
/* Replaces a call, given as a node that isn't in the graph, by the function's body. */
bool onnx_inline(importer *im, const scope *caller, const Onnx__FunctionProto *f, const node *call);

/* ---- import.c ---- */

/* Makes the values that the nodes of a body write, then the nodes. */
bool onnx_import_nodes(importer *im, const scope *s, Onnx__NodeProto *const *nodes, size_t count);
/* "ai.onnx" and NULL are "". */
const char *onnx_domain(const char *s);
/* As text_escape, in the arena. */
const char *onnx_shown(arena *a, const char *s);

/* ---- attr.c ---- */

/* The attributes of a node, references to the enclosing call's resolved. */
bool onnx_import_attrs(importer *im, const scope *s, const Onnx__NodeProto *p, node *n);
bool onnx_import_attr(importer *im, const node *n, const Onnx__AttributeProto *p, attr *out);

/* ---- sort.c ---- */

/* Puts the nodes into an order in which producers come first, keeping the file's where it is one.
   false: a cycle. */
bool onnx_sort(graph *g);
#endif
