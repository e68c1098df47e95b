/* Lines of generated C, no longer than a reader's window. */
#ifndef CAMEO_EMIT_WRAP_H
#define CAMEO_EMIT_WRAP_H
#include "../base/text.h"

enum { WRAP_COLUMNS = 100 };

/* Appends the C in t to out, and breaks its lines that are longer than WRAP_COLUMNS: behind a
   comma or a semicolon where there is one in the line's second half, else at a blank; in a comment
   at a blank; a string literal becomes two, behind a blank of it. What cannot be broken, such as a
   longer name, stays. A preprocessor's line stays too, since its end means something, and one that
   begins inside a comment, which may be a row of a table. The tokens are the same, but that
   neighbouring literals are one to the C compiler. */
void wrap_c(const text *t, text *out);
#endif
