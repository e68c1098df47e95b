/* The templates' shapes (runtime/kernels/shapes.def) as C: what a kernel fills is printed here.
   Fields that are 0 are left out. */
#ifndef CAMEO_COMPILER_SHAPE_H
#define CAMEO_COMPILER_SHAPE_H
#include "../../runtime/kernels/shapes.h"
#include "../emit/emit.h"

/* "{.h = 56, ...}". */
const char *shape_literal(arena *a, const char *type, const void *s);
/* Among the helpers of the current node: "static const TYPE $FNAME = {...};". */
void shape_emit(emitter *e, const char *type, const char *name, const void *s);

/* Both of each type, so that the C compiler sees that name and struct agree: cameo_conv_literal,
   emit_cameo_conv. */
#define SHAPE(type)                                                               \
    static inline const char *type##_literal(arena *a, const type *s) {           \
        return shape_literal(a, #type, s);                                        \
    }                                                                             \
    static inline void emit_##type(emitter *e, const char *name, const type *s) { \
        shape_emit(e, #type, name, s);                                            \
    }
#include "../../runtime/kernels/shapes.def"
#endif
