/* Gradient rules of rows whose tables stand in other files: elementwise.c, activation.c, reduce.c
   ... take them from the <family>_grad.c files. See ir/grad.h. */
#ifndef CAMEO_OPS_RULES_H
#define CAMEO_OPS_RULES_H
#include "../ir/grad.h"

/* elementwise_grad.c */
gradient_rule add_grad, sub_grad, mul_grad, div_grad, pow_grad, mean_grad, extreme_grad, where_grad,
    cast_grad;
gradient_rule neg_grad, exp_grad, log_grad, sin_grad, cos_grad;
/* activation_grad.c; pointwise_grad: whatever has one pointwise operator as its derivative, Abs
   and Sqrt too */
gradient_rule pointwise_grad, prelu_grad, clip_grad;
/* reduce_grad.c */
gradient_rule reduce_sum_grad, reduce_mean_grad, reduce_l1_grad, reduce_l2_grad, reduce_square_grad,
    reduce_prod_grad, reduce_extreme_grad, reduce_log_sum_grad, reduce_log_sum_exp_grad;
gradient_rule softmax_grad, log_softmax_grad, lp_grad;
/* matrix_grad.c */
gradient_rule gemm_grad, matmul_grad;
/* move_grad.c */
gradient_rule view_grad, transpose_grad, expand_grad, tile_grad, to_space_grad, to_depth_grad,
    concat_grad, split_grad, slice_grad;

static inline bool rule_wants(const node *n, size_t i) {
    return op_present(n, i) && n->in[i]->wants_grad;
}

/* Every input that wants a gradient has got one. */
static inline bool rule_done(const node *n, value *const *din) {
    for (size_t i = 0; i < n->n_in; i++)
        if (rule_wants(n, i) && !din[i]) return false;
    return true;
}

/* Operand i of an elementwise node as numpy would broadcast it, and din[i] of what arrives in the
   shape of out 0. v may be NULL, after an error. (elementwise_grad.c) */
value *rule_operand(graph *g, const node *n, size_t i);
void rule_settle(graph *g, const node *n, size_t i, value *v, value **din);
/* NULL, after an error, for an operand gives NULL. (elementwise_grad.c) */
value *rule_unary(graph *g, const node *n, opcode op, value *v);
value *rule_scale(graph *g, const node *n, value *v, double factor);           /* v * factor */
value *rule_transpose(graph *g, const node *n, value *v, const int64_t *perm); /* move_grad.c */

unsigned reduce_mask(arena *a, const node *n); /* reduce.c: the axes that n reduces */

/* lookup_grad.c: the transpose of a map along one axis. Position o of v's axis was made from
   `taps` positions index[o * taps ..] of an axis of `extent`, with these weights (NULL: 1); all of
   o's are skipped when the first is negative. Sums along that axis, in the order of o. */
value *axis_scatter(graph *g, const node *n, value *v, int axis, int64_t extent,
                    const int32_t *index, const double *weight, int taps);
#endif
