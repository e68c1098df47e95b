/* What a program is made for: a family and level of processors. */
#ifndef CAMEO_TARGET_H
#define CAMEO_TARGET_H
#include <stdbool.h>
#include <stddef.h>

typedef struct target {   /* what the C compiler is told, and what kernels may assume */
    const char *name;     /* resolved: "x86-64-v4", "x86-64-v3", ... never "native" */
    const char *flags;    /* "-march=x86-64-v4" ... */
    int vector_floats;    /* 16, 8 or 4 */
    int vector_registers; /* 32 or 16 */
} target;

/* "native" and the architecture levels; false for unknown names. */
bool target_resolve(const char *name, target *out);
/* Widest first. False when the two are of different processor families. */
bool target_compare(const target *a, const target *b, int *order);
/* Names of the levels; NULL behind the last. */
const char *target_name(size_t i);
#endif
