/* Reading checkpoints, or any ONNX file with the right initializers. The file is mapped; every
   length, shape, type and name in it is checked before use, and external data may only lie beside
   it. */
#include "../base/files.h"
#include "../base/npy.h"
#include "../base/onnx_fields.h"
#include "../base/wire.h"
#include "../core/sha256.h"
#include "checkpoint.h"
#include "parameters.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PROPERTIES = 4096, MAX_PROPERTY = 1 << 24 };

struct cameo_checkpoint_file {
    char *path;
    unsigned char *data;
    size_t size;
    cameo_wire graph, state; /* GraphProtos; p NULL = none */
    cameo_properties properties;
};

/* ---- opening ---- */

static bool map_file(cameo_checkpoint_file *f, cameo_error *error) {
    const int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0) return cameo_reject(error, "%s: %s", f->path, strerror(errno));
    const bool good = fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0;
    if (good) {
        f->size = (size_t)s.st_size;
        f->data = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (f->data == MAP_FAILED) f->data = NULL;
    }
    close(fd);
    if (!good) return cameo_reject(error, "%s: is no file, or empty", f->path);
    return f->data ||
           cameo_fail(error, CAMEO_ENVIRONMENT, "%s: cannot map it: %s", f->path, strerror(errno));
}

static char *copy_text(cameo_wire w) {
    const size_t n = cameo_wire_size(w);
    char *text = cameo_allocate(n + 1, 1);
    if (n) memcpy(text, w.p, n);
    return text;
}

static bool add_property(cameo_checkpoint_file *f, cameo_wire entry) {
    cameo_wire key, value;
    if (!cameo_wire_entry(entry, &key, &value)) return false;
    if (f->properties.count == MAX_PROPERTIES || cameo_wire_size(value) > MAX_PROPERTY ||
        cameo_wire_size(key) > 1024)
        return true;
    char *k = copy_text(key), *v = copy_text(value);
    cameo_property_set(&f->properties, k, v);
    free(k);
    free(v);
    return true;
}

static bool add_training(cameo_checkpoint_file *f, cameo_wire info) {
    cameo_field field;
    while (info.p < info.end) {
        if (!cameo_wire_field(&info, &field)) return false;
        if (field.number == TRAINING_ALGORITHM && field.type == CAMEO_WIRE_BYTES && !f->state.p)
            f->state = field.bytes;
    }
    return true;
}

static bool read_model(cameo_checkpoint_file *f) {
    cameo_wire rest = {f->data, f->data + f->size};
    cameo_field field;
    bool good = true;
    while (rest.p < rest.end && good) {
        if (!cameo_wire_field(&rest, &field)) return false;
        if (field.type != CAMEO_WIRE_BYTES) continue;
        if (field.number == MODEL_GRAPH) f->graph = field.bytes;
        if (field.number == MODEL_METADATA) good = add_property(f, field.bytes);
        if (field.number == MODEL_TRAINING) good = add_training(f, field.bytes);
    }
    return good && f->graph.p;
}

cameo_checkpoint_file *cameo_checkpoint_open(const char *path, cameo_error *error) {
    cameo_checkpoint_file *f = cameo_allocate(1, sizeof *f);
    f->path = cameo_join(NULL, path);
    if (map_file(f, error)) {
        if (read_model(f)) return f;
        cameo_reject(error, "%s: not an ONNX file, or cut short", path);
    }
    cameo_checkpoint_close(f);
    return NULL;
}

void cameo_checkpoint_close(cameo_checkpoint_file *f) {
    if (!f) return;
    if (f->data) munmap(f->data, f->size);
    cameo_properties_free(&f->properties);
    free(f->path);
    free(f);
}

const cameo_properties *cameo_checkpoint_properties(const cameo_checkpoint_file *f) {
    return &f->properties;
}
void cameo_checkpoint_hash(const cameo_checkpoint_file *f, char out[65]) {
    cameo_sha256(f->data, f->size, out);
}

/* ---- filling a block ---- */

typedef struct filling {
    const cameo_checkpoint_file *file;
    const cameo_trainer *trainer;
    const cameo_parameter **sorted; /* wanted ones, by name */
    bool *found;                    /* as sorted */
    size_t wanted;
    const char *prefix; /* "cameo.momentum/" or "" */
    float *block, *scratch;
    cameo_error *error;
} filling;

static int by_name(const void *x, const void *y) {
    return strcmp((*(const cameo_parameter *const *)x)->name,
                  (*(const cameo_parameter *const *)y)->name);
}

static void want(filling *f, bool all) {
    const cameo_trainer *t = f->trainer;
    size_t most = 0;
    f->sorted = cameo_allocate(t->n_parameters, sizeof *f->sorted);
    f->found = cameo_allocate(t->n_parameters, sizeof *f->found);
    for (size_t i = 0; i < t->n_parameters; i++) {
        const cameo_parameter *p = &t->parameters[i];
        if (!all && !p->learnt) continue;
        f->sorted[f->wanted++] = p;
        if (cameo_parameter_elements(p) > most) most = cameo_parameter_elements(p);
    }
    if (f->wanted) qsort(f->sorted, f->wanted, sizeof *f->sorted, by_name);
    f->scratch = cameo_allocate(most, sizeof *f->scratch);
}

static int is_named(const void *wanted, const void *parameter) {
    const cameo_wire *w = wanted;
    const char *name = (*(const cameo_parameter *const *)parameter)->name;
    const size_t n = cameo_wire_size(*w), m = strlen(name);
    const int order = n ? memcmp(w->p, name, n < m ? n : m) : 0;
    return order ? order : n < m ? -1 : n > m;
}

