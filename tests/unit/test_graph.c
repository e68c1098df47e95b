/* The graph's own promises: operators have numbers, and each number a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph_query.h"

/* ---- operators by number ---- */

static void every_row_has_a_number(void **state) {
    (void)state;
    bool seen[OPCODES] = {false};
    for (size_t i = 0; op_at(i); i++) {
        const op_row *r = op_at(i);
        const opcode op = opcode_find(r->domain, r->name);
        if (!op) fail_msg("%s %s is not in opcode.def, or not in order", r->domain, r->name);
        assert_string_equal(opcode_name(op), r->name);
        assert_string_equal(opcode_domain(op), r->domain);
        assert_ptr_equal(op_of(op, r->since), op_find(r->domain, r->name, r->since, NULL));
        seen[op] = true;
    }
    for (int op = 1; op < OPCODES; op++)
        if (!seen[op]) fail_msg("%s of opcode.def has no row", opcode_name((opcode)op));
}

static void other_names_have_none(void **state) {
    (void)state;
    static const char *const others[][2] = {{"", ""},    {"", "conv"},      {"", "Con"},       {"", "Conv1"},
                                            {"", "Zzz"}, {"cameo", "Relu"}, {"other", "Conv"}, {"", "ConvChain"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(opcode_find(others[i][0], others[i][1]), OPCODE_NONE);
    assert_int_equal(opcode_find("ai.onnx", "Conv"), ONNX_Conv);
    assert_int_equal(opcode_find("cameo", "Conv"), CAMEO_Conv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_number),
        cmocka_unit_test(other_names_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
