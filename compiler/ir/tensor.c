/* Element types, shapes and constant tensors. See ir.h. */
#include <math.h>
#include <string.h>

#include "../../runtime/core/tensor.h"
#include "ir.h"

size_t dtype_size(dtype t) { return cameo_dtype_size((int)t); }
const char *dtype_name(dtype t) { return cameo_dtype_name((int)t); }
const char *dtype_c(dtype t) { return cameo_dtype_c((int)t); }

int64_t shape_count(const shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

bool shape_equal(const shape *a, const shape *b) {
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0);
}

bool shape_known(const shape *s) {
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0) return false;
    return true;
}

bool shape_fits(const shape *s, size_t bytes) {
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] > 0 &&
            (!size_mul(bytes, (size_t)s->dim[i], &bytes) || bytes > (size_t)1 << 40))
            return false;
    return true;
}

void shape_print(text *t, const shape *s) {
    if (s->rank == 0) text_append(t, "scalar");
    value_print_shape(t, &(value){.shaped = true, .shape = *s}, "x");
}

void value_print_shape(text *t, const value *v, const char *between) {
    if (!v->shaped) text_append(t, "?");
    for (int k = 0; v->shaped && k < v->shape.rank; k++) {
        if (k) text_append(t, between);
        if (v->shape.dim[k] >= 0)
            text_put(t, "$0", v->shape.dim[k]);
        else
            text_escape(t, v->symbol[k] ? v->symbol[k] : "?");
    }
}

bool shape_broadcast(const shape *a, const shape *b, shape *out) {
    shape r = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - a->rank), ib = i - (r.rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) return false;
        r.dim[i] = da == 1 ? db : da;
    }
    *out = r;
    return true;
}

tensor *tensor_new(arena *a, dtype type, const shape *s) {
    size_t bytes = dtype_size(type);
    if (bytes == 0) return NULL;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0 || !size_mul(bytes, (size_t)s->dim[i], &bytes) || bytes > (size_t)1 << 40)
            return NULL;
    tensor *t = ARENA_NEW(a, tensor);
    t->type = type;
    t->shape = *s;
    t->data = arena_alloc(a, bytes < 64 ? 64 : bytes);
    return t;
}

size_t tensor_bytes(const tensor *t) {
    return dtype_size(t->type) * (size_t)shape_count(&t->shape);
}

static double from_half(uint16_t h) {
    int exponent = (h >> 10) & 31, mantissa = h & 1023;
    double m = exponent == 0    ? ldexp(mantissa, -24)
               : exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                                : ldexp(mantissa + 1024, exponent - 25);
    return h & 0x8000 ? -m : m;
}

static double from_bfloat(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return (double)f;
}

/* Round to nearest even, as the conversion instruction does. */
static uint16_t to_half(double v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double m = fabs(v);
    if (isnan(v)) return sign | 0x7E00;
    if (m >= 65520) return sign | 0x7C00;
    int e;
    frexp(m, &e);
    int unit = e - 11 < -24 ? -24 : e - 11;
    int64_t q = (int64_t)nearbyint(ldexp(m, -unit));
    uint16_t bits = (uint16_t)(unit == -24 ? q : ((int64_t)(unit + 24) << 10) + q);
    return sign | bits;
}

/* Double to integer without undefined behaviour: truncates, saturates, NaN gives 0. */
static int64_t to_int(double v) {
    return isnan(v) ? 0 : v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

bool dtype_is_real(dtype t) {
    return t == DT_FLOAT || t == DT_DOUBLE || t == DT_FLOAT16 || t == DT_BFLOAT16;
}

/* Where integer i is; they are little-endian, here as in the file. */
static void *whole_at(const tensor *t, int64_t i) {
    if (!dtype_c(t->type)) BUG("a tensor of %s holds no numbers", dtype_name(t->type));
    return (char *)t->data + (size_t)i * dtype_size(t->type);
}

int64_t tensor_get_int(const tensor *t, int64_t i) {
    if (dtype_is_real(t->type)) return to_int(tensor_get(t, i));
    const bool is_signed = t->type == DT_INT8 || t->type == DT_INT16 || t->type == DT_INT32;
    const size_t size = dtype_size(t->type), unused = 64 - 8 * size;
    uint64_t bits = 0;
    memcpy(&bits, whole_at(t, i), size);
    if (t->type == DT_BOOL) return bits != 0;
    return is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

double tensor_get(const tensor *t, int64_t i) {
    switch (t->type) {
    case DT_FLOAT: return (double)((const float *)t->data)[i];
    case DT_DOUBLE: return ((const double *)t->data)[i];
    case DT_FLOAT16: return from_half(((const uint16_t *)t->data)[i]);
    case DT_BFLOAT16: return from_bfloat(((const uint16_t *)t->data)[i]);
    case DT_UINT64: return (double)((const uint64_t *)t->data)[i];
    default: return (double)tensor_get_int(t, i);
    }
}

void tensor_set_int(tensor *t, int64_t i, int64_t v) {
    if (dtype_is_real(t->type)) {
        tensor_set(t, i, (double)v);
        return;
    }
    if (t->type == DT_BOOL) v = v != 0;
    memcpy(whole_at(t, i), &v, dtype_size(t->type));
}

void tensor_set(tensor *t, int64_t i, double v) {
    switch (t->type) {
    case DT_FLOAT: ((float *)t->data)[i] = (float)v; break;
    case DT_DOUBLE: ((double *)t->data)[i] = v; break;
    case DT_FLOAT16: ((uint16_t *)t->data)[i] = to_half(v); break;
    case DT_BFLOAT16: ((uint16_t *)t->data)[i] = cameo_bfloat16((float)v); break;
    case DT_BOOL: ((uint8_t *)t->data)[i] = v != 0; break;
    case DT_UINT64:
        ((uint64_t *)t->data)[i] = v >= 0x1p64   ? UINT64_MAX
                                   : v >= 0x1p63 ? (uint64_t)v
                                                 : (uint64_t)to_int(v);
        break;
    default: tensor_set_int(t, i, to_int(v));
    }
}
