/* Arena: a list of blocks; large requests get a block of their own. See arena.h. */
#include "arena.h"
#include "../../runtime/cameo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct block {
    struct block *next;
    size_t used, capacity; /* bytes after the header, which is padded to 64 */
} block;

struct arena {
    block *head;
};

/* Small objects share blocks of this size; tensors larger than a quarter of it stand alone. */
static const size_t block_bytes = 1u << 18;

static void out_of_memory(size_t size) {
    fprintf(stderr, "cameo: out of memory (%zu bytes asked for)\n", size);
    exit(CAMEO_ENVIRONMENT);
}

arena *arena_create(void) {
    arena *a = calloc(1, sizeof *a);
    if (!a) out_of_memory(sizeof *a);
    return a;
}

void arena_destroy(arena *a) {
    if (!a) return;
    for (block *b = a->head; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

static block *block_new(size_t capacity) {
    size_t bytes = (capacity + 64 + 63) / 64 * 64;
    block *b = capacity < SIZE_MAX - 256 ? aligned_alloc(64, bytes) : NULL;
    if (!b) out_of_memory(capacity);
    b->next = NULL;
    b->used = 0;
    b->capacity = capacity;
    return b;
}

void *arena_alloc(arena *a, size_t size) {
    size_t align = size >= 64 ? 64 : 16;
    block *b = a->head;
    size_t start = b ? (b->used + align - 1) / align * align : 0;
    if (!b || start > b->capacity || size > b->capacity - start) {
        bool alone = size > block_bytes / 4;
        b = block_new(alone ? size : block_bytes);
        if (alone && a->head) { /* keep filling the current block */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
        start = 0;
    }
    unsigned char *p = (unsigned char *)b + 64 + start;
    b->used = start + size;
    memset(p, 0, size);
    return p;
}

void *arena_array(arena *a, size_t count, size_t size) {
    size_t bytes;
    if (!size_mul(count, size, &bytes)) out_of_memory(SIZE_MAX);
    return arena_alloc(a, bytes);
}

void *arena_copy(arena *a, const void *items, size_t count, size_t most, size_t size) {
    void *copy = arena_array(a, most, size);
    if (count) memcpy(copy, items, count * size);
    return copy;
}

char *arena_strndup(arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}
