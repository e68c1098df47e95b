/* All tables of gradient cases. */
#ifndef CAMEO_TESTS_GRADIENT_CASES_H
#define CAMEO_TESTS_GRADIENT_CASES_H
#include "gradient_cases_conv.h"
#include "gradient_cases_math.h"
#include "gradient_cases_move.h"
#include "gradient_cases_window.h"

static const gradient_table gradient_tables[] = {
    GRADIENT_TABLE(gradients_arithmetic),  GRADIENT_TABLE(gradients_activation),
    GRADIENT_TABLE(gradients_reduce),      GRADIENT_TABLE(gradients_conv_forms),
    GRADIENT_TABLE(gradients_pool_forms),  GRADIENT_TABLE(gradients_normalize_forms),
    GRADIENT_TABLE(gradients_along_axis),  GRADIENT_TABLE(gradients_matrix),
    GRADIENT_TABLE(gradients_move),        GRADIENT_TABLE(gradients_slice),
    GRADIENT_TABLE(gradients_lookup),      GRADIENT_TABLE(gradients_resize),
    GRADIENT_TABLE(gradients_convolution), GRADIENT_TABLE(gradients_pool),
    GRADIENT_TABLE(gradients_normalize),   GRADIENT_TABLE(gradients_loss),
};
enum { GRADIENT_TABLES = sizeof gradient_tables / sizeof *gradient_tables };
#endif
