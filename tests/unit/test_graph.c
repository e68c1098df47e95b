/* The graph's own promises: operators have numbers, and each number a row; who reads a value is
   known after every change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/ir/graph_query.h"

/* ---- operators by number ---- */

static void every_row_has_a_number(void **state) {
    (void)state;
    bool seen[OPCODES] = {false};
    for (size_t i = 0; op_at(i); i++) {
        const op_row *r = op_at(i);
        const opcode op = opcode_find(r->domain, r->name);
        if (!op) fail_msg("%s %s has no number", r->domain, r->name);
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
    static const char *const others[][2] = {{"", ""},          {"", "conv"},     {"", "Con"},
                                            {"", "Conv1"},     {"", "Zzz"},      {"cameo", "Relu"},
                                            {"other", "Conv"}, {"", "ConvChain"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(opcode_find(others[i][0], others[i][1]), OPCODE_NONE);
    assert_int_equal(opcode_find("ai.onnx", "Conv"), ONNX_Conv);
    assert_int_equal(opcode_find("cameo", "Conv"), CAMEO_Conv);
}

/* ---- who reads a value ---- */

typedef struct fixture {
    arena *a;
    diag d;
    graph *g;
    value *x; /* the input */
} fixture;

static int setup(void **state) {
    fixture *f = test_calloc(1, sizeof *f);
    f->a = arena_create();
    f->d = (diag){.arena = f->a, .file = "test"};
    f->g = graph_create(f->a, &f->d);
    f->x = graph_add_value(f->g, "x");
    f->x->is_input = true;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    arena_destroy(f->a);
    test_free(f);
    return 0;
}

static value *make(fixture *f, opcode op, value *a, value *b) {
    value *y = graph_add_value(f->g, NULL);
    graph_add_op(f->g, op, 13, (value *const[]){a, b}, b ? 2 : 1, &y, 1);
    return y;
}

/* Readers of v, in order, and that everything else in the graph holds. */
static void expect_readers(const fixture *f, const value *v, size_t count, ...) {
    ir_verify(f->g, "a change", false);
    assert_int_equal(v->n_uses, count);
    va_list readers;
    va_start(readers, count);
    for (const value_use *u = v->uses; u; u = u->next)
        assert_ptr_equal(u->user, va_arg(readers, node *));
    va_end(readers);
}

static void reads_are_kept(void **state) {
    fixture *f = *state;
    value *a = make(f, ONNX_Relu, f->x, NULL), *b = make(f, ONNX_Add, f->x, a),
          *c = make(f, ONNX_Mul, a, a);
    expect_readers(f, f->x, 2, a->producer, b->producer);
    expect_readers(f, a, 3, b->producer, c->producer, c->producer);
    assert_null(value_consumer(f->g, a)); /* three reads */
    node_set_input(f->g, c->producer, 1, f->x);
    expect_readers(f, a, 2, b->producer, c->producer);
    expect_readers(f, f->x, 3, a->producer, b->producer, c->producer);
    node_set_input(f->g, b->producer, 1, NULL);
    assert_ptr_equal(value_consumer(f->g, a), c->producer);
    node_set_input(f->g, b->producer, 4, a); /* grows */
    assert_int_equal(b->producer->n_in, 5);
    expect_readers(f, a, 2, c->producer, b->producer);
    node_limit_inputs(b->producer, 1);
    node_set_inputs(f->g, c->producer, (value *const[]){b, NULL, a, b}, 4);
    expect_readers(f, a, 1, c->producer);
    expect_readers(f, b, 2, c->producer, c->producer);
    expect_readers(f, f->x, 2, a->producer, b->producer);
}

static void kept_values_have_no_consumer(void **state) {
    fixture *f = *state;
    value *a = make(f, ONNX_Relu, f->x, NULL), *b = make(f, ONNX_Neg, a, NULL);
    assert_ptr_equal(value_consumer(f->g, a), b->producer);
    assert_false(value_is_read(b));
    f->g->embedding = a;
    assert_null(value_consumer(f->g, a));
    f->g->embedding = NULL, a->is_output = b->is_output = true;
    assert_null(value_consumer(f->g, a));
    assert_true(value_is_read(b) && value_is_kept(f->g, b));
}

static void uses_move_as_one(void **state) {
    fixture *f = *state;
    value *a = make(f, ONNX_Relu, f->x, NULL), *b = make(f, ONNX_Neg, f->x, NULL),
          *c = make(f, ONNX_Add, a, b), *d = make(f, ONNX_Mul, a, a);
    graph_replace_uses(f->g, a, b);
    expect_readers(f, a, 0);
    expect_readers(f, b, 4, c->producer, c->producer, d->producer, d->producer);
    graph_replace_uses(f->g, b, b);
    assert_int_equal(b->n_uses, 4);
    node_kill(c->producer);
    expect_readers(f, b, 2, d->producer, d->producer);
    assert_null(c->producer);
    node *n = d->producer;
    d->is_output = true;
    f->g->outputs = &d, f->g->n_outputs = 1;
    graph_sweep(f->g); /* a's node is not read any more */
    assert_int_equal(f->g->n_nodes, 2);
    assert_true(graph_has(f->g, n) && n->position == 1);
    expect_readers(f, f->x, 1, b->producer);
}

static void one_takes_the_next_ones_place(void **state) {
    fixture *f = *state;
    value *a = make(f, ONNX_Relu, f->x, NULL), *other = make(f, ONNX_Neg, f->x, NULL),
          *b = make(f, ONNX_Add, a, other), *c = make(f, ONNX_Abs, b, NULL);
    node *n = a->producer, *add = b->producer;
    node_set_input(f->g, n, 1, other);
    graph_absorb(f->g, n, add);
    assert_true(add->dead && b->producer == n && !a->producer);
    assert_int_equal(n->position, 2);
    assert_int_equal(other->producer->position, 0);
    expect_readers(f, other, 1, n);
    expect_readers(f, b, 1, c->producer);
    expect_readers(f, a, 0);
}

static void a_copy_has_readers_of_its_own(void **state) {
    fixture *f = *state;
    value *a = make(f, ONNX_Relu, f->x, NULL), *b = make(f, ONNX_Add, a, f->x);
    fixture copy = {.g = graph_clone(f->g)};
    node_kill(b->producer);
    expect_readers(f, a, 0);
    expect_readers(&copy, copy.g->values[f->x->id], 2, copy.g->nodes[0], copy.g->nodes[1]);
    expect_readers(&copy, copy.g->values[a->id], 1, copy.g->nodes[1]);
}

/* Against counting them anew, while a graph is changed at random. */
static void any_order_of_changes(void **state) {
    fixture *f = *state;
    enum { NODES = 12, CHANGES = 3000 };
    uint32_t seed = 1;
    value *v[NODES + 1] = {f->x};
    for (size_t i = 1; i <= NODES; i++) v[i] = make(f, ONNX_Add, v[i - 1], v[i / 2]);
    for (int k = 0; k < CHANGES; k++) {
        seed = seed * 1664525 + 1013904223;
        const size_t at = 1 + (seed >> 8) % NODES, from = (seed >> 16) % at,
                     input = (seed >> 24) % 4;
        node *n = v[at]->producer;
        if (input == 3)
            node_set_inputs(f->g, n, (value *const[]){v[from], v[0], v[from]}, 1 + from % 3);
        else if (k % 50 == 49)
            graph_replace_uses(f->g, v[at], v[from]);
        else
            node_set_input(f->g, n, input, from % 3 ? v[from] : NULL);
        ir_verify(f->g, "a change", false);
        for (size_t i = 0; i <= NODES; i++) {
            size_t reads = 0;
            for (size_t j = 0; j < f->g->n_nodes; j++)
                for (size_t l = 0; l < f->g->nodes[j]->n_in; l++)
                    reads += f->g->nodes[j]->in[l] == v[i];
            assert_int_equal(v[i]->n_uses, reads);
        }
    }
}

/* ---- templates, and arrays of the arena ---- */

static void templates_are_filled(void **state) {
    (void)state;
    arena *a = arena_create();
    const size_t n = 3;
    const int64_t negative = -5;
    char word[] = "word";
    assert_string_equal(arena_put(a, "$0 $F $1, $0 $", "x", negative), "x $F -5, x $");
    assert_string_equal(arena_put(a, "$7$6$5$4$3$2$1$0", 0, 1, 2, n, 4, word, "$0", true),
                        "1$0word43210");
    assert_string_equal(arena_put(a, "$0;$1$8", 0.5, -0.0), "0x1p-1;-0x0p+0$8");
    assert_string_equal(arena_put(a, "$0", 0.5f), "0x1p-1");
    text t = {0};
    text_put(&t, "a$0", 1), text_put(&t, "b$0", 'c' == 'd');
    assert_string_equal(text_str(&t), "a1b0");
    text_free(&t);
    arena_destroy(a);
}

static void arrays_grow(void **state) {
    (void)state;
    arena *a = arena_create();
    size_t count = 0, capacity = 0;
    int *v = NULL;
    for (int i = 0; i < 1000; i++) {
        ARENA_GROW(a, v, count, capacity);
        v[count++] = i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(v[i], i);
    assert_true(capacity >= count && capacity < 2 * count);
    const int *more = ARENA_COPY(a, v, 2, 4);
    assert_true(more != v && more[1] == 1 && more[2] == 0 && more[3] == 0);
    arena_destroy(a);
}

#define WITH_GRAPH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_number),
        cmocka_unit_test(other_names_have_none),
        cmocka_unit_test(templates_are_filled),
        cmocka_unit_test(arrays_grow),
        WITH_GRAPH(reads_are_kept),
        WITH_GRAPH(kept_values_have_no_consumer),
        WITH_GRAPH(uses_move_as_one),
        WITH_GRAPH(one_takes_the_next_ones_place),
        WITH_GRAPH(a_copy_has_readers_of_its_own),
        WITH_GRAPH(any_order_of_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
