/* Runs a compiled trainer beside PyTorch's numbers (tests/oracle/make_training.py, which says what
   a golden file holds):

       training_reference GOLDEN.txt [UNTIED.onnx]

   With UNTIED.onnx the golden file's names are that model's, of which the trainer's is a variant
   with other names for some tensors (tie_initializers.c): a tensor is found as what the same node
   reads in the same place. Linked with the trainer of that file's model by
   tests/golden/check_training.sh: gradients of the first step, running statistics behind it, ten
   losses.

   A gradient passes when |difference| <= 1e-4 |reference| + 1e-6 |all gradients|, norms over each
   parameter, estimated by random projections; a running statistic at 1e-5 of its norm + 1e-6 an
   element (means may be zero), a loss at 1e-4. Prints the worst of each kind. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/wire.h"
#include "runtime/kernels/random.h"
#include "runtime/training/optim.h"
#include "runtime/training/parameters.h"
#include "runtime/training/training.h"

enum { PROJECTIONS = 16, STEPS = 10 };

extern const cameo_trainer net_trainer;

static _Noreturn void fail(const char *what, const char *which) {
    fprintf(stderr, "training_reference: %s %s\n", what, which);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) fail("no memory", "");
    return memset(p, 0, (bytes + 127) / 64 * 64);
}

/* ---- the run ---- */

typedef struct run {
    const cameo_trainer *trainer;
    cameo_context *context;
    cameo_optim optim;
    double rate, smoothing;
    float *parameters, *gradients;
    float *images, *mix;
    size_t n_pixels;
    int64_t *labels;
    double total; /* norm of all gradients */
} run;

static void make_batch(run *r, uint64_t seed, int64_t step, int64_t classes) {
    const uint64_t start = seed << 40;
    const int64_t batch = r->trainer->batch;
    const size_t n = r->n_pixels;
    for (size_t i = 0; i < n; i++)
        r->images[i] =
            (float)((double)(cameo_mix64(start + 1 + (uint64_t)step * n + i) >> 40) / 0x1p23 - 1);
    for (int64_t i = 0; i < batch; i++)
        r->labels[i] = (int64_t)(cameo_mix64(start + (uint64_t)(1000003 + step * batch + i)) %
                                 (uint64_t)classes);
}

/* "moved PIXEL STEPS ...": pixels of the first batch that keep the net's values away from kinks,
   where rounding would decide a gradient. */
enum { MOVED_MOST = 2048 };
static struct moved {
    size_t pixel;
    double by;
} moved[MOVED_MOST];
static size_t n_moved;

static void read_moved(const char *words) {
    long long pixel, steps;
    for (int used = 0; sscanf(words, "%lld %lld%n", &pixel, &steps, &used) == 2; words += used) {
        if (n_moved == MOVED_MOST) fail("too many pixels are moved", "");
        moved[n_moved++] = (struct moved){(size_t)pixel, (double)steps / 0x1p23};
    }
}

static void move_pixels(run *r) {
    for (size_t i = 0; i < n_moved; i++) {
        if (moved[i].pixel >= r->n_pixels) fail("a moved pixel is outside of the batch", "");
        r->images[moved[i].pixel] += (float)moved[i].by;
    }
}

static double step_loss(run *r) {
    const int64_t seed = 1;
    const float smoothing = (float)r->smoothing;
    float loss = 0, correct = 0;
    const void *in[1 + CAMEO_STEP_EXTRA] = {r->images, r->labels, r->labels,
                                            r->mix,    &seed,     &smoothing};
    void *out[] = {&loss, &correct};
    if (cameo_run(r->context, 1, in, out) != CAMEO_OK) fail("the step does not run", "");
    return (double)loss;
}

static void begin(run *r, const cameo_optim_options *options) {
    const cameo_trainer *t = r->trainer = &net_trainer;
    cameo_error error = {0};
    const cameo_tensor_info *x = &t->step->inputs[0];
    r->n_pixels = 1;
    for (int i = 0; i < x->rank; i++) r->n_pixels *= (size_t)x->dim[i];
    r->images = allocate(r->n_pixels * sizeof(float));
    r->labels = allocate((size_t)t->batch * sizeof(int64_t));
    r->mix = allocate((size_t)t->batch * sizeof(float));
    for (int64_t i = 0; i < t->batch; i++) r->mix[i] = 1;
    r->parameters = cameo_block_create(t->floats, "parameters", &error);
    r->gradients = cameo_block_create(t->learnt_floats, "gradients", &error);
    if (!r->parameters || !r->gradients) fail("no memory:", error.message);
    memcpy(r->parameters, t->initial, t->floats * sizeof(float));
    r->context = cameo_create(t->step, NULL, &error);
    if (!r->context || !cameo_optim_create(&r->optim, t, options, &error))
        fail("cannot begin:", error.message);
    r->context->parameters = r->parameters, r->context->gradients = r->gradients;
}

