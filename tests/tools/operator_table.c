/* docs/operators.md from the operator rows: `operator_table` prints it. `cmake --build --preset
   release --target docs` writes the file, the test docs_operators compares it with what is
   committed. */
#include "compiler/ir/implementation.h"
#include "compiler/ir/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "# Operators\n"
    "\n"
    "Generated from the operator rows (`compiler/ops/`) by `cmake --build --preset release "
    "--target\n"
    "docs`; a test compares the two.\n"
    "\n"
    "One line is one row: an operator in a range of opsets. Every operator has a plain C form, so "
    "`cameo`\n"
    "compiles it in any place; where *kernels* names more, the select pass chooses among them. "
    "Values are\n"
    "float32; integers, booleans and float64 where a row takes them. Convolutions and pools serve "
    "1, 2\n"
    "and 3 spatial axes (kernels other than plain: 2), Resize any number. Results of the ONNX "
    "conformance\n"
    "tests: `conformance.md`.\n"
    "\n"
    "* *opsets*: of the operator's domain, those the row serves.\n"
    "* *inputs*: how many; `n` stands for any number.\n"
    "* *attributes*: the known ones with their defaults; `!` marks what a model must give.\n"
    "* *constant*: inputs (from 0) that decide shapes, so they must be known when compiling.\n"
    "* *properties*: `elementwise`; `view` (no code, its input's memory); `in place` (may "
    "overwrite an\n"
    "  input that ends there); `NHWC` (wants channels last) or `any` (works in either order); "
    "`batch`\n"
    "  (images stay apart, so `--batch` may widen it).\n"
    "* *kernels*: native templates (`runtime/kernels/`) and XNNPACK operators (`xnn-`) that can "
    "serve it\n"
    "  in their special cases. Convolutions and matrix products reach them after fusing, as the "
    "internal\n"
    "  forms below.\n"
    "* *gradient*: `yes`; `none` when the function has no useful one (integers, booleans, steps); "
    "`no`\n"
    "  when it has yet to be written.\n"
    "* *test*: where to look first: a case of the ONNX suite, or of `tests/unit`.\n"
    "\n";

static const char columns[] = "| operator | opsets | inputs | attributes | constant | properties | "
                              "kernels | gradient | test |\n"
                              "|---|---|---|---|---|---|---|---|---|\n";

static void put_opsets(const op_row *r) {
    if (!r->until)
        printf("%d+ | ", r->since);
    else if (r->until == r->since)
        printf("%d | ", r->since);
    else
        printf("%d-%d | ", r->since, r->until);
}

static void put_inputs(const op_row *r) {
    if (r->max_in < 0)
        printf("%d..n | ", r->min_in);
    else if (r->min_in == r->max_in)
        printf("%d | ", r->min_in);
    else
        printf("%d..%d | ", r->min_in, r->max_in);
}

static void put_attributes(const op_row *r) {
    for (const op_attr *a = r->attrs; a && a->name; a++) {
        printf("%s%s%s", a == r->attrs ? "" : ", ", a->name, a->required ? "!" : "");
        if (a->kind == ATTR_STRING && a->string) printf("=%s", a->string);
        if ((a->kind == ATTR_INT || a->kind == ATTR_FLOAT) && a->has_default)
            printf("=%.6g", a->number);
    }
    printf(" | ");
}

static void put_constant(const op_row *r) {
    bool any = false;
    for (int i = 0; i < 32; i++) {
        if (!(r->shape_inputs >> i & 1)) continue;
        printf("%s%d", any ? ", " : "", i);
        any = true;
    }
    printf(" | ");
}

static void put_properties(const op_row *r) {
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = {{OP_ELEMENTWISE, "elementwise"}, {OP_VIEW, "view"},
                 {OP_IDENTITY, "view"},           {OP_INPLACE, "in place"},
                 {OP_NHWC | OP_NHWC_IN, "NHWC"},  {OP_ANY_LAYOUT, "any"},
                 {OP_BATCH_AXIS0, "batch"}};
    const char *separator = "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(r->flags & words[i].flag)) continue;
        printf("%s%s", separator, words[i].word);
        separator = ", ";
    }
    printf(" | ");
}

static void put_kernels(const op_row *r) {
    const bool silent = r->flags & (OP_VIEW | OP_IDENTITY);
    const char *separator = r->emit ? ", " : "";
    printf("%s", silent ? "none needed: a view" : r->emit ? "plain" : "");
    for (const implementation *const *k = implementations; *k; k++)
        if (strcmp(opcode_name((*k)->op), r->name) == 0)
            printf("%s%s", separator, (*k)->name), separator = ", ";
    printf(" | ");
}

static void put_row(const op_row *r) {
    printf("| %s | ", r->name);
    put_opsets(r);
    put_inputs(r);
    put_attributes(r);
    put_constant(r);
    put_properties(r);
    put_kernels(r);
    printf("%s | %s |\n",
           r->grad                 ? "yes"
           : r->flags & OP_NO_GRAD ? "none"
                                   : "no",
           r->test ? r->test : "");
}

static int by_name(const void *a, const void *b) {
    const op_row *x = *(const op_row *const *)a, *y = *(const op_row *const *)b;
    const int c = strcmp(x->name, y->name);
    return c ? c : x->since - y->since;
}

static void put_domain(const char *domain, const char *title) {
    const op_row *rows[1024], *r;
    size_t n = 0, names = 0;
    for (size_t i = 0; (r = op_at(i)) && n < sizeof rows / sizeof *rows; i++)
        if (strcmp(r->domain, domain) == 0) rows[n++] = r;
    qsort(rows, n, sizeof *rows, by_name);
    for (size_t i = 0; i < n; i++) names += i == 0 || strcmp(rows[i]->name, rows[i - 1]->name) != 0;
    printf("## %s\n\n%zu operators in %zu rows.\n\n%s", title, names, n, columns);
    for (size_t i = 0; i < n; i++) put_row(rows[i]);
}

int main(void) {
    fputs(head, stdout);
    put_domain("", "ONNX (ai.onnx)");
    putchar('\n');
    put_domain("com.microsoft", "Of ONNX Runtime (com.microsoft)");
    putchar('\n');
    put_domain("cameo", "Internal (cameo): made by passes, never read from a file");
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 4;
}
