/* Gradient cases of operators that move elements, cut, join, look up and interpolate. See
   gradient_case.h. */
#ifndef CAMEO_TESTS_GRADIENT_CASES_MOVE_H
#define CAMEO_TESTS_GRADIENT_CASES_MOVE_H
#include "gradient_case.h"

#define FLOATS(n, ...) CONST(DT_FLOAT, 1, D(n), __VA_ARGS__)

static const gradient_case gradients_move[] = {
    {"Reshape", "Reshape", 14, .in = {WANTED(3, D(2, 3, 5)), INT_LIST(2, 5, -1)}},
    {"Reshape-1", "Reshape", 1, .in = {WANTED(3, D(2, 3, 5))}, .attrs = {L("shape", 2, 0, -1)}},
    {"Flatten", "Flatten", 13, .in = {WANTED(4, D(2, 3, 5, 2))}},
    {"Squeeze", "Squeeze", 13, .in = {WANTED(4, D(2, 3, 1, 1)), INT_LIST(2, 2, 3)}},
    {"Unsqueeze", "Unsqueeze", 13, .in = {WANTED(2, D(2, 3)), INT_LIST(2, 0, -1)}},
    {"Identity", "Identity", 13, .in = {WANTED(2, D(2, 3))}},
    {"Transpose", "Transpose", 13, .in = {WANTED(3, D(2, 3, 5))}},
    {"Transpose perm", "Transpose", 13, .in = {WANTED(4, D(2, 3, 5, 2))},
     .attrs = {L("perm", 4, 2, 0, 3, 1)}},
    {"Expand", "Expand", 13, .in = {WANTED(2, D(3, 1)), INT_LIST(3, 2, 1, 5)}},
    {"Tile", "Tile", 13, .in = {WANTED(2, D(3, 5)), INT_LIST(2, 2, 3)}},
    {"Tile one axis", "Tile", 13, .in = {WANTED(4, D(2, 3, 1, 5)), INT_LIST(4, 1, 1, 3, 1)}},
    {"DepthToSpace", "DepthToSpace", 13, .in = {WANTED(4, D(2, 8, 3, 1))},
     .attrs = {I("blocksize", 2)}},
    {"DepthToSpace CRD", "DepthToSpace", 13, .in = {WANTED(4, D(2, 8, 3, 1))},
     .attrs = {I("blocksize", 2), S("mode", "CRD")}},
    {"SpaceToDepth", "SpaceToDepth", 13, .in = {WANTED(4, D(2, 3, 6, 2))},
     .attrs = {I("blocksize", 2)}},
};

static const gradient_case gradients_slice[] = {
    {"Concat", "Concat", 13,
     .in = {WANTED(3, D(2, 3, 5)), WANTED(3, D(2, 1, 5)), FREE(3, D(2, 2, 5))},
     .attrs = {I("axis", 1)}},
    {"Concat twice the same", "Concat", 13, .in = {WANTED(2, D(3, 5)), SAME(0), WANTED(2, D(3, 2))},
     .attrs = {I("axis", -1)}},
    {"Concat images", "Concat", 13, .in = {WANTED(4, D(2, 3, 5, 3)), WANTED(4, D(2, 2, 5, 3))},
     .attrs = {I("axis", 1)}},
    {"Split", "Split", 13, .in = {WANTED(3, D(2, 6, 5)), INT_LIST(3, 1, 3, 2)},
     .attrs = {I("axis", 1)}, .n_out = 3},
    {"Split part unused", "Split", 11, .in = {WANTED(2, D(6, 5))}, .n_out = 3, .unused = 2},
    {"Slice", "Slice", 13,
     .in = {WANTED(3, D(4, 3, 5)), INT_LIST(2, 1, 0), INT_LIST(2, 3, 2), INT_LIST(2, 0, 2)}},
    {"Slice steps", "Slice", 13,
     .in = {WANTED(2, D(5, 7)), INT_LIST(2, 4, 1), INT_LIST(2, -100, 7), INT_LIST(2, 0, 1),
            INT_LIST(2, -1, 2)}},
    {"Slice both ways", "Slice", 13,
     .in = {WANTED(3, D(3, 5, 7)), INT_LIST(2, 1, -1), INT_LIST(2, 4, -6), INT_LIST(2, 1, 2),
            INT_LIST(2, 1, -2)}},
    {"Slice-1", "Slice", 1, .in = {WANTED(2, D(5, 7))},
     .attrs = {L("starts", 1, -3), L("ends", 1, 5), L("axes", 1, 1)}},
};

