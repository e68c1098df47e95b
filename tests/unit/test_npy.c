/* Tensor files: written and read again, and hostile headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/files.h"
#include "runtime/base/npy.h"
#include "runtime/core/tensor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void there_and_back(void **state) {
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_npy_%ld", (long)getpid());
    float values[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
    cameo_array a = {1, 2, {2, 3}, 6, values}, b;
    for (int pb = 0; pb < 2; pb++) {
        assert_true(pb ? cameo_pb_write(path, "x", &a, NULL) : cameo_npy_write(path, &a, NULL));
        assert_true(cameo_array_read(path, &b, NULL));
        assert_true(b.dtype == 1 && b.rank == 2 && b.dim[0] == 2 && b.dim[1] == 3);
        assert_memory_equal(b.data, values, sizeof values);
        cameo_array_free(&b);
    }
    unlink(path);
}

/* Written straight, since nothing can be renamed over it; small and large, it is noticed that
   nothing fits. */
static void full_device(void **state) {
    (void)state;
    static const char zeros[100000];
    cameo_error error = {0};
    for (size_t size = 1; size <= sizeof zeros; size *= 10) {
        assert_false(cameo_write_file("/dev/full", zeros, size, &error));
        assert_int_equal(error.code, CAMEO_ENVIRONMENT);
        assert_string_equal(error.message, "/dev/full: cannot write: No space left on device");
    }
    assert_true(cameo_write_file("/dev/null", zeros, sizeof zeros, &error));
    assert_false(cameo_write_file("/nonexistent/x", zeros, 1, &error));
}

static bool decode_npy(const char *header, size_t data, cameo_error *error) {
    unsigned char file[512] = "\x93NUMPY\x01";
    size_t length = strlen(header);
    file[8] = (unsigned char)length;
    memcpy(file + 10, header, length);
    cameo_array a;
    bool good = cameo_npy_decode(file, 10 + length + data, "x.npy", &a, error);
    if (good) cameo_array_free(&a);
    return good;
}

static void npy_headers(void **state) {
    (void)state;
    cameo_error error = {0};
    assert_true(
        decode_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, &error));
    assert_true(decode_npy("{'shape': (), 'descr': '|b1', 'fortran_order': False}", 1, &error));
    const char *const bad[] = {
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999, 9), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
        "{'descr': '<f4', 'shape': (6,)}",
        "{'descr': '<f4",
        "{'descr",
        "{",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (",
        ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(decode_npy(bad[i], 24, &error));
}

static void pb_encodings(void **state) {
    (void)state;
    const struct {
        const char *bytes;
        size_t size;
        bool good;
    } cases[] = {{"\x08\x02\x10\x07\x3a\x02\x05\x06", 8, true},          /* int64_data packed */
                 {"\x08\x02\x10\x07\x38\x05\x38\x06", 8, true},          /* not packed */
                 {"\x0a\x01\x02\x10\x09\x2a\x02\x00\x01", 9, true},      /* packed dims, bool in
                                                                            int32_data */
                 {"\x08\x01\x10\x01\x22\x04\x00\x00\x80\x3f", 10, true}, /* float_data */
                 {"\x08\x01\x10\x10\x4a\x02\x80\x3f", 8, true},          /* bfloat16 */
                 {"\x08\x03\x10\x07\x3a\x02\x05\x06", 8, false},         /* too few */
                 {"\x08\xff\xff\xff\xff\x0f\x10\x01", 8, false}, /* four billion elements in 8 bytes
                                                                  */
                 {"\x08\x01\x10\x01\x4a\x08\x00\x00", 8, false}, /* length past the end */
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, false},
                 {"\x0b", 1, false},
                 {"", 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cameo_array a;
        bool good = cameo_pb_decode((const unsigned char *)cases[i].bytes, cases[i].size, "x.pb",
                                    &a, NULL);
        assert_int_equal(good, cases[i].good);
        if (good) cameo_array_free(&a);
    }
}

/* A type has a C name and a NumPy code of its own size, or none. */
static void element_types(void **state) {
    (void)state;
    for (int i = -1; i < 30; i++) {
        const char *c = cameo_dtype_c(i), *code = cameo_dtype_npy(i);
        if (c) assert_true(code && cameo_dtype_size(i) > 0);
        if (code) assert_int_equal(code[1] - '0', cameo_dtype_size(i));
        for (int k = 0; k < i; k++)
            assert_true(!code || !cameo_dtype_npy(k) || strcmp(code, cameo_dtype_npy(k)) != 0);
    }
    assert_string_equal(cameo_dtype_name(16), "bfloat16");
    assert_int_equal(cameo_dtype_size(16), 2);
    assert_string_equal(cameo_dtype_name(27), "unknown type");
    assert_string_equal(cameo_dtype_c(9), "unsigned char");
}

static void rounding_to_bfloat16(void **state) {
    (void)state;
    static const struct {
        float from;
        unsigned to;
    } cases[] = {{1, 0x3f80},
                 {-2, 0xc000},
                 {0x1.01p0f, 0x3f80},
                 {0x1.03p0f, 0x3f82}, /* ties to even */
                 {-0.0f, 0x8000},
                 {0x1.0102p0f, 0x3f81},
                 {INFINITY, 0x7f80},
                 {-INFINITY, 0xff80},
                 {NAN, 0x7fc0},
                 {-NAN, 0x7fc0},
                 {0x1.fffffep127f, 0x7f80},
                 {0x1p-149f, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cameo_bfloat16(cases[i].from), cases[i].to);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(npy_headers),
        cmocka_unit_test(full_device),    cmocka_unit_test(pb_encodings),
        cmocka_unit_test(element_types),  cmocka_unit_test(rounding_to_bfloat16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
