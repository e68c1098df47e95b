/* Writing checkpoints. The wire format is streamed: every message is counted before it is written,
   and only then are its weights read. What a run needs of its checkpoints, and in which order files
   take their places: docs/internals/exact-resume.md. */
#include "checkpoint.h"
#include "../base/files.h"
#include "../base/onnx_fields.h"
#include "../base/wire.h"
#include "../core/sha256.h"
#include "parameters.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

typedef struct entry { /* one tensor */
    const cameo_parameter *parameter;
    const char *kind; /* of state; NULL: a weight */
    const float *block;
    uint64_t data, place; /* bytes; where in the sidecar */
    bool external;
} entry;

typedef struct writer {
    const cameo_checkpoint *c;
    entry *entries; /* the state, then the weights */
    size_t n_state, n;
    uint64_t sidecar_bytes;
    char *sidecar; /* its name without directory; NULL = none */
    float *scratch;
    cameo_error *error;
} writer;

/* ---- what goes into it ---- */

static void list(writer *w, const char *kind, const float *block, bool all) {
    const cameo_trainer *t = w->c->trainer;
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        if (all || p->learnt)
            w->entries[w->n++] = (entry){
                p, kind, block + p->offset, 4 * cameo_parameter_elements(p), 0, false};
    }
}

static void list_all(writer *w) {
    const cameo_checkpoint *c = w->c;
    w->entries = cameo_allocate(c->trainer->n_parameters * (c->n_states + 1), sizeof *w->entries);
    for (const cameo_checkpoint_state *s = c->state; s < c->state + c->n_states; s++)
        list(w, s->kind, s->block, s->all);
    w->n_state = w->n;
    list(w, NULL, c->weights, true);
}

static uint64_t data_bytes(const writer *w, size_t from) {
    uint64_t sum = w->c->trainer->model_bytes + w->c->trainer->graph_bytes;
    for (; from < w->n; from++) sum += w->entries[from].data;
    return sum;
}

