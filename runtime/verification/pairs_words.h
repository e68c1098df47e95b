/* Words that lists of pairs are full of. */
#ifndef CAMEO_PAIRS_WORDS_H
#define CAMEO_PAIRS_WORDS_H
#include "pairs_form.h"

/* The column that a row of headings gives to the label; -1: none. */
int cameo_label_column(char *const *field, int count);
/* The columns that a row of headings gives to both names; certain: the words mean pictures and
   hardly anything else (img1 and img2, but not a and b). */
bool cameo_name_columns(char *const *field, int count, int column[2], bool *certain);
#endif
