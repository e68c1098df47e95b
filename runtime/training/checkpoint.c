/* Writing checkpoints. The wire format is streamed: first the heads of all tensors are made in
   memory (names, shapes, sizes), which gives every length; then heads and data go out in turn.
   Field numbers are onnx.proto's. What a run needs of its checkpoints, and in which order files
   take their places: docs/internals/exact-resume.md. */
#include "checkpoint.h"
#include "../base/files.h"
#include "../base/wire.h"
#include "../core/sha256.h"
#include "parameters.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MODEL_GRAPH = 7,
    MODEL_METADATA = 14,
    MODEL_TRAINING = 20,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5
};
enum {
    TRAINING_ALGORITHM = 2,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14
};
enum { ALIGNMENT = 64 };

typedef struct entry { /* one tensor */
    const cameo_parameter *parameter;
    const char *kind; /* of state; NULL: a weight */
    const float *block;
    size_t head_at, head_bytes; /* in the text of heads */
    uint64_t data, place;       /* bytes; where in the sidecar */
    bool external;
} entry;

typedef struct writer {
    const cameo_checkpoint *c;
    entry *weights, *state;
    size_t n_weights, n_state;
    cameo_output heads;
    uint64_t graph_bytes, state_bytes; /* lengths of the two GraphProtos */
    uint64_t sidecar_bytes;
    char *sidecar; /* its name without directory; NULL = none */
    float *scratch;
    cameo_error *error;
} writer;

static const char state_graph[] = "cameo.state";

/* ---- what goes into it ---- */

static void list_weights(writer *w) {
    const cameo_trainer *t = w->c->trainer;
    w->weights = cameo_allocate(t->n_parameters, sizeof *w->weights);
    for (size_t i = 0; i < t->n_parameters; i++)
        w->weights[w->n_weights++] = (entry){.parameter = &t->parameters[i],
                                             .block = w->c->weights};
}

static void list_state(writer *w) {
    const cameo_trainer *t = w->c->trainer;
    w->state = cameo_allocate(t->n_parameters * w->c->n_states, sizeof *w->state);
    for (size_t s = 0; s < w->c->n_states; s++)
        for (size_t i = 0; i < t->n_parameters; i++)
            if (w->c->state[s].all || t->parameters[i].learnt)
                w->state[w->n_state++] = (entry){.parameter = &t->parameters[i],
                                                 .kind = w->c->state[s].kind,
                                                 .block = w->c->state[s].block};
}

static uint64_t data_bytes(const writer *w) {
    uint64_t sum = 0;
    for (size_t i = 0; i < w->n_weights; i++) sum += w->weights[i].data;
    for (size_t i = 0; i < w->n_state; i++) sum += w->state[i].data;
    return sum;
}

