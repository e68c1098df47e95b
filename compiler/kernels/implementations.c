/* The list of implementations the select pass chooses from. */
#include "kernels.h"

const implementation *const implementations[] = {&direct_conv,
                                                 &winograd_conv_4,
                                                 &winograd_conv_2,
                                                 &winograd_conv_5x5,
                                                 &winograd_line_3,
                                                 &winograd_line_5,
                                                 &winograd_line_7,
                                                 &conv_input_grad,
                                                 &winograd_input_grad_4,
                                                 &winograd_input_grad_2,
                                                 &weight_gradient,
                                                 &depthwise_input_gradient,
                                                 &depthwise_weight_gradient,
                                                 &channel_sum,
                                                 &depthwise_conv,
                                                 &grouped_conv,
                                                 &strassen_conv,
                                                 &strip_conv,
                                                 &scaled_conv,
                                                 &gated_conv,
                                                 &scaled_pool,
                                                 &gemm,
                                                 &gemm_bfloat16,
                                                 &matrix_gemm,
                                                 &matrix_matmul,
                                                 &max_pool,
                                                 &average_pool,
                                                 &global_average_pool,
                                                 &global_max_pool,
                                                 &scale_shift,
                                                 &add_nhwc,
                                                 &mul_nhwc,
                                                 &relu_nhwc,
                                                 &prelu_nhwc,
                                                 &reorder,
                                                 &interleave,
                                                 &copy_concat,
                                                 &copy_split,
                                                 &copy_slice,
                                                 &copy_transpose,
                                                 &copy_expand,
                                                 &copy_tile,
                                                 &copy_to_space,
                                                 &copy_to_depth,
                                                 &batchnorm_train,
                                                 &batchnorm_grad,
                                                 &max_pool_grad_nhwc,
                                                 &average_pool_grad_nhwc,
                                                 &global_average_pool_grad_nhwc,
                                                 &xnn_conv,
                                                 &xnn_depthwise,
                                                 &xnn_deconv,
                                                 &xnn_gemm,
                                                 &xnn_max_pool,
                                                 &xnn_average_pool,
                                                 &xnn_global_average_pool,
                                                 &xnn_add,
                                                 NULL};

bool kernel_takes_parameter(const graph *g, const node *n, const parameter *p,
                            parameter_layout order, const options *o) {
    for (const implementation *const *k = implementations; *k; k++)
        if ((*k)->takes && (*k)->op == n->opcode && (*k)->takes(g, n, p, order, o)) return true;
    return false;
}

/* Two vectors where there are channels for them: the register tile of most convolutions. */
int64_t kernel_parameter_block(const parameter *p, parameter_layout order, const options *o) {
    const int64_t vf = o->target.vector_floats;
    return order == PARAMETER_CONV && p->initial->shape.dim[0] > vf ? 2 * vf : vf;
}
