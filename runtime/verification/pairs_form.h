/* The form of a pair list: what its first lines and all the others have in common. Used by
   pairs.c. */
#ifndef CAMEO_PAIRS_FORM_H
#define CAMEO_PAIRS_FORM_H
#include "../base/lines.h"
#include "pairs.h"

typedef enum cameo_pairs_kind {
    CAMEO_PAIRS_PLAIN, /* two names and perhaps a label in a line */
    CAMEO_PAIRS_LFW,   /* name i j, nameA i nameB j */
    CAMEO_PAIRS_HALVES /* CALFW's and CPLFW's: `name 0|1` twice is a pair */
} cameo_pairs_kind;

typedef struct cameo_pairs_form {
    cameo_pairs_kind kind;
    char separator;  /* ' ' (blanks and tabs), '\t', ',', ';', '|' */
    bool heading;    /* the first line is no pair */
    int fields;      /* every line has so many; with known headings: at most */
    bool named;      /* columns are where the headings say, so further fields may be there or not */
    int column[3];   /* where both names and the label are; column[2] = -1: no label */
    int folds;       /* of LFW's first line, else 0 */
    size_t promised; /* pairs, by LFW's first line; 0: it doesn't say */
} cameo_pairs_form;

/* Looks at lines line[0 .. count) of the text, none empty, and decides. Where several readings fit
   every line, that one is taken whose names are known (known may be NULL), then one with labels.
   Where none does, the form is what the first line looks like, and reading names the line at
   fault. */
cameo_pairs_form cameo_pairs_form_find(const cameo_lines *l, const cameo_line *line, size_t count,
                                       const cameo_pairs_known *known);

/* What a label says: CAMEO_LABEL_NONE when it is no label. */
typedef enum cameo_label {
    CAMEO_LABEL_NONE,
    CAMEO_LABEL_SAME,
    CAMEO_LABEL_DIFFERENT, /* a word */
    CAMEO_LABEL_ZERO,      /* 0: different */
    CAMEO_LABEL_MINUS      /* -1: different too, but not in a list that has 0 */
} cameo_label;
cameo_label cameo_label_of(const char *text);

/* 0123: an LFW picture's number. */
bool cameo_is_number(const char *s);
/* name i j, or nameA i nameB j. */
bool cameo_is_lfw(char *const *field, int count);
#endif
