/* The options of a compilation: `cli_rows` is the table to read first. A new option is a row, and
   the field it fills. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../runtime/core/sha256.h"
#include "../base/loss_spec.h"

#define ROW(name, value, help) .option = {name, value, help}
#define AT(f) .offset = offsetof(options, f), .size = sizeof((options *)0)->f
#define FLAG(f) .type = CLI_FLAG, AT(f)
#define WHOLE(f, least, most) .type = CLI_WHOLE, AT(f), .low = least, .high = most
#define WORD(f, ...) \
    .type = CLI_WORD, AT(f), .words = (const char *const[]) { __VA_ARGS__, NULL }
#define TEXT(f) .type = CLI_TEXT, AT(f)
#define CONTENT(f) .type = CLI_FILE, AT(f)
#define TAKEN(by) .verbs = (by)
#define APART .keeps_program = true

/* clang-format off */
const cli_row cli_rows[] = {
    {ROW("output", "FILE", "what to write"),
     TEXT(output), TAKEN(CLI_COMPILE), APART},
    {ROW("emit", "KIND",
         "exe (default), lib (static library), so (shared library) or c (generated C in a folder)"),
     WORD(emit, "exe", "lib", "so", "c"), TAKEN(CLI_COMPILE)},
    {ROW("name", "PREFIX", "prefix of the C names (default: from -o)"),
     TEXT(name), TAKEN(CLI_COMPILE)},
    {ROW("weights", "WHERE",
         "embed (default), or sidecar: in a file PREFIX.weights beside the output"),
     WORD(sidecar, "embed", "sidecar"), TAKEN(CLI_COMPILE)},

    {ROW("batch", "N",
         "images of one run at most (default: as the model says; 1 where it says nothing)"),
     WHOLE(batch, 1, 65536), TAKEN(CLI_MODEL)},
    {ROW("shape", "NAME=AxBxC", "shape of an input"),
     .type = CLI_SHAPE, TAKEN(CLI_MODEL)},
    {ROW("dim", "NAME=N", "value of a symbolic dimension"),
     .type = CLI_DIM, TAKEN(CLI_MODEL)},
    {ROW("embedding", "TENSOR", "the tensor that is the embedding"),
     TEXT(embedding), TAKEN(CLI_MODEL)},
    {ROW("preprocess", "SPEC",
         "from pixels to the input: \"size=112x112 color=rgb mean=127.5 scale=0.0078125\""),
     TEXT(preprocess), TAKEN(CLI_MODEL)},
    {ROW("dump-after", "PASS", "print the graph after a pass: "),
     .type = CLI_LISTED, AT(dump_after), .listed = compile_pass_name, TAKEN(CLI_MODEL), APART},

    {ROW("target", "NAME[,NAME]",
         "native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or aarch64; of several the "
         "program takes the widest that the processor has"),
     .type = CLI_TARGETS, TAKEN(CLI_BUILD | CLI_CONFORM)},
    {ROW("cc", "PROGRAM", "the C compiler (default: $CC, else cc)"),
     TEXT(cc), .environment = "CC", TAKEN(CLI_BUILD | CLI_CONFORM)},
    {ROW("kernels", "KIND", "auto (default), xnnpack, native or plain"),
     WORD(kernels, "auto", "xnnpack", "native", "plain"), TAKEN(CLI_BUILD | CLI_CONFORM)},
    {ROW("jobs", "N", "C compilers at once (default: the processors)"),
     WHOLE(jobs, 1, 1024), TAKEN(CLI_BUILD | CLI_CONFORM), APART},
    {ROW("static", NULL, "link statically"),
     FLAG(is_static), TAKEN(CLI_BUILD)},
    {ROW("bfloat16", NULL,
         "round the weights of fully connected layers to 16 bits (3 digits) where reading them "
         "takes the time; see cameo compare"),
     FLAG(bfloat16), TAKEN(CLI_BUILD)},
    {ROW("keep-c", "DIR", "keep the generated C there"),
     TEXT(keep_c), TAKEN(CLI_BUILD), APART},
    {ROW("labels", "FILE", "names of the classes, one a line"),
     CONTENT(labels), TAKEN(CLI_BUILD)},

    {ROW("tune", NULL,
         "time the kernels that fit each layer on this machine and take the fastest; timings are "
         "kept for the next time"),
     FLAG(tune), TAKEN(CLI_COMPILE)},
    {ROW("tuning", "FILE",
         "take the kernels that were fastest by the timings in FILE; with --tune: keep timings "
         "there, not in the cache"),
     CONTENT(tuning_file), TAKEN(CLI_COMPILE)},
    {ROW("detector", "FILE.onnx",
         "a face detector (YuNet) that enters the program: it takes whole photographs then"),
     CONTENT(detector), TAKEN(CLI_COMPILE)},
    {ROW("train", NULL,
         "a program that also trains; --batch is the batch of its steps (default: 32)"),
     FLAG(train), TAKEN(CLI_COMPILE)},
    {ROW("loss", "SPEC",
         "what training minimises, TERM[+TERM...]: ce (default), arcface, cosface, sphereface, "
         "margin, center, triplet, contrastive; with values such as arcface:s=64,m=0.5"),
     TEXT(loss), TAKEN(CLI_COMPILE), .needs = "train"},
    {ROW("classes", "K", "make the classifier anew, for K classes"),
     WHOLE(classes, 2, 1 << 24), TAKEN(CLI_COMPILE), .needs = "train"},
    {ROW("classes-from", "DIR", "as --classes, one a sub-folder, with their names"),
     TEXT(classes_from), TAKEN(CLI_COMPILE), .needs = "train"},
    {ROW("folded", "WHAT",
         "a net whose BatchNormalization an exporter has folded away: continue (default) warns "
         "and trains it, stop refuses"),
     WORD(stop_if_folded, "continue", "stop"), TAKEN(CLI_COMPILE), APART, .needs = "train"},
    {ROW("freeze", "PATTERN", "do not train parameters of such names (repeatable)"),
     .type = CLI_PATTERNS, TAKEN(CLI_COMPILE), .needs = "train"},
};
/* clang-format on */
const size_t cli_row_count = sizeof cli_rows / sizeof *cli_rows;

