/* What the row of an internal operator says first: its functions are called prefix_infer,
   prefix_reference, prefix_emit. */
#ifndef CAMEO_OPS_INTERNAL_ROW_H
#define CAMEO_OPS_INTERNAL_ROW_H
#define OP_INTERNAL(name_, in_, most_in_, out_, most_out_, prefix, tested_by)        \
    .name = name_, .domain = "cameo", .since = 1, .min_in = in_, .max_in = most_in_, \
    .min_out = out_, .max_out = most_out_, .infer = prefix##_infer,                  \
    .reference = prefix##_reference, .emit = prefix##_emit, .test = tested_by
#endif
