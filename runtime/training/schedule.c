/* Schedules of the learning rate. Cosine with warm restarts: Loshchilov & Hutter 2017; one cycle:
   Smith & Topin 2018. */
#include "schedule.h"
#include <math.h>
#include <string.h>

const char cameo_schedule_kinds[] = "constant|step|multistep|plateau|cosine|restarts|onecycle";

static const char *const names[] = {"constant", "step",     "multistep", "plateau",
                                    "cosine",   "restarts", "onecycle"};

bool cameo_schedule_kind_parse(const char *name, cameo_schedule_kind *kind) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return *kind = (cameo_schedule_kind)i, true;
    return false;
}

const char *cameo_schedule_kind_name(cameo_schedule_kind kind) { return names[kind]; }

/* Half a cosine from `from` to `to` as `part` goes from 0 to 1. */
static double anneal(double from, double to, double part) {
    return to + (from - to) * (1 + cos(M_PI * part)) / 2;
}

/* Epochs as a whole number of steps, at least one. */
static int64_t in_steps(const cameo_schedule *s, double epochs) {
    const int64_t n = llround(epochs * (double)s->epoch_steps);
    return n > 0 ? n : 1;
}

static double milestone_factor(const cameo_schedule *s, int64_t step) {
    double factor = 1;
    for (size_t i = 0; i < s->milestones; i++)
        if (step >= in_steps(s, s->milestone[i])) factor *= s->gamma;
    return factor;
}

static double restarts(const cameo_schedule *s, int64_t step) {
    int64_t period = in_steps(s, s->every);
    while (step >= period) {
        step -= period;
        if (__builtin_mul_overflow(period, s->multiply, &period)) period = INT64_MAX;
    }
    return anneal(s->rate, s->least, (double)step / (double)period);
}

static double one_cycle(const cameo_schedule *s, int64_t step) {
    const double low = s->rate / 25, top = 0.3 * (double)s->steps - 1, end = (double)s->steps - 1,
                 at = (double)step;
    if (at <= top) return anneal(low, s->rate, top > 0 ? at / top : 1);
    return anneal(s->rate, low / 1e4, end > top ? fmin(1, (at - top) / (end - top)) : 1);
}

static double shape(const cameo_schedule *s, const cameo_plateau *p, int64_t step) {
    switch (s->kind) {
    case CAMEO_SCHEDULE_STEP:
        return s->rate * pow(s->gamma, (double)(step / in_steps(s, s->every)));
    case CAMEO_SCHEDULE_MULTISTEP: return s->rate * milestone_factor(s, step);
    case CAMEO_SCHEDULE_PLATEAU: return fmax(s->rate * p->factor, s->least);
    case CAMEO_SCHEDULE_COSINE:
        return anneal(s->rate, s->least, fmin(1, (double)step / (double)s->steps));
    case CAMEO_SCHEDULE_RESTARTS: return restarts(s, step);
    case CAMEO_SCHEDULE_ONECYCLE: return one_cycle(s, step);
    default: return s->rate;
    }
}

double cameo_schedule_rate(const cameo_schedule *s, const cameo_plateau *p, int64_t step) {
    const double warm = step < s->warmup ? (double)(step + 1) / (double)s->warmup : 1;
    return warm * shape(s, p, step);
}

cameo_plateau cameo_plateau_start(const cameo_schedule *s) {
    return (cameo_plateau){.best = s->rising ? -INFINITY : INFINITY, .factor = 1};
}

bool cameo_plateau_update(const cameo_schedule *s, cameo_plateau *p, double metric) {
    const double threshold = 1e-4; /* relative, PyTorch's */
    const bool better = s->rising ? metric > p->best * (1 + threshold)
                                  : metric < p->best * (1 - threshold);
    if (better || !isfinite(p->best)) {
        p->best = metric;
        p->bad = 0;
        return false;
    }
    if (++p->bad <= s->patience) return false;
    p->bad = 0;
    p->factor *= s->gamma;
    return true;
}
