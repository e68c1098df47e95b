/* What several verbs share: contexts. Pictures are in pictures.c. */
#include "verbs.h"

cameo_context *cameo_verb_context(const cameo_model *model, const cameo_args *a, int *threads,
                                  int *code) {
    int64_t wanted = 0;
    cameo_error error = {0};
    *code = CAMEO_USAGE;
    if (!cameo_args_integer(a, "threads", 1, 1024, &wanted)) return NULL;
    *threads = wanted ? (int)wanted : cameo_processors();
    cameo_context *context = cameo_create(model, &(cameo_options){*threads}, &error);
    *code = context ? CAMEO_OK : cameo_report_error(&error);
    return context;
}

const char *cameo_tensor_shape(const cameo_tensor_info *t, char buffer[200]) {
    return cameo_shape_text(t->dim, t->rank, buffer);
}
