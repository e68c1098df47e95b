/* verify: two pictures, their score, and whether that is enough by the stored operating point. */
#include "../verification/calibration.h"
#include "verbs.h"
#include <stdlib.h>

typedef struct pair_scores {
    double score[CAMEO_SCORES];
    const cameo_operating_point *point; /* NULL: none stored */
    double judged;                      /* the score the point is about */
} pair_scores;

static void print_text(const pair_scores *s) {
    const cameo_operating_point *p = s->point;
    printf("cosine %.9g  l2 %.9g\n", s->score[CAMEO_COSINE], 0 - s->score[CAMEO_L2_RAW]);
    if (!p) {
        printf("no threshold is stored for this program: no verdict; higher cosine = more likely "
               "the same person\n"
               "(the verb calibrate chooses one on labelled pairs)\n");
        return;
    }
    printf("%s %.9g, threshold %.9g (%s on %s; from %s): %s\n", p->score, s->judged, p->threshold,
           p->rule, p->data, p->origin,
           s->judged >= p->threshold ? "the same person" : "different people");
}

static void print_json(const cameo_args *a, const cameo_pictures *pictures, const pair_scores *s) {
    cameo_json j = cameo_json_begin(stdout);
    cameo_json_text(&j, "img1", cameo_args_positional(a, 0));
    cameo_json_text(&j, "img2", cameo_args_positional(a, 1));
    cameo_json_number(&j, "cosine", s->score[CAMEO_COSINE]);
    cameo_json_number(&j, "l2", 0 - s->score[CAMEO_L2_RAW]);
    if (s->point) {
        cameo_json_field(&j, s->point, threshold);
        cameo_json_field(&j, s->point, score);
        cameo_json_field(&j, s->point, rule);
        cameo_json_field(&j, s->point, data);
        cameo_json_field(&j, s->point, origin);
        cameo_json_text(&j, "verdict", s->judged >= s->point->threshold ? "same" : "different");
    }
    cameo_json_text(&j, "preprocess", pictures->spec);
    cameo_json_field(&j, pictures, alignment);
    cameo_json_end(&j);
}

/* Both pictures, mirrored too where the point wants it, through the scores of a one-pair list. */
static bool measure(cameo_pictures *p, const cameo_args *a, const cameo_calibration *c,
                    pair_scores *s, cameo_error *error) {
    int tta = c->found ? cameo_index_of(cameo_tta_names, CAMEO_TTAS, c->point.tta) : CAMEO_TTA_NONE;
    int kind = c->found ? cameo_index_of(cameo_score_names, CAMEO_SCORES, c->point.score)
                        : CAMEO_COSINE;
    if (tta < 0 || kind < 0)
        return cameo_reject(error, "%s: unknown score or tta; calibrate anew", c->point.origin);
    char *paths[2] = {cameo_join(NULL, cameo_args_positional(a, 0)),
                      cameo_join(NULL, cameo_args_positional(a, 1))};
    cameo_pair pair = {.a = 0, .b = 1, .label = -1};
    cameo_pairs list = {.count = 1, .images = 2, .pair = &pair, .image = paths};
    cameo_gallery g = {
        .images = 2, .views = tta ? 2 : 1, .path = paths, .name = paths, .cache = "none"};
    cameo_verification v = {.pairs = &list, .threads = 1, .tta = (cameo_tta)tta};
    bool good = cameo_gallery_embed(&g, p, error) && cameo_verification_measure(&v, &g.e, error);
    for (int k = 0; k < CAMEO_SCORES && good; k++) s->score[k] = v.score[k][0];
    if (good && c->found) s->point = &c->point, s->judged = s->score[kind];
    cameo_verification_free(&v);
    cameo_gallery_free(&g);
    free(paths[0]);
    free(paths[1]);
    return good;
}

static int verify(const cameo_model *model, const cameo_args *a) {
    if (a->positionals != 2) return cameo_usage_error(a, "two pictures are needed");
    cameo_pictures p;
    cameo_calibration c;
    cameo_error error = {0};
    pair_scores s = {{0}, NULL, 0};
    if (!cameo_calibration_load(model, a->program, &c, &error)) return cameo_report_error(&error);
    int code = cameo_pictures_open(&p, model, a);
    if (!code) {
        if (!measure(&p, a, &c, &s, &error))
            code = cameo_report_error(&error);
        else
            cameo_args_get(a, "json") ? print_json(a, &p, &s) : print_text(&s);
        cameo_pictures_close(&p);
    }
    cameo_calibration_free(&c);
    return code;
}

static const cameo_option options[] = {OPTIONS_FACES, OPTION_JSON, {0}};

const cameo_verb cameo_verb_verify = {"verify", "compare two faces", "verify A.jpg B.jpg [--json]",
                                      options,  .run = verify,       .about_weights = true};
