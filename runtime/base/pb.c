/* ONNX TensorProto without a protobuf library: the few fields of one message, read with every
   length checked. Field numbers are onnx.proto's: 1 dims, 2 data_type, 4 float_data, 5 int32_data,
   7 int64_data, 8 name, 9 raw_data, 10 double_data, 11 uint64_data, 13 external_data, 14
   data_location. A repeated number may be packed (wire type 2) or not. */
#include "files.h"
#include "npy.h"
#include "wire.h"
#include <stdlib.h>
#include <string.h>

/* What is known after the first walk over the message. */
typedef struct tensor {
    cameo_array *array;
    cameo_wire raw;
    bool has_raw, external;
    uint64_t data_field; /* the typed field in use; 0 = none */
    size_t filled;
} tensor;

static bool add_dim(tensor *t, uint64_t value) {
    if (t->array->rank == 8 || value > ((uint64_t)1 << 40)) return false;
    t->array->dim[t->array->rank++] = (int64_t)value;
    return true;
}

static bool first_walk(cameo_wire w, tensor *t) {
    cameo_field f;
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.number == 1) {
            if (f.type == 0 && !add_dim(t, f.value)) return false;
            while (f.type == 2 && f.bytes.p < f.bytes.end)
                if (!cameo_wire_varint(&f.bytes, &f.value) || !add_dim(t, f.value)) return false;
        }
        if (f.number == 2 && f.type == 0 && f.value < 1000) t->array->dtype = (int)f.value;
        if (f.number == 9 && f.type == 2) t->raw = f.bytes, t->has_raw = true;
        if (f.number == 13 || (f.number == 14 && f.type == 0 && f.value == 1)) t->external = true;
        if (f.number == 4 || f.number == 5 || f.number == 7 || f.number == 10 || f.number == 11)
            t->data_field = f.number;
    }
    return true;
}

/* The field that holds a type's values when they are not raw. */
static uint64_t typed_field(int dtype) {
    switch (dtype) {
    case 1: return 4;
    case 7: return 7;
    case 11: return 10;
    case 12:
    case 13: return 11;
    default: return 5;
    }
}

/* Little endian: the low bytes of a 64-bit value are the value in any narrower integer type; bool
   is 0 or 1. */
static bool store(tensor *t, uint64_t value) {
    cameo_array *a = t->array;
    if (t->filled == a->count) return false;
    if (a->dtype == 9) value = value != 0;
    size_t size = cameo_dtype_size(a->dtype);
    memcpy((unsigned char *)a->data + size * t->filled++, &value, size);
    return true;
}

static bool second_walk(cameo_wire w, tensor *t) {
    cameo_field f;
    uint64_t number = typed_field(t->array->dtype);
    unsigned packed_type = number == 4 ? 5 : number == 10 ? 1 : 0;
    while (w.p < w.end) {
        if (!cameo_wire_field(&w, &f)) return false;
        if (f.number != number) continue;
        if (f.type != 2) {
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
static bool plausible(const tensor *t, size_t size) {
    uint64_t count = 1;
    for (int i = 0; i < t->array->rank; i++) {
        if (t->array->dim[i] == 0) return true;
        if (__builtin_mul_overflow(count, (uint64_t)t->array->dim[i], &count)) return false;
    }
    return count <= size;
}

static bool take_raw(tensor *t) {
    size_t bytes = t->array->count * cameo_dtype_size(t->array->dtype);
    if ((size_t)(t->raw.end - t->raw.p) != bytes) return false;
    if (bytes) memcpy(t->array->data, t->raw.p, bytes);
    return true;
}

bool cameo_pb_decode(const unsigned char *data, size_t size, const char *name, cameo_array *a,
                     cameo_error *error) {
    *a = (cameo_array){0};
    tensor t = {.array = a};
    cameo_wire w = {data, data + size};
    char shape[200];
    if (!first_walk(w, &t))
        return cameo_fail(error, CAMEO_BAD_INPUT, "%s: not a TensorProto (.pb) file, or cut short",
                          name);
    if (!cameo_dtype_size(a->dtype))
        return cameo_fail(error, CAMEO_BAD_INPUT, "%s: data type %d is not supported", name,
                          a->dtype);
    if (t.external)
        return cameo_fail(error, CAMEO_BAD_INPUT,
                          "%s: external data is not supported in tensor files", name);
    if (!plausible(&t, size))
        return cameo_fail(error, CAMEO_BAD_INPUT, "%s: %s%s does not fit a file of %zu bytes", name,
                          cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, shape),
                          size);
    if (!cameo_array_allocate(a, name, error)) return false;
    if (t.has_raw ? take_raw(&t) : second_walk(w, &t)) return true;
    cameo_array_free(a);
    return cameo_fail(error, CAMEO_BAD_INPUT, "%s: the data does not have the size of %s%s", name,
                      cameo_dtype_name(a->dtype), cameo_shape_text(a->dim, a->rank, shape));
}

bool cameo_pb_write(const char *path, const char *tensor_name, const cameo_array *a,
                    cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    for (int i = 0; i < a->rank; i++) cameo_put_integer(o.stream, 1, (uint64_t)a->dim[i]);
    cameo_put_integer(o.stream, 2, (uint64_t)a->dtype);
    cameo_put_text(o.stream, 8, tensor_name);
    size_t bytes = a->count * cameo_dtype_size(a->dtype);
    cameo_put_head(o.stream, 9, bytes);
    fwrite(a->data, 1, bytes, o.stream);
    return cameo_output_save(&o, NULL, path, error);
}
