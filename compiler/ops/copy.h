/* Rows of operators that copy: see ir/copy.h. */
#ifndef CAMEO_OPS_COPY_H
#define CAMEO_OPS_COPY_H
#include "../emit/emit.h"
#include "../ir/copy.h"

/* NAME_reference, NAME_emit and NAME_copy of an operator from its NAME_plan. */
#define COPY_FUNCTIONS(NAME, joins)                                                \
    static const copy_row NAME##_copy = {NAME##_plan, joins};                      \
    static bool NAME##_reference(arena *a, const node *n, const tensor *const *in, \
                                 tensor *const *out, const char **why) {           \
        (void)a, (void)why;                                                        \
        copy_run(n, in, out, NAME##_plan, joins);                                  \
        return true;                                                               \
    }                                                                              \
    static void NAME##_emit(struct emitter *e, const node *n) { copy_emit(e, n); }
#endif
