/* Draws faces that nobody has: a data set to try training and verification on, where no
   photographs may be used.

   They are cartoons, and say nothing about how well a net does on people. What they share with
   real data sets: an identity is a few dozen measures (shape of head, eyes, nose, mouth, colours,
   hair, glasses), and each picture of it has its own pose, light, colour cast, expression,
   background and noise. Identities of `held-out` are in no other folder.

     cc -O2 synthetic_faces.c -o synthetic_faces -lm
     synthetic_faces OUT [IDENTITIES [PICTURES [SIZE [SEED]]]]         defaults 40 20 48 1

   OUT/train/NAME/NN.ppm, OUT/val/NAME/NN.ppm (a quarter as many, of the same people),
   OUT/held-out/NAME/NN.ppm (half as many people), OUT/pairs.txt: pairs of held-out pictures, `a b
   1|0`, relative to OUT/held-out. The same arguments give the same bytes. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- random numbers: SplitMix64 ---- */

static uint64_t state;

static uint64_t next(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void seed_with(uint64_t seed, uint64_t person, uint64_t picture) {
    state = seed * 0x9E3779B97F4A7C15u + 1;
    state = next() + person;
    state = next() + picture;
    next();
}

static double between(double low, double high) {
    return low + (high - low) * (double)(next() >> 11) * 0x1p-53;
}
static bool chance(double p) { return between(0, 1) < p; }

/* ---- what a person is ---- */

typedef struct color {
    double c[3]; /* 0..1 */
} color;

typedef struct person { /* lengths in half widths of an average face; y goes down, 0 is between the
                           eyes */
    color skin, hair, iris, lips;
    double width, chin, top, jaw; /* jaw: exponent of the outline, 2 = an ellipse */
    double eye_apart, eye_width, eye_height, eye_tilt;
    double brow_height, brow_thick, brow_tilt;
    double nose_length, nose_width;
    double mouth_y, mouth_width, mouth_thick;
    double hairline, hair_length, parting;
    double beard, glasses; /* 0 = none */
} person;

static color mixed(color a, color b, double t) {
    for (int i = 0; i < 3; i++) a.c[i] += (b.c[i] - a.c[i]) * t;
    return a;
}

static color one_of(const color *from, int n) { return from[next() % (uint64_t)n]; }

static person make_person(uint64_t seed, uint64_t number) {
    static const color pale = {{0.96, 0.82, 0.72}}, dark = {{0.42, 0.27, 0.19}};
    static const color hairs[] = {{{0.10, 0.08, 0.07}}, {{0.30, 0.18, 0.10}}, {{0.55, 0.36, 0.16}},
                                  {{0.82, 0.68, 0.40}}, {{0.60, 0.22, 0.10}}, {{0.62, 0.62, 0.64}}};
    static const color irises[] = {
        {{0.25, 0.14, 0.07}}, {{0.22, 0.42, 0.60}}, {{0.28, 0.45, 0.25}}, {{0.40, 0.42, 0.45}}};
    person p;
    seed_with(seed, number, UINT64_MAX);
    p.skin = mixed(pale, dark, between(0, 1));
    p.hair = one_of(hairs, 6);
    p.iris = one_of(irises, 4);
    p.lips = mixed(p.skin, (color){{0.70, 0.20, 0.25}}, between(0.3, 0.8));
    p.width = between(0.80, 1.05), p.chin = between(1.15, 1.60), p.top = between(0.85, 1.15),
    p.jaw = between(1.8, 3.2);
    p.eye_apart = between(0.34, 0.52), p.eye_width = between(0.14, 0.23),
    p.eye_height = between(0.055, 0.12);
    p.eye_tilt = between(-0.25, 0.25);
    p.brow_height = between(0.18, 0.34), p.brow_thick = between(0.03, 0.09),
    p.brow_tilt = between(-0.35, 0.30);
    p.nose_length = between(0.40, 0.70), p.nose_width = between(0.08, 0.22);
    p.mouth_y = between(0.78, 0.98), p.mouth_width = between(0.22, 0.46),
    p.mouth_thick = between(0.04, 0.11);
    p.hairline = between(0.30, 0.75), p.hair_length = between(-0.2, 1.6),
    p.parting = between(-0.5, 0.5);
    p.beard = chance(0.25) ? between(0.3, 0.9) : 0;
    p.glasses = chance(0.25) ? between(0.20, 0.30) : 0;
    return p;
}

/* ---- what a picture is ---- */

typedef struct view {
    double angle, scale, x, y, yaw, pitch; /* yaw, pitch: how far features move on the face */
    double light, light_x, light_y;
    double open, raise; /* mouth, brows */
    color cast, background[2];
    double noise;
} view;

static color any_color(double low, double high) {
    return (color){{between(low, high), between(low, high), between(low, high)}};
}

static view make_view(uint64_t seed, uint64_t person_number, uint64_t picture) {
    view v;
    seed_with(seed, person_number, picture);
    v.angle = between(-0.2, 0.2), v.scale = between(0.50, 0.60), v.x = between(-0.10, 0.10),
    v.y = between(-0.12, 0.04);
    v.yaw = between(-0.22, 0.22), v.pitch = between(-0.10, 0.10);
    v.light = between(0.55, 1.25), v.light_x = between(-0.45, 0.45),
    v.light_y = between(-0.25, 0.25);
    v.open = between(0, 0.14), v.raise = between(-0.04, 0.07);
    v.cast = any_color(0.80, 1.20);
    v.background[0] = any_color(0, 1);
    v.background[1] = any_color(0, 1);
    v.noise = between(0.01, 0.06);
    return v;
}

/* ---- drawing: the colour at a point ---- */

static double square(double x) { return x * x; }
static bool in_ellipse(double x, double y, double w, double h) {
    return square(x / w) + square(y / h) < 1;
}

static bool on_head(const person *p, double x, double y) {
    if (y < 0) return in_ellipse(x, y, p->width, p->top);
    return pow(fabs(x) / p->width, p->jaw) + pow(y / p->chin, p->jaw) < 1;
}

static bool in_hair(const person *p, double x, double y) {
    const double fringe = -p->top + p->hairline * (0.55 + 0.25 * fabs(x - p->parting));
    if (y < fringe && in_ellipse(x, y, p->width + 0.14, p->top + 0.16)) return true;
    return y < p->hair_length && y > -p->top &&
           fabs(x) > p->width * (y < 0 ? sqrt(1 - square(y / (p->top + 0.01))) : 0.97) &&
           fabs(x) < p->width + 0.16;
}

/* side: -1 left, 1 right; x and y from the middle of the eye. */
static bool draw_eye(const person *p, double side, double x, double y, color *c) {
    const double ty = y + side * p->eye_tilt * x;
    if (p->glasses > 0 && fabs(hypot(x, y) - p->glasses) < 0.03)
        return *c = (color){{0.08, 0.08, 0.10}}, true;
    if (!in_ellipse(x, ty, p->eye_width, p->eye_height)) return false;
    const double r = hypot(x, ty);
    *c = r < 0.04 ? (color){{0.03, 0.03, 0.03}} : r < 0.085 ? p->iris : (color){{0.95, 0.95, 0.93}};
    return true;
}

static bool draw_brow(const person *p, const view *v, double side, double x, double y, color *c) {
    const double line = -p->brow_height - v->raise + side * p->brow_tilt * x + 1.2 * square(x);
    if (fabs(x) > p->eye_width * 1.35 || fabs(y - line) > p->brow_thick) return false;
    *c = mixed(p->hair, (color){{0.05, 0.04, 0.03}}, 0.3);
    return true;
}

static bool draw_nose(const person *p, double x, double y, color *c) {
    if (in_ellipse(fabs(x) - p->nose_width * 0.55, y - p->nose_length, 0.04, 0.03))
        return *c = mixed(*c, (color){{0}}, 0.6), true;
    const bool tip = in_ellipse(x, y - p->nose_length + 0.05, p->nose_width, 0.09);
    const bool bridge = y > 0.05 && y < p->nose_length &&
                        fabs(x - 0.03) < 0.25 * p->nose_width + 0.02;
    if (tip || bridge) *c = mixed(*c, (color){{1, 0.95, 0.9}}, 0.18);
    return tip || bridge;
}

static bool draw_mouth(const person *p, const view *v, double x, double y, color *c) {
    const double at = y - p->mouth_y - 0.25 * square(x), thick = p->mouth_thick + v->open;
    if (!in_ellipse(x, at, p->mouth_width, thick)) return false;
    *c = in_ellipse(x, at, p->mouth_width * 0.85, v->open) ? (color){{0.25, 0.06, 0.07}} : p->lips;
    return true;
}

static color on_face(const person *p, const view *v, double x, double y) {
    color c = p->skin;
    const double fx = x - v->yaw * (1 - 0.4 * square(x)), fy = y - v->pitch; /* features turn with
                                                                                the head */
    if (p->beard > 0 && fy > 0.62 + 0.3 * square(fx)) c = mixed(c, p->hair, p->beard);
    for (int side = -1; side <= 1; side += 2) {
        const double ex = fx - side * p->eye_apart;
        if (draw_eye(p, side, ex, fy, &c) || draw_brow(p, v, side, ex, fy, &c)) return c;
    }
    if (!draw_mouth(p, v, fx, fy, &c)) draw_nose(p, fx, fy, &c);
    return c;
}

/* x, y in -1..1 over the picture. */
static color at_point(const person *p, const view *v, double x, double y) {
    const double u = (x - v->x) / v->scale, w = (y - v->y) / v->scale;
    const double fx = cos(v->angle) * u + sin(v->angle) * w,
                 fy = cos(v->angle) * w - sin(v->angle) * u;
    color c = mixed(v->background[0], v->background[1], (y + 1) / 2);
    const bool head = on_head(p, fx, fy);
    if (in_hair(p, fx, fy))
        c = p->hair;
    else if (head)
        c = on_face(p, v, fx, fy);
    else if (fy > 0.8 && fabs(fx) < 0.42 * p->width)
        c = mixed(p->skin, (color){{0}}, 0.2); /* neck */
    const double shade = v->light * (1 + v->light_x * fx + v->light_y * fy) *
                         (head ? 1 - 0.15 * square(fx / p->width) : 1);
    for (int i = 0; i < 3; i++) c.c[i] *= shade * v->cast.c[i];
    return c;
}

static unsigned char to_byte(double v) {
    return (unsigned char)(v < 0 ? 0 : v > 1 ? 255 : 255 * v + 0.5);
}

/* Four points a pixel, then noise. */
static void draw(const person *p, const view *v, int size, unsigned char *out) {
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            color sum = {{0}};
            for (int k = 0; k < 4; k++) {
                const double px = (x + 0.25 + 0.5 * (k & 1)) / size * 2 - 1,
                             py = (y + 0.25 + 0.5 * (k >> 1)) / size * 2 - 1;
                const color c = at_point(p, v, px, py);
                for (int i = 0; i < 3; i++) sum.c[i] += c.c[i] / 4;
            }
            for (int i = 0; i < 3; i++)
                *out++ = to_byte(sum.c[i] + v->noise * (between(-1, 1) + between(-1, 1)));
        }
}

