/* What a scoring run finds out about its data. A cameo_findings owns its list; the strings are the
   caller's. */
#ifndef CAMEO_FINDINGS_H
#define CAMEO_FINDINGS_H
#include "../image/dataset.h"
#include "verification.h"

typedef struct cameo_findings {
    cameo_finding *list;
    size_t count;
} cameo_findings;

/* Images of one content (SHA-256; "" = unknown) under several names: each with the first of them
   in the list's order. */
void cameo_find_duplicates(char *const *name, char (*content)[65], size_t images,
                           cameo_findings *found);
/* Identities (the last folder of a name) that are classes of the training set, and images whose
   content is in it. */
void cameo_find_overlaps(char *const *name, char (*content)[65], size_t images,
                         const cameo_dataset *train, char (*train_content)[65],
                         cameo_findings *found);
void cameo_findings_free(cameo_findings *f);
#endif
