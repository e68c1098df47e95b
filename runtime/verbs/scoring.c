/* Running a scoring: what score and calibrate have in common. */
#include "scoring.h"
#include "../sha256.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A word of the command line, quoted where a shell would take it apart. */
static void put_word(FILE *f, const char *word) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    if (*word && strspn(word, safe) == strlen(word)) {
        fputs(word, f);
        return;
    }
    fputc('\'', f);
    for (; *word; word++) fputs(*word == '\'' ? "'\\''" : (char[]){*word, 0}, f);
    fputc('\'', f);
}

static char *command_line(const char *program, const char *verb, int argc, char **argv) {
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return NULL;
    put_word(o.stream, program);
    fprintf(o.stream, " %s", verb);
    for (int i = 0; i < argc; i++) fputc(' ', o.stream), put_word(o.stream, argv[i]);
    fclose(o.stream);
    return o.data;
}

static int choice(const cameo_args *a, const char *option, const char *const *names, int count, int *chosen) {
    const char *word = cameo_args_get(a, option);
    *chosen = 0;
    if (!word) return CAMEO_OK;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0) return *chosen = i, CAMEO_OK;
    fprintf(stderr, "--%s %s: one of", option, word);
    for (int i = 0; i < count; i++) fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return CAMEO_USAGE;
}

static bool read_list(cameo_scoring *s, const char *list) {
    size_t size;
    if (!cameo_pairs_read(list, &s->pairs, &s->error)) return false;
    unsigned char *data = cameo_read_file(list, (size_t)1 << 30, &size, &s->error);
    if (!data) return false;
    cameo_sha256(data, size, s->list_hash);
    free(data);
    return true;
}

static void make_title(cameo_scoring *s) {
    cameo_output o;
    if (!cameo_output_open(&o, NULL)) return;
    const cameo_pairs *p = &s->pairs;
    const char *slash = strrchr(s->v.list, '/');
    fprintf(o.stream, "%s: %zu pairs of %zu pictures; %s", slash ? slash + 1 : s->v.list, p->count, p->images, p->description);
    if (p->where) fprintf(o.stream, "; %s", p->where);
    if (p->family) fprintf(o.stream, " (family %s)", p->family);
    fclose(o.stream);
    s->v.title = s->title = o.data;
}

/* ---- embeddings from pictures ---- */

static bool from_pictures(cameo_scoring *s) {
    cameo_gallery *g = &s->gallery;
    g->images = s->pairs.images;
    g->path = s->pairs.path;
    g->name = s->pairs.image;
    g->views = s->v.tta == CAMEO_TTA_NONE ? 1 : 2;
    bool good = cameo_gallery_embed(g, &s->pictures, &s->error);
    s->v.embedded = g->embedded;
    s->v.cached = g->cached;
    s->e = g->e;
    if (!good) return false;
    cameo_find_duplicates(s->pairs.image, g->content, g->images, &s->duplicates);
    s->v.duplicates = s->duplicates.list;
    s->v.n_duplicates = s->duplicates.count;
    return true;
}

/* ---- embeddings from a file ---- */

typedef struct named_row {
    const char *name;
    size_t row;
} named_row;

static int by_name(const void *x, const void *y) { return strcmp(((const named_row *)x)->name, ((const named_row *)y)->name); }

/* Rows by name, sorted; the text holds the names. */
static named_row *read_names(const char *file, size_t rows, char **text, cameo_error *error) {
    size_t size, count = 0;
    *text = (char *)cameo_read_file(file, (size_t)1 << 30, &size, error);
    if (!*text) return NULL;
    named_row *n = cameo_allocate(rows + 1, sizeof *n);
    char *rest = NULL;
    for (char *line = strtok_r(*text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest), count++)
        if (count < rows) n[count] = (named_row){line, count};
    if (count != rows) {
        cameo_fail(error, CAMEO_BAD_INPUT, "%s: %zu names for %zu rows of embeddings", file, count, rows);
        free(n);
        return NULL;
    }
    qsort(n, rows, sizeof *n, by_name);
    return n;
}

static bool assign_rows(cameo_scoring *s, const named_row *names, size_t rows, size_t views) {
    size_t d = s->e.dimension, missing = 0, stride = (s->stored.rank == 3 ? 2 : 1) * d;
    for (size_t i = 0; i < s->e.images; i++) {
        named_row key = {s->pairs.image[i], i};
        const named_row *found = names ? bsearch(&key, names, rows, sizeof *names, by_name) : &key;
        if (!found && missing++ < 10) fprintf(stderr, "missing: %s has no embedding\n", s->pairs.image[i]);
        for (size_t k = 0; k < views && found; k++)
            s->e.row[i * views + k] = (const float *)s->stored.data + found->row * stride + k * d;
    }
    return !missing || s->gallery.skip ||
           cameo_fail(&s->error, CAMEO_BAD_INPUT, "%zu of %zu pictures have no embedding", missing, s->e.images);
}

static bool to_float(cameo_array *a, const char *file, cameo_error *error) {
    if (a->dtype == 1) return true;
    if (a->dtype != 11) return cameo_fail(error, CAMEO_BAD_INPUT, "%s: float32 or float64 embeddings are expected", file);
    double *from = a->data;
    float *to = cameo_allocate(a->count, sizeof *to);
    for (size_t i = 0; i < a->count; i++) to[i] = (float)from[i];
    free(a->data);
    a->data = to;
    a->dtype = 1;
    return true;
}

