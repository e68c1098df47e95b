/* A training program written by hand: logits = weight (dropout(flatten(x) - mean)) + bias, softmax
   cross-entropy. It has what the runtime must cope with: a parameter in blocks of channels, one
   without weight decay, a running statistic, a random seed. Its ONNX model is made with the
   runtime's own wire functions. */
#ifndef CAMEO_TINY_TRAINER_H
#define CAMEO_TINY_TRAINER_H
#include "runtime/base/wire.h"
#include "runtime/kernels/random.h"
#include "runtime/training/training.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TINY_BATCH = 8, TINY_CLASSES = 4, TINY_SIDE = 4, TINY_INPUTS = 48, TINY_BLOCK = 8 };
enum { TINY_BIAS = 384, TINY_MEAN = 448, TINY_FLOATS = 512, TINY_LEARNT = 448 };

static unsigned tiny_delay; /* microseconds that a step takes longer */

static const cameo_parameter tiny_parameters[] = {
    {"fc.weight",
     2,
     {TINY_CLASSES, TINY_INPUTS},
     0,
     384,
     CAMEO_PARAMETER_CONV,
     TINY_BLOCK,
     true,
     true},
    {"fc.bias", 1, {TINY_CLASSES}, TINY_BIAS, 64, CAMEO_PARAMETER_ONNX, 0, true, false},
    {"norm.mean", 1, {TINY_INPUTS}, TINY_MEAN, 64, CAMEO_PARAMETER_ONNX, 0, false, false}};

static const cameo_tensor_info
    tiny_step_inputs[] = {{"x", 1, 4, {TINY_BATCH, 3, TINY_SIDE, TINY_SIDE}, false},
                          {"labels", 7, 1, {TINY_BATCH}, false},
                          {"labels_b", 7, 1, {TINY_BATCH}, false},
                          {"mix", 1, 1, {TINY_BATCH}, false},
                          {"seed", 7, 1, {1}, false},
                          {"smoothing", 1, 1, {1}, false}},
    tiny_step_outputs[] = {{"loss", 1, 0, {0}, false}, {"correct", 1, 0, {0}, false}},
    tiny_input = {"x", 1, 4, {TINY_BATCH, 3, TINY_SIDE, TINY_SIDE}, true},
    tiny_output = {"logits", 1, 2, {TINY_BATCH, TINY_CLASSES}, true},
    tiny_embedding = {"centred", 1, 2, {TINY_BATCH, TINY_INPUTS}, true};
static const cameo_layer_info tiny_layers[] = {
    {"norm", "Sub", "plain", "8x48", 0, 48, 0, 0},
    {"fc", "Gemm", "plain", "8x4", 192, 196, 0, TINY_BATCH *TINY_CLASSES}};

static inline void tiny_scores(const float *p, const float *x, float *logits) {
    for (int k = 0; k < TINY_CLASSES; k++) {
        logits[k] = p[TINY_BIAS + k];
        for (int i = 0; i < TINY_INPUTS; i++) logits[k] += p[i * TINY_BLOCK + k] * x[i];
    }
}

static inline void tiny_infer_run(cameo_context *c, size_t last) {
    (void)last;
    const float *p = c->parameters;
    for (size_t n = 0; n < c->count; n++) {
        float x[TINY_INPUTS];
        for (int i = 0; i < TINY_INPUTS; i++)
            x[i] = ((const float *)c->in[0])[n * TINY_INPUTS + (size_t)i] - p[TINY_MEAN + i];
        if (c->embedding) memcpy((float *)c->embedding + n * TINY_INPUTS, x, sizeof x);
        if (c->out) tiny_scores(p, x, (float *)c->out[0] + n * TINY_CLASSES);
    }
    for (size_t i = 0; c->tick && i < 3; i++) c->tick(c->tick_data, i);
}

typedef struct tiny_sums {
    double loss, correct;
} tiny_sums;

/* dlogits from logits, in place. */
static inline void tiny_loss(float *z, int64_t a, int64_t b, float mix, float smoothing,
                             tiny_sums *sums) {
    double most = -INFINITY, total = 0, mean = 0;
    int best = 0;
    for (int k = 0; k < TINY_CLASSES; k++)
        if (z[k] > most) most = z[k], best = k;
    for (int k = 0; k < TINY_CLASSES; k++) total += exp(z[k] - most), mean += z[k] / TINY_CLASSES;
    const double s = smoothing,
                 aim = (1 - s) * ((double)mix * z[a] + (1 - (double)mix) * z[b]) + s * mean;
    sums->loss += most + log(total) - aim;
    sums->correct += best == a;
    for (int k = 0; k < TINY_CLASSES; k++)
        z[k] = (float)(exp(z[k] - most) / total) - smoothing / TINY_CLASSES;
    z[a] -= (1 - smoothing) * mix;
    z[b] -= (1 - smoothing) * (1 - mix);
}

