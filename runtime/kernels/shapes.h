/* What the templates are instantiated with, and the compiler fills: activations, and the structs of
   shapes.def. No vectors here, so that the compiler can include it. */
#ifndef CAMEO_KERNELS_SHAPES_H
#define CAMEO_KERNELS_SHAPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cameo_act_kind {
#define ACT_FUSED(kind, ...) CAMEO_##kind,
#include "act.def"
} cameo_act_kind;

typedef struct cameo_act {
    cameo_act_kind kind;
    float a, b; /* clip: bounds; leaky: slope; hardsigmoid: alpha, beta */
} cameo_act;

// clang-format off
#define SHAPE(type) typedef struct type {
#define NUMBERS(...) ptrdiff_t __VA_ARGS__;
#define FLOATS(...) float __VA_ARGS__;
#define FLAGS(...) bool __VA_ARGS__;
#define CHOICE(type, name, ...) enum type { __VA_ARGS__ } name;
#define ACTIVATION(name) cameo_act name;
#define PART(type, name) type name;
#define END(type) } type;
#include "shapes.def"
// clang-format on

enum { CAMEO_INTERLEAVE_MOST = sizeof((cameo_interleave *)0)->x_pixel / sizeof(ptrdiff_t) };
#endif