static void finish(run *r) {
    cameo_optim_destroy(&r->optim);
    cameo_destroy(r->context);
    cameo_block_free(r->parameters, r->trainer->floats);
    cameo_block_free(r->gradients, r->trainer->learnt_floats);
    free(r->images), free(r->labels), free(r->mix);
}

/* ---- comparing ---- */

static double norm_of_all(const run *r) {
    double sum = 0;
    for (size_t i = 0; i < r->trainer->learnt_floats; i++)
        sum += (double)r->gradients[i] * (double)r->gradients[i];
    return sqrt(sum);
}

/* Estimate of the norm of (got - reference), reference known by its projections. */
static double distance(const cameo_parameter *p, const float *block, const double *reference) {
    const size_t n = cameo_parameter_elements(p);
    float *x = allocate(n * sizeof *x);
    cameo_parameter_read(p, block + p->offset, x);
    double sum[PROJECTIONS] = {0}, square = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = cameo_mix64(i + 1);
        for (int k = 0; k < PROJECTIONS; k++)
            sum[k] += bits >> k & 1 ? -(double)x[i] : (double)x[i];
    }
    for (int k = 0; k < PROJECTIONS; k++)
        square += (sum[k] - reference[k]) * (sum[k] - reference[k]);
    free(x);
    return sqrt(square / PROJECTIONS);
}

/* ---- names ---- */

static cameo_wire untied; /* GraphProto; p NULL: the trainer's names are the golden file's */

/* NodeProto: input 1, output 2. The first output of a node, or its input number i. */
static cameo_wire name_in(cameo_wire node, uint64_t number, size_t i) {
    cameo_field f;
    while (node.p < node.end && cameo_wire_field(&node, &f))
        if (f.number == number && i-- == 0) return f.bytes;
    return (cameo_wire){0};
}

static bool same(cameo_wire a, cameo_wire b) {
    const size_t n = cameo_wire_size(a);
    return n == cameo_wire_size(b) && n && !memcmp(a.p, b.p, n);
}

/* What the node that makes `output` reads at place i of the trainer's graph. */
static cameo_wire read_there(const cameo_trainer *t, cameo_wire output, size_t i) {
    cameo_field f;
    for (cameo_wire w = {t->graph_fields, t->graph_fields + t->graph_bytes};
         w.p < w.end && cameo_wire_field(&w, &f);)
        if (f.number == 1 && same(name_in(f.bytes, 2, 0), output)) return name_in(f.bytes, 1, i);
    return (cameo_wire){0};
}

static void translate(const cameo_trainer *t, const char *name, char *out, size_t size) {
    const cameo_wire wanted = {(const unsigned char *)name,
                               (const unsigned char *)name + strlen(name)};
    cameo_field f;
    snprintf(out, size, "%s", name);
    for (cameo_wire w = untied; w.p < w.end && cameo_wire_field(&w, &f);)
        for (size_t i = 0; f.number == 1 && name_in(f.bytes, 1, i).p; i++) {
            if (!same(name_in(f.bytes, 1, i), wanted)) continue;
            const cameo_wire there = read_there(t, name_in(f.bytes, 2, 0), i);
            if (there.p)
                snprintf(out, size, "%.*s", (int)cameo_wire_size(there), (const char *)there.p);
        }
}

static void read_untied(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail("cannot read", path);
    const size_t n = (size_t)ftell(file);
    unsigned char *p = allocate(n);
    rewind(file);
    if (fread(p, 1, n, file) != n) fail("cannot read", path);
    fclose(file);
    cameo_field f;
    for (cameo_wire w = {p, p + n}; w.p < w.end && cameo_wire_field(&w, &f);)
        if (f.number == 7) untied = f.bytes;
}

static const cameo_parameter *find(const cameo_trainer *t, const char *name) {
    char there[512];
    translate(t, name, there, sizeof there);
    name = there;
    for (size_t i = 0; i < t->n_parameters; i++)
        if (!strcmp(t->parameters[i].name, name)) return &t->parameters[i];
    fail("the trainer has no parameter", name);
}

