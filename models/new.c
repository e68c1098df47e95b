/* `cameo new`: the table of architectures and the command. */
#include "models.h"

#include "../compiler/verbs/cli.h"
#include "../runtime/cameo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int vgg11[] = {1, 1, 2, 2, 2}, vgg13[] = {2, 2, 2, 2, 2}, vgg16[] = {2, 2, 3, 3, 3},
                 vgg19[] = {2, 2, 4, 4, 4};
static const int two[] = {2, 2, 2, 2}, resnet34[] = {3, 4, 6, 3}, resnet101[] = {3, 4, 23, 3},
                 resnet152[] = {3, 8, 36, 3};
static const int densenet121[] = {6, 12, 24, 16}, densenet169[] = {6, 12, 32, 32},
                 densenet201[] = {6, 12, 48, 32};
static const int iresnet50[] = {3, 4, 14, 3}, iresnet100[] = {3, 13, 30, 3},
                 sphereface20[] = {1, 2, 4, 1};

#define CLASSIFIER(name_, build_, plan_, option_, width_, about_)                              \
    {                                                                                          \
        .name = name_, .build = build_, .plan = plan_, .option = option_, .has_width = width_, \
        .size = 224, .about = about_                                                           \
    }
#define FACE(name_, build_, plan_, embedding_, about_)                                             \
    {                                                                                              \
        .name = name_, .build = build_, .plan = plan_, .face = true, .embedding_size = embedding_, \
        .size = 112, .about = about_                                                               \
    }

const architecture architectures[] = {
    CLASSIFIER("alexnet", build_alexnet, NULL, 0, false, "Krizhevsky 2014, one tower"),
    CLASSIFIER("vgg11", build_vgg, vgg11, 0, true, "Simonyan and Zisserman 2014"),
    CLASSIFIER("vgg13", build_vgg, vgg13, 0, true, "Simonyan and Zisserman 2014"),
    CLASSIFIER("vgg16", build_vgg, vgg16, 0, true, "Simonyan and Zisserman 2014"),
    CLASSIFIER("vgg19", build_vgg, vgg19, 0, true, "Simonyan and Zisserman 2014"),
    CLASSIFIER("vgg11-bn", build_vgg, vgg11, 1, true, "VGG with BatchNormalization"),
    CLASSIFIER("vgg13-bn", build_vgg, vgg13, 1, true, "VGG with BatchNormalization"),
    CLASSIFIER("vgg16-bn", build_vgg, vgg16, 1, true, "VGG with BatchNormalization"),
    CLASSIFIER("vgg19-bn", build_vgg, vgg19, 1, true, "VGG with BatchNormalization"),
    CLASSIFIER("resnet18", build_resnet, two, 0, true, "He et al. 2015"),
    CLASSIFIER("resnet34", build_resnet, resnet34, 0, true, "He et al. 2015"),
    CLASSIFIER("resnet50", build_resnet, resnet34, 1, true, "He et al. 2015, bottleneck blocks"),
    CLASSIFIER("resnet101", build_resnet, resnet101, 1, true, "He et al. 2015, bottleneck blocks"),
    CLASSIFIER("resnet152", build_resnet, resnet152, 1, true, "He et al. 2015, bottleneck blocks"),
    CLASSIFIER("densenet121", build_densenet, densenet121, 0, true, "Huang et al. 2016"),
    CLASSIFIER("densenet169", build_densenet, densenet169, 0, true, "Huang et al. 2016"),
    CLASSIFIER("densenet201", build_densenet, densenet201, 0, true, "Huang et al. 2016"),
    CLASSIFIER("mobilenet-v1", build_mobilenet_v1, NULL, 0, true, "Howard et al. 2017"),
    CLASSIFIER("mobilenet-v2", build_mobilenet_v2, NULL, 0, true, "Sandler et al. 2018"),
    FACE("mobilefacenet", build_mobilefacenet, NULL, 128, "Chen et al. 2018"),
    FACE("iresnet18", build_iresnet, two, 512, "Deng et al. 2018 (ArcFace)"),
    FACE("iresnet34", build_iresnet, resnet34, 512, "Deng et al. 2018 (ArcFace)"),
    FACE("iresnet50", build_iresnet, iresnet50, 512, "Deng et al. 2018 (ArcFace)"),
    FACE("iresnet100", build_iresnet, iresnet100, 512, "Deng et al. 2018 (ArcFace)"),
    FACE("sphereface20", build_sphereface, sphereface20, 512, "Liu et al. 2017"),
};
const size_t n_architectures = sizeof architectures / sizeof *architectures;

