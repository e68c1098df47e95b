/* What a model says of itself. */
#include "../cameo_abi.h"
#include "processor.h"

const cameo_tensor_info *cameo_model_input(const cameo_model *m, size_t i) {
    return i < m->n_inputs ? &m->inputs[i] : NULL;
}
const cameo_tensor_info *cameo_model_output(const cameo_model *m, size_t i) {
    return i < m->n_outputs ? &m->outputs[i] : NULL;
}
const cameo_tensor_info *cameo_model_embedding(const cameo_model *m) { return m->embedding; }
int64_t cameo_model_batch(const cameo_model *m) { return m->batch; }
const char *cameo_model_name(const cameo_model *m) { return m->name; }
const char *cameo_model_hash(const cameo_model *m) { return m->hash; }
const char *cameo_model_preprocess(const cameo_model *m) { return m->preprocess; }

const char *const *cameo_model_classes(const cameo_model *m, size_t *count) {
    *count = m->classes ? m->n_classes : 0;
    return m->classes;
}

const cameo_model *cameo_model_here(const cameo_model *model) {
    const char *lacks;
    while (model->abi == CAMEO_ABI && model->narrower && !cameo_target_runs(model->target, &lacks))
        model = model->narrower;
    return model;
}
