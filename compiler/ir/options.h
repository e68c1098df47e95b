/* What the command line asks of a compilation. */
#ifndef CAMEO_OPTIONS_H
#define CAMEO_OPTIONS_H
#include "../base/target.h"
#include "ir.h"

struct chooser; /* implementation.h */

typedef struct dim_binding {
    const char *name;
    int64_t value;
} dim_binding;
typedef struct shape_binding {
    const char *name;
    shape shape;
} shape_binding;

typedef enum emit_kind { EMIT_EXE, EMIT_LIB, EMIT_SO, EMIT_C } emit_kind;
typedef enum kernel_choice {
    KERNELS_AUTO,
    KERNELS_XNNPACK,
    KERNELS_NATIVE,
    KERNELS_PLAIN
} kernel_choice;

typedef struct options {
    const char *input, *output, *name; /* name: C prefix */
    emit_kind emit;
    kernel_choice kernels;
    target target;          /* of several the widest */
    const target *narrower; /* the others, widest first: nets for processors that cannot run the
                               ones before */
    size_t n_narrower;
    bool is_narrower; /* this net is one of those */
    int64_t batch;    /* 0 = as the model says (1 for symbolic batch) */
    dim_binding *dims;
    size_t n_dims;
    shape_binding *shapes;
    size_t n_shapes;
    const char *embedding, *preprocess, *labels; /* NULL = not given; labels: file of class names */
    const char *dump_after;                      /* pass name or NULL */
    const char *detector; /* an ONNX file: a face detector that enters the program too */
    const char *keep_c;
    const char *cc; /* C compiler; NULL = $CC, cc */
    bool sidecar, is_static;
    bool bfloat16;           /* weights of fully connected layers may be rounded to it */
    bool tune;               /* time the kernels that fit each layer */
    const char *tuning_file; /* of timings; NULL: in the cache (tune), or none */
    struct chooser *chooser; /* set by tuning_compile: select asks it instead of the rule */
    bool train;       /* a program that trains: `step` and `infer` over one block of parameters */
    const char *loss; /* "ce" (NULL), "arcface:s=64,m=0.5", ...; see passes/loss.c */
    int64_t classes;  /* 0 = as the model; else the classifier is made anew */
    const char *classes_from; /* a folder whose sub-folders are the classes */
    const char **freeze;      /* shell patterns of parameter names that are not learnt */
    size_t n_freeze;
    bool stop_if_folded; /* refuse a net whose BatchNormalization an exporter has folded away */
    unsigned jobs;       /* parallel C compilers; 0 = processors we may use */
} options;

/* How pictures become the input: by the options, else by the model; NULL: nobody says. */
const char *options_preprocess(const options *o, const graph *g);
#endif
