/* What rows are written with: what every row says first, and lists of attributes. */
#ifndef CAMEO_OPS_ROW_H
#define CAMEO_OPS_ROW_H
#include "../ir/op.h"

#define OP_HEAD(domain_, name_, first, last, in, most_in, out, most_out, tested_by) \
    .name = name_, .domain = domain_, .since = first, .until = last, .min_in = in,  \
    .max_in = most_in, .min_out = out, .max_out = most_out, .test = tested_by
#define OP_FUNCTIONS(prefix) \
    .infer = prefix##_infer, .reference = prefix##_reference, .emit = prefix##_emit
/* A row whose functions are called so. */
#define OP_ONNX(name, first, last, in, most_in, out, most_out, prefix, tested_by) \
    OP_HEAD("", name, first, last, in, most_in, out, most_out, tested_by), OP_FUNCTIONS(prefix)
#define OP_INTERNAL(name, in, most_in, out, most_out, prefix, tested_by) \
    OP_HEAD("cameo", name, 1, 0, in, most_in, out, most_out, tested_by), OP_FUNCTIONS(prefix)

#define ATTRIBUTES(...)               \
    .attrs = (const op_attr[]) {      \
        __VA_ARGS__, { .name = NULL } \
    }
/* An attribute that may be absent, one that must be there, and those with a default. */
#define ATTR(kind_, name_) \
    { .name = name_, .kind = ATTR_##kind_ }
#define NEEDED(kind_, name_) \
    { .name = name_, .kind = ATTR_##kind_, .required = true }
#define DEFAULT(kind_, name_, v) \
    { .name = name_, .kind = ATTR_##kind_, .number = v, .has_default = true }
#define DEFAULT_WORD(name_, s) \
    { .name = name_, .kind = ATTR_STRING, .string = s }
#endif