/* ---- files ---- */

static FILE *create(const char *path) {
    FILE *f = fopen(path, "wb");
    if (f) return f;
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(4);
}

static void make_folder(const char *path) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return;
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(4);
}

static void finish(FILE *f, const char *path) {
    const bool failed = ferror(f) != 0;
    if (fclose(f) == 0 && !failed) return;
    fprintf(stderr, "%s: cannot write\n", path);
    exit(4);
}

typedef struct job {
    const char *out;
    uint64_t seed;
    int size;
} job;

/* Pictures first .. first + count - 1 of a person, in OUT/set/idNNN. */
static void write_person(const job *j, const char *set, int number, int first, int count) {
    const person p = make_person(j->seed, (uint64_t)number);
    const size_t bytes = (size_t)j->size * (size_t)j->size * 3;
    unsigned char *pixels = malloc(bytes);
    char path[4200];
    snprintf(path, sizeof path, "%.4000s/%s/id%03d", j->out, set, number);
    make_folder(path);
    for (int i = first; pixels && i < first + count; i++) {
        const view v = make_view(j->seed, (uint64_t)number, (uint64_t)i);
        draw(&p, &v, j->size, pixels);
        snprintf(path, sizeof path, "%.4000s/%s/id%03d/%03d.ppm", j->out, set, number, i);
        FILE *f = create(path);
        fprintf(f, "P6\n%d %d\n255\n", j->size, j->size);
        fwrite(pixels, 1, bytes, f);
        finish(f, path);
    }
    free(pixels);
}

