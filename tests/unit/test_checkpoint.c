#define _GNU_SOURCE
/* Checkpoints: what is written is an ONNX model that the compiler's importer accepts and comes
   back bit for bit; hostile and foreign files are refused; a full disk leaves the old file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler/compile.h"
#include "compiler/onnx/onnx.h"
#include "runtime/base/files.h"
#include "runtime/training/checkpoint.h"
#include "runtime/training/parameters.h"
#include "scratch.h"
#include "tiny_trainer.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char directory[] = "/tmp/test_checkpoint_XXXXXX";

static int setup(void **state) {
    (void)state;
    return scratch_enter(directory) ? 0 : -1;
}

typedef struct blocks {
    float weights[TINY_FLOATS], momentum[TINY_FLOATS], live[TINY_FLOATS];
} blocks;

/* Values everywhere but in the padding. */
static void fill(float *block, float seed) {
    memset(block, 0, TINY_FLOATS * sizeof *block);
    for (size_t i = 0; i < 3; i++) {
        const cameo_parameter *p = &tiny_parameters[i];
        float onnx[256];
        for (size_t k = 0; k < cameo_parameter_elements(p); k++)
            onnx[k] = sinf(seed + (float)(100 * i + k));
        cameo_parameter_write(p, block + p->offset, onnx);
    }
}

static void fill_all(blocks *b, float seed) {
    fill(b->weights, seed);
    fill(b->momentum, seed + 0.5f);
    fill(b->live, seed + 0.25f);
    memset(b->momentum + TINY_LEARNT, 0, (TINY_FLOATS - TINY_LEARNT) * sizeof(float));
}

static bool write_it(const blocks *b, const char *path, const cameo_properties *p, uint64_t limit,
                     cameo_error *error) {
    const cameo_checkpoint c = {
        .trainer = tiny_trainer(),
        .weights = b->weights,
        .state = {{"momentum", b->momentum, false}, {"live", b->live, true}},
        .n_states = 2,
        .properties = p,
        .limit = limit};
    return cameo_checkpoint_write(&c, path, error);
}

static bool read_it(blocks *b, const char *path, cameo_error *error) {
    memset(b, 0, sizeof *b);
    cameo_checkpoint_file *f = cameo_checkpoint_open(path, error);
    const bool good = f && cameo_checkpoint_weights(f, tiny_trainer(), b->weights, error) &&
                      cameo_checkpoint_state_read(f, tiny_trainer(), "momentum", false, b->momentum,
                                                  error) &&
                      cameo_checkpoint_state_read(f, tiny_trainer(), "live", true, b->live, error);
    cameo_checkpoint_close(f);
    return good;
}

static size_t count_files(void) {
    size_t n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void there_and_back(void **state) {
    (void)state;
    static const uint64_t limits[] = {0, 2500, 1500, 100}; /* all inside; the state outside;
                                                              everything outside */
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        blocks b, back;
        cameo_properties p = {0};
        fill_all(&b, (float)i);
        cameo_property_set_integer(&p, "cameo.train.epoch", 7);
        cameo_property_set(&p, "cameo.preprocess", "another");
        cameo_property_set_double(&p, "cameo.train.best", 1.0 / 3);
        cameo_error error = {0};
        for (int again = 0; again < 2; again++)
            assert_true(write_it(&b, "c.onnx", &p, limits[i], &error));
        assert_int_equal(count_files(), i ? 2 : 1); /* no leftovers: old generations go, and the
                                                       sidecar with its need */
        assert_true(read_it(&back, "c.onnx", &error));
        assert_memory_equal(&b, &back, sizeof b);
        cameo_checkpoint_file *f = cameo_checkpoint_open("c.onnx", &error);
        const cameo_properties *q = cameo_checkpoint_properties(f);
        double third = 0;
        int64_t epoch = 0;
        assert_true(cameo_property_double(q, "cameo.train.best", &third) && third == 1.0 / 3);
        assert_true(cameo_property_integer(q, "cameo.train.epoch", 0, 10, &epoch) && epoch == 7);
        assert_false(cameo_property_integer(q, "cameo.train.epoch", 8, 10, &epoch));
        assert_string_equal(cameo_property(q, "cameo.preprocess"), "another");
        assert_string_equal(cameo_property(q, "cameo.embedding"), "centred");
        assert_null(cameo_property(q, "cameo.calibration")); /* of weights that are no more */
        cameo_checkpoint_close(f);
        cameo_properties_free(&p);
    }
    unlink("c.onnx");
    assert_int_equal(system("rm -f c.onnx.*.data"), 0);
}

