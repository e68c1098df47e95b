/* Shared by emit.c, weights.c and model.c: the program while it is being written. Everything lives
   in the graph's arena but the texts and the weights blob, which emit_model frees or hands over. */
#ifndef CAMEO_EMIT_PROGRAM_H
#define CAMEO_EMIT_PROGRAM_H
#include "emit.h"

/* Finds entries of a list by a hash: open addressing, at most half full. */
typedef struct hash_slot {
    uint64_t hash;
    size_t entry; /* its number + 1; 0: free */
} hash_slot;
typedef struct hash_index {
    hash_slot *slot;
    size_t size;
} hash_index;

/* The first slot that may have an entry of that hash, with room for one more than `count` of them;
   and the one behind it. The first free slot ends the search. */
hash_slot *hash_first(arena *a, hash_index *x, size_t count, uint64_t hash);
hash_slot *hash_next(const hash_index *x, hash_slot *s);

typedef struct name_list { /* C identifiers handed out */
    const char **name;
    size_t count, capacity;
    hash_index index;
} name_list;

typedef struct blob_entry {
    size_t offset, bytes;
    const char *name; /* the enum constant */
} blob_entry;

typedef struct blob { /* the weights: 64-byte aligned, equal bytes once */
    text data;
    blob_entry *entry;
    size_t count, capacity;
    hash_index index;
} blob;

typedef struct function {                           /* one C function, perhaps of several nodes */
    const char *name, *helpers, *parameters, *body; /* helpers and body still say "$F" */
} function;

typedef struct call { /* one layer: a node that emits something */
    const node *node;
    size_t function;
    const char *name, *arguments; /* arguments after "c, n" */
    bool batched;
    size_t position; /* of the node in graph->nodes */
} call;

struct emitter {
    graph *graph;
    const options *options;
    const char *prefix, *unit; /* of the program's C names; stem of the files. options->name is both
                                */
    text body, helpers, create, parameters, arguments;
    blob blob;
    name_list names;
    const char **value_name; /* by value id: the enum constant of its arena offset */
    function *functions;
    size_t n_functions, cap_functions;
    hash_index function_index;
    call *calls;
    size_t n_calls, cap_calls;
    size_t n_states;
    size_t scratch_offset; /* bytes; one region behind all values, since a node's scratch lives
                              during the node only */
    size_t arena_bytes;
    size_t position; /* in graph->nodes, of what is being emitted */
    bool xnnpack;
};

/* Where a value lives. */
typedef enum place_kind {
    PLACE_WEIGHTS,
    PLACE_INPUT,
    PLACE_OUTPUT,
    PLACE_ARENA,
    PLACE_PARAMETER,
    PLACE_GRADIENT
} place_kind;
typedef struct place {
    place_kind kind;
    const value *root; /* owner of the memory */
    size_t index;      /* of the graph input or output */
    int64_t offset;    /* elements from the root's start */
} place;

place value_place(const graph *g, const value *v);
/* C expression of v's memory for the node that is being emitted. */
const char *place_expression(emitter *e, const value *v, bool written);
bool node_is_silent(const node *n); /* a view, or a copy all of whose parts are slices: no code */
void emit_copy_body(emitter *e, const value *from, const value *to, int64_t to_offset,
                    bool batched);
size_t late_layer(const emitter *e); /* the first call of the late nodes; 0: there are none */

/* The C name of the net for the next narrower target. */
const char *narrower_name(const emitter *e);

/* A fresh C identifier made from text of a model; prefix "" or such as "A_". Unique within the
   emitter. */
const char *mangle(emitter *e, const char *prefix, const char *name, const char *suffix_to_drop);

const char *blob_add(emitter *e, const void *data, size_t bytes, const char *label);
uint64_t hash_bytes(const void *data, size_t bytes);

void model_write(emitter *e, emitted *out); /* model.c: all texts from the finished emitter */
void table_write(emitter *e, text *t);      /* the overview comment */
void info_write(emitter *e, text *t);       /* layer and tensor tables, model object */
void header_write(emitter *e, text *t);     /* model.h */
size_t embedding_layers(const emitter *e);
/* A line of an initialiser: ".FIELD = "...",", or NULL. */
void string_field(text *t, const char *field, const char *s);
void output_shape(text *t, const node *n); /* of its first output */
/* The prefix of all C names: --name, else from the output's name; always an identifier. */
const char *emit_prefix(arena *a, const options *o);
#endif
