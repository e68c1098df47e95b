/* The ONNX importer on hostile, broken and foreign files, a table of models each of which must
   give a message and no crash; and external data, which is where hostile files reach out. */
#include "import_model.h"
#include "scratch.h"

/* ---- hostile and broken models ---- */

static void base(spec *s) {
    put_input(&s->graph, "x");
    put_node(&s->graph, "Relu", "x", "y");
    put_output(&s->graph, "y");
}

static void weight(spec *s, int type, const int64_t *dims, size_t rank, unsigned field,
                   const void *data, size_t size) {
    text t = {0};
    base(s);
    put_tensor_head(&t, "w", type, dims, rank);
    if (field) put_bytes(&t, field, data, size);
    put_message(&s->graph, 5, &t);
}

static void external(spec *s, const char *path, const char *offset, const char *length) {
    text t = {0}, e = {0};
    const char *const pairs[][2] = {{"location", path}, {"offset", offset}, {"length", length}};
    base(s);
    put_tensor_head(&t, "w", 1, (int64_t[]){2}, 1);
    for (int i = 0; i < 3; i++) {
        if (!pairs[i][1]) continue;
        put_string(&e, 1, pairs[i][0]);
        put_string(&e, 2, pairs[i][1]);
        put_message(&t, 13, &e);
    }
    put_int(&t, 14, 1);
    put_message(&s->graph, 5, &t);
}