static void put_outside(writer *w, entry *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        list[i].external = true;
        list[i].place = w->sidecar_bytes;
        w->sidecar_bytes += (list[i].data + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

/* The state goes outside first, the weights when they alone are too much. */
static void divide(writer *w) {
    const uint64_t limit = w->c->limit ? w->c->limit : CAMEO_CHECKPOINT_LIMIT;
    uint64_t weights = 0;
    for (size_t i = 0; i < w->n_weights; i++)
        weights += w->weights[i].data = 4 * cameo_parameter_elements(w->weights[i].parameter);
    for (size_t i = 0; i < w->n_state; i++)
        w->state[i].data = 4 * cameo_parameter_elements(w->state[i].parameter);
    const uint64_t rest = w->c->trainer->model_bytes + w->c->trainer->graph_bytes;
    if (rest + data_bytes(w) > limit) put_outside(w, w->state, w->n_state);
    if (rest + weights > limit) put_outside(w, w->weights, w->n_weights);
}

/* ---- heads ---- */

static void put_entry(FILE *f, unsigned field, const char *key, const char *value) {
    const size_t bytes = cameo_head_bytes(1, strlen(key)) + strlen(key) +
                         cameo_head_bytes(2, strlen(value)) + strlen(value);
    cameo_put_head(f, field, bytes);
    cameo_put_text(f, 1, key);
    cameo_put_text(f, 2, value);
}

static void put_place(const writer *w, FILE *f, const entry *e) {
    char number[32];
    put_entry(f, TENSOR_EXTERNAL, "location", w->sidecar);
    snprintf(number, sizeof number, "%" PRIu64, e->place);
    put_entry(f, TENSOR_EXTERNAL, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, e->data);
    put_entry(f, TENSOR_EXTERNAL, "length", number);
    cameo_put_integer(f, TENSOR_LOCATION, 1);
}

/* TensorProto up to its data, which is the last field. */
static void put_tensor_head(const writer *w, FILE *f, const entry *e) {
    const cameo_parameter *p = e->parameter;
    const char *kind = e->kind;
    for (int i = 0; i < p->rank; i++) cameo_put_integer(f, TENSOR_DIMS, (uint64_t)p->dim[i]);
    cameo_put_integer(f, TENSOR_TYPE, 1);
    cameo_put_head(f, TENSOR_NAME,
                   kind ? strlen("cameo./") + strlen(kind) + strlen(p->name) : strlen(p->name));
    if (kind) fprintf(f, "cameo.%s/", kind);
    fputs(p->name, f);
    if (e->external)
        put_place(w, f, e);
    else
        cameo_put_head(f, TENSOR_RAW, e->data);
}

static uint64_t message_bytes(const entry *e) {
    return e->head_bytes + (e->external ? 0 : e->data);
}

/* Bytes of the tensors as fields of their graph. */
static uint64_t make_heads(writer *w, entry *list, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        list[i].head_at = (size_t)ftell(w->heads.stream);
        put_tensor_head(w, w->heads.stream, &list[i]);
        list[i].head_bytes = (size_t)ftell(w->heads.stream) - list[i].head_at;
        sum += cameo_head_bytes(GRAPH_INITIALIZER, message_bytes(&list[i])) +
               message_bytes(&list[i]);
    }
    return sum;
}

static bool prepare(writer *w) {
    const cameo_trainer *t = w->c->trainer;
    if (!cameo_output_open(&w->heads, w->error)) return false;
    w->graph_bytes = t->graph_bytes + make_heads(w, w->weights, w->n_weights);
    w->state_bytes = cameo_head_bytes(GRAPH_NAME, strlen(state_graph)) + strlen(state_graph) +
                     make_heads(w, w->state, w->n_state);
    const bool good = fclose(w->heads.stream) == 0;
    w->heads.stream = NULL;
    size_t most = 0;
    for (size_t i = 0; i < t->n_parameters; i++) {
        const size_t n = cameo_parameter_elements(&t->parameters[i]);
        if (n > most) most = n;
    }
    w->scratch = malloc((most + 1) * sizeof *w->scratch);
    return (good && w->scratch) ||
           cameo_fail(w->error, CAMEO_ENVIRONMENT, "out of memory for a checkpoint");
}

/* ---- the model's own fields ---- */

/* The key of a metadata entry, as bytes. */
static cameo_wire property_key(cameo_wire message) {
    cameo_field f;
    cameo_wire key = {0};
    while (message.p < message.end && cameo_wire_field(&message, &f))
        if (f.number == 1 && f.type == CAMEO_WIRE_BYTES) key = f.bytes;
    return key;
}

/* State of an earlier run, and what this checkpoint says anew. */
static bool is_outdated(const writer *w, const cameo_field *f) {
    static const char prefix[] = "cameo.train.";
    if (f->number == MODEL_TRAINING) return true;
    if (f->number != MODEL_METADATA || f->type != CAMEO_WIRE_BYTES) return false;
    const cameo_wire key = property_key(f->bytes);
    if (cameo_wire_size(key) >= strlen(prefix) && memcmp(key.p, prefix, strlen(prefix)) == 0)
        return true;
    if (cameo_wire_equals(key, "cameo.calibration")) return true; /* a threshold of other weights */
    const cameo_properties *p = w->c->properties;
    for (size_t i = 0; p && i < p->count; i++)
        if (cameo_wire_equals(key, p->key[i])) return true;
    return false;
}

static bool put_model_fields(const writer *w, FILE *f) {
    const cameo_trainer *t = w->c->trainer;
    cameo_wire rest = {t->model_fields, t->model_fields + t->model_bytes};
    cameo_field field;
    while (rest.p < rest.end) {
        if (!cameo_wire_field(&rest, &field))
            return cameo_fail(w->error, CAMEO_DEFECT, "the program's model is malformed");
        if (!is_outdated(w, &field)) fwrite(field.whole.p, 1, cameo_wire_size(field.whole), f);
    }
    const cameo_properties *p = w->c->properties;
    for (size_t i = 0; p && i < p->count; i++) put_entry(f, MODEL_METADATA, p->key[i], p->value[i]);
    return true;
}

/* ---- the files ---- */

static void put_tensors(const writer *w, FILE *f, const entry *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const entry *e = &list[i];
        cameo_put_head(f, GRAPH_INITIALIZER, message_bytes(e));
        fwrite(w->heads.data + e->head_at, 1, e->head_bytes, f);
        if (e->external) continue;
        cameo_parameter_read(e->parameter, e->block + e->parameter->offset, w->scratch);
        fwrite(w->scratch, 1, e->data, f);
    }
}

