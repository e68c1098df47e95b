/* Running a scoring: what score and calibrate have in common. */
#include "scoring.h"
#include "../base/lines.h"
#include "../core/sha256.h"
#include <stdlib.h>
#include <string.h>

/* A word of the command line, quoted where a shell would take it apart. */
static void put_word(FILE *f, const char *word) {
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
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

static int choice(const cameo_args *a, const char *option, const char *const *names, int count,
                  int *chosen) {
    const char *word = cameo_args_get(a, option);
    *chosen = word ? cameo_index_of(names, count, word) : 0;
    if (*chosen >= 0) return CAMEO_OK;
    fprintf(stderr, "--%s %s: one of", option, word);
    for (int i = 0; i < count; i++) fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return CAMEO_USAGE;
}

/* ---- the list ---- */

static int by_name(const void *x, const void *y) {
    const cameo_named_row *a = x, *b = y;
    const int order = strcmp(a->name, b->name);
    return order ? order : a->row < b->row ? -1 : a->row > b->row;
}

/* --names: rows by name, sorted. */
static bool read_names(cameo_scoring *s, const char *file) {
    if (!cameo_lines_read(file, &s->names_text, &s->error)) return false;
    s->name = cameo_allocate(s->names_text.count, sizeof *s->name);
    for (size_t i = 0; i < s->names_text.count; i++) {
        char *name = cameo_line_name(s->names_text.text + s->names_text.line[i].at);
        if (!*name) continue;
        s->name[s->names] = (cameo_named_row){name, s->names, s->names_text.line[i].number};
        s->names++;
    }
    qsort(s->name, s->names, sizeof *s->name, by_name);
    return true;
}

/* The first row of that name; NULL when there is none. */
static const cameo_named_row *find_name(const cameo_scoring *s, const char *name) {
    size_t low = 0, high = s->names;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(s->name[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->names && strcmp(s->name[low].name, name) == 0 ? &s->name[low] : NULL;
}

static bool is_named(const void *data, const char *name) { return find_name(data, name) != NULL; }

static bool read_list(cameo_scoring *s, const cameo_args *a) {
    const char *list = s->v.list, *names = s->v.embeddings_file ? cameo_args_get(a, "names") : NULL;
    const cameo_pairs_known known = {is_named, s};
    size_t size;
    if (names && !read_names(s, names)) return false;
    if (names ? !cameo_pairs_read_known(list, &known, &s->pairs, &s->error)
              : !cameo_pairs_read(list, cameo_args_get(a, "root"), &s->pairs, &s->error))
        return false;
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
    fprintf(o.stream, "%s: %zu pairs of %zu pictures; %s", cameo_last_part(s->v.list), p->count,
            p->images, p->description);
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

/* A name twice is a fault, unless both rows are the same. */
static bool check_names(cameo_scoring *s, const char *file, size_t row_bytes) {
    const char *rows = s->stored.data;
    for (size_t i = 1; i < s->names; i++) {
        const cameo_named_row *x = &s->name[i - 1], *y = &s->name[i];
        if (strcmp(x->name, y->name) != 0) continue;
        const bool equal = memcmp(rows + x->row * row_bytes, rows + y->row * row_bytes,
                                  row_bytes) == 0;
        if (!equal)
            return cameo_reject(
                &s->error,
                "%s: \"%.200s\" is listed twice, in lines %zu and %zu, with different embeddings",
                file, x->name, x->line, y->line);
        fprintf(stderr,
                "warning: %s: \"%s\" is listed twice, in lines %zu and %zu, with one embedding\n",
                file, x->name, x->line, y->line);
    }
    return true;
}

static bool assign_rows(cameo_scoring *s, size_t views) {
    size_t d = s->e.dimension, missing = 0, stride = (s->stored.rank == 3 ? 2 : 1) * d;
    for (size_t i = 0; i < s->e.images; i++) {
        const cameo_named_row here = {s->pairs.image[i], i, 0},
                              *found = s->name ? find_name(s, here.name) : &here;
        if (!found && missing++ < 10)
            fprintf(stderr, "missing: %s has no embedding\n", s->pairs.image[i]);
        for (size_t k = 0; k < views && found; k++)
            s->e.row[i * views + k] = (const float *)s->stored.data + found->row * stride + k * d;
    }
    return !missing || s->gallery.skip ||
           cameo_reject(&s->error, "%zu of %zu pictures have no embedding", missing, s->e.images);
}

static bool to_float(cameo_array *a, const char *file, cameo_error *error) {
    if (a->dtype == 1) return true;
    if (a->dtype != 11)
        return cameo_reject(error, "%s: float32 or float64 embeddings are expected", file);
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
    char shape[200];
    if (!cameo_array_read(file, a, &s->error) || !to_float(a, file, &s->error)) return false;
    bool fits = (a->rank == 2 && views == 1) || (a->rank == 3 && a->dim[1] == 2);
    if (!fits)
        return cameo_reject(&s->error,
                            "%s: shape %s; [pictures][dimension] is expected, or "
                            "[pictures][2][dimension] with the mirrored ones",
                            file, cameo_shape_text(a->dim, a->rank, shape));
    size_t rows = (size_t)a->dim[0], images = s->pairs.images;
    if (!names_file && rows != images)
        return cameo_reject(
            &s->error,
            "%s: %zu rows, but the list names %zu pictures\n    hint: say which row "
            "is which with --names",
            file, rows, images);
    s->e = (cameo_embeddings){images, (size_t)a->dim[a->rank - 1], views,
                              cameo_allocate(images * views, sizeof *s->e.row)};
    if (names_file && s->names != rows)
        return cameo_reject(&s->error, "%s: %zu names for %zu rows of embeddings", names_file,
                            s->names, rows);
    const size_t row_bytes = s->e.dimension * (a->rank == 3 ? 2 : 1) * sizeof(float);
    return (!names_file || check_names(s, names_file, row_bytes)) && assign_rows(s, views);
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
    cameo_find_overlaps(s->pairs.image, none ? none : s->gallery.content, s->pairs.images,
                        &s->train, hash, &s->overlaps);
    s->v.overlaps = s->overlaps.list;
    s->v.n_overlaps = s->overlaps.count;
    free(hash);
    free(none);
    return true;
}

/* ---- all of it ---- */

static bool run(cameo_scoring *s, const cameo_args *a) {
    const char *file = s->v.embeddings_file;
    if (!read_list(s, a)) return false;
    if (!file) cameo_pairs_find(&s->pairs, cameo_args_get(a, "root"));
    make_title(s);
    fprintf(stderr, "%s\n", s->title);
    return (file ? from_file(s, file, cameo_args_get(a, "names")) : from_pictures(s)) &&
           find_overlaps(s, cameo_args_get(a, "train-dir")) &&
           cameo_verification_measure(&s->v, &s->e, &s->error);
}

static int open_pictures(cameo_scoring *s, const cameo_args *a) {
    int64_t threads = 0;
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

int cameo_scoring_run(cameo_scoring *s, const cameo_model *model, const cameo_args *a,
                      const char *verb) {
    int tta, primary;
    *s = (cameo_scoring){0};
    if (a->positionals != 1) return cameo_usage_error(a, "one list of pairs is needed");
    int code = choice(a, "tta", cameo_tta_names, CAMEO_TTAS, &tta);
    if (!code) code = choice(a, "score", cameo_score_names, CAMEO_SCORES, &primary);
    if (code) return code;
    s->command = command_line(a->program, verb, a->argc, a->argv);
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
    cameo_lines_free(&s->names_text);
    free(s->name);
    if (s->has_pictures) cameo_pictures_close(&s->pictures);
    free(s->command);
    free(s->title);
}