static void no_ir(spec *s) { base(s), s->ir = 0; }
static void no_graph(spec *s) { s->graph.size = 0; }
static void no_outputs(spec *s) { put_input(&s->graph, "x"); }
static void no_opset(spec *s) { base(s), s->opset = 0; }
static void huge_opset(spec *s) { base(s), s->opset = INT64_MAX; }
static void cycle(spec *s) {
    put_node(&s->graph, "Relu", "b", "a");
    put_node(&s->graph, "Abs", "a", "b");
    put_output(&s->graph, "a");
}
static void self_cycle(spec *s) {
    put_node(&s->graph, "Relu", "a", "a"), put_output(&s->graph, "a");
}
static void missing_producer(spec *s) {
    put_node(&s->graph, "Relu", "gone", "y"), put_output(&s->graph, "y");
}
static void missing_output(spec *s) { base(s), put_output(&s->graph, "gone"); }
static void duplicate_output(spec *s) { base(s), put_node(&s->graph, "Abs", "x", "y"); }
static void writes_input(spec *s) { base(s), put_node(&s->graph, "Abs", "y", "x"); }
static void two_inputs(spec *s) { base(s), put_input(&s->graph, "x"); }
static void no_op_type(spec *s) { base(s), put_node(&s->graph, "", "x", "z"); }
static void reserved_domain(spec *s) { base(s), put_call(&s->graph, 1, "Conv", "cameo", "x", "z"); }
static void nul_in_name(spec *s) {
    text n = {0};
    base(s);
    put_bytes(&n, 1, "x\0z", 3);
    put_message(&s->graph, 1, &n);
}
static void second_graph(spec *s) { base(s), put_bytes(&s->extra, 7, "", 0); }
static void huge_dims(spec *s) {
    weight(s, 1, (int64_t[]){(int64_t)1 << 32, (int64_t)1 << 32}, 2, 9, "abcd", 4);
}
static void hidden_overflow(spec *s) {
    weight(s, 1, (int64_t[]){0, INT64_MAX, INT64_MAX}, 3, 0, NULL, 0);
}
static void negative_dim(spec *s) { weight(s, 1, (int64_t[]){-4}, 1, 9, "abcd", 4); }
static void rank_nine(spec *s) {
    weight(s, 1, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}, 9, 9, "abcd", 4);
}
static void short_raw(spec *s) { weight(s, 1, (int64_t[]){2}, 1, 9, "abcdefg", 7); }
static void long_raw(spec *s) { weight(s, 1, (int64_t[]){2}, 1, 9, "abcdefghi", 9); }
static void no_data(spec *s) { weight(s, 1, (int64_t[]){2}, 1, 0, NULL, 0); }
static void big_claim(spec *s) { weight(s, 1, (int64_t[]){(int64_t)1 << 34}, 1, 9, "abcd", 4); }
static void wrong_field(spec *s) { weight(s, 7, (int64_t[]){2}, 1, 4, "abcdefgh", 8); }
static void odd_packed(spec *s) { weight(s, 1, (int64_t[]){2}, 1, 4, "abcdefg", 7); }
static void string_tensor(spec *s) { weight(s, 8, (int64_t[]){1}, 1, 6, "text", 4); }
static void int4_tensor(spec *s) { weight(s, 22, (int64_t[]){2}, 1, 9, "a", 1); }
static void unknown_type(spec *s) { weight(s, 99, (int64_t[]){2}, 1, 9, "ab", 2); }
static void negative_type(spec *s) { weight(s, -1, (int64_t[]){2}, 1, 9, "ab", 2); }
static void segment(spec *s) { weight(s, 1, (int64_t[]){1}, 1, 3, "", 0); }
static void sparse(spec *s) { base(s), put_bytes(&s->graph, 15, "", 0); }
static void passwd(spec *s) { external(s, "../../etc/passwd", NULL, NULL); }
static void hidden_dots(spec *s) { external(s, "a/../../b", NULL, NULL); }
static void absolute(spec *s) { external(s, "/etc/passwd", NULL, NULL); }
static void backslash(spec *s) { external(s, "..\\secret", NULL, NULL); }
static void no_location(spec *s) { external(s, NULL, "0", NULL); }
static void bad_offset(spec *s) { external(s, "data", "-1", NULL); }
static void huge_offset(spec *s) { external(s, "data", "99999999999999999999999", NULL); }
static void past_end(spec *s) { external(s, "data", "8", "8"); }
static void wrong_length(spec *s) { external(s, "data", "0", "4"); }
static void missing_file(spec *s) { external(s, "nowhere", NULL, NULL); }
static void symlink_data(spec *s) { external(s, "link", NULL, NULL); }
static void symlinked_dir(spec *s) { external(s, "dirlink/data", NULL, NULL); }
static void directory_data(spec *s) { external(s, "sub", NULL, NULL); }
static void fifo_data(spec *s) { external(s, "fifo", NULL, NULL); }
static void hard_link(spec *s) { external(s, "hard", NULL, NULL); }
static void sequence_input(spec *s) {
    text t = {0}, v = {0};
    base(s);
    put_bytes(&t, 4, "", 0);
    put_string(&v, 1, "s");
    put_message(&v, 2, &t);
    put_message(&s->graph, 11, &v);
}
static void attribute(spec *s, const char *name, unsigned field, int type, int times) {
    text n = {0}, a = {0};
    base(s);
    put_string(&n, 2, "z");
    put_string(&n, 4, "Op");
    for (int i = 0; i < times; i++) {
        if (name) put_string(&a, 1, name);
        if (field == 3) put_int(&a, 3, 1);
        if (field == 21) put_string(&a, 21, "outer");
        if (type) put_int(&a, 20, type);
        put_message(&n, 5, &a);
    }
    put_message(&s->graph, 1, &n);
}
static void attr_twice(spec *s) { attribute(s, "axis", 3, 2, 2); }
static void attr_mistyped(spec *s) { attribute(s, "axis", 3, 1, 1); }
static void attr_nameless(spec *s) { attribute(s, NULL, 3, 2, 1); }
static void attr_empty(spec *s) { attribute(s, "axis", 0, 0, 1); }
static void attr_no_tensor(spec *s) { attribute(s, "value", 0, 4, 1); }
static void attr_reference(spec *s) { attribute(s, "axis", 21, 2, 1); }
static void deep_graphs(spec *s) {
    text inner = {0}, a = {0}, n = {0};
    base(s);
    for (int i = 0; i < 3000; i++) {
        put_message(&a, 6, &inner);
        put_message(&n, 5, &a);
        put_message(&inner, 1, &n);
    }
    put_message(&a, 1, &inner); /* TrainingInfoProto.initialization */
    put_message(&s->extra, 20, &a);
}
static void many(spec *s, unsigned field, size_t count) {
    base(s);
    for (size_t i = 0; i < count; i++) put_bytes(&s->graph, field, "", 0);
}
static void many_initializers(spec *s) { many(s, 5, 2000000); }
static void many_nodes(spec *s) { many(s, 1, 2000000); }
static void many_unknown(spec *s) {
    base(s);
    for (int i = 0; i < 4000000; i++) put_int(&s->extra, 31, 1);
}
static void odd_names(spec *s) {
    put_node(&s->graph, "Relu\"*/\n", "g\"one*/\n\x1b", "y"), put_output(&s->graph, "y");
}

