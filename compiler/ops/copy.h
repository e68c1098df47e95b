/* Rows of operators that copy: see ir/copy.h. */
#ifndef CAMEO_OPS_COPY_H
#define CAMEO_OPS_COPY_H
#include "../emit/emit.h"
#include "../ir/copy.h"
#include "row.h"

/* NAME_reference, NAME_emit and NAME_copy of an operator from its NAME_plan. */
#define COPY_FUNCTIONS(NAME, joins)                           \
    static const copy_row NAME##_copy = {NAME##_plan, joins}; \
    static OP_REFERENCE(NAME##_reference) {                   \
        copy_run(n, in, out, NAME##_plan, joins);             \
        return true;                                          \
    }                                                         \
    static void NAME##_emit(emitter *e, const node *n) { copy_emit(e, n); }
/* Rows whose outputs' elements are those of the inputs, in other places. */
#define MOVED(name, first, in, most_in, most_out, prefix, tested_by)      \
    OP_ONNX(name, first, 0, in, most_in, 1, most_out, prefix, tested_by), \
        .copy = &prefix##_copy, .flags = OP_ANY_LAYOUT | OP_BATCH_AXIS0, .grad = prefix##_grad
#endif