static bool from_file(cameo_scoring *s, const char *file, const char *names_file) {
    cameo_array *a = &s->stored;
    size_t views = s->v.tta == CAMEO_TTA_NONE ? 1 : 2;
    char shape[200], *text = NULL;
    if (!cameo_array_read(file, a, &s->error) || !to_float(a, file, &s->error)) return false;
    bool fits = (a->rank == 2 && views == 1) || (a->rank == 3 && a->dim[1] == 2);
    if (!fits)
        return cameo_fail(&s->error, CAMEO_BAD_INPUT,
                          "%s: shape %s; [pictures][dimension] is expected, or [pictures][2][dimension] with the mirrored ones",
                          file, cameo_shape_text(a->dim, a->rank, shape));
    size_t rows = (size_t)a->dim[0], images = s->pairs.images;
    if (!names_file && rows != images)
        return cameo_fail(&s->error, CAMEO_BAD_INPUT,
                          "%s: %zu rows, but the list names %zu pictures\n    hint: say which row is which with --names", file,
                          rows, images);
    s->e = (cameo_embeddings){images, (size_t)a->dim[a->rank - 1], views, cameo_allocate(images * views, sizeof *s->e.row)};
    named_row *names = names_file ? read_names(names_file, rows, &text, &s->error) : NULL;
    bool good = (names || !names_file) && assign_rows(s, names, rows, views);
    free(names);
    free(text);
    return good;
}

/* ---- the training folder ---- */

static bool find_overlaps(cameo_scoring *s, const char *folder) {
    if (!folder) return true;
    if (!cameo_dataset_scan(folder, 1, &s->train, &s->error)) return false;
    char(*hash)[65] = cameo_allocate(s->train.images, sizeof *hash), (*none)[65] = NULL;
    if (s->gallery.content)
        cameo_hash_files(s->pictures.context, s->train.path, s->train.images, hash);
    else
        none = cameo_allocate(s->pairs.images, sizeof *none);
    cameo_find_overlaps(s->pairs.image, none ? none : s->gallery.content, s->pairs.images, &s->train, hash, &s->overlaps);
    s->v.overlaps = s->overlaps.list;
    s->v.n_overlaps = s->overlaps.count;
    free(hash);
    free(none);
    return true;
}

/* ---- all of it ---- */

static bool run(cameo_scoring *s, const cameo_args *a) {
    const char *file = s->v.embeddings_file;
    if (!read_list(s, s->v.list)) return false;
    if (!file) cameo_pairs_find(&s->pairs, cameo_args_get(a, "root"));
    make_title(s);
    fprintf(stderr, "%s\n", s->title);
    return (file ? from_file(s, file, cameo_args_get(a, "names")) : from_pictures(s)) &&
           find_overlaps(s, cameo_args_get(a, "train-dir")) && cameo_verification_measure(&s->v, &s->e, &s->error);
}

static int open_pictures(cameo_scoring *s, const cameo_args *a) {
    long threads = 0;
    if (s->v.embeddings_file) {
        if (!cameo_args_integer(a, "threads", 1, 1024, &threads)) return CAMEO_USAGE;
        s->v.threads = threads ? (int)threads : cameo_processors();
        return CAMEO_OK;
    }
    int code = cameo_pictures_open(&s->pictures, s->v.model, a);
    s->has_pictures = code == CAMEO_OK;
    s->v.threads = s->pictures.threads;
    s->v.preprocess = s->pictures.spec;
    s->v.alignment = s->pictures.alignment;
    return code;
}

int cameo_scoring_run(cameo_scoring *s, const cameo_model *model, const cameo_args *a, const char *verb, int argc,
                      char **argv) {
    int tta, primary;
    *s = (cameo_scoring){0};
    if (a->positionals != 1) return cameo_usage_error(a, "one list of pairs is needed");
    int code = choice(a, "tta", cameo_tta_names, CAMEO_TTAS, &tta);
    if (!code) code = choice(a, "score", cameo_score_names, CAMEO_SCORES, &primary);
    if (code) return code;
    s->command = command_line(a->program, verb, argc, argv);
    s->v = (cameo_verification){.command = s->command,
                                .model = model,
                                .list = cameo_args_positional(a, 0),
                                .list_hash = s->list_hash,
                                .title = "",
                                .alignment = "none",
                                .embeddings_file = cameo_args_get(a, "embeddings"),
                                .instruction_set = model->target,
                                .tta = (cameo_tta)tta,
                                .primary = (cameo_score)primary,
                                .pairs = &s->pairs};
    if (!cameo_gallery_options(&s->gallery, a)) return CAMEO_USAGE;
    code = open_pictures(s, a);
    if (code) return code;
    return run(s, a) ? CAMEO_OK : cameo_report_error(&s->error);
}

void cameo_scoring_free(cameo_scoring *s) {
    if (s->stored.data) free(s->e.row); /* else the gallery's */
    cameo_verification_free(&s->v);
    cameo_gallery_free(&s->gallery);
    cameo_array_free(&s->stored);
    cameo_findings_free(&s->duplicates);
    cameo_findings_free(&s->overlaps);
    cameo_dataset_free(&s->train);
    cameo_calibration_free(&s->calibration);
    cameo_pairs_free(&s->pairs);
    if (s->has_pictures) cameo_pictures_close(&s->pictures);
    free(s->command);
    free(s->title);
}
