/* curves.html: four drawings of a run's log. One file, no scripts; colours follow the reader's
   light or dark setting, and the drawings stand one below the other on a narrow screen. Long runs
   are drawn with some hundred points. */
#include "../base/files.h"
#include "../verification/plot.h"
#include "train_run.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 360, HEIGHT = 230, LEFT = 46, RIGHT = 8, TOP = 10, BOTTOM = 26, POINTS = 300 };

typedef struct series {
    const char *name;
    int colour; /* 1, 2: of the style sheet; 0: pale */
    struct point {
        double x, y;
    } * at;
    size_t n, capacity;
} series;

typedef struct panel {
    const char *title, *unit;
    series s[3];
    double low, high, last; /* of y; of x */
} panel;

/* ---- data ---- */

static void add_point(series *s, double x, double y) {
    if (!isfinite(x) || !isfinite(y)) return;
    s->at = cameo_room(s->at, s->n, &s->capacity, sizeof *s->at);
    s->at[s->n++] = (struct point){x, y};
}

/* Means of equal numbers of points. */
static void thin(series *s) {
    const size_t each = s->n / POINTS + 1;
    size_t n = 0;
    for (size_t i = 0; each > 1 && i < s->n; i += each, n++) {
        const size_t end = i + each < s->n ? i + each : s->n;
        double x = 0, y = 0;
        for (size_t k = i; k < end; k++) x += s->at[k].x, y += s->at[k].y;
        s->at[n].x = x / (double)(end - i);
        s->at[n].y = y / (double)(end - i);
    }
    if (each > 1) s->n = n;
}

enum { LOSS, RATE, ACCURACY, VERIFICATION, PANELS };

static const struct line { /* what is drawn, and where the log has it */
    int panel, series, colour;
    const char *name, *key;
    bool of_steps, of_epochs;
} lines[] = {{LOSS, 0, 0, "steps", "loss", true, false},
             {LOSS, 1, 1, "training", "loss", false, true},
             {LOSS, 2, 2, "validation", "val_loss", false, true},
             {RATE, 0, 1, "", "lr", true, true},
             {ACCURACY, 0, 1, "training", "accuracy", false, true},
             {ACCURACY, 1, 2, "validation", "val_accuracy", false, true},
             {VERIFICATION, 0, 1, "AUC", "auc", false, true},
             {VERIFICATION, 1, 2, "EER", "eer", false, true}};
enum { LINES = sizeof lines / sizeof *lines };

static void read_log(panel *p, const char *log) {
    double epoch_steps = 1;
    for (const char *text = log, *end; (end = strchr(text, '\n')); text = end + 1) {
        const double at = cameo_runlog_number(text, "step") / epoch_steps;
        const bool step = cameo_runlog_is(text, "step"), epoch = cameo_runlog_is(text, "epoch");
        if (cameo_runlog_is(text, "start"))
            epoch_steps = fmax(1, cameo_runlog_number(text, "steps_per_epoch"));
        for (const struct line *l = lines; l < lines + LINES; l++)
            if ((step && l->of_steps) || (epoch && l->of_epochs))
                add_point(&p[l->panel].s[l->series], at,
                          (p[l->panel].unit ? 100 : 1) * cameo_runlog_number(text, l->key));
    }
}

static void measure(panel *p) {
    p->low = INFINITY;
    p->high = -INFINITY;
    p->last = 0;
    for (size_t k = 0; k < 3; k++) {
        thin(&p->s[k]);
        for (size_t i = 0; i < p->s[k].n; i++) {
            p->low = fmin(p->low, p->s[k].at[i].y);
            p->high = fmax(p->high, p->s[k].at[i].y);
            p->last = fmax(p->last, p->s[k].at[i].x);
        }
    }
}

/* ---- drawing ---- */