static const struct hostile {
    const char *name;
    void (*build)(spec *s);
    const char *message;
} hostile[] = {
    {"no ir_version", no_ir, "no ir_version"},
    {"no graph", no_graph, "no graph"},
    {"no outputs", no_outputs, "without outputs"},
    {"no opset", no_opset, "no opset_import"},
    {"huge opset", huge_opset, "opset_import has version"},
    {"cycle", cycle, "cycle"},
    {"self cycle", self_cycle, "cycle"},
    {"missing producer", missing_producer, "\"gone\", is produced by no node"},
    {"missing output", missing_output, "\"gone\" is produced by no node"},
    {"duplicate output", duplicate_output, "exists already"},
    {"writes input", writes_input, "exists already"},
    {"two inputs of a name", two_inputs, "two graph inputs"},
    {"no op_type", no_op_type, "no op_type"},
    {"reserved domain", reserved_domain, "reserved"},
    {"NUL in a name", nul_in_name, "NUL byte"},
    {"second graph", second_graph, "\"graph\" is there twice"},
    {"dims overflow", huge_dims, "too large"},
    {"overflow behind a zero", hidden_overflow, "too large"},
    {"negative dim", negative_dim, "negative dimension"},
    {"rank 9", rank_nine, "9 dimensions"},
    {"raw_data too short", short_raw, "too little data"},
    {"raw_data too long", long_raw, "has 9 bytes"},
    {"no data", no_data, "has no data"},
    {"a big claim", big_claim, "too little data"},
    {"data in the wrong field", wrong_field, "int64_data"},
    {"packed list cut", odd_packed, "ends within one"},
    {"strings", string_tensor, "not supported"},
    {"int4", int4_tensor, "not supported"},
    {"unknown type", unknown_type, "unknown element type"},
    {"negative type", negative_type, "unknown element type"},
    {"segment", segment, "segment"},
    {"sparse initializer", sparse, "sparse"},
    {"../../etc/passwd", passwd, "outside the model's directory"},
    {"a/../../b", hidden_dots, "outside the model's directory"},
    {"/etc/passwd", absolute, "outside the model's directory"},
    {"backslash", backslash, "outside the model's directory"},
    {"no location", no_location, "names no location"},
    {"offset -1", bad_offset, "offset"},
    {"offset overflow", huge_offset, "offset"},
    {"past the end", past_end, "past the end"},
    {"wrong length", wrong_length, "4 bytes of external data"},
    {"missing file", missing_file, "can't be opened"},
    {"symlink", symlink_data, "symbolic link"},
    {"symlinked directory", symlinked_dir, "can't be opened"},
    {"directory as data", directory_data, "not a regular file"},
    {"FIFO as data", fifo_data, "not a regular file"},
    {"hard link", hard_link, "hard link"},
    {"sequence input", sequence_input, "is a sequence"},
    {"attribute twice", attr_twice, "twice"},
    {"attribute mistyped", attr_mistyped, "not of its type"},
    {"attribute without name", attr_nameless, "without a name"},
    {"attribute without value", attr_empty, "neither type nor value"},
    {"attribute without tensor", attr_no_tensor, "has no value"},
    {"reference outside", attr_reference, "is in none"},
    {"graphs 3000 deep", deep_graphs, "100 deep"},
    {"2 million initializers", many_initializers, "out of proportion"},
    {"2 million nodes", many_nodes, "out of proportion"},
    {"4 million unknown fields", many_unknown, "out of proportion"},
    {"odd names", odd_names, "is produced by no node"},
};

