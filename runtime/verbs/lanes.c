/* Workers that tasks borrow: contexts and detectors of one thread each. */
#include "verbs.h"
#include <stdlib.h>

cameo_lanes cameo_lanes_make(size_t count) {
    cameo_lanes l = {count, cameo_allocate(count, sizeof *l.item),
                     cameo_allocate(count, sizeof *l.taken)};
    for (size_t i = 0; i < count; i++) atomic_flag_clear(&l.taken[i]);
    return l;
}

void *cameo_lanes_borrow(cameo_lanes *l, size_t *lane) {
    for (*lane = 0; atomic_flag_test_and_set(&l->taken[*lane]);) *lane = (*lane + 1) % l->count;
    return l->item[*lane];
}

void cameo_lanes_return(cameo_lanes *l, size_t lane) { atomic_flag_clear(&l->taken[lane]); }

void cameo_lanes_free(cameo_lanes *l, void (*destroy)(void *item)) {
    for (size_t i = 0; i < l->count; i++)
        if (l->item[i]) destroy(l->item[i]);
    free(l->item);
    free(l->taken);
    *l = (cameo_lanes){0};
}
