/* identify: which of the known people each picture shows, or none. An identity's score is the best
   cosine of its pictures. */
#include "../image/dataset.h"
#include "../verification/calibration.h"
#include "../verification/submission.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char nobody[] = "n000000";

typedef struct answer {
    size_t class; /* of the nearest picture */
    double score; /* NaN: no embedding */
} answer;

typedef struct identification {
    cameo_dataset known;
    cameo_paths unknown;
    cameo_gallery gallery; /* known pictures, then unknown ones */
    char **path;
    double *squares;     /* of the embeddings' norms */
    answer *answers;     /* [unknown.count] */
    char **truth;        /* [unknown.count] or NULL */
    double threshold;    /* -infinity: nobody is rejected */
    const char *origin;  /* where the threshold comes from */
    double right, top1;  /* with truth: accuracy; nearest identity right, of those who are known */
    size_t known_people; /* rows whose truth is somebody */
    cameo_error error;
} identification;

static double cosine(const identification *s, size_t a, size_t b) {
    const cameo_embeddings *e = &s->gallery.e;
    return cameo_cosine(e->row[a], e->row[b], e->dimension, s->squares[a], s->squares[b]);
}

static void search_task(void *argument, size_t i) {
    const identification *s = argument;
    answer best = {0, NAN};
    size_t row = s->known.images + i;
    for (size_t k = 0; k < s->known.images && s->gallery.e.row[row]; k++) {
        if (!s->gallery.e.row[k]) continue;
        double score = cosine(s, row, k);
        if (!(score <= best.score)) best = (answer){(size_t)s->known.label[k], score};
    }
    s->answers[i] = best;
}

static bool search(identification *s, cameo_pictures *p) {
    cameo_gallery *g = &s->gallery;
    g->images = s->known.images + s->unknown.count;
    s->path = cameo_allocate(g->images, sizeof *s->path);
    for (size_t i = 0; i < g->images; i++)
        s->path[i] = i < s->known.images ? s->known.path[i] : s->unknown.path[i - s->known.images];
    g->path = g->name = s->path;
    g->views = 1;
    if (!cameo_gallery_embed(g, p, &s->error)) return false;
    s->squares = cameo_allocate(g->images, sizeof *s->squares);
    for (size_t i = 0; i < g->images; i++)
        if (g->e.row[i]) s->squares[i] = cameo_squared_norm(g->e.row[i], g->e.dimension);
    s->answers = cameo_allocate(s->unknown.count, sizeof *s->answers);
    cameo_parallel(p->context, s->unknown.count, search_task, s);
    return true;
}

/* ---- the truth ---- */

/* Identities that nobody known has can't be found, which is no fault when they are many, and one
   when they are all. */
static void warn_strangers(const identification *s, const char *file) {
    const cameo_dataset *d = &s->known;
    size_t strangers = 0;
    const char *first = NULL;
    for (size_t i = 0; i < s->unknown.count; i++) {
        if (strcmp(s->truth[i], nobody) == 0) continue;
        if (bsearch(&s->truth[i], d->class_name, d->classes, sizeof *d->class_name, cameo_by_text))
            continue;
        if (!strangers++) first = s->truth[i];
    }
    if (strangers)
        fprintf(stderr,
                "warning: %s: %zu labels are neither a known identity nor %s, the first: %s\n",
                file, strangers, nobody, first);
}

static bool read_truth(identification *s, const char *file) {
    if (!file) return true;
    s->truth = cameo_allocate(s->unknown.count, sizeof *s->truth);
    if (!cameo_truth_read(file, &s->unknown, s->truth, &s->error)) return false;
    warn_strangers(s, file);
    return true;
}

static bool is_right(const identification *s, size_t i, double threshold) {
    const answer *a = &s->answers[i];
    return strcmp(s->truth[i], a->score >= threshold ? s->known.class_name[a->class] : nobody) == 0;
}

static int falling(const void *x, const void *y) {
    const answer *a = x, *b = y;
    return a->score > b->score ? -1 : a->score < b->score;
}

/* Lowering the threshold over one more answer turns a rejection into that answer. class 0, 1, 2:
   wrong both ways, right when accepted, right when rejected. */