static char folder[] = "/tmp/cameo-import-XXXXXX";

static void in_folder(char *path, const char *name) { snprintf(path, 256, "%s/%s", folder, name); }

static void write_bytes(const char *name, const void *data, size_t size) {
    char path[256];
    in_folder(path, name);
    assert_true(cameo_write_file(path, data, size, NULL));
}

static int make_folder(void **state) {
    char path[256], other[256];
    (void)state;
    if (!scratch_enter(folder)) return 1;
    write_bytes("data", "\0\0\x80\x3f\0\0\0\xc0", 8);
    write_bytes("second", "\0\0\x80\x3f\0\0\0\xc0", 8);
    in_folder(path, "second");
    in_folder(other, "hard");
    if (link(path, other)) return 1;
    in_folder(path, "sub");
    if (mkdir(path, 0755)) return 1;
    in_folder(path, "link");
    if (symlink("data", path)) return 1;
    in_folder(path, "dirlink");
    if (symlink(".", path)) return 1;
    in_folder(path, "fifo");
    return mkfifo(path, 0644);
}

static void test_hostile(void **state) {
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        spec s = {.ir = 8, .opset = 17};
        text t = {0};
        hostile[i].build(&s);
        put_model(&t, &s);
        graph *g = import_bytes(&t, folder);
        if (g) fail_msg("%s: accepted", hostile[i].name);
        if (!strstr(text_str(&report), hostile[i].message))
            fail_msg("%s: expected \"%s\" in: %s", hostile[i].name, hostile[i].message,
                     text_str(&report));
        for (const char *c = text_str(&report); *c; c++)
            assert_true(*c == '\n' || (unsigned char)*c >= 32);
        text_free(&t);
        text_free(&s.graph);
        teardown(state);
        setup(state);
    }
}

/* Every prefix of a good model, and every byte changed: a message or a graph, never a crash. */
static void test_damaged(void **state) {
    spec s = {.ir = 8, .opset = 17};
    text t = {0};
    put_calls(&s);
    put_function(&s.extra, "F", "Neg");
    put_model(&t, &s);
    for (size_t n = 0; n < t.size; n++) {
        text cut = {.data = malloc(n + 1), .size = n};
        memcpy(cut.data, t.data, n);
        cut.data[n] = 0;
        import_bytes(&cut, NULL);
        free(cut.data);
        teardown(state);
        setup(state);
        for (int bit = 0; bit < 8; bit++) {
            t.data[n] = (char)(t.data[n] ^ (1 << bit));
            import_bytes(&t, NULL);
            t.data[n] = (char)(t.data[n] ^ (1 << bit));
            teardown(state);
            setup(state);
        }
    }
    text_free(&t);
}

/* 100,000 levels of TypeProto.sequence, which crash a decoder without a limit. Built from the
   inside, at the buffer's end. */
static void test_deep_types(void **state) {
    (void)state;
    size_t room = 1 << 21, at = room;
    unsigned char *p = malloc(room);
    for (int i = 0; i < 200000; i++) {
        size_t n = room - at, v = n, digits = 1;
        while (v >>= 7) digits++;
        at -= digits + 1;
        p[at] = i % 2 ? 0x22 : 0x0a; /* TypeProto.sequence_type, Sequence.elem_type */
        for (size_t k = 0; k < digits; k++)
            p[at + 1 + k] = (unsigned char)((n >> (7 * k) & 127) | (k + 1 < digits ? 128 : 0));
    }
    spec s = {.ir = 8, .opset = 17};
    text v = {0};
    base(&s);
    put_bytes(&v, 2, p + at, room - at);
    put_message(&s.graph, 11, &v);
    free(p);
    assert_null(import_spec(&s));
    expect_message("100 deep");
}

