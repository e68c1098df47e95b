/* report: scoring runs side by side, from the folders that `score -o` wrote. */
#include "../verification/report.h"
#include "verbs.h"
#include <stdlib.h>

static int report(const cameo_model *model, const cameo_args *a) {
    (void)model;
    const char *file = cameo_args_get(a, "output");
    cameo_error error = {0};
    if (!a->positionals)
        return cameo_usage_error(a, "folders of scoring runs (score -o) are needed");
    const char **run = cameo_allocate(a->positionals, sizeof *run);
    for (size_t i = 0; i < a->positionals; i++) run[i] = cameo_args_positional(a, i);
    if (!file) file = "comparison.html";
    bool good = cameo_report_compare(run, a->positionals, file, &error);
    free(run);
    if (good) printf("written to %s\n", file);
    return good ? CAMEO_OK : cameo_report_error(&error);
}

static const cameo_option options[] = {
    {"output", "FILE", "the page to write (default: comparison.html)"}, {0}};

const cameo_verb cameo_verb_report = {"report", "compare scoring runs in one page",
                                      "report RUN [RUN ...] [-o FILE]", options, .run = report};
