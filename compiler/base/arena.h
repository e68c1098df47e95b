/* Arena: every object of one compilation lives in one arena and is freed with it. Passes never
   free. Allocation failure ends the program with exit code 4 (environment), so callers need no
   checks. */
#ifndef CAMEO_ARENA_H
#define CAMEO_ARENA_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct arena arena;

arena *arena_create(void);
void arena_destroy(arena *a);
/* Zeroed memory, aligned to 64 bytes when size >= 64, else to 16. size 0 gives a valid pointer. */
void *arena_alloc(arena *a, size_t size);
/* count * size, checked: a product that overflows ends the program with exit code 4. */
void *arena_array(arena *a, size_t count, size_t size);
/* A copy of `count` items with room for `most`. */
void *arena_copy(arena *a, const void *items, size_t count, size_t most, size_t size);
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_strdup(arena *a, const char *s);
char *arena_printf(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The one checked product of sizes: false when it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))
#define ARENA_COPY(a, items, count, most) arena_copy((a), (items), (count), (most), sizeof *(items))
/* Appends to an array that has no room to spare: for short lists. */
#define ARENA_APPEND(a, items, count, item) \
    ((items) = ARENA_COPY(a, items, count, (count) + 1), (items)[(count)++] = (item))
/* Makes room for one more in an array that doubles. */
#define ARENA_GROW(a, items, count, capacity)                               \
    ((count) == (capacity) ? (capacity) = (capacity) ? 2 * (capacity) : 64, \
     (items) = ARENA_COPY(a, items, count, capacity) : (items))
#endif
