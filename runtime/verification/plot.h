/* Curves as inline SVG. Colours come from the page's style sheet by class (c0 ... c5, grid, axis),
   so that a page can be dark, light or printed. Everything is drawn in a box of PLOT_WIDTH x
   PLOT_HEIGHT units that scales with the page. */
#ifndef CAMEO_PLOT_H
#define CAMEO_PLOT_H
#include "metrics.h"
#include <stdio.h>

typedef enum cameo_axis_kind {
    CAMEO_AXIS_LINEAR,
    CAMEO_AXIS_LOG,
    CAMEO_AXIS_PROBIT
} cameo_axis_kind;

typedef struct cameo_axis {
    cameo_axis_kind kind;
    double low, high; /* values beyond are drawn at the edge; above 0 for log, inside (0, 1) for
                         probit */
    const char *label;
} cameo_axis;

typedef struct cameo_plot {
    FILE *f;
    cameo_axis x, y;
} cameo_plot;

void cameo_plot_begin(cameo_plot *p, FILE *f, const char *title, cameo_axis x, cameo_axis y);
void cameo_plot_end(const cameo_plot *p, const char *caption); /* caption: plain text, escaped here;
                                                                  may be NULL */

/* A curve of false rejects (det) or true accepts over false accepts, in colour `c`; a million
   points make some hundred. */
void cameo_plot_roc(const cameo_plot *p, const cameo_roc_point *roc, size_t points, bool det,
                    int c);
/* The 95 % interval of each true positive rate by itself (Wilson 1927), `positives` pairs. */
void cameo_plot_band(const cameo_plot *p, const cameo_roc_point *roc, size_t points,
                     double positives, int c);
/* count[bins] over [x.low, x.high] as an area; each divided by `total`. */
void cameo_plot_histogram(const cameo_plot *p, const size_t *count, int bins, double total, int c);
void cameo_plot_vertical(const cameo_plot *p, double x, const char *label);
void cameo_plot_diagonal(const cameo_plot *p);

/* Text into HTML, between `before` and `after`: & < > " ' escaped; bytes that are no text become a
   question mark. */
void cameo_html(FILE *f, const char *before, const char *text, const char *after);
/* A page up to <body>: its style sheet makes it dark or light, fit for phones and for print. */
void cameo_html_head(FILE *f, const char *title);
#endif
