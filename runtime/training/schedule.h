/* Learning rates, by step: a pure function of the step (0 is the first) but for `plateau`, whose
   state the caller keeps and stores in checkpoints. Formulas are PyTorch's
   (torch.optim.lr_scheduler), stretched from epochs to steps where it counts epochs. */
#ifndef CAMEO_SCHEDULE_H
#define CAMEO_SCHEDULE_H
#include "../cameo.h"

typedef enum cameo_schedule_kind {
    CAMEO_SCHEDULE_CONSTANT,
    CAMEO_SCHEDULE_STEP,      /* x gamma every `every` epochs (StepLR) */
    CAMEO_SCHEDULE_MULTISTEP, /* x gamma at each milestone (MultiStepLR) */
    CAMEO_SCHEDULE_PLATEAU,   /* x gamma when the metric stood still for more than `patience` epochs
                        (ReduceLROnPlateau, relative   threshold) */
    CAMEO_SCHEDULE_COSINE,   /* half a cosine from the rate to the least one (CosineAnnealingLR over
                                the whole run) */
    CAMEO_SCHEDULE_RESTARTS, /* the same over `every` epochs, again and again, each period
                                `multiply` times as long (SGDR) */
    CAMEO_SCHEDULE_ONECYCLE /* up from rate / 25 over the first 30 % of the run, then down to rate /
                               25e4, both cosines (OneCycleLR) */
} cameo_schedule_kind;

enum { CAMEO_MILESTONES = 32 };

typedef struct cameo_schedule {
    cameo_schedule_kind kind;
    double rate, least;         /* --lr, --min-lr */
    int64_t steps, epoch_steps; /* of the run, of an epoch: both at least 1 */
    int64_t warmup;      /* steps over which the rate of any schedule is multiplied by (step + 1) /
                            warmup */
    double gamma, every; /* every: epochs, may be a fraction */
    int64_t multiply;    /* of restarts, at least 1 */
    double milestone[CAMEO_MILESTONES]; /* epochs, rising */
    size_t milestones;
    int64_t patience; /* epochs */
    bool rising;      /* plateau: more is better */
} cameo_schedule;

typedef struct cameo_plateau { /* begins as cameo_plateau_start */
    double best, factor;       /* factor: the product of all reductions */
    int64_t bad;               /* epochs without improvement */
} cameo_plateau;

/* "cosine" ...; false when there's none of that name. */
bool cameo_schedule_kind_parse(const char *name, cameo_schedule_kind *kind);
const char *cameo_schedule_kind_name(cameo_schedule_kind kind);
extern const char cameo_schedule_kinds[]; /* "constant|step|..." */

double cameo_schedule_rate(const cameo_schedule *s, const cameo_plateau *p, int64_t step);
cameo_plateau cameo_plateau_start(const cameo_schedule *s);
/* After an epoch; true when the rate went down. */
bool cameo_plateau_update(const cameo_schedule *s, cameo_plateau *p, double metric);
#endif
