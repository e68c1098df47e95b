/* Alignment by five landmarks. */
#define _GNU_SOURCE
#include "align.h"
#include "../base/files.h"
#include "../base/lines.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const cameo_landmarks cameo_arcface_template = {{38.2946, 73.5318, 56.0252, 41.5493, 70.7299},
                                                {51.6963, 51.5014, 71.7366, 92.3655, 92.2041}};

static double mean5(const double v[5]) { return (v[0] + v[1] + v[2] + v[3] + v[4]) / 5; }

/* With points as complex numbers the best factor is sum(conj(p) q) / sum |p|^2, both about their
   means. */
bool cameo_similarity_fit(const cameo_landmarks *from, const cameo_landmarks *to,
                          cameo_similarity *s) {
    double mx = mean5(from->x), my = mean5(from->y), mu = mean5(to->x), mv = mean5(to->y), real = 0,
           imaginary = 0, squares = 0;
    for (int i = 0; i < 5; i++) {
        double x = from->x[i] - mx, y = from->y[i] - my, u = to->x[i] - mu, v = to->y[i] - mv;
        real += x * u + y * v;
        imaginary += x * v - y * u;
        squares += x * x + y * y;
    }
    if (!(squares > 1e-9) || !isfinite(squares)) return false;
    s->a = real / squares;
    s->b = imaginary / squares;
    s->tx = mu - (s->a * mx - s->b * my);
    s->ty = mv - (s->b * mx + s->a * my);
    return s->a * s->a + s->b * s->b > 1e-12;
}

/* Cubic convolution with a = -1, sharper than a resize's -1/2: what Pillow's Image.transform uses,
   and the crops we agree with. */
static double cubic(double x) {
    x = fabs(x);
    if (x < 1) return (x - 2) * x * x + 1;
    return x < 2 ? ((5 - x) * x - 8) * x + 4 : 0;
}

/* The picture at (x, y); pixels beyond its edges are black. */
static void sample(const cameo_image *image, double x, double y, unsigned char *out) {
    int left = (int)floor(x) - 1, top = (int)floor(y) - 1;
    double sum[3] = {0, 0, 0};
    for (int j = 0; j < 4; j++) {
        if (top + j < 0 || top + j >= image->height) continue;
        double wy = cubic(y - (top + j));
        for (int i = 0; i < 4; i++) {
            if (left + i < 0 || left + i >= image->width) continue;
            double w = wy * cubic(x - (left + i));
            const unsigned char *p = cameo_image_at(image, left + i, top + j);
            for (int c = 0; c < 3; c++) sum[c] += w * p[c];
        }
    }
    for (int c = 0; c < 3; c++)
        out[c] = (unsigned char)(sum[c] < 0 ? 0 : sum[c] > 255 ? 255 : sum[c] + 0.5);
}

bool cameo_image_warp(cameo_image *image, const cameo_similarity *s, int width, int height,
                      cameo_error *error) {
    cameo_image out = {0};
    if (!cameo_image_allocate(&out, width, height, "alignment", error)) return false;
    double n = s->a * s->a + s->b * s->b, a = s->a / n, b = -s->b / n;
    unsigned char *to = out.pixels;
    for (int v = 0; v < height; v++)
        for (int u = 0; u < width; u++, to += 3) {
            double dx = u - s->tx, dy = v - s->ty, x = a * dx - b * dy, y = b * dx + a * dy;
            if (x > -3 && y > -3 && x < image->width + 2 && y < image->height + 2)
                sample(image, x, y, to);
            else
                memset(to, 0, 3);
        }
    cameo_image_free(image);
    *image = out;
    return true;
}

bool cameo_image_align(cameo_image *image, const cameo_landmarks *l, int width, int height,
                       cameo_error *error) {
    cameo_landmarks to = cameo_arcface_template;
    cameo_similarity s;
    for (int i = 0; i < 5; i++) to.x[i] *= width / 112.0, to.y[i] *= height / 112.0;
    if (!cameo_similarity_fit(l, &to, &s))
        return cameo_reject(error, "its landmarks lie in one point");
    return cameo_image_warp(image, &s, width, height, error);
}

static int by_name(const void *x, const void *y) {
    const struct cameo_landmark_row *a = x, *b = y;
    return strcmp(a->name, b->name);
}