static bool put_model(FILE *f, const void *what, cameo_error *error) {
    const writer *w = what;
    (void)error; /* is w's */
    const cameo_trainer *t = w->c->trainer;
    if (!put_model_fields(w, f)) return false;
    cameo_put_head(f, MODEL_GRAPH, w->graph_bytes);
    fwrite(t->graph_fields, 1, t->graph_bytes, f);
    put_tensors(w, f, w->weights, w->n_weights);
    if (!w->c->n_states) return true;
    cameo_put_head(f, MODEL_TRAINING,
                   cameo_head_bytes(TRAINING_ALGORITHM, w->state_bytes) + w->state_bytes);
    cameo_put_head(f, TRAINING_ALGORITHM, w->state_bytes);
    cameo_put_text(f, GRAPH_NAME, state_graph);
    put_tensors(w, f, w->state, w->n_state);
    return true;
}

static bool put_outer(FILE *f, const void *what, cameo_error *error) {
    const writer *w = what;
    (void)error;
    static const char zeros[ALIGNMENT];
    const entry *lists[2] = {w->state, w->weights};
    const size_t counts[2] = {w->n_state, w->n_weights};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < counts[k]; i++) {
            const entry *e = &lists[k][i];
            if (!e->external) continue;
            cameo_parameter_read(e->parameter, e->block + e->parameter->offset, w->scratch);
            fwrite(w->scratch, 1, e->data, f);
            fwrite(zeros, 1, (size_t)(-e->data % ALIGNMENT), f);
        }
    return true;
}

/* The directory of a path, "." or ending in '/'; the caller frees. */
static char *directory_of(const char *path) {
    char *copy = cameo_join(NULL, path), *slash = strrchr(copy, '/');
    if (slash) return slash[1] = 0, copy;
    free(copy);
    return cameo_join(NULL, ".");
}

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void sync_directory(const char *path) {
    char *directory = directory_of(path);
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
    char *directory = directory_of(path);
    DIR *d = opendir(directory);
    uint64_t most = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        const uint64_t g = generation_of(e->d_name, base_of(path));
        if (g > most) most = g;
        if (g && keep && strcmp(e->d_name, keep) != 0) unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
    free(directory);
    return most;
}

static void name_sidecar(writer *w, const char *path) {
    const size_t bytes = strlen(path) + 40;
    w->sidecar = cameo_allocate(bytes, 1);
    snprintf(w->sidecar, bytes, "%s.%" PRIu64 ".data", base_of(path), sidecars(path, NULL) + 1);
}

static bool write_files(writer *w, const char *path) {
    char *directory = directory_of(path), *beside = cameo_allocate(strlen(path) + 5, 1);
    char *outer = w->sidecar ? cameo_join(strcmp(directory, ".") ? directory : NULL, w->sidecar)
                             : NULL;
    snprintf(beside, strlen(path) + 5, "%s.tmp", path);
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

bool cameo_checkpoint_write(const cameo_checkpoint *c, const char *path, cameo_error *error) {
    writer w = {.c = c, .error = error};
    list_weights(&w);
    list_state(&w);
    divide(&w);
    if (w.sidecar_bytes) name_sidecar(&w, path);
    const bool good = prepare(&w) && write_files(&w, path);
    free(w.heads.data);
    free(w.weights);
    free(w.state);
    free(w.sidecar);
    free(w.scratch);
    return good;
}

void cameo_architecture_hash(const cameo_trainer *t, char out[65]) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        out[0] = 0;
        return;
    }
    fwrite(t->graph_fields, 1, t->graph_bytes, f);
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        fprintf(f, "%s%c%d", p->name, 0, p->learnt);
        for (int k = 0; k < p->rank; k++) fprintf(f, ",%lld", (long long)p->dim[k]);
        fputc('\n', f);
    }
    fclose(f);
    cameo_sha256(text, size, out);
    free(text);
}
