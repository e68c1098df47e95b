/* The weights blob: every piece 64-byte aligned, equal bytes stored once, each piece named by a
   constant. */
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

static void blob_rehash(emitter *e) {
    blob *b = &e->blob;
    if (2 * (b->count + 1) <= b->index_size) return;
    b->index_size = b->index_size ? 2 * b->index_size : 256;
    b->index = ARENA_ARRAY(e->graph->arena, size_t, b->index_size);
    for (size_t i = 0; i < b->count; i++) {
        size_t h = b->entry[i].hash & (b->index_size - 1);
        while (b->index[h]) h = (h + 1) & (b->index_size - 1);
        b->index[h] = i + 1;
    }
}

/* Zero bytes up to the next multiple of 64. */
static void blob_align(blob *b) {
    static const char zero[64];
    if (b->data.size % 64) text_append_n(&b->data, zero, 64 - b->data.size % 64);
}

const char *blob_add(emitter *e, const void *data, size_t bytes, const char *label) {
    blob *b = &e->blob;
    blob_rehash(e);
    const uint64_t hash = hash_bytes(data, bytes);
    size_t h = hash & (b->index_size - 1);
    for (; b->index[h]; h = (h + 1) & (b->index_size - 1)) {
        const blob_entry *old = &b->entry[b->index[h] - 1];
        if (old->hash == hash && old->bytes == bytes &&
            (!bytes || !memcmp(b->data.data + old->offset, data, bytes)))
            return emit_text(e, "WEIGHTS($0)", old->name);
    }
    ARENA_GROW(e->graph->arena, b->entry, b->count, b->capacity);
    blob_align(b);
    b->entry[b->count] = (blob_entry){b->data.size, bytes, hash,
                                      mangle(e, "W_", label ? label : "", NULL)};
    text_append_n(&b->data, data, bytes);
    b->index[h] = ++b->count;
    return emit_text(e, "WEIGHTS($0)", b->entry[b->count - 1].name);
}