/* What does not go together: "name" is given, "name=word" has that value, "target=," names several.
   The first row that holds is told. */
static const struct conflict {
    const char *one, *others[3], *message;
} conflicts[] = {
#define SEVERAL "several targets do not go with "
#define ONCE "; compile once for each"
    {"target=,", {"train"}, SEVERAL "--train" ONCE},
    {"target=,", {"tune", "tuning"}, SEVERAL "--tune and --tuning" ONCE},
    {"target=,", {"weights=sidecar"}, SEVERAL "--weights sidecar" ONCE},
    {"target=,", {"emit=c"}, SEVERAL "--emit c" ONCE},
#undef SEVERAL
#undef ONCE
    {"classes", {"classes-from"}, "--classes or --classes-from, not both"},
    {"train",
     {"tune", "tuning", "bfloat16"},
     "--tune, --tuning and --bfloat16 are for programs that do not train"},
    {"train", {"emit=so"}, "--train does not go with --emit so; exe, lib and c do"},
    {"detector",
     {"emit=lib", "emit=so"},
     "--detector is for programs; of --emit it takes exe and c"},
};

/* ---- the list of a verb ---- */

enum { LISTED_MOST = 40 };

static size_t list_names(const char *(*name)(size_t i), const char *names[LISTED_MOST]) {
    size_t count = 0;
    for (; count < LISTED_MOST && name(count); count++) names[count] = name(count);
    return count;
}