/* The compiler's importer, which shares no code with the writer, sees the model and the tensors by
   value. */
static void importer_accepts_it(void **state) {
    (void)state;
    for (int outside = 0; outside < 2; outside++) {
        blocks b;
        fill_all(&b, 3);
        assert_true(write_it(&b, "i.onnx", NULL, outside ? 100 : 0, NULL));
        arena *a = arena_create();
        diag d = {.arena = a, .file = "i.onnx"};
        graph *g = onnx_import(a, &d, "i.onnx", false);
        assert_int_equal(d.errors, 0);
        assert_non_null(g);
        assert_int_equal(g->n_nodes, 3);
        for (size_t i = 0; i < g->n_meta; i++) assert_null(strstr(g->meta[i].key, "cameo.train"));
        for (size_t i = 0; i < 3; i++) {
            const cameo_parameter *p = &tiny_parameters[i];
            float onnx[256];
            cameo_parameter_read(p, b.weights + p->offset, onnx);
            const value *v = graph_find_value(g, p->name);
            assert_non_null(v);
            assert_non_null(v->constant);
            assert_int_equal(v->constant->shape.rank, p->rank);
            assert_memory_equal(v->constant->data, onnx,
                                cameo_parameter_elements(p) * sizeof(float));
        }
        arena_destroy(a);
    }
    assert_int_equal(system("rm -f i.onnx*"), 0);
}

static unsigned char *slurp(const char *path, size_t *size) {
    return cameo_read_file(path, 1 << 20, size, NULL);
}

static void spill(const char *path, const unsigned char *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(data, 1, size, f);
    fclose(f);
}

/* Cut anywhere, or with any byte changed: refused with a message or read as something of the right
   shape, never a crash. */
static void hostile_files(void **state) {
    (void)state;
    for (int outside = 0; outside < 2; outside++) {
        blocks b, back;
        cameo_error error = {0};
        fill_all(&b, 5);
        assert_true(write_it(&b, "h.onnx", NULL, outside ? 100 : 0, NULL));
        size_t size, refused = 0;
        unsigned char *data = slurp("h.onnx", &size), *changed = malloc(size);
        for (size_t cut = 0; cut < size; cut += size / 200 + 1) {
            spill("h.onnx", data, cut);
            error = (cameo_error){0};
            assert_false(read_it(&back, "h.onnx", &error));
            assert_int_equal(error.code, CAMEO_BAD_INPUT);
        }
        for (size_t i = 0; i<size; i += size> 3000 ? 3 : 1) {
            memcpy(changed, data, size);
            changed[i] ^= (unsigned char)(1 << i % 8);
            spill("h.onnx", changed, size);
            error = (cameo_error){0};
            if (read_it(&back, "h.onnx", &error)) continue;
            assert_int_equal(error.code, CAMEO_BAD_INPUT);
            assert_true(error.message[0] != 0);
            refused++;
        }
        assert_true(refused > 50);
        free(changed);
        free(data);
    }
    assert_int_equal(system("rm -f h.onnx*"), 0);
}

static void expect_refusal(const char *path, const char *word) {
    blocks back;
    cameo_error error = {0};
    assert_false(read_it(&back, path, &error));
    print_message("%s\n", error.message);
    assert_int_equal(error.code, CAMEO_BAD_INPUT);
    assert_non_null(strstr(error.message, word));
}