static inline void tiny_step_run(cameo_context *c, size_t last) {
    (void)last;
    if (tiny_delay) usleep(tiny_delay);
    const float *images = c->in[0], *mix = c->in[3];
    const int64_t *labels = c->in[1], *labels_b = c->in[2], seed = *(const int64_t *)c->in[4];
    float *p = c->parameters, *g = c->gradients;
    tiny_sums sums = {0, 0};
    memset(g, 0, TINY_LEARNT * sizeof *g);
    for (int n = 0; n < TINY_BATCH; n++) {
        float x[TINY_INPUTS], z[TINY_CLASSES];
        for (int i = 0; i < TINY_INPUTS; i++) {
            const uint64_t bits = cameo_mix64((uint64_t)seed * 1000003u +
                                              (uint64_t)(n * TINY_INPUTS + i));
            x[i] = bits & 7 ? (images[n * TINY_INPUTS + i] - p[TINY_MEAN + i]) * 8 / 7 : 0;
        }
        tiny_scores(p, x, z);
        memcpy((float *)(void *)c->arena + n * TINY_CLASSES, z, sizeof z);
        tiny_loss(z, labels[n], labels_b[n], mix[n], *(const float *)c->in[5], &sums);
        for (int k = 0; k < TINY_CLASSES; k++) {
            g[TINY_BIAS + k] += z[k] / TINY_BATCH;
            for (int i = 0; i < TINY_INPUTS; i++) g[i * TINY_BLOCK + k] += z[k] * x[i] / TINY_BATCH;
        }
    }
    for (int i = 0; i < TINY_INPUTS; i++) {
        float mean = 0;
        for (int n = 0; n < TINY_BATCH; n++) mean += images[n * TINY_INPUTS + i] / TINY_BATCH;
        p[TINY_MEAN + i] = 0.9f * p[TINY_MEAN + i] + 0.1f * mean;
    }
    *(float *)c->out[0] = (float)(sums.loss / TINY_BATCH);
    *(float *)c->out[1] = (float)sums.correct;
    for (size_t i = 0; c->tick && i < 3; i++) c->tick(c->tick_data, i);
}

static const unsigned char tiny_weights[64];
static const cameo_model tiny_infer = {.abi = CAMEO_ABI,
                                       .name = "tiny",
                                       .version = "1",
                                       .hash = "0",
                                       .target = "any",
                                       .producer = "test",
                                       .batch = TINY_BATCH,
                                       .parameters = 244,
                                       .macs = 192,
                                       .n_inputs = 1,
                                       .n_outputs = 1,
                                       .n_layers = 2,
                                       .inputs = &tiny_input,
                                       .outputs = &tiny_output,
                                       .layers = tiny_layers,
                                       .embedding = &tiny_embedding,
                                       .embedding_rule = "--embedding",
                                       .embedding_layers = 1,
                                       .preprocess = "color=rgb mean=127.5 scale=1/127.5",
                                       .arena_bytes = 64,
                                       .weights = tiny_weights,
                                       .run = tiny_infer_run},
                         tiny_step = {.abi = CAMEO_ABI,
                                      .name = "tiny",
                                      .version = "1",
                                      .hash = "0",
                                      .target = "any",
                                      .batch = 1,
                                      .n_inputs = 6,
                                      .n_outputs = 2,
                                      .n_layers = 2,
                                      .inputs = tiny_step_inputs,
                                      .outputs = tiny_step_outputs,
                                      .layers = tiny_layers,
                                      .arena_bytes = 128,
                                      .weights = tiny_weights,
                                      .run = tiny_step_run};

/* ---- the model file ---- */

#define TO(f) ((cameo_sink){.stream = (f)})

typedef struct tiny_text {
    char *data;
    size_t size;
    FILE *f;
} tiny_text;

static inline tiny_text *tiny_open(void) {
    tiny_text *t = calloc(1, sizeof *t);
    t->f = open_memstream(&t->data, &t->size);
    return t;
}

static inline void tiny_nest(FILE *to, unsigned field, tiny_text *t) {
    fclose(t->f);
    cameo_sink_head(&TO(to), field, t->size);
    fwrite(t->data, 1, t->size, to);
    free(t->data);
    free(t);
}

static inline void tiny_property(FILE *to, const char *key, const char *content) {
    tiny_text *t = tiny_open();
    cameo_sink_text(&TO(t->f), 1, key);
    cameo_sink_text(&TO(t->f), 2, content);
    tiny_nest(to, 14, t);
}