static bool has_residual(const architecture *a) {
    return a->build == build_resnet || a->build == build_iresnet;
}

const architecture *architecture_find(const char *name) {
    for (size_t i = 0; i < n_architectures; i++)
        if (strcmp(architectures[i].name, name) == 0) return &architectures[i];
    return NULL;
}

builder *architecture_build(const architecture *arch, const model_request *request) {
    model_request r = *request;
    if (!r.classes) r.classes = 1000;
    if (!r.channels) r.channels = 3;
    if (!r.height) r.height = arch->size;
    if (!r.width) r.width = arch->size;
    if (!r.embedding_size) r.embedding_size = arch->embedding_size;
    if (!(r.width_factor > 0)) r.width_factor = 1;
    builder *b = builder_create(&r);
    arch->build(b, arch);
    return b;
}

/* ---- the command ---- */

typedef struct command {
    model_request request;
    const architecture *arch;
    const char *output;
} command;

static const cameo_option table[] = {
    {"output", "FILE.onnx", "what to write"},
    {"list", NULL, "name the architectures, their inputs and numbers of parameters"},
    {"json", NULL, "with --list: one object a line"},
    {"classes", "K", "classes of a classifier (default 1000)"},
    {"embedding-size", "E", "length of a face net's embedding (default: as published)"},
    {"input", "CxHxW", "input shape (default: as published)"},
    {"width", "F", "scales the channels of a VGG, ResNet, DenseNet or MobileNet (default 1)"},
    {"residual-scale", "F",
     "first scale of the BatchNormalization that ends each residual branch of a ResNet or iResNet, "
     "0 to 1 (default 1; "
     "0: every block begins as its shortcut)"},
    {"dropout", "P",
     "how much the Dropout layers of a classifier drop, 0 to less than 1 (default: as published)"},
    {"statistics", "KIND",
     "what BatchNormalization and PReLU hold: fresh (default), or random, as if trained"},
    {"seed", "S", "seed of the weights (default 0); the same seed gives the same file"},
    {0},
};

static int usage_error(const char *what, const char *argument) {
    return complain(CAMEO_USAGE, "%s%s%s\nusage: cameo %s", what, argument ? ": " : "",
                    argument ? argument : "", cli_new.usage);
}

/* A decimal number in 1..limit that ends at one of the characters of `ends` (or at the end of the
   text). */
static bool read_count(const char **s, int64_t limit, char end, int64_t *out) {
    char *rest;
    if (**s < '0' || **s > '9') return false;
    errno = 0;
    long long v = strtoll(*s, &rest, 10);
    if (errno || v < 1 || v > limit || *rest != end) return false;
    *out = v;
    *s = end ? rest + 1 : rest;
    return true;
}

static bool read_input(const char *s, model_request *r) {
    enum { LIMIT = 8192 };
    return read_count(&s, LIMIT, 'x', &r->channels) && read_count(&s, LIMIT, 'x', &r->height) &&
           read_count(&s, LIMIT, 0, &r->width);
}

static bool read_real(const char *s, double least, double most, double *out) {
    char *rest;
    *out = strtod(s, &rest);
    return rest != s && !*rest && *out >= least && *out <= most;
}

static bool read_dropout(const char *s, model_request *r) {
    double v;
    if (!read_real(s, 0, 1, &v)) return false;
    r->dropout = (float)v; /* which may round up to 1 */
    return r->has_dropout = r->dropout < 1;
}

static bool read_seed(const char *s, uint64_t *out) {
    char *rest;
    if (*s < '0' || *s > '9') return false;
    errno = 0;
    *out = strtoull(s, &rest, 10);
    return !errno && !*rest;
}

static bool read_option(command *c, const char *option, const char *v) {
    model_request *r = &c->request;
    if (strcmp(option, "output") == 0) return (c->output = v) && *v;
    if (strcmp(option, "classes") == 0) return read_count(&v, 10000000, 0, &r->classes);
    if (strcmp(option, "embedding-size") == 0) return read_count(&v, 65536, 0, &r->embedding_size);
    if (strcmp(option, "input") == 0) return read_input(v, r);
    if (strcmp(option, "dropout") == 0) return read_dropout(v, r);
    if (strcmp(option, "width") == 0) return read_real(v, 0.05, 8, &r->width_factor);
    if (strcmp(option, "residual-scale") == 0)
        return r->has_residual_scale = read_real(v, 0, 1, &r->residual_scale);
    if (strcmp(option, "statistics") == 0)
        return (r->random_statistics = strcmp(v, "random") == 0) || strcmp(v, "fresh") == 0;
    if (strcmp(option, "seed") == 0) return read_seed(v, &r->seed);
    return true; /* flags */
}