/* 1, 2 or 5 times a power of ten: about `count` steps in `range`. */
static double nice_step(double range, double count) {
    const double raw = range / count, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static double place_x(const panel *p, double x) {
    const int width = WIDTH - LEFT - RIGHT;
    return width * (p->last > 0 ? x / p->last : 0) + (int)LEFT;
}
static double place_y(const panel *p, double y) {
    const int height = HEIGHT - TOP - BOTTOM;
    return height * (1 - (y - p->low) / (p->high - p->low)) + (int)TOP;
}

/* Limits at whole steps; the grid with its numbers. */
static void put_axes(FILE *f, panel *p) {
    if (!(p->high > p->low))
        p->low -= fabs(p->low) * 0.1 + 1e-9, p->high += fabs(p->high) * 0.1 + 1e-9;
    const double step = nice_step(p->high - p->low, 4),
                 across = p->last > 0 ? nice_step(p->last, 5) : 1;
    p->low = floor(p->low / step + 1e-9) * step;
    p->high = ceil(p->high / step - 1e-9) * step;
    for (int i = 0; p->low + i * step <= p->high + step / 2; i++) {
        const double y = p->low + i * step, at = place_y(p, y);
        fprintf(f,
                "<path class='g' d='M%d %.1fH%d'/><text x='%d' y='%.1f' "
                "text-anchor='end'>%.6g</text>\n",
                LEFT, at, WIDTH - RIGHT, LEFT - 5, at + 4, fabs(y) < step / 1e6 ? 0 : y);
    }
    for (int i = 0; i * across <= p->last * 1.0001; i++)
        fprintf(f, "<text x='%.1f' y='%d' text-anchor='middle'>%.6g</text>\n",
                place_x(p, i * across), HEIGHT - 8, i * across);
}

static void put_line(FILE *f, const panel *p, const series *s) {
    if (s->n == 1) {
        fprintf(f, "<circle class='c%d f%d' cx='%.1f' cy='%.1f' r='3'/>\n", s->colour, s->colour,
                place_x(p, s->at[0].x), place_y(p, s->at[0].y));
        return;
    }
    fprintf(f, "<polyline class='c%d' points='", s->colour);
    for (size_t i = 0; i < s->n; i++)
        fprintf(f, "%.1f,%.1f ", place_x(p, s->at[i].x), place_y(p, s->at[i].y));
    fputs("'/>\n", f);
}

static void put_panel(FILE *f, panel *p) {
    measure(p);
    if (!(p->high >= p->low)) return; /* nothing of it in the log */
    fprintf(f, "<figure><figcaption><b>%s</b>", p->title);
    for (size_t k = 0; k < 3; k++)
        if (p->s[k].n)
            fprintf(f, " <span class='l%d'>%s %.4g&#8239;%s</span>", p->s[k].colour, p->s[k].name,
                    p->s[k].at[p->s[k].n - 1].y, p->unit ? p->unit : "");
    fprintf(f, "</figcaption>\n<svg viewBox='0 0 %d %d' role='img' aria-label='%s by epoch'>\n",
            WIDTH, HEIGHT, p->title);
    put_axes(f, p);
    for (size_t k = 0; k < 3; k++)
        if (p->s[k].n) put_line(f, p, &p->s[k]);
    fputs("</svg></figure>\n", f);
}

static const char style[] = "<style>:root{color-scheme:light "
                            "dark;--a:#0b62c4;--b:#c2410c;--p:#9fb3c8;--g:#8883;--t:#222;--k:#fff}"
                            "@media(prefers-color-scheme:dark){:root{--a:#6db3ff;--b:#ff9a5c;--p:#"
                            "5b6b7b;--t:#ddd;--k:#16181b}}"
                            "body{font:16px/1.5 "
                            "system-ui,sans-serif;color:var(--t);background:var(--k);max-width:"
                            "60em;margin:1em auto;padding:0 1em}"
                            "main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min("
                            "100%,21em),1fr));gap:1em}figure{margin:0}"
                            "svg{width:100%;height:auto}text{font-size:12px;fill:var(--t)}polyline,"
                            ".g{fill:none;stroke-width:2}.g{stroke:var(--g);"
                            "stroke-width:1}.c0{stroke:var(--p);stroke-width:1}.c1{stroke:var(--a)}"
                            ".c2{stroke:var(--b)}.f1{fill:var(--a)}"
                            ".f2{fill:var(--b)}.f0,.l0{color:var(--p);fill:var(--p)}.l1{color:var(-"
                            "-a)}.l2{color:var(--b)}span{margin-left:.7em;"
                            "white-space:nowrap}</style>\n";

static const char file[] = "curves.html";

bool cameo_curves_write(const char *directory, const char *log, const char *title,
                        cameo_error *error) {
    panel p[PANELS] = {{.title = "Loss"},
                       {.title = "Learning rate"},
                       {.title = "Accuracy", .unit = "%"},
                       {.title = "Verification"}};
    for (const struct line *l = lines; l < lines + LINES; l++) {
        series *s = &p[l->panel].s[l->series];
        s->name = l->name;
        s->colour = l->colour;
    }
    cameo_output o;
    if (!cameo_output_open(&o, error)) return false;
    read_log(p, log);
    cameo_html(o.stream,
               "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' "
               "content='width=device-width'>\n<title>",
               title, "</title>\n");
    fputs(style, o.stream);
    cameo_html(o.stream, "<h1>Training of ", title,
               "</h1>\n<p>By epoch; the last values stand beside the names.</p>\n<main>\n");
    for (size_t k = 0; k < PANELS; k++) put_panel(o.stream, &p[k]);
    fputs("</main></html>\n", o.stream);
    for (size_t k = 0; k < PANELS; k++)
        for (size_t i = 0; i < 3; i++) free(p[k].s[i].at);
    cameo_remove_unfinished(directory, file); /* of a run that was killed while it wrote, and is
                                                 resumed */
    return cameo_output_save(&o, directory, file, error);
}