/* The place in f->sorted of the parameter that a tensor of this name fills; f->wanted when there's
   none. */
static size_t look_up(const filling *f, cameo_wire name) {
    const size_t prefix = strlen(f->prefix);
    if (cameo_wire_size(name) < prefix ||
        memcmp(name.p ? (const char *)name.p : "", f->prefix, prefix) != 0)
        return f->wanted;
    name.p += prefix;
    const cameo_parameter **found = bsearch(&name, f->sorted, f->wanted, sizeof *f->sorted,
                                            is_named);
    return found ? (size_t)(found - f->sorted) : f->wanted;
}

static bool has_shape(const cameo_wire_tensor *t, const cameo_parameter *p) {
    if (t->type != 1 || t->rank != p->rank) return false;
    for (int i = 0; i < p->rank; i++)
        if (t->dim[i] != p->dim[i]) return false;
    return true;
}

static bool bad_tensor(const filling *f, const cameo_parameter *p, const char *why) {
    return cameo_reject(f->error, "%s: tensor \"%s%s\" %s", f->file->path, f->prefix, p->name, why);
}

static bool foreign(const filling *f, const cameo_parameter *p, const char *why) {
    return cameo_reject(
        f->error,
        "%s: tensor \"%s%s\" %s; the file is of another architecture\n    hint: cameo "
        "compile %s --train makes a program for it",
        f->file->path, f->prefix, p->name, why, f->file->path);
}

/* External data: a plain name, a regular file beside the checkpoint, all of it there. */
static bool read_outer(const filling *f, const cameo_parameter *p, const cameo_wire_tensor *t,
                       size_t bytes) {
    const size_t n = cameo_wire_size(t->location);
    if (!n || n > 255 || memchr(t->location.p, '/', n) || memchr(t->location.p, 0, n) ||
        (t->has_length && t->length != bytes))
        return bad_tensor(f, p, "names external data that cannot be its own");
    char *name = copy_text(t->location), *directory = cameo_folder_of(f->file->path),
         *path = cameo_join(directory, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat s;
    const bool good = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode) &&
                      (uint64_t)s.st_size >= bytes && t->offset <= (uint64_t)s.st_size - bytes &&
                      cameo_read_at(fd, f->scratch, bytes, t->offset);
    if (fd >= 0) close(fd);
    free(name);
    free(directory);
    free(path);
    return good || bad_tensor(f, p, "has external data that is missing or cut short");
}

/* Values that are in float_data, from tools that rewrote the file. */
static bool read_typed(const filling *f, const cameo_parameter *p, const cameo_wire_tensor *t) {
    cameo_array a;
    if (!cameo_pb_decode(t->whole.p, cameo_wire_size(t->whole), p->name, &a, f->error))
        return false;
    const bool good = a.count == cameo_parameter_elements(p);
    if (good && a.count) memcpy(f->scratch, a.data, a.count * sizeof *f->scratch);
    cameo_array_free(&a);
    return good || bad_tensor(f, p, "has the wrong size");
}

static bool take(const filling *f, const cameo_parameter *p, const cameo_wire_tensor *t) {
    const size_t bytes = cameo_parameter_elements(p) * sizeof(float);
    if (!has_shape(t, p)) return foreign(f, p, "has another shape or type than this program's");
    if (t->external) {
        if (!read_outer(f, p, t, bytes)) return false;
    } else if (t->raw.p) {
        if (cameo_wire_size(t->raw) != bytes) return bad_tensor(f, p, "has the wrong size");
        if (bytes) memcpy(f->scratch, t->raw.p, bytes);
    } else if (!read_typed(f, p, t)) {
        return false;
    }
    cameo_parameter_write(p, f->block + p->offset, f->scratch);
    return true;
}

static bool take_all(filling *f, cameo_wire graph) {
    cameo_field field;
    cameo_wire_tensor t;
    while (graph.p < graph.end) {
        if (!cameo_wire_field(&graph, &field))
            return cameo_reject(f->error, "%s: the graph is cut short", f->file->path);
        if (field.number != GRAPH_INITIALIZER || field.type != CAMEO_WIRE_BYTES) continue;
        if (!cameo_wire_read_tensor(field.bytes, &t))
            return cameo_reject(f->error, "%s: an initializer is malformed", f->file->path);
        const size_t i = look_up(f, t.name);
        if (i == f->wanted) continue;
        if (f->found[i]) return bad_tensor(f, f->sorted[i], "is there twice");
        f->found[i] = true;
        if (!take(f, f->sorted[i], &t)) return false;
    }
    for (size_t i = 0; i < f->wanted; i++)
        if (!f->found[i]) return foreign(f, f->sorted[i], "is missing");
    return true;
}

static bool fill(const cameo_checkpoint_file *file, const cameo_trainer *t, cameo_wire graph,
                 const char *prefix, bool all, float *block, cameo_error *error) {
    filling f = {.file = file, .trainer = t, .prefix = prefix, .block = block, .error = error};
    want(&f, all);
    const bool good = take_all(&f, graph);
    free(f.sorted);
    free(f.found);
    free(f.scratch);
    return good;
}

bool cameo_checkpoint_weights(const cameo_checkpoint_file *f, const cameo_trainer *t, float *block,
                              cameo_error *error) {
    return fill(f, t, f->graph, "", true, block, error);
}

bool cameo_checkpoint_state_read(const cameo_checkpoint_file *f, const cameo_trainer *t,
                                 const char *kind, bool all, float *block, cameo_error *error) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "cameo.%s/", kind);
    if (!f->state.p)
        return cameo_reject(error, "%s: holds a model, but no training run that could go on",
                            f->path);
    return fill(f, t, f->state, prefix, all, block, error);
}