static void test_external(void **state) {
    (void)state;
    spec s = {.ir = 8, .opset = 17};
    text t = {0};
    external(&s, "./data", "0", NULL);
    put_model(&t, &s);
    write_bytes("m.onnx", t.data, t.size);
    char path[256];
    in_folder(path, "m.onnx");
    graph *g = onnx_import(memory, &problems, path, false);
    diag_print(&problems, &report);
    if (!g) fail_msg("%s", text_str(&report));
    assert_true(tensor_get(graph_find_value(g, "w")->constant, 1) == -2);
    assert_null(import_bytes(&t, NULL)); /* from memory there is no directory */
    text_free(&t);
}

/* ---- files that are something else ---- */

static void expect_file(const char *path, const char *message) {
    void *state = NULL;
    assert_null(onnx_import(memory, &problems, path, false));
    diag_print(&problems, &report);
    expect_message(message);
    teardown(&state);
    setup(&state);
}

static void test_foreign_files(void **state) {
    static const struct {
        const char *data;
        size_t size;
        const char *message;
    } files[] = {
        {B("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"},
        {B("\x1f\x8b\x08\0\0\0"), "gzip"},
        {B("PK\3\4abcdef"), "zip"},
        {B("<!DOCTYPE html><html>"), "HTML"},
        {B("  <HTML>"), "HTML"},
        {B("\x20\0\0\0ORTM\0\0"), "ONNX Runtime"},
        {B("just text\n"), "text file"},
        {B("\0\0\0\0\0\0\0"), "zero byte"},
        {B(""), "is empty"},
        {B("\x80\x02}q\0"), "pickle"},
        {B("\x08\x08\x3a\xff\x01\x0a"), "truncated"},
    };
    char path[256];
    (void)state;
    in_folder(path, "m.onnx");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_bytes("m.onnx", files[i].data, files[i].size);
        expect_file(path, files[i].message);
    }
    in_folder(path, "sub");
    expect_file(path, "is a directory");
    in_folder(path, "nowhere");
    expect_file(path, "can't be opened");
    in_folder(path, "fifo");
    expect_file(path, "not a regular file");
}

static void sparse_file(off_t size, const char *message) {
    char path[256];
    in_folder(path, "big");
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, size % 2 ? "\0" : "\x08", 1, 0), 1);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
    expect_file(path, message);
    unlink(path);
}

static void test_sparse_files(void **state) {
    struct rusage before, after;
    (void)state;
    getrusage(RUSAGE_SELF, &before);
    sparse_file((off_t)1 << 31, "2 GiB");
    sparse_file((off_t)1 << 40, "2 GiB");
    sparse_file(2000000001, "zero byte");
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* in KB: nothing was read */
}

/* ---- tensor files ---- */

static void test_read_tensor(void **state) {
    (void)state;
    char path[256];
    const char *name = NULL, *why = NULL;
    text t = {0};
    put_tensor_head(&t, "input_0", 1, (int64_t[]){2}, 1);
    put_bytes(&t, 9, "\0\0\x80\x3f\0\0\0\xc0", 8);
    write_bytes("m.onnx", t.data, t.size);
    in_folder(path, "m.onnx");
    tensor *got = onnx_read_tensor(memory, path, &name, &why);
    assert_non_null(got);
    assert_string_equal(name, "input_0");
    assert_true(tensor_get(got, 1) == -2);
    write_bytes("m.onnx", t.data, t.size - 1);
    assert_null(onnx_read_tensor(memory, path, &name, &why));
    assert_non_null(why);
    text_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_hostile),       T(test_damaged),      T(test_deep_types),  T(test_external),
        T(test_foreign_files), T(test_sparse_files), T(test_read_tensor),
    };
    return cmocka_run_group_tests_name("import of hostile files", tests, make_folder, NULL);
}
