/* Prints any struct of runtime/kernels/shapes.def. Its rows are read a second time here, as text: a
   struct's fields become one string of declarations such as "nh, w, ci;bpadded;", a letter for the
   kind and then the names, which lie in memory in that order, each at a multiple of its size. */
#include "shape.h"

#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *type, *fields;
    size_t size;
} row;

static const row rows[] = {
// clang-format off
#define SHAPE(type) {#type,
#define NUMBERS(...) "n" #__VA_ARGS__ ";"
#define FLOATS(...) "f" #__VA_ARGS__ ";"
#define FLAGS(...) "b" #__VA_ARGS__ ";"
#define CHOICE(type, ...) "c" #__VA_ARGS__ ";"
#define ACTIVATION(name) "a" #name ";"
#define PART(type, name) "p" #name ", " #type ";"
#define END(type) , sizeof(type)},
#include "../../runtime/kernels/shapes.def"
    // clang-format on
};

static const char *const activations[] = {
#define ACT_FUSED(kind, ...) "CAMEO_" #kind,
#include "../../runtime/kernels/act.def"
};

static const row *row_of(const char *type, size_t length) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].type) == length && !memcmp(rows[i].type, type, length)) return &rows[i];
    BUG("\"%.*s\" is no shape", (int)length, type);
}

static const char *literal(arena *a, const row *r, const void *from);

/* The word of that number in "A, B, C;". */
static const char *word(arena *a, const char *words, unsigned number) {
    for (; number; number--) words += strcspn(words, ",") + 2;
    return arena_printf(a, "%.*s", (int)strcspn(words, ",;"), words);
}

/* One element as C, NULL where it is 0; rest: what the declaration says behind the name. */
static const char *element(arena *a, char kind, const char *rest, const void *p) {
    const cameo_act *act = p;
    switch (kind) {
    case 'n': return *(const ptrdiff_t *)p ? arena_put(a, "$0", *(const ptrdiff_t *)p) : NULL;
    case 'f': return *(const float *)p != 0 ? float_text(a, (double)*(const float *)p) : NULL;
    case 'b': return *(const bool *)p ? "true" : NULL;
    case 'c': return *(const unsigned *)p ? word(a, rest, *(const unsigned *)p) : NULL;
    case 'a':
        return act->kind ? arena_put(a, "{$0, $1, $2}", activations[act->kind],
                                     float_text(a, (double)act->a), float_text(a, (double)act->b))
                         : NULL;
    default: {
        const char *inner = literal(a, row_of(rest, strcspn(rest, ";")), p);
        return strcmp(inner, "{}") ? inner : NULL;
    }
    }
}

static size_t size_of(char kind, const char *rest) {
    switch (kind) {
    case 'n': return sizeof(ptrdiff_t);
    case 'b': return sizeof(bool);
    case 'a': return sizeof(cameo_act);
    case 'p': return row_of(rest, strcspn(rest, ";"))->size;
    default: return sizeof(float);
    }
}

static size_t aligned(size_t at, char kind) {
    const size_t to = kind == 'b'                  ? sizeof(bool)
                      : kind == 'n' || kind == 'p' ? sizeof(ptrdiff_t)
                                                   : sizeof(float);
    return (at + to - 1) / to * to;
}

/* ".NAME = ...", unless all elements are 0. */
static void print_field(arena *a, text *t, const char *name, char kind, size_t count,
                        const char *rest, const char *p) {
    text elements = {0};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const char *c = element(a, kind, rest, p + i * size_of(kind, rest));
        text_put(&elements, "$0$1", i ? ", " : "", c ? c : "0");
        any |= c != NULL;
    }
    if (any)
        text_printf(t, count > 1 ? "%s.%.*s = {%s}" : "%s.%.*s = %s", t->size > 1 ? ", " : "",
                    (int)strcspn(name, "[,;"), name, text_str(&elements));
    text_free(&elements);
}

static const char *literal(arena *a, const row *r, const void *from) {
    text t = {0};
    size_t at = 0;
    text_append(&t, "{");
    for (const char *s = r->fields; *s; s++) {
        const char kind = *s++;
        while (*s != ';') {
            const char *name = s;
            s += strcspn(s, "[,;");
            const size_t count = *s == '[' ? strtoul(s + 1, NULL, 10) : 1;
            s += strcspn(s, ",;");
            s += strspn(s, ", ");
            at = aligned(at, kind);
            print_field(a, &t, name, kind, count, s, (const char *)from + at);
            at += count * size_of(kind, s);
            if (kind == 'c' || kind == 'p') s += strcspn(s, ";");
        }
    }
    if (aligned(at, 'n') != r->size) BUG("the fields of %s are not where they should be", r->type);
    text_append(&t, "}");
    return text_keep(&t, a);
}

const char *shape_literal(arena *a, const char *type, const void *s) {
    return literal(a, row_of(type, strlen(type)), s);
}

void shape_emit(emitter *e, const char *type, const char *name, const void *s) {
    helpers_put(e, "static const $0 $F$1 = $2;\n", type, name,
                shape_literal(emit_arena(e), type, s));
}