static double best_threshold(const identification *s) {
    answer *ranked = cameo_allocate(s->unknown.count, sizeof *ranked);
    size_t n = 0;
    for (size_t i = 0; i < s->unknown.count; i++) {
        if (isnan(s->answers[i].score)) continue;
        bool none = strcmp(s->truth[i], nobody) == 0, hit = !none && is_right(s, i, -INFINITY);
        ranked[n++] = (answer){hit ? 1 : none ? 2 : 0, s->answers[i].score};
    }
    qsort(ranked, n, sizeof *ranked, falling);
    double threshold = INFINITY;
    long now = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        now += ranked[i].class == 1 ? 1 : ranked[i].class == 2 ? -1 : 0;
        if (now > best && (i + 1 == n || ranked[i + 1].score != ranked[i].score))
            best = now, threshold = ranked[i].score;
    }
    free(ranked);
    return threshold;
}

static void judge(identification *s) {
    size_t right = 0, hits = 0;
    for (size_t i = 0; i < s->unknown.count && s->truth; i++) {
        right += is_right(s, i, s->threshold);
        if (strcmp(s->truth[i], nobody) == 0) continue;
        s->known_people++;
        hits += is_right(s, i, -INFINITY);
    }
    s->right = (double)right / (double)s->unknown.count;
    s->top1 = s->known_people ? (double)hits / (double)s->known_people : NAN;
}

static bool choose_threshold(identification *s, const cameo_args *a, const cameo_calibration *c) {
    const char *given = cameo_args_get(a, "threshold");
    char *end;
    s->threshold = -INFINITY;
    s->origin = "none: everybody is somebody";
    if (given) {
        s->threshold = strtod(given, &end);
        s->origin = "--threshold";
        return (*given && !*end) ||
               cameo_fail(&s->error, CAMEO_USAGE, "--threshold %s: a number is expected", given);
    }
    if (c->found && strcmp(c->point.score, "cosine") == 0 && strcmp(c->point.tta, "none") == 0)
        s->threshold = c->point.threshold, s->origin = c->point.origin;
    else if (s->truth)
        s->threshold = best_threshold(s), s->origin = "the most right answers on this same data";
    return true;
}

/* ---- results ---- */

static const char *name_of(const identification *s, size_t i) {
    const answer *a = &s->answers[i];
    return a->score >= s->threshold ? s->known.class_name[a->class] : nobody;
}

static bool write_rows(const identification *s, const char *directory, cameo_error *error) {
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    fputs("file,identity,nearest,cosine\n", o.stream);
    for (size_t i = 0; i < s->unknown.count; i++) {
        const answer *a = &s->answers[i];
        cameo_csv_text(o.stream, s->unknown.path[i], ',');
        cameo_csv_text(o.stream, name_of(s, i), ',');
        cameo_csv_text(o.stream, isnan(a->score) ? "" : s->known.class_name[a->class], ',');
        isnan(a->score) ? fputs("\n", o.stream) : fprintf(o.stream, "%.9g\n", a->score);
    }
    return cameo_output_save(&o, directory, "identities.csv", error);
}

static bool write_submission(const identification *s, const cameo_submission *form,
                             const char *directory, cameo_error *error) {
    cameo_output o;
    if (!form) return true;
    if (!cameo_output_open(&o, error)) return false;
    fprintf(o.stream, "%s\n", form->heading);
    for (size_t i = 0; i < s->unknown.count; i++) {
        fprintf(o.stream, "%zu,", i);
        cameo_csv_text(o.stream, name_of(s, i), '\n');
    }
    return cameo_output_save(&o, directory, "submission.csv", error);
}