/* "HELPa, b or c": what another file's list holds is told by that list. */
static const char *help_of(arena *a, const cli_row *r) {
    const char *names[LISTED_MOST];
    if (!r->listed) return r->option.help;
    const size_t count = list_names(r->listed, names);
    text t = {0};
    text_append(&t, r->option.help);
    for (size_t i = 0; i < count; i++)
        text_printf(&t, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", names[i]);
    return text_keep(&t, a);
}

static bool has_name(const cameo_option *list, const char *name) {
    for (; list->name; list++)
        if (strcmp(list->name, name) == 0) return true;
    return false;
}

const cameo_option *cli_verb_options(arena *a, const cli_verb *v) {
    size_t own = 0;
    while (v->options && v->options[own].name) own++;
    cameo_option *list = ARENA_ARRAY(a, cameo_option, own + cli_row_count + 1);
    if (own) memcpy(list, v->options, own * sizeof *list);
    list[own] = (cameo_option){0};
    for (size_t i = 0, n = own; i < cli_row_count; i++) {
        const cli_row *r = &cli_rows[i];
        if (!(r->verbs & v->takes) || has_name(list, r->option.name)) continue;
        list[n++] = (cameo_option){r->option.name, r->option.value, help_of(a, r)};
        list[n] = (cameo_option){0};
    }
    return list;
}

/* ---- values ---- */

bool cli_shape(const char *s, shape *out) {
    *out = (shape){0};
    if (strcmp(s, "scalar") == 0) return true;
    for (;; s++) {
        char *end;
        errno = 0;
        long long v = strtoll(s, &end, 10);
        if (end == s || errno || v < 1 || v > INT32_MAX || out->rank == MAX_RANK) return false;
        out->dim[out->rank++] = v;
        if (!*end) return true;
        if (*end != 'x' && *end != ',') return false;
        s = end;
    }
}

static int bad(const char *option, const char *given) {
    return complain(CAMEO_USAGE, "--%s \"%s\" is not valid", option, given);
}

/* --dim and --shape: NAME=..., where NAME itself may hold '='. */
static int binding(arena *a, options *o, const char *option, const char *given) {
    const char *equals = strrchr(given, '=');
    if (!equals) return bad(option, given);
    const char *name = arena_strndup(a, given, (size_t)(equals - given));
    if (strcmp(option, "dim") == 0) {
        o->dims[o->n_dims].name = name;
        return cameo_parse_integer(equals + 1, 1, INT32_MAX, &o->dims[o->n_dims++].value)
                   ? 0
                   : bad(option, given);
    }
    o->shapes[o->n_shapes].name = name;
    return cli_shape(equals + 1, &o->shapes[o->n_shapes++].shape) ? 0 : bad(option, given);
}

static int unknown_value(const char *option, const char *given, const char *const *names,
                         size_t count) {
    char kind[40];
    snprintf(kind, sizeof kind, "value of --%s", option);
    const int code = cli_unknown(kind, given, names, count);
    fprintf(stderr, "    known:");
    for (size_t i = 0; i < count; i++) fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "\n");
    return code;
}

/* A value of which another file keeps the list: name(i), NULL at the end. */
static int listed(const char *option, const char *given, const char *(*name)(size_t i)) {
    const char *names[LISTED_MOST];
    const size_t count = list_names(name, names);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], given) == 0) return 0;
    return unknown_value(option, given, names, count);
}

enum { TARGETS_MOST = 8 };

/* Into its place in list: widest first. */
static int add_target(target *list, size_t *count, const char *name) {
    target t;
    int order;
    if (!target_resolve(name, &t)) return listed("target", name, target_name);
    if (*count == TARGETS_MOST) return bad("target", name);
    for (size_t i = 0; i < *count; i++) {
        if (!target_compare(&t, &list[i], &order))
            return complain(CAMEO_USAGE,
                            "--target: a program is for one processor family, not for %s and %s",
                            t.name, list[i].name);
        if (order == 0) return 0;
    }
    size_t at = (*count)++;
    for (; at > 0 && (target_compare(&t, &list[at - 1], &order), order < 0); at--)
        list[at] = list[at - 1];
    list[at] = t;
    return 0;
}

/* NAME[,NAME...]. */
static int target_option(arena *a, options *o, const char *given) {
    target *list = ARENA_ARRAY(a, target, TARGETS_MOST);
    size_t count = 0;
    for (const char *s = given;; s++) {
        const size_t n = strcspn(s, ",");
        const int code = add_target(list, &count, arena_strndup(a, s, n));
        if (code) return code;
        s += n;
        if (!*s) break;
    }
    o->target = list[0];
    o->narrower = list + 1, o->n_narrower = count - 1;
    return 0;
}

static void *field(const cli_row *r, options *o) { return (char *)o + r->offset; }

_Static_assert(sizeof(emit_kind) == sizeof(int) && sizeof(kernel_choice) == sizeof(int),
               "store and load copy an int");

