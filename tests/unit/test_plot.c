/* Plots of degenerate ranges: scores that are all (nearly) equal once made an axis whose steps
   could not be counted, and a report without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "../../runtime/verification/plot.h"

static void any_range_has_few_ticks(void **state) {
    (void)state;
    const double ranges[][2] = {{1, nextafter(1, 2)}, {1, 1},          {0, 0},
                                {-1e-9, 1e-9},        {0.1, 0.9},      {1 - 1e-15, 1},
                                {-1e30, 1e30},        {5e-324, 1e-323}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        assert_non_null(f);
        cameo_plot p;
        cameo_plot_begin(&p, f, "Scores",
                         (cameo_axis){CAMEO_AXIS_LINEAR, ranges[i][0], ranges[i][1], "x"},
                         (cameo_axis){CAMEO_AXIS_LINEAR, 0, 1, "y"});
        cameo_plot_end(&p, NULL);
        fclose(f);
        assert_true(size < 10000);
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_range_has_few_ticks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
