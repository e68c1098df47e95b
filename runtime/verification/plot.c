/* SVG: axes, curves, areas. */
#include "plot.h"
#include <math.h>

enum { PLOT_WIDTH = 360, PLOT_HEIGHT = 300, LEFT = 48, RIGHT = 340, TOP = 10, BOTTOM = 256 };

void cameo_html(FILE *f, const char *before, const char *text, const char *after) {
    fputs(before, f);
    for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s; s++) {
        if (*s == '<' || *s == '>' || *s == '&' || *s == '"' || *s == '\'')
            fprintf(f, "&#%d;", *s);
        else
            fputc(*s < 32 && *s != '\n' && *s != '\t' ? '?' : *s, f);
    }
    fputs(after, f);
}

/* Colours on a light page, and on paper. */
#define INKS \
    "--c0:#0b62c4;--c1:#c2410c;--c2:#15803d;--c3:#7e22ce;--c4:#a16207;--c5:#be185d;--warn:#9a3412"
static const char style[] =
    "<style>\n"
    ":root{--ink:#1c2024;--soft:#5b6570;--page:#fff;--card:#f4f6f8;--line:#d5dae0;" INKS "}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--page:#14171a;"
    "--card:#1f2429;--line:#3a424b;--c0:#6db3ff;--c1:#ff9a62;--c2:#5fd38a;--c3:#c99bff;"
    "--c4:#e6c35c;--c5:#ff86b8;--warn:#ffb08a}}\n"
    "@media print{:root{--ink:#000;--soft:#333;--page:#fff;--card:#fff;--line:#999;" INKS
    ";font-size:11px}}\n"
    "*{box-sizing:border-box}body{font:1rem/1.5 "
    "system-ui,sans-serif;color:var(--ink);background:var(--page);"
    "max-width:70rem;margin:0 auto;padding:1rem}\n"
    "h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 "
    ".5rem;"
    "border-bottom:1px solid "
    "var(--line)}p.soft,figcaption,.soft{color:var(--soft);font-size:.875rem}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem}"
    ".card{background:var(--card);border:1px solid "
    "var(--line);border-radius:.5rem;padding:.75rem}"
    ".card b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}.card "
    "span{color:var(--soft);font-size:.875rem}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));"
    "gap:1rem}"
    "figure{margin:0}figure h3{font-size:1rem;margin:.25rem "
    "0}svg{width:100%;height:auto;display:block}"
    "svg "
    "text{font-size:11px;fill:var(--ink)}.grid{stroke:var(--line);stroke-width:.7;fill:none}"
    ".axis{stroke:var(--soft);stroke-width:1;fill:none}.mark{stroke:var(--ink);stroke-width:1;"
    "stroke-dasharray:4 3}\n"
    ".c0,.c1,.c2,.c3,.c4,.c5{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    ".c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{"
    "stroke:var(--c4)}"
    ".c5{stroke:var(--c5)}.area{fill-opacity:.28}.c0.area{fill:var(--c0)}.c1.area{fill:var(--"
    "c1)}"
    ".c2.area{fill:var(--c2)}.c3.area{fill:var(--c3)}.band{stroke:none;fill-opacity:.18}.c0."
    "band{fill:var(--c0)}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;border-bottom:1px "
    "solid var(--line)}"
    "td.n,th.n{text-align:right}td.n{white-space:nowrap}td.wide{overflow-wrap:anywhere}.best{"
    "font-weight:700}"
    "code{overflow-wrap:anywhere;font-size:.875rem}.warn{color:var(--warn)}\n"
    ".pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(15rem,100%),1fr));"
    "gap:.75rem}"
    ".pair{background:var(--card);border:1px solid "
    "var(--line);border-radius:.5rem;padding:.5rem;min-width:0}"
    ".pair div{display:flex;gap:.25rem}.pair img,.pair "
    ".none{width:50%;min-width:0;aspect-ratio:1;object-fit:contain;"
    "background:var(--line)}.pair p{margin:.25rem 0 0;font-size:.8rem;overflow-wrap:anywhere}"
    ".key{display:inline-block;width:1.6em;height:.28em;vertical-align:middle;margin-right:."
    "4em}\n"
    "@media "
    "print{.plots>*,.card,tr,.pair,p{break-inside:avoid}h1,h2,h3{break-after:avoid}.scroll{"
    "overflow:visible}"
    ".plots{grid-template-columns:1fr 1fr}}\n"
    "</style>\n";

void cameo_html_head(FILE *f, const char *title) {
    cameo_html(
        f,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" "
        "content=\"light dark\"><link rel=\"icon\" "
        "href=\"data:,\"><title>",
        title, "</title>\n");
    fputs(style, f);
    fputs("</head><body>\n", f);
}

/* The value with this much of the normal distribution below it, to 5e-4, which is less than a
   tenth of a pixel (Abramowitz and Stegun 26.2.23): a curve may have a million points. */
static double probit(double p) {
    const double t = sqrt(-2 * log(p < 0.5 ? p : 1 - p));
    const double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                             (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    return p < 0.5 ? -x : x;
}

static double scaled(cameo_axis_kind kind, double v) {
    return kind == CAMEO_AXIS_LOG ? log10(v) : kind == CAMEO_AXIS_PROBIT ? probit(v) : v;
}

/* 0 at the low end, 1 at the high end. */
static double along(const cameo_axis *a, double v) {
    v = v < a->low ? a->low : v > a->high ? a->high : v;
    double low = scaled(a->kind, a->low), high = scaled(a->kind, a->high);
    return high > low ? (scaled(a->kind, v) - low) / (high - low) : 0.5;
}

static double plot_x(const cameo_plot *p, double value) {
    return LEFT + (RIGHT - LEFT) * along(&p->x, value);
}
static double plot_y(const cameo_plot *p, double value) {
    return BOTTOM - (BOTTOM - TOP) * along(&p->y, value);
}

static void tick(const cameo_plot *p, bool horizontal, double value, const char *text) {
    if (horizontal) {
        double x = plot_x(p, value);
        fprintf(p->f,
                "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%s</text>\n",
                x, TOP, BOTTOM, x, BOTTOM + 15, text);
    } else {
        double y = plot_y(p, value);
        fprintf(p->f,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%s</text>\n",
                LEFT, y, RIGHT, LEFT - 5, y + 4, text);
    }
}

/* 1, 2 or 5 times a power of ten, so that there are about five of them. */
static double nice_step(double range) {
    double unit = pow(10, floor(log10(range / 5)));
    double n = range / 5 / unit;
    return unit * (n < 1.5 ? 1 : n < 3.5 ? 2 : n < 7.5 ? 5 : 10);
}

/* An axis whose ends are (nearly) one number, as when all scores are equal, gets some width: its
   steps would be too small to count by. */
static cameo_axis widened(cameo_axis a) {
    const double size = fmax(fabs(a.low), fabs(a.high)), least = 1e-6 * (size > 1e-30 ? size : 1);
    if (a.kind == CAMEO_AXIS_LINEAR && !(a.high - a.low > least)) a.low -= least, a.high += least;
    return a;
}

enum { MOST_TICKS = 32 };

static void ticks(const cameo_plot *p, bool horizontal) {
    static const double rates[] = {1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99};
    const cameo_axis *a = horizontal ? &p->x : &p->y;
    char text[32];
    if (a->kind == CAMEO_AXIS_LINEAR) {
        double step = nice_step(a->high - a->low);
        const double first = ceil(a->low / step - 1e-9);
        for (int i = 0; i < MOST_TICKS && (first + i) * step <= a->high + 1e-9 * step; i++) {
            snprintf(text, sizeof text, "%.4g", first + i == 0 ? 0 : (first + i) * step);
            tick(p, horizontal, (first + i) * step, text);
        }
        return;
    }
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        bool decade = rates[i] <= 0.01;
        if (rates[i] < a->low * 0.999 || rates[i] > a->high ||
            (a->kind == CAMEO_AXIS_LOG && !decade))
            continue;
        snprintf(text, sizeof text, "%.4g%%", 100 * rates[i]);
        tick(p, horizontal, rates[i], text);
    }
    if (a->kind == CAMEO_AXIS_LOG) tick(p, horizontal, 0.1, "10%"), tick(p, horizontal, 1, "100%");
}

void cameo_plot_begin(cameo_plot *p, FILE *f, const char *title, cameo_axis x, cameo_axis y) {
    *p = (cameo_plot){f, widened(x), widened(y)};
    fprintf(f, "<figure><h3>%s</h3><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
            title, PLOT_WIDTH, PLOT_HEIGHT, title);
    ticks(p, true);
    ticks(p, false);
    fprintf(f, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, BOTTOM, RIGHT);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>", (LEFT + RIGHT) / 2,
            BOTTOM + 34, x.label);
    fprintf(f,
            "<text transform=\"translate(11 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + BOTTOM) / 2, y.label);
}

void cameo_plot_end(const cameo_plot *p, const char *caption) {
    fputs("</svg>", p->f);
    if (caption) cameo_html(p->f, "<figcaption>", caption, "</figcaption>");
    fputs("</figure>\n", p->f);
}

/* Where the pen is: points nearer than half a unit to the last one are left out. */
typedef struct pen {
    double x, y;
    bool down;
} pen;

static void draw_to(FILE *f, pen *at, double x, double y, bool always) {
    if (at->down && !always && fabs(x - at->x) < 0.5 && fabs(y - at->y) < 0.5) return;
    fprintf(f, "%s%.1f %.1f", at->down ? "L" : "M", x, y);
    *at = (pen){x, y, true};
}

void cameo_plot_roc(const cameo_plot *p, const cameo_roc_point *roc, size_t points, bool det,
                    int c) {
    pen at = {0, 0, false};
    fprintf(p->f, "<path class=\"c%d\" d=\"", c);
    for (size_t i = 0; i < points; i++)
        draw_to(p->f, &at, plot_x(p, roc[i].fpr), plot_y(p, det ? 1 - roc[i].tpr : roc[i].tpr),
                i + 1 == points);
    fputs("\"/>\n", p->f);
}

static double wilson(double rate, double n, double side) {
    const double z = 1.959963984540054;
    double centre = rate + z * z / (2 * n),
           width = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n));
    return (centre + side * width) / (1 + z * z / n);
}