static void put_outside(writer *w, entry *from, const entry *end) {
    for (; from < end; from++) {
        from->external = true;
        from->place = w->sidecar_bytes;
        w->sidecar_bytes += (from->data + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

/* The state goes outside first, the weights when they alone are too much. */
static void divide(writer *w) {
    const uint64_t limit = w->c->limit ? w->c->limit : CAMEO_CHECKPOINT_LIMIT;
    entry *weights = w->entries + w->n_state;
    if (data_bytes(w, 0) > limit) put_outside(w, w->entries, weights);
    if (data_bytes(w, w->n_state) > limit) put_outside(w, weights, w->entries + w->n);
}

/* ---- the model's fields ---- */

static void put_entry(cameo_sink *s, unsigned field, const char *key, const char *value) {
    cameo_sink_message(s, field, cameo_write_entry, &(cameo_entry){key, value});
}

static void put_place(const writer *w, cameo_sink *s, const entry *e) {
    char number[32];
    put_entry(s, TENSOR_EXTERNAL, "location", w->sidecar);
    snprintf(number, sizeof number, "%" PRIu64, e->place);
    put_entry(s, TENSOR_EXTERNAL, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, e->data);
    put_entry(s, TENSOR_EXTERNAL, "length", number);
    cameo_sink_integer(s, TENSOR_LOCATION, 1);
}

static void put_values(const writer *w, cameo_sink *s, const entry *e) {
    if (s->stream) {
        cameo_parameter_read(e->parameter, e->block, w->scratch);
        cameo_sink_put(s, w->scratch, e->data);
    } else {
        cameo_sink_skip(s, e->data);
    }
}

typedef struct part { /* of what is written */
    const writer *w;
    const entry *e;
} part;

static void write_tensor(cameo_sink *s, const void *item) {
    const part *own = item;
    const entry *e = own->e;
    const cameo_parameter *p = e->parameter;
    char kind[64] = "";
    if (e->kind) snprintf(kind, sizeof kind, "cameo.%s/", e->kind);
    for (int i = 0; i < p->rank; i++) cameo_sink_integer(s, TENSOR_DIMS, (uint64_t)p->dim[i]);
    cameo_sink_integer(s, TENSOR_TYPE, 1);
    cameo_sink_head(s, TENSOR_NAME, strlen(kind) + strlen(p->name));
    cameo_sink_put(s, kind, strlen(kind));
    cameo_sink_put(s, p->name, strlen(p->name));
    if (e->external) {
        put_place(own->w, s, e);
    } else {
        cameo_sink_head(s, TENSOR_RAW, e->data);
        put_values(own->w, s, e);
    }
}

static void put_tensors(const writer *w, cameo_sink *s, size_t from, size_t to) {
    for (; from < to; from++)
        cameo_sink_message(s, GRAPH_INITIALIZER, write_tensor, &(part){w, &w->entries[from]});
}

static void write_graph(cameo_sink *s, const void *item) {
    const writer *w = item;
    cameo_sink_put(s, w->c->trainer->graph_fields, w->c->trainer->graph_bytes);
    put_tensors(w, s, w->n_state, w->n);
}

static void write_state(cameo_sink *s, const void *item) {
    const writer *w = item;
    cameo_sink_text(s, GRAPH_NAME, "cameo.state");
    put_tensors(w, s, 0, w->n_state);
}

static void write_training(cameo_sink *s, const void *item) {
    cameo_sink_message(s, TRAINING_ALGORITHM, write_state, item);
}

/* ---- the model's own fields ---- */

/* State of an earlier run, and what this checkpoint says anew. */
static bool is_outdated(const writer *w, const cameo_field *f) {
    static const char prefix[] = "cameo.train.";
    if (f->number == MODEL_TRAINING) return true;
    if (f->number != MODEL_METADATA || f->type != CAMEO_WIRE_BYTES) return false;
    const cameo_wire key = cameo_wire_find(f->bytes, ENTRY_KEY);
    if (cameo_wire_size(key) >= strlen(prefix) && memcmp(key.p, prefix, strlen(prefix)) == 0)
        return true;
    if (cameo_wire_equals(key, "cameo.calibration")) return true; /* a threshold of other weights */
    const cameo_properties *p = w->c->properties;
    for (size_t i = 0; p && i < p->count; i++)
        if (cameo_wire_equals(key, p->key[i])) return true;
    return false;
}

static bool put_model_fields(const writer *w, cameo_sink *s) {
    const cameo_trainer *t = w->c->trainer;
    cameo_wire rest = {t->model_fields, t->model_fields + t->model_bytes};
    cameo_field field;
    while (rest.p < rest.end) {
        if (!cameo_wire_field(&rest, &field))
            return cameo_fail(w->error, CAMEO_DEFECT, "the program's model is malformed");
        if (!is_outdated(w, &field)) cameo_sink_wire(s, field.whole);
    }
    const cameo_properties *p = w->c->properties;
    for (size_t i = 0; p && i < p->count; i++) put_entry(s, MODEL_METADATA, p->key[i], p->value[i]);
    return true;
}

/* ---- the files ---- */

static bool put_model(FILE *f, const void *what, cameo_error *error) {
    const writer *w = what;
    cameo_sink s = {.stream = f};
    (void)error; /* is w's */
    if (!put_model_fields(w, &s)) return false;
    cameo_sink_message(&s, MODEL_GRAPH, write_graph, w);
    if (w->c->n_states) cameo_sink_message(&s, MODEL_TRAINING, write_training, w);
    return true;
}

static bool put_outer(FILE *f, const void *what, cameo_error *error) {
    const writer *w = what;
    static const char zeros[ALIGNMENT];
    cameo_sink s = {.stream = f};
    (void)error;
    for (const entry *e = w->entries; e < w->entries + w->n; e++) {
        if (!e->external) continue;
        put_values(w, &s, e);
        cameo_sink_put(&s, zeros, (size_t)(-e->data % ALIGNMENT));
    }
    return true;
}

static void sync_directory(const char *path) {
    char *directory = cameo_folder_of(path);
    const int fd = open(directory ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse: the rename is atomic all the same */
        close(fd);
    }
    free(directory);
}

/* N of "BASE.N.data", else 0. */
static uint64_t generation_of(const char *name, const char *base) {
    const size_t n = strlen(base);
    char *end;
    if (strncmp(name, base, n) != 0 || name[n] != '.') return 0;
    const unsigned long long g = strtoull(name + n + 1, &end, 10);
    return end > name + n + 1 && strcmp(end, ".data") == 0 && g < UINT64_MAX / 2 ? g : 0;
}

/* Calls for each sidecar of path: the largest generation; with `keep`, all others are removed. */
static uint64_t sidecars(const char *path, const char *keep) {
    char *directory = cameo_folder_of(path);
    DIR *d = opendir(directory ? directory : ".");
    uint64_t most = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        const uint64_t g = generation_of(e->d_name, cameo_last_part(path));
        if (g > most) most = g;
        if (g && keep && strcmp(e->d_name, keep) != 0) unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
    free(directory);
    return most;
}

static void name_sidecar(writer *w, const char *path) {
    w->sidecar = cameo_format("%s.%" PRIu64 ".data", cameo_last_part(path),
                              sidecars(path, NULL) + 1);
}

static bool write_files(writer *w, const char *path) {
    char *directory = cameo_folder_of(path), *beside = cameo_format("%s.tmp", path);
    char *outer = w->sidecar ? cameo_join(directory, w->sidecar) : NULL;
    bool good = (!outer || cameo_write_synced(outer, outer, put_outer, w, w->error)) &&
                cameo_write_synced(beside, path, put_model, w, w->error) &&
                cameo_take_place(beside, path, w->error);
    if (good) {
        sync_directory(path);
        sidecars(path, w->sidecar ? w->sidecar : "");
    } else if (outer) {
        unlink(outer);
    }
    free(directory);
    free(beside);
    free(outer);
    return good;
}

static bool allocate_scratch(writer *w) {
    uint64_t most = 1;
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i].data > most) most = w->entries[i].data;
    w->scratch = malloc(most);
    return w->scratch || cameo_fail(w->error, CAMEO_ENVIRONMENT, "out of memory for a checkpoint");
}

bool cameo_checkpoint_write(const cameo_checkpoint *c, const char *path, cameo_error *error) {
    writer w = {.c = c, .error = error};
    list_all(&w);
    divide(&w);
    if (w.sidecar_bytes) name_sidecar(&w, path);
    const bool good = allocate_scratch(&w) && write_files(&w, path);
    free(w.entries);
    free(w.sidecar);
    free(w.scratch);
    return good;
}

void cameo_architecture_hash(const cameo_trainer *t, char out[65]) {
    cameo_output o;
    out[0] = 0;
    if (!cameo_output_open(&o, NULL)) return;
    FILE *f = o.stream;
    fwrite(t->graph_fields, 1, t->graph_bytes, f);
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        fprintf(f, "%s%c%d", p->name, 0, p->learnt);
        for (int k = 0; k < p->rank; k++) fprintf(f, ",%lld", (long long)p->dim[k]);
        fputc('\n', f);
    }
    fclose(f);
    cameo_sha256(o.data, o.size, out);
    free(o.data);
}