/* One text in a file changed for another of the same length. */
static void swap_text(const char *path, const char *from, const char *to) {
    size_t size;
    unsigned char *data = slurp(path, &size), *at = memmem(data, size, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    spill(path, data, size);
    free(data);
}

static void foreign_files(void **state) {
    (void)state;
    blocks b;
    fill_all(&b, 5);
    assert_true(write_it(&b, "f.onnx", NULL, 100, NULL));
    assert_int_equal(access("f.onnx.1.data", R_OK), 0);
    swap_text("f.onnx", "f.onnx.1.data", "../onnx.1.dat");
    expect_refusal("f.onnx", "external data that cannot be its own");
    swap_text("f.onnx", "../onnx.1.dat", "f.onnx.9.data");
    expect_refusal("f.onnx", "missing or cut short");
    swap_text("f.onnx", "f.onnx.9.data", "f.onnx.1.data");
    assert_int_equal(truncate("f.onnx.1.data", 900), 0);
    expect_refusal("f.onnx", "missing or cut short");
    assert_true(write_it(&b, "g.onnx", NULL, 0, NULL));
    swap_text("g.onnx",
              "\x42\x07"
              "fc.bias",
              "\x42\x07"
              "fc.bios");
    expect_refusal("g.onnx", "\"fc.bias\" is missing");
    const cameo_checkpoint plain = {.trainer = tiny_trainer(), .weights = b.weights};
    assert_true(cameo_checkpoint_write(&plain, "e.onnx", NULL)); /* an exported model */
    expect_refusal("e.onnx", "no training run");
    expect_refusal("nowhere.onnx", "nowhere.onnx");
    expect_refusal(".", "no file");
    cameo_parameter other[3];
    memcpy(other, tiny_parameters, sizeof other);
    other[1].dim[0] = 3;
    cameo_trainer t = *tiny_trainer();
    t.parameters = other;
    char one[65], two[65];
    cameo_architecture_hash(tiny_trainer(), one);
    cameo_architecture_hash(&t, two);
    assert_string_not_equal(one, two);
    float block[TINY_FLOATS];
    cameo_error error = {0};
    cameo_checkpoint_file *f = cameo_checkpoint_open("e.onnx", &error);
    assert_false(cameo_checkpoint_weights(f, &t, block, &error));
    assert_non_null(strstr(error.message, "another shape"));
    cameo_checkpoint_close(f);
    assert_int_equal(system("rm -f [efg].onnx*"), 0);
}

/* Weights that another tool wrote as float_data, with packed dims. */
static void typed_data_is_read(void **state) {
    (void)state;
    blocks b;
    fill_all(&b, 9);
    tiny_text *file = tiny_open(), *inner = tiny_open();
    tiny_model(file->f);
    tiny_graph(inner->f);
    for (size_t i = 0; i < 3; i++) {
        const cameo_parameter *p = &tiny_parameters[i];
        tiny_text *item = tiny_open(), *dims = tiny_open();
        float onnx[256];
        cameo_parameter_read(p, b.weights + p->offset, onnx);
        for (int k = 0; k < p->rank; k++) cameo_sink_varint(&TO(dims->f), (uint64_t)p->dim[k]);
        tiny_nest(item->f, 1, dims);
        cameo_sink_integer(&TO(item->f), 2, 1);
        cameo_sink_head(&TO(item->f), 4, cameo_parameter_elements(p) * 4);
        fwrite(onnx, 4, cameo_parameter_elements(p), item->f);
        cameo_sink_text(&TO(item->f), 8, p->name);
        tiny_nest(inner->f, 5, item);
    }
    tiny_nest(file->f, 7, inner);
    fclose(file->f);
    spill("t.onnx", (unsigned char *)file->data, file->size);
    free(file->data);
    free(file);
    float block[TINY_FLOATS] = {0};
    cameo_error error = {0};
    cameo_checkpoint_file *f = cameo_checkpoint_open("t.onnx", &error);
    assert_true(cameo_checkpoint_weights(f, tiny_trainer(), block, &error));
    assert_memory_equal(block, b.weights, sizeof block);
    cameo_checkpoint_close(f);
    unlink("t.onnx");
}

/* A disk that is full (a limit on file sizes): the old checkpoint stays, no litter, and a
   message. */
static void full_disk(void **state) {
    (void)state;
    blocks old, newer, back;
    fill_all(&old, 1);
    fill_all(&newer, 2);
    for (uint64_t limit = 0; limit <= 100; limit += 100) {
        assert_true(write_it(&old, "d.onnx", NULL, limit, NULL));
        const size_t files = count_files();
        const pid_t child = fork();
        if (child == 0) {
            const struct rlimit small = {600, 600};
            cameo_error error = {0};
            signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &small)) _exit(9);
            const bool good = write_it(&newer, "d.onnx", NULL, limit, &error);
            _exit(good                                                                       ? 8
                  : error.code == CAMEO_ENVIRONMENT && strstr(error.message, "cannot write") ? 0
                                                                                             : 7);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(count_files(), files);
        assert_true(read_it(&back, "d.onnx", NULL));
        assert_memory_equal(&old, &back, sizeof old);
    }
    cameo_error error = {0};
    assert_false(write_it(&old, "no/such/folder.onnx", NULL, 0, &error));
    assert_int_equal(error.code, CAMEO_ENVIRONMENT);
    assert_int_equal(system("rm -f d.onnx*"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),     cmocka_unit_test(importer_accepts_it),
        cmocka_unit_test(hostile_files),      cmocka_unit_test(foreign_files),
        cmocka_unit_test(typed_data_is_read), cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