static void print_summary(const identification *s, bool as_json) {
    size_t rejected = 0;
    for (size_t i = 0; i < s->unknown.count; i++) rejected += strcmp(name_of(s, i), nobody) == 0;
    if (!as_json) {
        printf("%zu pictures against %zu of %zu known people; %zu are nobody's\n", s->unknown.count,
               s->known.images, s->known.classes, rejected);
        printf("threshold      %.6g (%s)\n", s->threshold, s->origin);
        if (s->truth) printf("accuracy       %.4f %%\n", 100 * s->right);
        if (s->truth && s->known_people)
            printf("top-1          %.4f %% of the %zu pictures of known people, whatever the "
                   "threshold\n",
                   100 * s->top1, s->known_people);
        return;
    }
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_count(&j, "pictures", s->unknown.count);
    cameo_json_count(&j, "known_pictures", s->known.images);
    cameo_json_count(&j, "identities", s->known.classes);
    cameo_json_count(&j, "rejected", rejected);
    cameo_json_field(&j, s, threshold);
    cameo_json_text(&j, "threshold_origin", s->origin);
    cameo_json_number(&j, "accuracy", s->truth ? s->right : NAN);
    cameo_json_number(&j, "top1", s->truth ? s->top1 : NAN);
    cameo_json_end(&j);
}

static bool identify_all(identification *s, cameo_pictures *p, const cameo_args *a,
                         const cameo_calibration *c, const cameo_submission *form) {
    const char *directory = cameo_args_get(a, "output");
    cameo_error *e = &s->error;
    if (!cameo_dataset_scan(cameo_args_positional(a, 0), 1, &s->known, e) ||
        !cameo_paths_add(&s->unknown, cameo_args_positional(a, 1), e) ||
        !read_truth(s, cameo_args_get(a, "truth")) || !search(s, p) || !choose_threshold(s, a, c))
        return false;
    judge(s);
    if (directory && (!cameo_make_directories(directory, e) ||
                      !write_submission(s, form, directory, e) || !write_rows(s, directory, e)))
        return false;
    print_summary(s, cameo_args_get(a, "json") != NULL);
    return true;
}

static void free_all(identification *s) {
    for (size_t i = 0; s->truth && i < s->unknown.count; i++) free(s->truth[i]);
    free(s->truth);
    free(s->path);
    free(s->squares);
    free(s->answers);
    cameo_gallery_free(&s->gallery);
    cameo_dataset_free(&s->known);
    cameo_paths_free(&s->unknown);
}

static int identify(const cameo_model *model, const cameo_args *a) {
    identification s = {0};
    cameo_pictures p;
    cameo_calibration c;
    const char *family = cameo_args_get(a, "submission");
    const cameo_submission *form = NULL;
    if (a->positionals != 2)
        return cameo_usage_error(a,
                                 "a folder of known people and one of unknown pictures are needed");
    if (family && !cameo_args_get(a, "output"))
        return cameo_usage_error(a, "--submission needs -o DIR");
    if (!cameo_gallery_options(&s.gallery, a)) return CAMEO_USAGE;
    if (family && !(form = cameo_submission_find(family, CAMEO_TASK_IDENTITIES, &s.error)))
        return cameo_report_error(&s.error);
    if (!cameo_calibration_load(model, a->program, &c, &s.error))
        return cameo_report_error(&s.error);
    int code = cameo_pictures_open(&p, model, a);
    if (!code) {
        if (!identify_all(&s, &p, a, &c, form)) code = cameo_report_error(&s.error);
        free_all(&s);
        cameo_pictures_close(&p);
    }
    cameo_calibration_free(&c);
    return code;
}

static const cameo_option options[] = {
    {"truth", "FILE",
     "a CSV `id,label`: an unknown picture's name or place from 0, who it is; n000000 = nobody"},
    {"threshold", "T",
     "least cosine (default: the stored operating point; else the best on --truth; else none)"},
    {"output", "DIR", "identities.csv goes here"},
    {"submission", "FAMILY", "also submission.csv: f22 s23 f23 s24"},
    {"skip-missing", NULL, "go on when pictures are unreadable: they are nobody's"},
    OPTION_CACHE,
    OPTIONS_FACES,
    OPTION_JSON,
    {0}};

const cameo_verb cameo_verb_identify = {
    "identify",
    "find out which of the known people pictures show",
    "identify KNOWN UNKNOWN [--truth FILE] [--threshold T] [--submission FAMILY] [-o DIR] "
    "[--json]",
    options,
    .run = identify,
    .about_weights = true};