/* As many pairs of one person as of two. */
static void write_pairs(const job *j, int first, int people, int pictures) {
    char path[4200];
    snprintf(path, sizeof path, "%.4000s/pairs.txt", j->out);
    FILE *f = create(path);
    seed_with(j->seed, UINT64_MAX, 0);
    for (int i = 0; i < people * pictures * 4; i++) {
        const int a = (int)(next() % (uint64_t)people), x = (int)(next() % (uint64_t)pictures);
        const int b = i % 2 ? (a + 1 + (int)(next() % (uint64_t)(people - 1))) % people : a;
        const int y = i % 2 ? (int)(next() % (uint64_t)pictures)
                            : (x + 1 + (int)(next() % (uint64_t)(pictures - 1))) % pictures;
        fprintf(f, "id%03d/%03d.ppm id%03d/%03d.ppm %d\n", first + a, x, first + b, y, a == b);
    }
    finish(f, path);
}

static int number(int argc, char **argv, int i, int least, int most, int usual) {
    if (argc <= i) return usual;
    char *end;
    const long v = strtol(argv[i], &end, 10);
    if (end != argv[i] && !*end && v >= least && v <= most) return (int)v;
    fprintf(stderr, "%s: a number from %d to %d is expected\n", argv[i], least, most);
    exit(2);
}

int main(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: %s OUT [IDENTITIES [PICTURES [SIZE [SEED]]]]\n", argv[0]);
        return 2;
    }
    const int people = number(argc, argv, 2, 4, 999, 40),
              pictures = number(argc, argv, 3, 4, 1000, 20);
    const job j = {argv[1], (uint64_t)number(argc, argv, 5, 0, 1000000000, 1),
                   number(argc, argv, 4, 8, 1024, 48)};
    static const char *const sets[] = {"", "/train", "/val", "/held-out"};
    for (int i = 0; i < 4; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%.4000s%s", j.out, sets[i]);
        make_folder(path);
    }
    const int held_out = people / 2, few = (pictures + 3) / 4;
    for (int i = 0; i < people; i++) {
        write_person(&j, "train", i, 0, pictures);
        write_person(&j, "val", i, pictures, few);
    }
    for (int i = 0; i < held_out; i++) write_person(&j, "held-out", people + i, 0, pictures);
    write_pairs(&j, people, held_out, pictures);
    return 0;
}