typedef struct worst {
    double ratio; /* of the difference to what is allowed */
    char name[256];
    int count, bad;
} worst;

static void judge(worst *w, double difference, double allowed, const char *name) {
    const double ratio = difference / allowed;
    w->count++;
    if (!(ratio <= 1))
        w->bad++, printf("    %s: off by %.3g, allowed %.3g\n", name, difference, allowed);
    if (!(ratio <= w->ratio)) w->ratio = ratio, snprintf(w->name, sizeof w->name, "%s", name);
}

static void report(const char *what, const worst *w) {
    printf("  %d %s: the worst at %.3f of what is allowed (%s)\n", w->count, what, w->ratio,
           w->name);
}

/* "gradient NAME norm p0 ... p15", "statistic NAME ..." */
static void check_row(const run *r, const char *kind, char *words, worst *w) {
    double number[1 + PROJECTIONS];
    char name[256], *rest = words;
    int used = 0;
    if (sscanf(words, "%255s%n", name, &used) != 1) fail("a row without a name:", words);
    rest += used;
    for (int k = 0; k <= PROJECTIONS; k++) number[k] = strtod(rest, &rest);
    const cameo_parameter *p = find(r->trainer, name);
    const bool gradient = !strcmp(kind, "gradient");
    const float *block = gradient ? r->gradients : r->parameters;
    if (p->learnt != gradient) fail("not what it was in the golden file:", name);
    const double allowed = gradient ? 1e-4 * number[0] + 1e-6 * r->total
                                    : 1e-5 * number[0] +
                                          1e-6 * sqrt((double)cameo_parameter_elements(p));
    judge(w, distance(p, block, number + 1), allowed, name);
}

static void update(run *r, int64_t step) {
    const cameo_optim_update u = {.parameters = r->parameters,
                                  .gradients = r->gradients,
                                  .rate = r->rate,
                                  .gradient_scale = 1,
                                  .step = step + 1};
    cameo_optim_step(&r->optim, r->context, &u);
}

static cameo_optim_options optimizer_of(const char *line, run *r, int64_t *classes) {
    char kind[16];
    double decay;
    long long n;
    if (sscanf(line, "optimizer %15s rate %lf decay %lf smoothing %lf classes %lld", kind, &r->rate,
               &decay, &r->smoothing, &n) != 5)
        fail("cannot read", line);
    *classes = n;
    cameo_optim_options o = {
        .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = decay};
    o.kind = !strcmp(kind, "adam") ? CAMEO_ADAM : !strcmp(kind, "adamw") ? CAMEO_ADAMW : CAMEO_SGD;
    o.decay_all = true;
    return o;
}

int main(int argc, char **argv) {
    FILE *f = argc == 2 || argc == 3 ? fopen(argv[1], "r") : NULL;
    if (!f) fail("cannot open the golden file", argc > 1 ? argv[1] : "");
    if (argc == 3) read_untied(argv[2]);
    static char line[8192];
    run r = {0};
    worst gradients = {0}, statistics = {0}, losses = {0};
    int64_t step = 0, classes = 0;
    unsigned long long seed = 0;
    bool begun = false;
    while (fgets(line, sizeof line, f)) {
        double want;
        if (!strncmp(line, "optimizer ", 10)) {
            const cameo_optim_options o = optimizer_of(line, &r, &classes);
            begin(&r, &o);
        } else if (sscanf(line, "data %llu", &seed) == 1) {
            continue;
        } else if (!strncmp(line, "moved ", 6)) {
            read_moved(line + 6);
        } else if (sscanf(line, "loss %lf", &want) == 1) {
            if (step) update(&r, step - 1);
            make_batch(&r, seed, step, classes);
            if (step == 0) move_pixels(&r);
            char name[48];
            snprintf(name, sizeof name, "loss of step %lld", (long long)++step);
            judge(&losses, fabs(step_loss(&r) - want), 1e-4, name);
            if (!begun) begun = true, r.total = norm_of_all(&r);
        } else if (!strncmp(line, "gradient ", 9)) {
            check_row(&r, "gradient", line + 9, &gradients);
        } else if (!strncmp(line, "statistic ", 10)) {
            check_row(&r, "statistic", line + 10, &statistics);
        }
    }
    fclose(f);
    if (step != STEPS) fail("the golden file is not whole:", argv[1]);
    report("gradients", &gradients);
    if (statistics.count) report("running statistics", &statistics);
    report("losses", &losses);
    finish(&r);
    return gradients.bad || statistics.bad || losses.bad;
}