/* NodeProto: input 1, output 2, name 3, op_type 4, attribute 5 {name 1, i 3, type 20 (2 = INT)}. */
static inline void tiny_node(FILE *to, const char *op, const char *const inputs[4],
                             const char *output, const char *attribute) {
    tiny_text *t = tiny_open();
    for (int i = 0; inputs[i]; i++) cameo_sink_text(&TO(t->f), 1, inputs[i]);
    cameo_sink_text(&TO(t->f), 2, output);
    cameo_sink_text(&TO(t->f), 4, op);
    if (attribute) {
        tiny_text *a = tiny_open();
        cameo_sink_text(&TO(a->f), 1, attribute);
        cameo_sink_integer(&TO(a->f), 3, 1);
        cameo_sink_integer(&TO(a->f), 20, 2);
        tiny_nest(t->f, 5, a);
    }
    tiny_nest(to, 1, t);
}

/* ValueInfoProto {name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1 |
   dim_param 2}}}}}; the first is "N". */
static inline void tiny_value(FILE *to, unsigned field, const char *name, const int64_t *dim,
                              int rank) {
    tiny_text *info = tiny_open(), *type = tiny_open(), *elements = tiny_open(),
              *extents = tiny_open();
    for (int i = 0; i < rank; i++) {
        tiny_text *d = tiny_open();
        if (i == 0)
            cameo_sink_text(&TO(d->f), 2, "N");
        else
            cameo_sink_integer(&TO(d->f), 1, (uint64_t)dim[i]);
        tiny_nest(extents->f, 1, d);
    }
    cameo_sink_text(&TO(info->f), 1, name);
    cameo_sink_integer(&TO(elements->f), 1, 1);
    tiny_nest(elements->f, 2, extents);
    tiny_nest(type->f, 1, elements);
    tiny_nest(info->f, 2, type);
    tiny_nest(to, field, info);
}

static inline void tiny_graph(FILE *f) {
    tiny_node(f, "Flatten", (const char *const[4]){"x"}, "flat", NULL);
    tiny_node(f, "Sub", (const char *const[4]){"flat", "norm.mean"}, "centred", NULL);
    tiny_node(f, "Gemm", (const char *const[4]){"centred", "fc.weight", "fc.bias"}, "logits",
              "transB");
    cameo_sink_text(&TO(f), 2, "tiny");
    tiny_value(f, 11, "x", tiny_input.dim, 4);
    tiny_value(f, 12, "logits", tiny_output.dim, 2);
}

static inline void tiny_model(FILE *f) {
    tiny_text *opset = tiny_open();
    cameo_sink_integer(&TO(f), 1, 8);
    cameo_sink_text(&TO(f), 2, "test");
    cameo_sink_integer(&TO(opset->f), 2, 17);
    tiny_nest(f, 8, opset);
    tiny_property(f, "cameo.preprocess", tiny_infer.preprocess);
    tiny_property(f, "cameo.embedding", "centred");
    tiny_property(f, "cameo.calibration", "{}");
    tiny_property(f, "cameo.train.epoch", "99"); /* of an earlier run: must not be kept */
}

/* The same object in every process: weights from a sine. */
static inline const cameo_trainer *tiny_trainer(void) {
    static cameo_trainer t;
    static float initial[TINY_FLOATS];
    if (t.step) return &t;
    for (int k = 0; k < TINY_CLASSES; k++)
        for (int i = 0; i < TINY_INPUTS; i++)
            initial[i * TINY_BLOCK + k] = 0.1f * sinf((float)(k * TINY_INPUTS + i));
    for (int k = 0; k < TINY_CLASSES; k++) initial[TINY_BIAS + k] = 0.01f * (float)k;
    tiny_text *model = tiny_open(), *inner = tiny_open();
    tiny_model(model->f);
    tiny_graph(inner->f);
    fclose(model->f);
    fclose(inner->f);
    t = (cameo_trainer){.step = &tiny_step,
                        .infer = &tiny_infer,
                        .n_parameters = 3,
                        .parameters = tiny_parameters,
                        .floats = TINY_FLOATS,
                        .learnt_floats = TINY_LEARNT,
                        .initial = (const unsigned char *)initial,
                        .loss = "ce",
                        .batch = TINY_BATCH,
                        .classes = TINY_CLASSES,
                        .mixes = true,
                        .model_fields = (const unsigned char *)model->data,
                        .graph_fields = (const unsigned char *)inner->data,
                        .model_bytes = model->size,
                        .graph_bytes = inner->size};
    free(model); /* the texts they hold live as long as the program */
    free(inner);
    return &t;
}
#endif