static void store(const cli_row *r, options *o, int64_t v) {
    if (r->size == sizeof(bool)) *(bool *)field(r, o) = v != 0;
    const int small = (int)v; /* an enum, too */
    if (r->size == sizeof small) memcpy(field(r, o), &small, sizeof small);
    if (r->size == sizeof v) memcpy(field(r, o), &v, sizeof v);
}

static int64_t load(const cli_row *r, const options *o) {
    const char *from = (const char *)o + r->offset;
    int64_t v = 0;
    int small;
    if (r->size == sizeof v) return memcpy(&v, from, sizeof v), v;
    if (r->size == sizeof small) return memcpy(&small, from, sizeof small), small;
    return *(const bool *)from;
}

static const char *load_text(const cli_row *r, const options *o) {
    const char *s;
    memcpy(&s, (const char *)o + r->offset, sizeof s);
    return s || !r->environment ? s : getenv(r->environment);
}

static int word(const cli_row *r, options *o, const char *given) {
    size_t n = 0;
    for (; r->words[n]; n++)
        if (strcmp(given, r->words[n]) == 0) return store(r, o, (int64_t)n), 0;
    return unknown_value(r->option.name, given, r->words, n);
}

static int take(arena *a, const cli_row *r, options *o, const char *given) {
    int64_t number;
    switch (r->type) {
    case CLI_FLAG: return store(r, o, true), 0;
    case CLI_WHOLE:
        return cameo_parse_integer(given, r->low, r->high, &number) ? (store(r, o, number), 0)
                                                                    : bad(r->option.name, given);
    case CLI_WORD: return word(r, o, given);
    case CLI_TEXT:
    case CLI_FILE: return memcpy(field(r, o), &given, sizeof given), 0;
    case CLI_LISTED:
        return memcpy(field(r, o), &given, sizeof given), listed(r->option.name, given, r->listed);
    case CLI_PATTERNS: return o->freeze[o->n_freeze++] = given, 0;
    case CLI_DIM:
    case CLI_SHAPE: return binding(a, o, r->option.name, given);
    case CLI_TARGETS: return target_option(a, o, given);
    }
    return 0;
}

static const cli_row *find_row(const char *name) {
    for (size_t i = 0; i < cli_row_count; i++)
        if (strcmp(cli_rows[i].option.name, name) == 0) return &cli_rows[i];
    return NULL; /* a verb's own */
}

/* ---- what goes together ---- */

static bool holds(const cameo_args *c, const options *o, const char *term) {
    char name[40];
    const char *equals = strchr(term, '=');
    if (!equals) return cameo_args_get(c, term);
    if (equals[1] == ',') return o->n_narrower;
    snprintf(name, sizeof name, "%.*s", (int)(equals - term), term);
    const char *given = cameo_args_get(c, name);
    return given && strcmp(given, equals + 1) == 0;
}

static int check_together(const cameo_args *c, const options *o) {
    for (size_t i = 0; i < cli_row_count; i++) {
        const cli_row *r = &cli_rows[i];
        if (r->needs && cameo_args_get(c, r->option.name) && !cameo_args_get(c, r->needs))
            return complain(CAMEO_USAGE, "--%s goes with --%s", r->option.name, r->needs);
    }
    for (size_t i = 0; i < sizeof conflicts / sizeof *conflicts; i++)
        for (size_t k = 0; k < 3 && holds(c, o, conflicts[i].one); k++)
            if (conflicts[i].others[k] && holds(c, o, conflicts[i].others[k]))
                return complain(CAMEO_USAGE, "%s", conflicts[i].message);
    return 0;
}

enum { TRAIN_BATCH = 32 };

/* The batch of a step, which the model rarely says, and a loss that it serves. */
static int training_options(arena *a, options *o) {
    loss_spec spec;
    const char *why = loss_parse(a, o->loss, &spec);
    if (why) return complain(CAMEO_USAGE, "--loss %s: %s", o->loss, why);
    if (o->train && !o->batch) o->batch = TRAIN_BATCH;
    if ((spec.triplet.weight > 0 || spec.contrastive.weight > 0) && !loss_images_of_class(o->batch))
        return complain(CAMEO_USAGE,
                        "--loss %s compares images of one class with others: --batch %lld is no "
                        "product of 2 and more",
                        o->loss, (long long)o->batch);
    return 0;
}