static int by_last_part(const void *x, const void *y, void *data) {
    const struct cameo_landmark_row *row = data;
    return strcmp(cameo_last_part(row[*(const size_t *)x].name),
                  cameo_last_part(row[*(const size_t *)y].name));
}

static void sort_rows(cameo_landmark_table *t) {
    qsort(t->row, t->count, sizeof *t->row, by_name);
    t->by_last = cameo_allocate(t->count, sizeof *t->by_last);
    for (size_t i = 0; i < t->count; i++) t->by_last[i] = i;
    qsort_r(t->by_last, t->count, sizeof *t->by_last, by_last_part, t->row);
}

/* A name that holds a comma is quoted, or apart by a tab; one that holds a blank is apart by a tab
   or a comma. */
static char *end_of_name(char *line, char **name) {
    *name = line;
    if (*line == '"') {
        char *end = strchr(line + 1, '"');
        if (!end || !strchr("\t, ", end[1])) return NULL;
        *name = line + 1;
        *end = 0;
        return end + 1;
    }
    char *rest = line + strcspn(line, "\t");
    if (!*rest) rest = line + strcspn(line, ",");
    if (!*rest) rest = line + strcspn(line, " ");
    return *rest ? rest : NULL;
}

static bool parse_row(char *line, struct cameo_landmark_row *row) {
    char *rest = end_of_name(line, &row->name);
    if (!rest) return false;
    *rest++ = 0;
    double v[10];
    for (int i = 0; i < 10; i++) {
        char *end;
        v[i] = strtod(rest, &end);
        if (end == rest || !isfinite(v[i])) return false;
        rest = end + strspn(end, "\t, ");
    }
    for (int i = 0; i < 5; i++) row->at.x[i] = v[2 * i], row->at.y[i] = v[2 * i + 1];
    return *rest == 0;
}

/* The first line may be one of headings, or a count; any other is a row, a comment or at fault. */
static bool parse_table(cameo_lines *l, const char *path, cameo_landmark_table *t,
                        cameo_error *error) {
    t->row = cameo_allocate(l->count, sizeof *t->row);
    for (size_t i = 0; i < l->count; i++) {
        char *line = l->text + l->line[i].at;
        struct cameo_landmark_row row;
        if (cameo_line_empty(line) || *line == '#') continue;
        if (parse_row(line, &row)) {
            row.name = cameo_join(NULL, row.name);
            t->row[t->count++] = row;
        } else if (i > 0 || strpbrk(line, "./")) {
            return cameo_reject(error, "%s:%zu: a name and ten numbers are expected", path,
                                l->line[i].number);
        }
    }
    sort_rows(t);
    return t->count || cameo_reject(error, "%s: no landmarks in it", path);
}

bool cameo_landmarks_read(const char *path, cameo_landmark_table *t, cameo_error *error) {
    cameo_lines l;
    *t = (cameo_landmark_table){0};
    if (!cameo_lines_read(path, &l, error)) return false;
    const bool good = parse_table(&l, path, t, error);
    cameo_lines_free(&l);
    if (!good) cameo_landmarks_free(t);
    return good;
}

static bool is_last(const cameo_landmark_table *t, size_t place, const char *name) {
    return strcmp(cameo_last_part(t->row[t->by_last[place]].name), cameo_last_part(name)) == 0;
}

const cameo_landmarks *cameo_landmarks_find(const cameo_landmark_table *t, const char *name) {
    struct cameo_landmark_row key = {.name = cameo_join(NULL, name)};
    const struct cameo_landmark_row *found = bsearch(&key, t->row, t->count, sizeof *t->row,
                                                     by_name);
    free(key.name);
    if (found) return &found->at;
    size_t low = 0, high = t->count; /* the first row whose last part is not below */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(cameo_last_part(t->row[t->by_last[middle]].name), cameo_last_part(name)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool once = low < t->count && is_last(t, low, name) &&
                !(low + 1 < t->count && is_last(t, low + 1, name));
    return once ? &t->row[t->by_last[low]].at : NULL;
}

void cameo_landmarks_free(cameo_landmark_table *t) {
    for (size_t i = 0; i < t->count; i++) free(t->row[i].name);
    free(t->row);
    free(t->by_last);
    *t = (cameo_landmark_table){0};
}
