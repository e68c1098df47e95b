/* ONNX TensorProto without a protobuf library: the few fields of one message, read with every
   length checked. A repeated number may be packed (wire type 2) or not. */
#include "files.h"
#include "npy.h"
#include "onnx_fields.h"
#include "wire.h"
#include <stdlib.h>
#include <string.h>

typedef struct filling {
    cameo_array *array;
    size_t filled;
} filling;

/* The field that holds a type's values when they are not raw. */
static uint64_t typed_field(int dtype) {
    switch (dtype) {
    case 1: return TENSOR_FLOATS;
    case 7: return TENSOR_INT64S;
    case 11: return TENSOR_DOUBLES;
    case 12:
    case 13: return TENSOR_UINT64S;
    default: return TENSOR_INT32S;
    }
}

/* Little endian: the low bytes of a 64-bit value are the value in any narrower integer type; bool
   is 0 or 1. */
static bool store(filling *t, uint64_t value) {
    cameo_array *a = t->array;
    if (t->filled == a->count) return false;
    if (a->dtype == 9) value = value != 0;
    size_t size = cameo_dtype_size(a->dtype);
    memcpy((unsigned char *)a->data + size * t->filled++, &value, size);
    return true;
}

static bool take_typed(cameo_wire w, filling *t) {
    cameo_field f;
    uint64_t number = typed_field(t->array->dtype);
    unsigned packed_type = number == TENSOR_FLOATS    ? CAMEO_WIRE_FIXED32
                           : number == TENSOR_DOUBLES ? CAMEO_WIRE_FIXED64
                                                      : CAMEO_WIRE_VARINT;
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.number != number) continue;
        if (f.type != CAMEO_WIRE_BYTES) {
            if (f.type != packed_type || !store(t, f.value)) return false;
            continue;
        }
        while (f.bytes.p < f.bytes.end)
            if (!cameo_wire_scalar(&f.bytes, packed_type, &f.value) || !store(t, f.value))
                return false;
    }
    return t->filled == t->array->count;
}

/* Upper bound of what the message can hold, so that a few bytes of dims cannot ask for
   gigabytes. */
static bool plausible(const cameo_array *a, size_t size) {
    uint64_t count = 1;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] == 0) return true;
        if (__builtin_mul_overflow(count, (uint64_t)a->dim[i], &count)) return false;
    }
    return count <= size;
}

static bool take_raw(cameo_wire raw, const cameo_array *a) {
    size_t bytes = a->count * cameo_dtype_size(a->dtype);
    if (cameo_wire_size(raw) != bytes) return false;
    if (bytes) memcpy(a->data, raw.p, bytes);
    return true;
}

bool cameo_pb_decode(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                     cameo_error *error) {
    const cameo_wire w = {data, data + size};
    cameo_wire_tensor t;
    char shape[200];
    *a = (cameo_array){0};
    if (!cameo_wire_read_tensor(w, &t))
        return cameo_reject(error, "%s: not a TensorProto (.pb) file, or cut short", name);
    a->dtype = t.type < 1000 ? (int)t.type : 0;
    a->rank = t.rank;
    memcpy(a->dim, t.dim, sizeof t.dim);
    if (!cameo_dtype_size(a->dtype))
        return cameo_reject(error, "%s: data type %d is not supported", name, a->dtype);
    if (t.external || t.location.p)
        return cameo_reject(error, "%s: external data is not supported in tensor files", name);
    if (!plausible(a, size))
        return cameo_reject(error, "%s: %s%s does not fit a file of %zu bytes", name,
                            cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, shape),
                            size);
    if (!cameo_array_allocate(a, name, error)) return false;
    if (t.raw.p ? take_raw(t.raw, a) : take_typed(w, &(filling){.array = a})) return true;
    cameo_array_free(a);
    return cameo_reject(error, "%s: the data does not have the size of %s%s", name,
                        cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, shape));
}

bool cameo_pb_write(const char *path, const char *tensor_name, const cameo_array *a,
                    cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    cameo_sink s = {.stream = o.stream};
    for (int i = 0; i < a->rank; i++) cameo_sink_integer(&s, TENSOR_DIMS, (uint64_t)a->dim[i]);
    cameo_sink_integer(&s, TENSOR_TYPE, (uint64_t)a->dtype);
    cameo_sink_text(&s, TENSOR_NAME, tensor_name);
    const size_t bytes = a->count * cameo_dtype_size(a->dtype);
    cameo_sink_head(&s, TENSOR_RAW, bytes);
    cameo_sink_put(&s, a->data, bytes);
    return cameo_output_save(&o, NULL, path, error);
}