static const gradient_case gradients_lookup[] = {
    {"Pad", "Pad", 13, .in = {WANTED(2, D(3, 5)), INT_LIST(4, 1, 0, 2, 3)}},
    {"Pad cuts", "Pad", 13, .in = {WANTED(2, D(4, 5)), INT_LIST(4, -1, 1, 0, -2)}},
    {"Pad-2", "Pad", 2, .in = {WANTED(2, D(3, 5))}, .attrs = {L("pads", 4, 0, 1, 2, 0)}},
    {"Pad reflect", "Pad", 13, .in = {WANTED(2, D(3, 5)), INT_LIST(4, 2, 0, 1, 3)},
     .attrs = {S("mode", "reflect")}},
    {"Pad edge", "Pad", 13, .in = {WANTED(3, D(2, 3, 5)), INT_LIST(6, 0, 2, 1, 0, 1, 0)},
     .attrs = {S("mode", "edge")}},
    {"Pad value", "Pad", 13, .in = {WANTED(2, D(3, 5)), INT_LIST(4, 1, 0, 2, 3), WANTED(0, D(0))},
     .says = "constant_value"},
    {"Gather", "Gather", 13, .in = {WANTED(2, D(5, 3)), CONST(DT_INT64, 1, D(4), 1, -1, 1, 0)}},
    {"Gather axis", "Gather", 13,
     .in = {WANTED(3, D(2, 5, 3)), CONST(DT_INT32, 2, D(2, 2), 4, 0, 2, 2)},
     .attrs = {I("axis", 1)}},
    {"Gather one", "Gather", 13, .in = {WANTED(3, D(2, 5, 3)), CONST(DT_INT64, 0, D(0), 2)},
     .attrs = {I("axis", -1)}},
    {"Gather computed", "Gather", 13, .in = {WANTED(2, D(5, 3)), GIVEN(DT_INT64, 1, D(2), 1, 0)},
     .says = "indices"},
};

static const gradient_case gradients_resize[] = {
    {"Upsample-1", "Upsample", 1, .in = {WANTED(4, D(1, 2, 3, 2))},
     .attrs = {F("height_scale", 2), F("width_scale", 3)}},
    {"Upsample-9 linear", "Upsample", 9, .in = {WANTED(4, D(1, 2, 3, 2)), FLOATS(4, 1, 1, 2, 2)},
     .attrs = {S("mode", "linear")}},
    {"Resize-10", "Resize", 10, .in = {WANTED(4, D(1, 2, 3, 2)), FLOATS(4, 1, 1, 1.5, 2)}},
    {"Resize nearest", "Resize", 13,
     .in = {WANTED(4, D(1, 2, 3, 5)), NONE, FLOATS(4, 1, 1, 2, 0.6)}},
    {"Resize linear", "Resize", 13,
     .in = {WANTED(4, D(1, 2, 3, 5)), NONE, NONE, INT_LIST(4, 1, 2, 7, 3)},
     .attrs = {S("mode", "linear")}},
    {"Resize corners", "Resize", 11, .in = {WANTED(4, D(1, 2, 3, 3)), NONE, FLOATS(4, 1, 1, 2, 2)},
     .attrs = {S("mode", "linear"), S("coordinate_transformation_mode", "align_corners")}},
    {"Resize cubic", "Resize", 13, .in = {WANTED(4, D(1, 1, 4, 3)), NONE, FLOATS(4, 1, 1, 2, 1.5)},
     .attrs = {S("mode", "cubic")}},
    {"Resize crop", "Resize", 13,
     .in = {WANTED(2, D(5, 5)), FLOATS(4, 0.2, 0.1, 1.2, 0.8), NONE, INT_LIST(2, 4, 4)},
     .attrs = {S("mode", "linear"), S("coordinate_transformation_mode", "tf_crop_and_resize")}},
};
#endif