/* The nearest architecture, when one is near. */
static int unknown_architecture(const char *name) {
    const char **names = malloc(n_architectures * sizeof *names);
    if (!names) return CAMEO_ENVIRONMENT;
    for (size_t i = 0; i < n_architectures; i++) names[i] = architectures[i].name;
    int code = cli_unknown("architecture", name, names, n_architectures);
    free(names);
    fprintf(stderr, "    hint: cameo new --list names them\n");
    return code;
}

static int check(const command *c) {
    const model_request *r = &c->request;
    if (!c->arch) return usage_error("which architecture?", NULL);
    if (!c->output) return usage_error("-o FILE.onnx is missing", NULL);
    if (r->width_factor > 0 && !c->arch->has_width)
        return usage_error("--width does not apply to", c->arch->name);
    if (r->has_residual_scale && !has_residual(c->arch))
        return usage_error("--residual-scale does not apply to", c->arch->name);
    if (r->has_residual_scale && r->random_statistics)
        return usage_error("--residual-scale contradicts --statistics random", NULL);
    if (r->embedding_size && !c->arch->face)
        return usage_error("--embedding-size is for face nets, not for", c->arch->name);
    if (r->classes && c->arch->face)
        return complain(CAMEO_USAGE,
                        "%s ends in an embedding and has no classes\n    hint: the classes belong "
                        "to the training loss: "
                        "cameo compile --train --classes K",
                        c->arch->name);
    return CAMEO_OK;
}

static int read_command(command *c, const cameo_args *given) {
    for (size_t i = 0; i < given->count; i++) {
        const cameo_option *o = given->list[i].option;
        if (o && !read_option(c, o->name, given->list[i].value))
            return complain(CAMEO_USAGE, "--%s \"%s\" is not valid (%s)", o->name,
                            given->list[i].value, o->value);
    }
    const char *name = cameo_args_positional(given, 0);
    if (given->positionals > 1)
        return usage_error("more than one architecture", cameo_args_positional(given, 1));
    if (!name) return usage_error("which architecture? (--list names them)", NULL);
    c->arch = architecture_find(name);
    return c->arch ? check(c) : unknown_architecture(name);
}

static int list(bool json) {
    for (size_t i = 0; i < n_architectures; i++) {
        const architecture *a = &architectures[i];
        builder *b = architecture_build(a, &(model_request){0});
        unsigned long long parameters = builder_parameters(b);
        const char *kind = a->face ? "embedding" : "logits";
        if (json)
            printf("{\"name\":\"%s\",\"input\":[3,%d,%d],\"parameters\":%llu,\"output\":\"%s\","
                   "\"size\":%d,\"about\":\"%s\"}\n",
                   a->name, a->size, a->size, parameters, kind, a->face ? a->embedding_size : 1000,
                   a->about);
        else
            printf("%-14s 3x%dx%-4d %12llu parameters  %4d %-9s  %s\n", a->name, a->size, a->size,
                   parameters, a->face ? a->embedding_size : 1000, kind, a->about);
        builder_destroy(b);
    }
    return CAMEO_OK;
}

static int write_model(const command *c, builder *b) {
    if (builder_problem(b))
        return complain(CAMEO_BAD_INPUT, "%s: %s", c->arch->name, builder_problem(b));
    cameo_error error;
    if (!onnx_export_file(builder_model(b, c->arch->name), c->output, &error))
        return complain_of(&error);
    fprintf(stderr, "%s: %s, %llu parameters\n", c->output, c->arch->name,
            (unsigned long long)builder_parameters(b));
    return CAMEO_OK;
}

static int make_or_list(arena *a, const cameo_args *given, options *o) {
    (void)a, (void)o;
    if (cameo_args_get(given, "list")) return list(cameo_args_get(given, "json") != NULL);
    command c = {0};
    const int code = read_command(&c, given);
    if (code) return code;
    builder *b = architecture_build(c.arch, &c.request);
    const int written = write_model(&c, b);
    builder_destroy(b);
    return written;
}

const cli_verb cli_new = {
    .name = "new",
    .about = "write a fresh network of a known architecture",
    .usage = "new ARCHITECTURE -o FILE.onnx [options], or cameo new --list",
    .help = "Writes a fresh network of a known architecture, with initial weights.",
    .options = table,
    .least = 0,
    .most = SIZE_MAX,
    .run = make_or_list,
    .own_options = true};