void cameo_plot_band(const cameo_plot *p, const cameo_roc_point *roc, size_t points,
                     double positives, int c) {
    pen at = {0, 0, false};
    fprintf(p->f, "<path class=\"c%d band\" d=\"", c);
    for (size_t k = 0; k < 2 * points; k++) { /* there above the curve, back below it */
        const cameo_roc_point *r = &roc[k < points ? k : 2 * points - 1 - k];
        draw_to(p->f, &at, plot_x(p, r->fpr),
                plot_y(p, wilson(r->tpr, positives, k < points ? 1 : -1)), (k + 1) % points == 0);
    }
    fputs("Z\"/>\n", p->f);
}

void cameo_plot_histogram(const cameo_plot *p, const size_t *count, int bins, double total, int c) {
    double width = (p->x.high - p->x.low) / bins;
    fprintf(p->f, "<path class=\"c%d area\" d=\"M%d %d", c, LEFT, BOTTOM);
    for (int b = 0; b < bins; b++)
        fprintf(p->f, "V%.1fH%.1f", plot_y(p, (double)count[b] / total),
                plot_x(p, p->x.low + (b + 1) * width));
    fprintf(p->f, "V%d\"/>\n", BOTTOM);
}

void cameo_plot_vertical(const cameo_plot *p, double x, const char *label) {
    double at = plot_x(p, x);
    bool left = at > (LEFT + RIGHT) / 2.0;
    fprintf(p->f,
            "<path class=\"mark\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">",
            at, TOP, BOTTOM, at + (left ? -4 : 4), TOP + 11, left ? "end" : "start");
    cameo_html(p->f, "", label, "</text>\n");
}

void cameo_plot_diagonal(const cameo_plot *p) {
    fprintf(p->f, "<path class=\"grid\" d=\"M%d %dL%d %d\"/>\n", LEFT, BOTTOM, RIGHT, TOP);
}
