/* export: the network with its weights, without training state. */
#include "../training/checkpoint.h"
#include "../training/fold_batchnorm.h"
#include "live.h"

static void put(cameo_properties *p, const char *key, const char *value) {
    if (value) cameo_property_set(p, key, value);
}

/* What a program compiled from the file needs to know: as the checkpoint says, else as this
   program was compiled. */
static void describe(const cameo_live *live, cameo_properties *p) {
    const cameo_tensor_info *embedding = live->model.embedding;
    put(p, "cameo.preprocess", live->preprocess ? live->preprocess : live->model.preprocess);
    put(p, "cameo.embedding", embedding ? embedding->name : NULL);
    put(p, "cameo.classes", live->classes);
}

static bool write_model(const cameo_live *live, const cameo_trainer *t, const float *weights,
                        const char *path, cameo_error *error) {
    cameo_properties p = {0};
    describe(live, &p);
    const cameo_checkpoint c = {.trainer = t, .weights = weights, .properties = &p};
    const bool good = cameo_checkpoint_write(&c, path, error);
    cameo_properties_free(&p);
    return good;
}

static bool write_folded(const cameo_live *live, const char *path, cameo_error *error) {
    cameo_folded f;
    const bool good = cameo_fold(live->trainer, live->parameters, &f, error) &&
                      write_model(live, &f.trainer, f.weights, path, error);
    if (good) fprintf(stderr, "%s: %zu normalisations folded into convolutions\n", path, f.folded);
    cameo_folded_free(&f);
    return good;
}

static int export(const cameo_model *model, const cameo_args *a) {
    cameo_live *live = cameo_live_of(model);
    const char *path = cameo_args_get(a, "output"), *from = cameo_args_get(a, "from");
    cameo_error error = {0};
    if (!path || a->positionals)
        return cameo_usage_error(a, path ? "export takes options only" : "-o FILE.onnx is missing");
    if (from && !cameo_live_load(live, from, &error)) return cameo_report_error(&error);
    const bool good = cameo_args_get(a, "folded")
                          ? write_folded(live, path, &error)
                          : write_model(live, live->trainer, live->parameters, path, &error);
    if (!good) return cameo_report_error(&error);
    if (!live->from)
        fprintf(stderr, "%s: the weights of the model file; --from CHECKPOINT takes others\n",
                path);
    return CAMEO_OK;
}

static const cameo_option options[] = {
    {"output", "FILE", "the .onnx to write"},
    {"from", "CHECKPOINT", "whose weights: a file, or the folder of a run"},
    {"folded", NULL, "BatchNormalization folded into the convolutions before it"},
    {0}};

const cameo_verb cameo_verb_export = {"export", "write the network with its weights as ONNX",
                                      "export -o trained.onnx [--from CHECKPOINT] [--folded]",
                                      options, .run = export};