int cli_options(arena *a, const cameo_args *c, options *o) {
    *o = (options){.input = cameo_args_positional(c, 0)};
    o->dims = ARENA_ARRAY(a, dim_binding, c->count + 1);
    o->shapes = ARENA_ARRAY(a, shape_binding, c->count + 1);
    o->freeze = ARENA_ARRAY(a, const char *, c->count + 1);
    if (!target_resolve("native", &o->target) && !cameo_args_get(c, "target"))
        return complain(CAMEO_USAGE, "this processor is unknown; give --target");
    int code = 0;
    for (size_t i = 0; i < c->count && !code; i++) {
        const cli_row *r = c->list[i].option ? find_row(c->list[i].option->name) : NULL;
        if (r) code = take(a, r, o, c->list[i].value);
    }
    if (!code) code = check_together(c, o);
    return code ? code : training_options(a, o);
}

/* ---- the key of a cached program ---- */

static void add_string(cameo_sha256_sum *s, const char *name, const char *v) {
    cameo_sha256_add(s, name, strlen(name) + 1);
    if (v)
        cameo_sha256_add(s, v, strlen(v) + 1); /* with the NUL: no two lists of words look alike */
}

static void add_number(cameo_sha256_sum *s, const char *name, int64_t v) {
    add_string(s, name, NULL);
    cameo_sha256_add(s, &v, sizeof v);
}

static void add_file(cameo_sha256_sum *s, const char *path) {
    char buffer[4096];
    FILE *f = path ? fopen(path, "rb") : NULL;
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        cameo_sha256_add(s, buffer, n);
    if (f) fclose(f);
}

/* A rebuilt compiler of the same version makes another program. */
static void add_version(cameo_sha256_sum *s) {
    struct stat self;
    add_string(s, "version", CAMEO_VERSION);
    if (stat("/proc/self/exe", &self)) return;
    add_number(s, "size", (int64_t)self.st_size);
    add_number(s, "built", (int64_t)self.st_mtim.tv_sec);
    add_number(s, "ns", (int64_t)self.st_mtim.tv_nsec);
}

static void add_targets(cameo_sha256_sum *s, const options *o) {
    add_string(s, "flags", o->target.flags);
    add_string(s, "target", o->target.name);
    for (size_t i = 0; i < o->n_narrower; i++) add_string(s, "or", o->narrower[i].name);
}

static void add_shapes(cameo_sha256_sum *s, const options *o) {
    for (size_t i = 0; i < o->n_shapes; i++) {
        add_string(s, "shape", o->shapes[i].name);
        for (int k = 0; k < o->shapes[i].shape.rank; k++)
            add_number(s, "x", o->shapes[i].shape.dim[k]);
    }
}

static void add_dims(cameo_sha256_sum *s, const options *o) {
    for (size_t i = 0; i < o->n_dims; i++) {
        add_string(s, "dim", o->dims[i].name);
        add_number(s, "is", o->dims[i].value);
    }
}

static void add_row(cameo_sha256_sum *s, const cli_row *r, const options *o) {
    const char *name = r->option.name;
    switch (r->type) {
    case CLI_FLAG:
    case CLI_WHOLE:
    case CLI_WORD: add_number(s, name, load(r, o)); break;
    case CLI_TEXT:
    case CLI_LISTED: add_string(s, name, load_text(r, o)); break;
    case CLI_FILE:
        add_string(s, name, load_text(r, o));
        add_file(s, load_text(r, o));
        break;
    case CLI_PATTERNS:
        for (size_t i = 0; i < o->n_freeze; i++) add_string(s, name, o->freeze[i]);
        break;
    case CLI_DIM: add_dims(s, o); break;
    case CLI_SHAPE: add_shapes(s, o); break;
    case CLI_TARGETS: add_targets(s, o); break;
    }
}

void cli_cache_key(const char *model, const options *o, char key[65]) {
    cameo_sha256_sum s;
    cameo_sha256_begin(&s);
    add_version(&s);
    add_string(&s, "model", model);
    for (size_t i = 0; i < cli_row_count; i++)
        if (!cli_rows[i].keeps_program) add_row(&s, &cli_rows[i], o);
    cameo_sha256_end(&s, key);
}
