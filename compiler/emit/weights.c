/* The weights blob: every piece 64-byte aligned, equal bytes stored once, each piece named by a
   constant; and the hash index that finds equals. */
#include "program.h"

#include <string.h>

/* FNV-1a over 8 bytes at a time: only finds candidates, which are then compared. */
uint64_t hash_bytes(const void *data, size_t bytes) {
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ bytes;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        h = (h ^ v) * 0x100000001b3u;
        h ^= h >> 29;
    }
    for (; bytes; bytes--, p++) h = (h ^ *p) * 0x100000001b3u;
    return h ^ (h >> 32);
}

hash_slot *hash_next(const hash_index *x, hash_slot *s) {
    return s + 1 == x->slot + x->size ? x->slot : s + 1;
}

hash_slot *hash_first(arena *a, hash_index *x, size_t count, uint64_t hash) {
    if (2 * (count + 1) > x->size) {
        const hash_index old = *x;
        x->size = old.size ? 2 * old.size : 256;
        x->slot = ARENA_ARRAY(a, hash_slot, x->size);
        for (size_t i = 0; i < old.size; i++) { /* free slots over free slots, too */
            hash_slot *s = hash_first(a, x, count, old.slot[i].hash);
            while (s->entry) s = hash_next(x, s);
            *s = old.slot[i];
        }
    }
    return &x->slot[hash & (x->size - 1)];
}

/* Zero bytes up to the next multiple of 64. */
static void blob_align(blob *b) {
    static const char zero[64];
    if (b->data.size % 64) text_append_n(&b->data, zero, 64 - b->data.size % 64);
}

const char *blob_add(emitter *e, const void *data, size_t bytes, const char *label) {
    blob *b = &e->blob;
    const uint64_t hash = hash_bytes(data, bytes);
    hash_slot *s = hash_first(e->graph->arena, &b->index, b->count, hash);
    for (; s->entry; s = hash_next(&b->index, s)) {
        const blob_entry *old = &b->entry[s->entry - 1];
        if (s->hash == hash && old->bytes == bytes &&
            (!bytes || !memcmp(b->data.data + old->offset, data, bytes)))
            return emit_text(e, "WEIGHTS($0)", old->name);
    }
    ARENA_GROW(e->graph->arena, b->entry, b->count, b->capacity);
    blob_align(b);
    b->entry[b->count] = (blob_entry){b->data.size, bytes,
                                      mangle(e, "W_", label ? label : "", NULL)};
    text_append_n(&b->data, data, bytes);
    *s = (hash_slot){hash, ++b->count};
    return emit_text(e, "WEIGHTS($0)", b->entry[b->count - 1].name);
}
